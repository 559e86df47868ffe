//! Signing in: the token once, then a cookie made from it.

use std::sync::Arc;

use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, LOCATION, SET_COOKIE};
use axum::response::{IntoResponse, Response};
use maud::html;

use super::layout::Page;
use crate::app::App;
use crate::guard::COOKIE;

pub(super) async fn login_page(State(app): State<Arc<App>>) -> Response {
    form(&app, StatusCode::OK, None)
}

pub(super) async fn login(
    State(app): State<Arc<App>>,
    fields: Result<Form<Vec<(String, String)>>, axum::extract::rejection::FormRejection>,
) -> Response {
    let Ok(Form(fields)) = fields else {
        return form(&app, StatusCode::BAD_REQUEST, Some("That was no form with a token."));
    };
    let given = fields.iter().find(|(name, _)| name == "token").map(|(_, value)| value.as_str());
    match (&app.guard.token, given) {
        (Some(token), Some(given)) if token.admits(given) => {
            let cookie = format!(
                "{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200",
                token.cookie()
            );
            let mut response = StatusCode::SEE_OTHER.into_response();
            let headers = response.headers_mut();
            headers.insert(LOCATION, HeaderValue::from_static("/"));
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                headers.insert(SET_COOKIE, cookie);
            }
            response
        }
        (Some(_), _) => form(&app, StatusCode::UNAUTHORIZED, Some("That is not the token.")),
        (None, _) => form(&app, StatusCode::FORBIDDEN, None),
    }
}

fn form(app: &App, status: StatusCode, complaint: Option<&str>) -> Response {
    let body = html! {
        h1 { "Sign in" }
        @if let Some(complaint) = complaint { p.notice.bad role="alert" { (complaint) } }
        @if app.guard.token.is_some() {
            form method="post" action="/login" {
                p { label { "Token" input type="password" name="token" autocomplete="current-password" required; } }
                button type="submit" { "Sign in" }
            }
        } @else {
            p.notice { "This service has no token (" code { (app.guard.token_env) } " is not set), so nothing can be started here." }
        }
    };
    let page = Page { title: "Sign in".to_owned(), run: None, section: "", body };
    super::plain(status, page)
}
