//! JSON Schema (draft 2020-12), with nothing but the schema at hand.
//!
//! All keywords that assert something about a document are known but the two
//! `unevaluated…` ones and what refers to other documents; numbers are compared by
//! their exact decimal values. A keyword that is not known is refused, since a
//! check that is passed over lets every document through.
//!
//! `tests/it/schema.rs` holds it against another implementation.

mod canonical;
mod compile;
mod number;
mod validate;

use std::fmt;
use std::sync::Arc;

use gyre_types::Value;

use crate::plain::{DOCUMENT_DEPTH_MAX, Plain};
use compile::Rules;

/// Longest error of a validation that is shown, in characters.
const ERROR_CHARS_MAX: usize = 200;

/// A compiled schema.
#[derive(Clone)]
pub(super) struct Schema(Arc<Rules>);

impl Schema {
    pub(super) fn new(schema: &serde_json::Value) -> Result<Self, String> {
        compile::compile(schema).map(|rules| Self(Arc::new(rules)))
    }

    pub(super) fn accepts_value(&self, value: &Value) -> Result<(), String> {
        self.accepts(Plain::of_value(value, DOCUMENT_DEPTH_MAX))
    }

    pub(super) fn accepts_text(&self, text: &str) -> Result<(), String> {
        self.accepts(Plain::parse(text, DOCUMENT_DEPTH_MAX))
    }

    fn accepts(&self, document: Result<Plain, String>) -> Result<(), String> {
        let document = document.map_err(|why| format!("it is no JSON: {why}"))?;
        validate::validate(&self.0, &document)
            .map_err(|error| error.chars().take(ERROR_CHARS_MAX).collect())
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn accepts(schema: &Json, document: &Json) -> bool {
        let schema = Schema::new(schema).unwrap_or_else(|why| panic!("{schema}: {why}"));
        schema.accepts_text(&document.to_string()).is_ok()
    }

    #[test]
    fn a_schema_may_refer_to_itself_for_what_is_inside() {
        let tree = json!({
            "type": "object", "required": ["n"], "additionalProperties": false,
            "properties": { "n": { "type": "integer" }, "left": { "$ref": "#" }, "right": { "$ref": "#" } },
        });
        let leaf = json!({ "n": 1 });
        assert!(accepts(
            &tree,
            &json!({ "n": 1, "left": leaf, "right": { "n": 2, "left": leaf } })
        ));
        assert!(!accepts(&tree, &json!({ "n": 1, "left": { "n": "2" } })));
    }

    /// What would be passed over, or never end, is refused when it is declared.
    #[test]
    fn what_is_not_known_is_refused_by_name() {
        for (schema, words) in [
            (json!({ "requierd": ["n"] }), "requierd"),
            (json!({ "format": "email" }), "use `pattern`"),
            (json!({ "unevaluatedProperties": false }), "unevaluatedProperties"),
            (json!({ "$dynamicRef": "#x" }), "$dynamicRef"),
            (json!({ "$id": "http://127.0.0.1/" }), "$id"),
            (json!({ "$schema": "http://json-schema.org/draft-07/schema#" }), "2020-12"),
            (json!({ "$ref": "other.json" }), "own parts"),
            (json!({ "$ref": "#/$defs/none" }), "has no part"),
            (json!({ "$ref": "#" }), "without end"),
            (json!({ "anyOf": [{ "not": { "$ref": "#" } }] }), "without end"),
            (json!({ "properties": { "a/b": { "type": "objekt" } } }), "/properties/a~1b/type"),
            (json!({ "items": [true] }), "object or a boolean"),
            (json!({ "allOf": [] }), "there is none"),
            (json!({ "type": [] }), "there is none"),
            (json!({ "required": ["a", "a"] }), "there twice"),
            (json!({ "minItems": -1 }), "whole number"),
            (json!({ "multipleOf": 0 }), "above 0"),
            (json!({ "pattern": "(?=a)b" }), "linear time"),
            (json!(3), "object or a boolean"),
        ] {
            let error = Schema::new(&schema).expect_err(&schema.to_string());
            assert!(error.contains(words), "{schema}: {error}");
        }
        let notes = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "t", "description": "d", "examples": [1], "default": 1 });
        assert!(accepts(&notes, &json!(null)));
    }

    /// The first fault is told with its place.
    #[test]
    fn faults_are_told_with_their_place() {
        let schema = json!({ "properties": { "a": { "items": { "type": ["integer", "null"] } } } });
        let told = Schema::new(&schema).unwrap().accepts_text(r#"{"a": [1, null, "x"]}"#);
        assert_eq!(told.unwrap_err(), "at /a/2: it is a string instead of null or integer");
    }

    /// An answer chooses the document: many equal items take no quadratic time.
    #[test]
    fn many_items_are_compared_quickly() {
        let items: Vec<_> = (0..80_000).collect();
        assert!(accepts(&json!({ "uniqueItems": true }), &json!(items)));
    }
}
