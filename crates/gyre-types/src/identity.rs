use serde::Serialize;
use serde_json::Value;

use crate::{JsonError, to_json};

/// What of a component's settings decides results: its part of a run's fingerprint.
///
/// It takes the settings that it names, and no others: one that is added to the
/// component later changes no fingerprint of a run that was recorded before, until
/// [`Identity::since`] names it with its default.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Identity(Value);

impl Identity {
    /// Takes the named settings. A name of several parts, such as `base.steps`, leads
    /// into a setting that is itself an object or a list of objects; the name of such
    /// a setting alone takes all that is in it. `what` names the settings in errors.
    ///
    /// # Errors
    ///
    /// When the settings cannot be written as JSON.
    pub fn of<T: Serialize>(
        what: &'static str,
        settings: &T,
        names: &[&str],
    ) -> Result<Self, JsonError> {
        Ok(Self(take(to_json(what, settings)?, names)))
    }

    /// Adds a value under a name.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub fn with<T: Serialize>(mut self, name: &'static str, value: &T) -> Result<Self, JsonError> {
        if let Some(settings) = self.0.as_object_mut() {
            settings.insert(name.to_owned(), to_json(name, value)?);
        }
        Ok(self)
    }

    /// Adds a setting that a later version brought, unless it has the value that every
    /// older run had.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub fn since<T: Serialize + PartialEq>(
        self,
        name: &'static str,
        value: &T,
        before: &T,
    ) -> Result<Self, JsonError> {
        if value == before { Ok(self) } else { self.with(name, value) }
    }
}

fn take(value: Value, names: &[&str]) -> Value {
    match value {
        Value::Object(settings) => {
            let taken = settings.into_iter().filter_map(|(name, value)| {
                if names.contains(&name.as_str()) {
                    return Some((name, value));
                }
                let below: Vec<&str> = names
                    .iter()
                    .filter_map(|path| path.split_once('.'))
                    .filter_map(|(first, rest)| (first == name).then_some(rest))
                    .collect();
                (!below.is_empty()).then(|| (name, take(value, &below)))
            });
            Value::Object(taken.collect())
        }
        Value::Array(items) => items.into_iter().map(|item| take(item, names)).collect(),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(settings: &Value, names: &[&str]) -> Value {
        to_json("an identity", &Identity::of("settings", settings, names).unwrap()).unwrap()
    }

    #[test]
    fn only_what_is_named_is_taken() {
        let settings = json!({
            "rate": 0.5, "shown": true,
            "base": { "steps": 3, "colour": "red" },
            "families": [{ "family": "compose", "note": "" }, { "family": "everyday" }],
            "options": { "a": 1, "b": [2] },
        });
        let names = ["rate", "base.steps", "families.family", "options"];
        let taken = json!({
            "rate": 0.5,
            "base": { "steps": 3 },
            "families": [{ "family": "compose" }, { "family": "everyday" }],
            "options": { "a": 1, "b": [2] },
        });
        assert_eq!(of(&settings, &names), taken);
    }

    #[test]
    fn a_later_setting_adds_nothing_while_it_has_the_value_of_before() {
        let old = json!({ "rate": 0.5 });
        let new = json!({ "rate": 0.5, "groups": true });
        assert_eq!(of(&new, &["rate"]), of(&old, &["rate"]));
        let identity = Identity::of("settings", &new, &["rate"]).unwrap();
        let same = identity.clone().since("groups", &true, &true).unwrap();
        assert_eq!(same, identity);
        let other = identity.since("groups", &false, &true).unwrap();
        assert_eq!(to_json("it", &other).unwrap(), json!({ "rate": 0.5, "groups": false }));
    }
}
