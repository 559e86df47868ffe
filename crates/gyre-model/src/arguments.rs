use serde_json::{Map, Value};

/// Why the arguments of a tool call cannot be used.
///
/// Models send them in every form; it is theirs to put right, so the message is
/// written for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadArguments {
    /// They end in the middle.
    #[error("the arguments are cut off: {preview}")]
    CutOff {
        /// The end of the text.
        preview: String,
    },
    /// They are not JSON.
    #[error("the arguments are not JSON ({why}): {preview}")]
    NotJson {
        /// What the parser said.
        why: String,
        /// The beginning of the text.
        preview: String,
    },
    /// They are JSON and no object.
    #[error("the arguments are {found} and not a JSON object: {preview}")]
    NotObject {
        /// What they are.
        found: &'static str,
        /// The beginning of the text.
        preview: String,
    },
}

/// Characters of bad arguments that are shown, or sent back.
const PREVIEW_CHARS_MAX: usize = 200;

/// Reads the arguments of a tool call: a JSON object, as text.
///
/// No text at all is an empty object: that is what several servers send for a
/// tool without parameters.
///
/// # Errors
///
/// When they are cut off, are not JSON, or are no object.
pub fn parse_arguments(text: &str) -> Result<Map<String, Value>, BadArguments> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    let preview = || preview(text, PREVIEW_CHARS_MAX);
    match serde_json::from_str(text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(other) => Err(BadArguments::NotObject { found: kind(&other), preview: preview() }),
        Err(error) if error.is_eof() => {
            Err(BadArguments::CutOff { preview: preview_end(text, PREVIEW_CHARS_MAX) })
        }
        Err(error) => Err(BadArguments::NotJson { why: error.to_string(), preview: preview() }),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The first characters of a text, with an ellipsis where some are missing.
pub(crate) fn preview(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn preview_end(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth_back(chars_max - 1) {
        Some((start, _)) if start > 0 => format!("…{}", &text[start..]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&match parse_arguments(text) {
            Ok(arguments) => Value::Object(arguments).to_string(),
            Err(error) => error.to_string(),
        });
    }

    #[test]
    fn arguments_are_an_object_or_say_why_not() {
        check(r#"{"code": "x"}"#, expect![[r#"{"code":"x"}"#]]);
        check("  ", expect!["{}"]);
        check(r#"{"code": "def f"#, expect![[r#"the arguments are cut off: {"code": "def f"#]]);
        check(
            "{code: 1}",
            expect![
                "the arguments are not JSON (key must be a string at line 1 column 2): {code: 1}"
            ],
        );
        check(r#"["x"]"#, expect![[r#"the arguments are an array and not a JSON object: ["x"]"#]]);
        check(
            r#""{\"code\": 1}""#,
            expect![[r#"the arguments are a string and not a JSON object: "{\"code\": 1}""#]],
        );
        check("null", expect!["the arguments are null and not a JSON object: null"]);
        check(
            "{} trailing",
            expect![
                "the arguments are not JSON (trailing characters at line 1 column 4): {} trailing"
            ],
        );
    }

    #[test]
    fn a_preview_is_bounded_on_either_side() {
        let long = format!("{{\"code\": \"{}", "é".repeat(10_000));
        let Err(BadArguments::CutOff { preview: end }) = parse_arguments(&long) else {
            panic!("cut off");
        };
        assert_eq!(end, format!("…{}", "é".repeat(200)));
        assert_eq!(preview("abcdef", 3), "abc…");
        assert_eq!(preview("abc", 3), "abc");
    }
}
