//! Documents and problems as responses.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::failure::Failure;

/// When a caller that found no room may come again, in seconds.
const RETRY_AFTER_S: &str = "5";

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
