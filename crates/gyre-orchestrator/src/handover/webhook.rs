//! Posts the document of a promotion to a service.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Response, redirect};

use super::document::Document;
use super::signature::sign;
use crate::promotion_settings::WebhookSettings;

const EVENT: HeaderName = HeaderName::from_static("gyre-event");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const SIGNATURE: HeaderName = HeaderName::from_static("gyre-signature");

/// How long a connection may take, in seconds; a request's own limit may be shorter.
const CONNECT_SECONDS: u64 = 10;

/// Bytes of an answer that refuses which are read and told, at most.
const ANSWER_BYTES_MAX: usize = 500;

/// Sends one request. It was taken where the answer is of the class 2xx.
///
/// Redirects are not followed and no proxy of the environment is used, so that the
/// document reaches the configured address and no other.
pub(super) async fn post(
    settings: &WebhookSettings,
    document: &Document,
    key: &[u8],
    at_s: i64,
) -> Result<(), String> {
    // One TLS provider serves the whole program. An error says that it is installed
    // already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let limit = Duration::from_secs(settings.timeout_seconds);
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .connect_timeout(limit.min(Duration::from_secs(CONNECT_SECONDS)))
        .timeout(limit)
        .user_agent(concat!("gyre/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(failed)?;
    let idempotency_key = HeaderValue::from_str(&document.key).map_err(|e| e.to_string())?;
    let signature = sign(key, at_s, &document.body);
    let signature = HeaderValue::from_str(&signature).map_err(|e| e.to_string())?;
    let request = client
        .post(&settings.url)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(EVENT, HeaderValue::from_static("promotion"))
        .header(IDEMPOTENCY_KEY, idempotency_key)
        .header(SIGNATURE, signature)
        .body(document.body.clone());
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let moved = if status.is_redirection() { "; redirects are not followed" } else { "" };
    Err(match excerpt(answer).await {
        said if said.is_empty() => format!("the webhook answered {status}{moved}"),
        said => format!("the webhook answered {status}{moved}: {said}"),
    })
}

/// The start of an answer's body, on one line.
async fn excerpt(mut answer: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() >= ANSWER_BYTES_MAX {
            body.truncate(ANSWER_BYTES_MAX);
            break;
        }
    }
    let text = String::from_utf8_lossy(&body);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a library's error says, without the address, which may hold a token.
fn failed(error: reqwest::Error) -> String {
    let what = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "the webhook did not answer in time",
        (_, true) => "the webhook cannot be reached",
        _ => "the request to the webhook failed",
    };
    let error = error.without_url();
    let mut deepest: &dyn std::error::Error = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    format!("{what}: {deepest}")
}
