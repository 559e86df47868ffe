use serde::Serialize;

/// A value that cannot be written as JSON.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot be written as JSON; this is a fault of gyre, please report it")]
pub struct JsonError {
    what: &'static str,
    #[source]
    source: serde_json::Error,
}

/// Turns a value into JSON that is to be stored, sent or digested. `what` names
/// it in the error.
///
/// There is no default to fall back to: a `null` in the place of an event, a
/// grading key or a configuration would be taken for what was recorded.
///
/// # Errors
///
/// When the value cannot be written as JSON, such as a map whose keys are not text.
pub fn to_json<T: Serialize + ?Sized>(
    what: &'static str,
    value: &T,
) -> Result<serde_json::Value, JsonError> {
    serde_json::to_value(value).map_err(|source| JsonError { what, source })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_has_no_json_is_an_error_and_no_null() {
        let keyed = BTreeMap::from([(vec![1, 2], "a key that is no text")]);
        let error = to_json("an event", &keyed).expect_err("JSON's keys are text");
        assert!(error.to_string().starts_with("an event cannot be written as JSON"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(to_json("a number", &7).expect("a number"), serde_json::json!(7));
    }
}
