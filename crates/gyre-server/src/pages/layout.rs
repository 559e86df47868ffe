//! What every page shares: its frame, and how it is exported.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use gyre_types::RunId;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::failure::Failure;

pub(crate) const STYLE: &str = include_str!("../../assets/style.css");
pub(crate) const SCRIPT: &str = include_str!("../../assets/app.js");

/// A page before it is framed.
pub(crate) struct Page {
    pub(crate) title: String,
    /// The run that it is about.
    pub(crate) run: Option<RunId>,
    /// Which entry of the navigation it belongs to.
    pub(crate) section: &'static str,
    pub(crate) body: Markup,
}

/// A page as it is asked for: in the browser, or as one file to keep.
pub(crate) fn framed(result: Result<Page, Failure>, export: bool) -> Response {
    match result {
        Ok(page) if export => exported(&page),
        Ok(page) => html_response(StatusCode::OK, whole(&page)),
        Err(failure) => failed(&failure),
    }
}

/// A failure, for people.
pub(crate) fn failed(failure: &Failure) -> Response {
    let body = html! {
        h1 { (failure.status.as_u16()) " " (failure.status.canonical_reason().unwrap_or("failed")) }
        p { (super::text::hostile(&failure.detail)) }
        @if failure.status == StatusCode::UNAUTHORIZED {
            p { a href="/login" { "Sign in with the token" } }
        }
        p { a href="/" { "Back to the overview" } }
    };
    let title = failure.code.replace('_', " ");
    html_response(failure.status, whole(&Page { title, run: None, section: "", body }))
}

pub(crate) fn html_response(status: StatusCode, body: String) -> Response {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    (status, [(CONTENT_TYPE, kind)], body).into_response()
}

fn whole(page: &Page) -> String {
    let head = html! {
        link rel="icon" href="data:,";
        link rel="stylesheet" href="/assets/style.css";
        script src="/assets/app.js" defer {}
    };
    document(page, &head, &navigation(page))
}

/// One file that needs nothing else: style inside, no script, no links.
fn exported(page: &Page) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
    let head = html! {
        meta http-equiv="Content-Security-Policy" content=(POLICY);
        style { (PreEscaped(STYLE)) }
    };
    let from = html! { header.top { p.brand { "Gyre" } p.quiet { "exported" } } };
    // Quotes in texts are escaped, so this is found in tags alone.
    let body = document(page, &head, &from).replace(" href=\"/", " data-href=\"/");
    let mut response = html_response(StatusCode::OK, body);
    let name: String = page
        .title
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(80)
        .collect();
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}.html\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}

fn document(page: &Page, head: &Markup, top: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " · Gyre" }
                (head)
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (top)
                main #main tabindex="-1" { (page.body) }
            }
        }
    }
    .into_string()
}

fn navigation(page: &Page) -> Markup {
    let entries = page.run.as_ref().map(|run| {
        [
            ("overview", format!("/runs/{run}")),
            ("tasks", format!("/runs/{run}/tasks")),
            ("rollouts", format!("/runs/{run}/rollouts")),
            ("dataset", format!("/runs/{run}/dataset")),
        ]
    });
    let link = |name: &str, href: &str| {
        html! { a href=(href) aria-current=[(page.section == name).then_some("page")] { (name) } }
    };
    html! {
        header.top {
            p.brand { a href="/" { "Gyre" } @if let Some(run) = &page.run { span.run { (run) } } }
            nav aria-label="Main" {
                @for (name, href) in entries.iter().flatten() { (link(name, href)) }
                (link("verifiers", "/verifiers"))
                (link("schedules", "/schedules"))
            }
        }
    }
}

/// The ways to take a page along, at its foot.
pub(crate) fn export_link(query: &str) -> Markup {
    html! { p.export { a href=(query) download { "Export this page as one HTML file" } } }
}
