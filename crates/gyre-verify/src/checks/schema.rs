//! JSON Schema (draft 2020-12), with nothing but the schema at hand.
//!
//! All keywords that assert something about a document are known but the two
//! `unevaluated…` ones and what refers to other documents; numbers are compared by
//! their exact decimal values. A keyword that is not known is refused, since a
//! check that is passed over lets every document through.
//!
//! The tests hold it against another implementation.

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
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;

    fn accepts(schema: &Json, document: &Json) -> bool {
        let schema = Schema::new(schema).unwrap_or_else(|why| panic!("{schema}: {why}"));
        schema.accepts_text(&document.to_string()).is_ok()
    }

    /// What another implementation says.
    fn accepts_elsewhere(schema: &Json, document: &Json) -> bool {
        let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012);
        let options = options.with_pattern_options(jsonschema::PatternOptions::regex());
        options.build(schema).unwrap_or_else(|why| panic!("{schema}: {why}")).is_valid(document)
    }

    /// Documents around which the schemas below turn.
    fn document() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Json::from),
            (-3_i64..4).prop_map(Json::from),
            prop::sample::select(vec![
                json!(0.1),
                json!(0.3),
                json!(1.0),
                json!(1.1),
                json!(2.5),
                json!(-0.0),
                json!(9_007_199_254_740_993_u64),
                json!(9_007_199_254_740_992.0),
                json!(u64::MAX),
                json!(1e300),
            ]),
            "[abé1 ]{0,3}".prop_map(Json::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map("[abc]", inner, 0..4)
                    .prop_map(|entries| Json::Object(entries.into_iter().collect())),
            ]
        })
    }

    fn types() -> impl Strategy<Value = Json> {
        let names = ["null", "boolean", "integer", "number", "string", "array", "object"];
        let some = prop::sample::subsequence(names.to_vec(), 1..4);
        prop_oneof![
            prop::sample::select(names.to_vec()).prop_map(Json::from),
            some.prop_map(Json::from)
        ]
    }

    /// A few keywords, each with something that it may say.
    fn schema() -> impl Strategy<Value = Json> {
        let number = || {
            prop_oneof![
                (-3_i64..4).prop_map(Json::from),
                Just(json!(0.1)),
                Just(json!(1.5)),
                Just(json!(9_007_199_254_740_992_u64)),
            ]
        };
        let divisor = prop::sample::select(vec![json!(0.1), json!(2), json!(1.5), json!(7)]);
        let count = || (0_u64..3).prop_map(Json::from);
        let pattern = || prop::sample::select(vec!["^a", "b+$", r"\d", r"^\W*$", "é", "[^a]"]);
        let names = || prop::sample::subsequence(vec!["a", "b", "c"], 0..3).prop_map(Json::from);
        let simple = prop_oneof![
            types().prop_map(|value| json!({ "type": value })),
            prop::collection::vec(document(), 1..4).prop_map(|all| json!({ "enum": all })),
            document().prop_map(|value| json!({ "const": value })),
            number().prop_map(|value| json!({ "minimum": value })),
            number().prop_map(|value| json!({ "maximum": value })),
            number().prop_map(|value| json!({ "exclusiveMinimum": value })),
            number().prop_map(|value| json!({ "exclusiveMaximum": value })),
            divisor.prop_map(|value| json!({ "multipleOf": value })),
            (count(), count()).prop_map(|(a, b)| json!({ "minLength": a, "maxLength": b })),
            (count(), count()).prop_map(|(a, b)| json!({ "minItems": a, "maxItems": b })),
            (count(), count()).prop_map(|(a, b)| json!({ "minProperties": a, "maxProperties": b })),
            pattern().prop_map(|text| json!({ "pattern": text })),
            any::<bool>().prop_map(|value| json!({ "uniqueItems": value })),
            names().prop_map(|names| json!({ "required": names })),
            names().prop_map(|names| json!({ "dependentRequired": { "a": names } })),
            any::<bool>().prop_map(Json::from),
        ];
        let simple = simple.boxed();
        simple.clone().prop_recursive(3, 24, 4, move |inner| {
            let schemas = || prop::collection::vec(inner.clone(), 1..4).prop_map(Json::from);
            let named = || {
                prop::collection::btree_map("[abc]", inner.clone(), 0..3)
                    .prop_map(|entries| Json::Object(entries.into_iter().collect()))
            };
            let one = || inner.clone();
            prop_oneof![
                simple.clone(),
                schemas().prop_map(|all| json!({ "allOf": all })),
                schemas().prop_map(|all| json!({ "anyOf": all })),
                schemas().prop_map(|all| json!({ "oneOf": all })),
                one().prop_map(|schema| json!({ "not": schema })),
                (one(), one(), one())
                    .prop_map(|(a, b, c)| json!({ "if": a, "then": b, "else": c })),
                one().prop_map(|schema| json!({ "items": schema })),
                (schemas(), one()).prop_map(|(a, b)| json!({ "prefixItems": a, "items": b })),
                (one(), count_of(), count_of()).prop_map(|(schema, min, max)| json!({
                    "contains": schema, "minContains": min, "maxContains": max
                })),
                one().prop_map(|schema| json!({ "contains": schema })),
                (named(), one()).prop_map(|(a, b)| json!({
                    "properties": a, "additionalProperties": b
                })),
                (named(), one(), one()).prop_map(|(a, b, c)| json!({
                    "properties": a, "patternProperties": { "^[ab]": b }, "additionalProperties": c
                })),
                one().prop_map(|schema| json!({ "propertyNames": schema })),
                named().prop_map(|named| json!({ "dependentSchemas": named })),
            ]
        })
    }

    fn count_of() -> impl Strategy<Value = Json> {
        (0_u64..3).prop_map(Json::from)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 2_000, failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn two_implementations_agree(
            whole in schema(),
            part in schema(),
            documents in prop::collection::vec(document(), 8),
        ) {
            let referring = json!({ "properties": { "a": { "$ref": "#/$defs/x~1y~0" } } });
            let schema = json!({ "$defs": { "x/y~": part }, "allOf": [whole, referring] });
            // The other one rounds numbers of more digits than a double has: it denies that
            // 2^64 - 1, which three divides, is a multiple of 1.5.
            let has_multiples = schema.to_string().contains("multipleOf");
            let is_rounded = |document: &Json| {
                let text = document.to_string();
                ["e+300", "9007199254740993", "18446744073709551615"]
                    .iter()
                    .any(|number| text.contains(number))
            };
            for document in documents.iter().filter(|d| !(has_multiples && is_rounded(d))) {
                let here = accepts(&schema, document);
                let elsewhere = accepts_elsewhere(&schema, document);
                prop_assert_eq!(here, elsewhere, "{} under {}", document, schema);
            }
        }
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
