//! Reads what a guest answered. A guest can answer anything.

use gyre_types::{GuestException, GuestOutcome, Value, ValueLimits};
use serde::Deserialize;

/// The runner cuts the three texts of an exception to 4,000 characters each.
const EXCEPTION_BYTES_MAX: usize = 64 << 10;
/// Longest text shown of a reason that a guest gave.
const REASON_CHARS_MAX: usize = 200;

/// The bytes that a reply may take under these limits.
pub(crate) fn bytes_max(result_bytes_max: u64) -> u64 {
    result_bytes_max.max(EXCEPTION_BYTES_MAX as u64) + 64
}

const VALUE: &str = "{\"ok\":";

/// Whether a reply begins as one that holds a value does.
pub(crate) fn looks_like_value(reply: &[u8]) -> bool {
    reply.starts_with(VALUE.as_bytes())
}

/// Turns what a guest replied into an outcome; whatever is not of the agreed form,
/// or is no value that Python has, is an outcome too.
pub fn read(reply: &[u8], result_bytes_max: u64) -> GuestOutcome {
    let Ok(reply) = std::str::from_utf8(reply) else {
        return unrepresentable("the reply is not UTF-8");
    };
    if let Some(value) = body(reply, VALUE) {
        return match Value::parse(value, ValueLimits::of_bytes(result_bytes_max)) {
            Ok(value) => GuestOutcome::Value { value },
            Err(error) => unrepresentable(&error.to_string()),
        };
    }
    match serde_json::from_str(reply) {
        Ok(Reply::Exception(raised)) if reply.len() <= EXCEPTION_BYTES_MAX => {
            GuestOutcome::Exception(GuestException {
                kind: raised.kind,
                message: raised.message,
                traceback: raised.traceback,
            })
        }
        Ok(Reply::Unrepresentable(reason)) => unrepresentable(&reason),
        Ok(Reply::Exception(_)) | Err(_) => unrepresentable("the reply is malformed"),
    }
}

fn body<'a>(reply: &'a str, head: &str) -> Option<&'a str> {
    reply.strip_prefix(head)?.strip_suffix('}')
}

fn unrepresentable(reason: &str) -> GuestOutcome {
    GuestOutcome::Unrepresentable { reason: reason.chars().take(REASON_CHARS_MAX).collect() }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Reply {
    Exception(Raised),
    Unrepresentable(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raised {
    #[serde(rename = "type")]
    kind: String,
    message: String,
    traceback: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(reply: &str) -> GuestOutcome {
        read(reply.as_bytes(), 256 << 10)
    }

    #[test]
    fn values_and_exceptions_are_read() {
        assert_eq!(read_text(r#"{"ok":[1]}"#).value(), Some(&Value::List(vec![Value::Int(1)])));
        let raised = r#"{"exception":{"type":"E","message":"m","traceback":"t"}}"#;
        assert!(matches!(read_text(raised), GuestOutcome::Exception(e) if e.kind == "E"));
    }

    #[test]
    fn forged_replies_are_no_values() {
        for forged in [
            "",
            "1",
            r#"{"ok":1"#,
            r#"{"ok":1},{"x":2}"#,
            r#"{"ok":1,"ok":2}"#,
            r#"{"ok":NaN}"#,
            r#"{"ok":{"a":1,"a":2}}"#,
            r#"{"exception":{"type":"E","message":"m"}}"#,
            r#"{"exception":{"type":"E","message":"m","traceback":"t","x":1}}"#,
            r#"{"unrepresentable":"x"} "#.repeat(2).as_str(),
        ] {
            let outcome = read_text(forged);
            assert!(
                matches!(outcome, GuestOutcome::Unrepresentable { .. }),
                "{forged}: {outcome:?}"
            );
        }
    }
}
