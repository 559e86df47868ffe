//! Failures that have no route of their own to answer them.

use axum::response::Response;

use crate::answer::problem;
use crate::failure::Failure;
use crate::pages;

/// A failure as programs or people expect it, by the path that was asked for.
pub(crate) fn refusal(path: &str, failure: &Failure) -> Response {
    let for_programs = ["/api/", "/metrics", "/healthz", "/livez", "/readyz"]
        .iter()
        .any(|start| path.starts_with(start));
    if for_programs { problem(failure) } else { pages::failed(failure) }
}
