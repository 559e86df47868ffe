use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::app::App;
use crate::failure::Failure;
use crate::{api, guard, ops, pages};

/// Bytes of a request's body: forms of a few fields are all there is.
pub(crate) const BODY_BYTES_MAX: usize = 16 << 10;

/// When a caller that found no room may come again, in seconds.
const RETRY_AFTER_S: &str = "5";

/// Every route, behind the guard.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .merge(operations())
        .merge(api::routes())
        .merge(pages::routes())
        .fallback(async |request: Request| refusal(request.uri().path(), &nothing(&request)))
        .method_not_allowed_fallback(async |request: Request| {
            let detail = format!("{} is not answered here", request.method());
            let failure =
                Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
            refusal(request.uri().path(), &failure)
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .with_state(app)
}

fn operations() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(ops::healthz))
        .route("/livez", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
}

fn nothing(request: &Request) -> Failure {
    Failure::not_found("page", request.uri().path())
}

/// A failure as programs or people expect it, by the path that was asked for.
pub(crate) fn refusal(path: &str, failure: &Failure) -> Response {
    let for_programs = ["/api/", "/metrics", "/healthz", "/livez", "/readyz"]
        .iter()
        .any(|start| path.starts_with(start));
    if for_programs { problem(failure) } else { pages::failed(failure) }
}

/// A failure as a problem object (RFC 9457).
pub(crate) fn problem(failure: &Failure) -> Response {
    let body = json!({
        "type": format!("urn:gyre:problem:{}", failure.code),
        "title": failure.status.canonical_reason().unwrap_or("failed"),
        "status": failure.status.as_u16(),
        "code": failure.code,
        "detail": failure.detail,
    });
    let mut response = (failure.status, body.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if failure.status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"gyre\""));
    }
    if failure.status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
    }
    response
}

/// What the API answers: a document, or a problem.
pub(crate) fn answer(result: Result<Value, Failure>) -> Response {
    match result {
        Ok(value) => {
            let json = HeaderValue::from_static("application/json");
            ([(CONTENT_TYPE, json)], value.to_string()).into_response()
        }
        Err(failure) => problem(&failure),
    }
}
