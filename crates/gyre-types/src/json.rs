use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::ser::Error as _;

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

/// The key under which a stored value names its version.
const VERSION: &str = "version";

/// A stored value that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// A newer Gyre wrote it, or somebody else.
    #[error("it is of version {found}, this gyre reads version {known}; use a newer gyre")]
    Version {
        /// What it says.
        found: String,
        /// What is known here.
        known: u32,
    },
    /// It is not of the form that its version has.
    #[error("{0}")]
    Form(serde_json::Error),
}

/// Turns a value into JSON that is to be stored, and that names its version.
///
/// # Errors
///
/// When the value cannot be written as a JSON object.
pub fn to_stored<T: Serialize + ?Sized>(
    what: &'static str,
    version: u32,
    value: &T,
) -> Result<serde_json::Value, JsonError> {
    let mut value = to_json(what, value)?;
    let no_object = || JsonError { what, source: serde_json::Error::custom("it is no object") };
    value.as_object_mut().ok_or_else(no_object)?.insert(VERSION.to_owned(), version.into());
    Ok(value)
}

/// Whether a stored value is of the first version of its form, as are those that
/// name none.
pub fn is_of_first_version(value: &serde_json::Value) -> bool {
    value.get(VERSION).is_none_or(|version| *version == 1)
}

/// Reads a value that [`to_stored`] wrote. One that names no version is of the
/// time before there were any, and of the form of the first.
///
/// # Errors
///
/// When it is of another version than `known`, or of another form.
pub fn from_stored<T: DeserializeOwned>(
    known: u32,
    mut value: serde_json::Value,
) -> Result<T, StoredError> {
    let named = value.as_object_mut().and_then(|fields| fields.remove(VERSION));
    if let Some(found) = named.filter(|found| *found != known) {
        return Err(StoredError::Version { found: found.to_string(), known });
    }
    serde_json::from_value(value).map_err(StoredError::Form)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_version_is_refused_by_name() {
        let point = BTreeMap::from([("x".to_owned(), 1)]);
        let stored = to_stored("a point", 1, &point).expect("an object");
        assert_eq!(stored, json!({"x": 1, "version": 1}));
        let read = |value| from_stored::<BTreeMap<String, i32>>(1, value);
        assert_eq!(read(stored).expect("the same"), point);
        assert_eq!(read(json!({"x": 1})).expect("of before versions"), point);
        assert!(is_of_first_version(&json!({"version": 1})) && is_of_first_version(&json!({})));
        for (version, shown) in [(json!(2), "2"), (json!("1"), "\"1\""), (json!(null), "null")] {
            let error = read(json!({"x": 1, "version": version})).expect_err("unknown");
            let words = format!("it is of version {shown}, this gyre reads version 1");
            assert!(error.to_string().starts_with(&words), "{error}");
            assert!(!is_of_first_version(&json!({"version": version})));
        }
        assert!(to_stored("a list", 1, &[1]).is_err());
    }

    #[test]
    fn what_has_no_json_is_an_error_and_no_null() {
        let keyed = BTreeMap::from([(vec![1, 2], "a key that is no text")]);
        let error = to_json("an event", &keyed).expect_err("JSON's keys are text");
        assert!(error.to_string().starts_with("an event cannot be written as JSON"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(to_json("a number", &7).expect("a number"), serde_json::json!(7));
    }
}
