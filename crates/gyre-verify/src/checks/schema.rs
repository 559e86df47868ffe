//! JSON Schema, with nothing but the schema at hand.

use std::fmt;
use std::sync::Arc;

use gyre_types::Value;
use jsonschema::{PatternOptions, Validator};

use crate::plain::{DOCUMENT_DEPTH_MAX, Plain};

/// Longest error of a validation that is shown, in characters.
const ERROR_CHARS_MAX: usize = 200;

/// A compiled schema.
#[derive(Clone)]
pub(super) struct Schema(Arc<Validator>);

impl Schema {
    pub(super) fn new(schema: &serde_json::Value) -> Result<Self, String> {
        // The answer chooses the text: an expression that could be made to
        // backtrack is refused here, and the others take linear time.
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        let validator = options.build(schema).map_err(|error| error.to_string())?;
        Ok(Self(Arc::new(validator)))
    }

    pub(super) fn accepts_value(&self, value: &Value) -> Result<(), String> {
        self.accepts(Plain::of_value(value, DOCUMENT_DEPTH_MAX))
    }

    pub(super) fn accepts_text(&self, text: &str) -> Result<(), String> {
        self.accepts(Plain::parse(text, DOCUMENT_DEPTH_MAX))
    }

    fn accepts(&self, document: Result<Plain, String>) -> Result<(), String> {
        let document = document.map_err(|why| format!("it is no JSON: {why}"))?.into_json();
        self.0.validate(&document).map_err(|error| {
            let (path, error) = (error.instance_path().to_string(), error.to_string());
            let error: String = error.chars().take(ERROR_CHARS_MAX).collect();
            if path.is_empty() { error } else { format!("at {path}: {error}") }
        })
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}
