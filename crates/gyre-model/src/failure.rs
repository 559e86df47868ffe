//! From an HTTP answer to JSON, or to what went wrong: pure functions.

use std::time::Duration;

use serde_json::Value;

use crate::arguments::preview;
use crate::error::{Billed, ModelErrorKind};
use crate::secret::Secret;

/// Characters of a server's own words that a message repeats.
const SAYS_CHARS_MAX: usize = 300;

/// The head of an HTTP answer, as far as it matters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    /// How long the server asks to wait.
    pub(crate) retry_after: Option<Duration>,
    /// The origin that it redirects to.
    pub(crate) redirects_to: Option<String>,
}

/// The key that a request was sent with, which no message may repeat.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KeyUsed<'a> {
    pub(crate) key: Option<&'a Secret>,
    pub(crate) env: Option<&'a str>,
}

/// Reads the JSON of a good answer, or tells what went wrong.
pub(crate) fn read(head: &Head, body: &[u8], key: KeyUsed<'_>) -> Result<Value, ModelErrorKind> {
    if !head.is_good() {
        return Err(bad_status(head, body, key));
    }
    let value = read_json(head, body)?;
    match error_of(&value) {
        Some(error) => Err(error_body(error, &value, key)),
        None => Ok(value),
    }
}

/// Accepts that something was carried out, whatever words a server has for it, or
/// tells what went wrong.
pub(crate) fn accept(head: &Head, body: &[u8], key: KeyUsed<'_>) -> Result<(), ModelErrorKind> {
    if !head.is_good() {
        return Err(bad_status(head, body, key));
    }
    // A text such as "Success" is no JSON, and no error.
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let failed = (value["success"] == false).then_some(&value);
    match failed.or_else(|| error_of(&value)) {
        Some(error) => Err(error_body(error, &value, key)),
        None => Ok(()),
    }
}

impl Head {
    fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

fn bad_status(head: &Head, body: &[u8], key: KeyUsed<'_>) -> ModelErrorKind {
    let text = String::from_utf8_lossy(body);
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    let error = Told { value: error_of(&value).unwrap_or(&value), text: &text };
    status_error(head, &error, key)
}

fn read_json(head: &Head, body: &[u8]) -> Result<Value, ModelErrorKind> {
    let broken = |why: String| ModelErrorKind::Malformed {
        why: format!("{why}; look at the server's log"),
        billed: Billed::Unknown,
        retry: true,
    };
    let text = std::str::from_utf8(body)
        .map_err(|error| broken(format!("it is not UTF-8 at byte {}", error.valid_up_to())))?;
    let beginning = text.trim_start();
    if beginning.is_empty() {
        return Err(broken("it is empty".to_owned()));
    }
    if head.content_type.contains("event-stream") || beginning.starts_with("data:") {
        return Err(ModelErrorKind::Malformed {
            why: "it is a stream of events, and `stream` was false; configure the server or the \
                  proxy before it to answer in one piece"
                .to_owned(),
            billed: Billed::Unknown,
            retry: false,
        });
    }
    if beginning.starts_with('<') {
        return Err(ModelErrorKind::Malformed {
            why: "it is a web page; is `url` the base address of the API, such as \
                  http://HOST:PORT/v1?"
                .to_owned(),
            billed: Billed::Unknown,
            retry: false,
        });
    }
    serde_json::from_str(text).map_err(|error| {
        broken(if error.is_eof() {
            format!("its JSON is cut off after {} bytes", body.len())
        } else {
            format!("it is not JSON ({error})")
        })
    })
}

/// The error that a body holds, in the forms that servers have.
fn error_of(value: &Value) -> Option<&Value> {
    let error = &value["error"];
    if value["choices"].is_array() {
        return None;
    }
    if !error.is_null() {
        return Some(error);
    }
    (value["object"] == "error").then_some(value)
}

fn error_body(error: &Value, body: &Value, key: KeyUsed<'_>) -> ModelErrorKind {
    let text = body.to_string();
    let error = Told { value: error, text: &text };
    let says = error.says(key);
    match error.code() {
        _ if error.is_too_long() => {
            ModelErrorKind::PromptTooLong { says, context: error.context_tokens() }
        }
        "insufficient_quota" => ModelErrorKind::QuotaExhausted { says },
        "429" | "rate_limit_exceeded" => ModelErrorKind::RateLimited { says, retry_after: None },
        _ => ModelErrorKind::ErrorBody { says },
    }
}

fn status_error(head: &Head, error: &Told<'_>, key: KeyUsed<'_>) -> ModelErrorKind {
    let says = error.says(key);
    let retry_after = head.retry_after;
    match head.status {
        status @ 300..400 => {
            let nowhere = || "nowhere".to_owned();
            let to = head.redirects_to.clone().unwrap_or_else(nowhere);
            ModelErrorKind::Redirected { status, to }
        }
        status @ (401 | 403) => {
            ModelErrorKind::RefusedKey { status, key_env: key.env.map(str::to_owned) }
        }
        402 => ModelErrorKind::QuotaExhausted { says },
        429 if error.code() == "insufficient_quota" => ModelErrorKind::QuotaExhausted { says },
        429 => ModelErrorKind::RateLimited { says, retry_after },
        413 => ModelErrorKind::PromptTooLong { says, context: error.context_tokens() },
        400 | 422 | 500 if error.is_too_long() => {
            ModelErrorKind::PromptTooLong { says, context: error.context_tokens() }
        }
        status => ModelErrorKind::Status { status, says, retry_after },
    }
}

/// What a server told about an error.
struct Told<'a> {
    /// The error's object, if the body was JSON.
    value: &'a Value,
    /// The whole body.
    text: &'a str,
}

/// How servers say that a prompt does not fit: OpenAI, vLLM (the last one where
/// the prompt alone fills the context), SGLang, llama.cpp, Anthropic's adapter.
const TOO_LONG: &[&str] = &[
    "context_length_exceeded",
    "exceed_context_size_error",
    "maximum context length",
    "longer than the model's context",
    "exceeds the available context",
    "exceeds the context",
    "context window",
    "prompt is too long",
    "input length too long",
    "max_tokens must be at least 1, got -",
];

impl Told<'_> {
    fn message(&self) -> &str {
        let error = self.value;
        let places = [&error["message"], &error["detail"], &error["error_message"], error];
        places.iter().find_map(|place| place.as_str()).unwrap_or(self.text)
    }

    /// The server's own words: one bounded line without the key.
    fn says(&self, key: KeyUsed<'_>) -> String {
        let line: String =
            self.message().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let line = match key.key {
            Some(key) => key.redact(line.trim()),
            None => line.trim().to_owned(),
        };
        preview(&line, SAYS_CHARS_MAX)
    }

    fn code(&self) -> &str {
        let code = self.value["code"].as_str();
        match code.or_else(|| self.value["type"].as_str()) {
            Some(code) => code,
            None if self.value["code"] == 429 => "429",
            None => "",
        }
    }

    fn is_too_long(&self) -> bool {
        let text = self.text.to_ascii_lowercase();
        TOO_LONG.iter().any(|words| text.contains(words))
    }

    /// The first number behind "context length" or "context size".
    fn context_tokens(&self) -> Option<u64> {
        if let Some(context) = self.value["n_ctx"].as_u64() {
            return Some(context);
        }
        let text = self.message();
        let after = ["context length", "context size"]
            .iter()
            .find_map(|words| text.split_once(words).map(|(_, after)| after))?;
        let digits = after.trim_start_matches(|c: char| !c.is_ascii_digit());
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().ok()
    }
}

#[cfg(test)]
mod tests;
