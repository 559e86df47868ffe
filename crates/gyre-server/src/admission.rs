//! Lets requests in by the guard's rules, takes in their bodies, and gives every
//! answer the headers that browsers go by.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::app::App;
use crate::failure::Failure;
use crate::limits::BODY_BYTES_MAX;
use crate::refusal::refusal;
use crate::seat::Seat;

/// The page's own style and script, and nothing else from anywhere.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
    img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

/// What every answer carries, unless it says otherwise itself.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Lets a request through or refuses it, and dresses the answer.
pub(crate) async fn admit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let headers = request.headers();
    let mut response = match app.guard.check(request.method(), &path, headers) {
        Ok(()) => match whole(request, app.limits.body_max).await {
            Ok(request) => next.run(request).await,
            Err(failure) => refusal(&path, &failure),
        },
        Err(failure) => refusal(&path, &failure),
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    app.count(response.status());
    response
}

/// The request with its body, which is small and must come soon. From here on its
/// connection is at work.
async fn whole(request: Request, within: Duration) -> Result<Request, Failure> {
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(within, to_bytes(body, BODY_BYTES_MAX)).await;
    let read = read.map_err(|_elapsed| {
        let detail = "the request's body did not come in time";
        Failure::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail)
    })?;
    let body = read.map_err(|_| {
        let detail =
            format!("a request's body must be whole and have at most {BODY_BYTES_MAX} bytes");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "bad_body", detail)
    })?;
    if let Some(seat) = parts.extensions.get::<Arc<Seat>>() {
        seat.serve();
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}
