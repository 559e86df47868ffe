use std::time::Duration;

use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::dialect::Dialect;
use crate::error::{ModelError, ModelErrorKind};
use crate::meter::{Budget, Prices};

/// How a model behind an OpenAI-compatible server is reached and asked. Unknown
/// keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OpenAiConfig {
    /// Base address, to which `/chat/completions` is added.
    /// Default: `http://127.0.0.1:8000/v1`.
    pub url: String,
    /// The model's name, as the server knows it. Default: the only one that
    /// `/models` lists.
    pub model: Option<String>,
    /// Name of the environment variable that holds the key. Default: no key is sent.
    pub api_key_env: Option<String>,
    /// What the server understands beyond OpenAI's keys. Default: `openai`.
    pub dialect: Dialect,
    /// Draw from the smallest set of tokens with this much probability, in (0, 1].
    /// Default: 1, all of them.
    pub top_p: f32,
    /// Draw from this many tokens. Default: all of them. OpenAI's dialect has no such key.
    pub top_k: Option<u32>,
    /// Draw from tokens with at least this share of the likeliest one's probability,
    /// in [0, 1). Default: 0, all of them. OpenAI's dialect has no such key.
    pub min_p: f32,
    /// The key by which the server takes the bound on sampled tokens.
    /// Default: `max_tokens`.
    pub max_tokens_key: MaxTokensKey,
    /// Keys that are merged into each request, such as
    /// `{ chat_template_kwargs = { enable_thinking = false } }`; `null` leaves a key
    /// of Gyre's out, such as `temperature` for models that refuse it. Default: none.
    pub extra: Map<String, Value>,
    /// Tool calls kept of one turn. Default: 32.
    pub calls_max: u32,
    /// Requests in flight, at most; fewer while the server answers 429, 503 or
    /// slowly. Default: 16.
    pub in_flight_max: u32,
    /// How long a server may take.
    pub timeouts: Timeouts,
    /// Further attempts after one that failed and may be repeated. Default: 6.
    pub retries_max: u32,
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// Bytes read of one answer. Default: 16 MiB.
    pub body_bytes_max: u64,
    /// What tokens cost. Default: nothing.
    pub prices: Prices,
    /// What may be spent. Default: no bound.
    pub budget: Budget,
}

impl Default for OpenAiConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8000/v1".to_owned(),
            model: None,
            api_key_env: None,
            dialect: Dialect::default(),
            top_p: 1.0,
            top_k: None,
            min_p: 0.0,
            max_tokens_key: MaxTokensKey::default(),
            extra: Map::new(),
            calls_max: 32,
            in_flight_max: 16,
            timeouts: Timeouts::default(),
            retries_max: 6,
            backoff: Backoff::default(),
            body_bytes_max: 16 << 20,
            prices: Prices::default(),
            budget: Budget::default(),
        }
    }
}

/// The key by which a server takes the bound on sampled tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensKey {
    /// Nearly all servers.
    #[default]
    MaxTokens,
    /// OpenAI's own reasoning models, which refuse the other.
    MaxCompletionTokens,
}

impl MaxTokensKey {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// How long a server may take, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// To accept a connection. Default: 10,000.
    pub connect_ms: u64,
    /// From the request to the end of the answer's head. A server sends its head
    /// once all tokens are sampled. Default: 600,000.
    pub first_byte_ms: u64,
    /// From the request to the end of the answer. Default: 900,000.
    pub request_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect_ms: 10_000, first_byte_ms: 600_000, request_ms: 900_000 }
    }
}

/// How long to wait between attempts, in milliseconds: before attempt n a random
/// time up to `min_ms` times 2^n, at most `max_ms` ("full jitter"; Brooker,
/// *Exponential Backoff and Jitter*, 2015).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// The first bound. Default: 500.
    pub min_ms: u64,
    /// The last bound. Default: 30,000.
    pub max_ms: u64,
    /// The longest wait that a server may ask for by `Retry-After`; one that asks
    /// for more has failed. Default: 120,000.
    pub retry_after_max_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { min_ms: 500, max_ms: 30_000, retry_after_max_ms: 120_000 }
    }
}

/// Keys of a request that have their own place in the configuration or in the
/// conversation, and that `extra` may not set.
const OWN_KEYS: &[&str] = &[
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "min_p",
    "model",
    "n",
    "seed",
    "stream",
    "temperature",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

/// Of these, the keys without which a request is another one.
const NEEDED_KEYS: &[&str] = &["messages", "model", "n", "stream", "tool_choice", "tools"];

impl OpenAiConfig {
    /// Checks all that can be checked without asking the server, and reads the
    /// base address.
    pub(crate) fn validate(&self) -> Result<Url, String> {
        let url = self.base_url()?;
        check_share("top_p", self.top_p, self.top_p > 0.0 && self.top_p <= 1.0)?;
        check_share("min_p", self.min_p, (0.0..1.0).contains(&self.min_p))?;
        self.check_extra()?;
        for (key, value) in [
            ("in_flight_max", u64::from(self.in_flight_max)),
            ("calls_max", u64::from(self.calls_max)),
            ("body_bytes_max", self.body_bytes_max),
            ("timeouts.connect_ms", self.timeouts.connect_ms),
            ("timeouts.first_byte_ms", self.timeouts.first_byte_ms),
            ("timeouts.request_ms", self.timeouts.request_ms),
            ("top_k", self.top_k.map_or(1, u64::from)),
        ] {
            if value == 0 {
                return Err(format!("`{key}` is 0; it must be at least 1"));
            }
        }
        if self.backoff.min_ms > self.backoff.max_ms {
            return Err("`backoff.min_ms` is more than `backoff.max_ms`; swap them".to_owned());
        }
        self.prices.validate()?;
        Ok(url)
    }

    /// The scheme, host and port of the server.
    ///
    /// # Errors
    ///
    /// When `url` is none that can be used.
    pub fn origin(&self) -> Result<String, ModelError> {
        let url = self.base_url().map_err(|why| ModelError {
            origin: "model".to_owned(),
            kind: ModelErrorKind::Configuration { why },
            attempts: 0,
        })?;
        Ok(url.origin().ascii_serialization())
    }

    /// The base address without a slash at its end.
    fn base_url(&self) -> Result<Url, String> {
        // The text is not repeated where it may hold a password.
        let url = Url::parse(&self.url)
            .map_err(|why| format!("`url` is no address ({why}); write http://HOST:PORT/v1"))?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            let scheme = url.scheme();
            return Err(format!("`url` has the scheme {scheme}; write http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("`url` holds a user or a password; name the environment variable that \
                        holds the key in `api_key_env`"
                .to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(
                "`url` has a query or a fragment; end it with the path, such as /v1".to_owned()
            );
        }
        Ok(url)
    }

    fn check_extra(&self) -> Result<(), String> {
        for (key, value) in &self.extra {
            let key = key.as_str();
            let left_out = value.is_null() && !NEEDED_KEYS.contains(&key);
            if OWN_KEYS.contains(&key) && !left_out {
                return Err(format!(
                    "`extra` may not set `{key}`, which has a place of its own; remove it there"
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.timeouts.connect_ms)
    }
}

fn check_share(key: &str, value: f32, is_valid: bool) -> Result<(), String> {
    if is_valid { Ok(()) } else { Err(format!("`{key}` is {value}; it is a share of 1")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(config: Value) -> String {
        let config: OpenAiConfig = serde_json::from_value(config).expect("known keys");
        config.validate().expect_err("a configuration that cannot be used")
    }

    #[test]
    fn an_empty_configuration_has_every_default() {
        let config: OpenAiConfig = serde_json::from_value(json!({})).expect("defaults");
        assert_eq!(config, OpenAiConfig::default());
        let url = config.validate().expect("defaults can be used");
        assert_eq!(url.as_str(), "http://127.0.0.1:8000/v1");
        serde_json::from_value::<OpenAiConfig>(json!({"urls": "x"})).expect_err("an unknown key");
    }

    #[test]
    fn a_configuration_that_cannot_be_used_says_why() {
        for (config, message) in [
            (json!({"url": "localhost"}), "`url` is no address"),
            (json!({"url": "ftp://a/v1"}), "`url` has the scheme ftp"),
            (json!({"url": "http://me:hidden@a/v1"}), "`url` holds a user or a password"),
            (json!({"url": "http://a/v1?key=hidden"}), "`url` has a query"),
            (json!({"top_p": 0.0}), "`top_p` is 0"),
            (json!({"top_k": 0}), "`top_k` is 0"),
            (json!({"in_flight_max": 0}), "`in_flight_max` is 0"),
            (json!({"backoff": {"min_ms": 9, "max_ms": 8}}), "`backoff.min_ms` is more"),
            (json!({"extra": {"stream": true}}), "`extra` may not set `stream`"),
            (json!({"extra": {"tools": null}}), "`extra` may not set `tools`"),
            (json!({"extra": {"temperature": 1.0}}), "`extra` may not set `temperature`"),
        ] {
            let why = refused(config);
            assert!(why.starts_with(message), "{why}");
            assert!(!why.contains("hidden"), "{why}");
        }
    }

    #[test]
    fn extra_may_leave_out_what_a_model_refuses() {
        let config = json!({"extra": {"temperature": null, "reasoning_effort": "low"}});
        let config: OpenAiConfig = serde_json::from_value(config).expect("known keys");
        config.validate().expect("a usable configuration");
    }
}
