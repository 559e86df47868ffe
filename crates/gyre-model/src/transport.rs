//! One HTTP exchange with a server, within bounds of time and size.

use std::time::{Duration, SystemTime};

use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{Client, RequestBuilder, Response, Url, redirect};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::config::{OpenAiConfig, Timeouts};
use crate::error::{ModelErrorKind, Phase};
use crate::failure::{self, Head, KeyUsed};
use crate::secret::Secret;

/// OpenAI's own servers say it in milliseconds too.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Sends requests to one origin.
///
/// Redirects are not followed and no proxy of the environment is used, so that the
/// key reaches the configured origin and no other.
#[derive(Debug)]
pub(crate) struct Transport {
    client: Client,
    base: String,
    origin: String,
    key: Option<Secret>,
    key_env: Option<String>,
    timeouts: Timeouts,
    body_bytes_max: u64,
}

impl Transport {
    /// Makes a client for the configured server. Sends nothing.
    pub(crate) fn new(
        config: &OpenAiConfig,
        base: &Url,
        key: Option<Secret>,
    ) -> Result<Self, String> {
        // One TLS provider serves the whole program. An error says that it is
        // installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        if let Some(key) = &key {
            headers.insert(AUTHORIZATION, authorization(key)?);
        }
        let client = Client::builder()
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(config.connect_timeout())
            .pool_max_idle_per_host(config.in_flight_max as usize)
            .user_agent(concat!("gyre/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("the HTTP client cannot be made: {}", causes(error)))?;
        Ok(Self {
            client,
            base: base.as_str().trim_end_matches('/').to_owned(),
            origin: base.origin().ascii_serialization(),
            key,
            key_env: config.api_key_env.clone(),
            timeouts: config.timeouts,
            body_bytes_max: config.body_bytes_max,
        })
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Sends a JSON body to a path below the base address.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, ModelErrorKind> {
        self.json(self.post_request(&self.base, path, body)).await
    }

    /// Sends a JSON body to a path of the server that is not below `/v1`.
    pub(crate) async fn post_root(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<Value, ModelErrorKind> {
        self.json(self.post_request(self.root(), path, body)).await
    }

    /// Sends a JSON body to a path below the base address, and takes any answer
    /// that says that it was carried out.
    pub(crate) async fn order(&self, path: &str, body: &Value) -> Result<(), ModelErrorKind> {
        self.carried_out(self.post_request(&self.base, path, body)).await
    }

    /// As [`Self::order`], to a path that is not below `/v1`.
    pub(crate) async fn order_root(&self, path: &str, body: &Value) -> Result<(), ModelErrorKind> {
        self.carried_out(self.post_request(self.root(), path, body)).await
    }

    /// Asks for a path below the base address.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, ModelErrorKind> {
        self.json(self.client.get(format!("{}{path}", self.base))).await
    }

    /// Asks for a path of the server that is not below `/v1`.
    pub(crate) async fn get_root(&self, path: &str) -> Result<Value, ModelErrorKind> {
        self.json(self.client.get(format!("{}{path}", self.root()))).await
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value, ModelErrorKind> {
        let (head, body) = self.exchange(request).await?;
        failure::read(&head, &body, self.key_used())
    }

    async fn carried_out(&self, request: RequestBuilder) -> Result<(), ModelErrorKind> {
        let (head, body) = self.exchange(request).await?;
        failure::accept(&head, &body, self.key_used())
    }

    fn key_used(&self) -> KeyUsed<'_> {
        KeyUsed { key: self.key.as_ref(), env: self.key_env.as_deref() }
    }

    fn root(&self) -> &str {
        self.base.strip_suffix("/v1").unwrap_or(&self.base)
    }

    fn post_request(&self, base: &str, path: &str, body: &Value) -> RequestBuilder {
        self.client
            .post(format!("{base}{path}"))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body.to_string())
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<(Head, Vec<u8>), ModelErrorKind> {
        let started = Instant::now();
        let ends = started + Duration::from_millis(self.timeouts.request_ms);
        let first_byte_ms = self.timeouts.first_byte_ms.min(self.timeouts.request_ms);
        let answers = started + Duration::from_millis(first_byte_ms);
        let response = match timeout_at(answers, request.send()).await {
            Ok(response) => response.map_err(|error| self.failed(error))?,
            Err(_) => return Err(timed_out(Phase::FirstByte, first_byte_ms)),
        };
        let head = head(&response);
        match timeout_at(ends, self.read_body(response)).await {
            Ok(body) => Ok((head, body?)),
            Err(_) => Err(timed_out(Phase::Body, self.timeouts.request_ms)),
        }
    }

    /// Reads a body piece by piece and stops at the bound, whatever its head said
    /// of its length.
    async fn read_body(&self, mut response: Response) -> Result<Vec<u8>, ModelErrorKind> {
        let limit = self.body_bytes_max;
        let too_large = || ModelErrorKind::BodyTooLarge { limit };
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.failed(error))? {
            if (body.len() + piece.len()) as u64 > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn failed(&self, error: reqwest::Error) -> ModelErrorKind {
        if error.is_timeout() && error.is_connect() {
            return timed_out(Phase::Connect, self.timeouts.connect_ms);
        }
        let is_connect = error.is_connect();
        let why = causes(error);
        if is_connect { ModelErrorKind::Connect { why } } else { ModelErrorKind::Broken { why } }
    }
}

fn authorization(key: &Secret) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose()))
        .map_err(|_| "the key holds characters that no HTTP header may hold".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn timed_out(phase: Phase, limit_ms: u64) -> ModelErrorKind {
    ModelErrorKind::TimedOut { phase, limit_ms }
}

/// What a library's error says, without the address: it may be long, and the
/// origin is told already.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut deepest: &dyn std::error::Error = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

fn head(response: &Response) -> Head {
    let headers = response.headers();
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let to = text(LOCATION).and_then(|to| response.url().join(to).ok());
    Head {
        status: response.status().as_u16(),
        content_type: text(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase(),
        retry_after: text(RETRY_AFTER_MS)
            .and_then(|ms| ms.parse().ok())
            .map(Duration::from_millis)
            .or_else(|| retry_after(text(RETRY_AFTER)?, text(DATE))),
        redirects_to: to.map(|to| to.origin().ascii_serialization()),
    }
}

/// Reads `Retry-After` (RFC 9110): seconds, or a date, which is compared with the
/// server's own clock where it tells the time.
fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let now = date.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or_else(now);
    Some(until.duration_since(now).unwrap_or_default())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a server's date is compared with the time; no answer depends on it"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let seconds = |value| retry_after(value, date).map(|wait| wait.as_secs());
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:07 GMT"), Some(30));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(seconds("soon"), None);
        let past = retry_after("Sun, 06 Nov 1994 08:49:37 GMT", None);
        assert_eq!(past, Some(Duration::ZERO), "compared with this machine's clock");
    }

    #[test]
    fn a_key_that_is_no_header_is_refused_and_not_shown() {
        let error = authorization(&Secret::new("hid\nden")).expect_err("a line feed");
        assert!(!error.contains("den"), "{error}");
        authorization(&Secret::new("sk-1\n")).expect("what a file's last line leaves is cut off");
    }
}
