//! JSON Schema, held against Python's `jsonschema`.

use std::process::Command;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value as Json, json};

use crate::checks::prints;

/// What Python's `jsonschema` says of each schema's documents: runs
/// `tests/it/schema.py` with the Python that `GYRE_TEST_PYTHON` names.
fn accepts_elsewhere(cases: &[(Json, Vec<Json>)]) -> Vec<Vec<bool>> {
    #[expect(clippy::disallowed_methods, reason = "a test's tools are not configuration")]
    let python = std::env::var_os("GYRE_TEST_PYTHON")
        .expect("set GYRE_TEST_PYTHON=$(.ci/python-env), or run `cargo xtask test`");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.json");
    std::fs::write(&file, serde_json::to_vec(cases).unwrap()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/schema.py");
    let run = Command::new(python).arg(script).arg(file).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_slice(&run.stdout).unwrap()
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
            (one(), one(), one()).prop_map(|(a, b, c)| json!({ "if": a, "then": b, "else": c })),
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

#[test]
fn two_implementations_agree() {
    let mut runner = TestRunner::deterministic();
    let drawn = (schema(), schema(), prop::collection::vec(document(), 8));
    let mut draw = || {
        let (whole, part, documents) = drawn.new_tree(&mut runner).unwrap().current();
        let referring = json!({ "properties": { "a": { "$ref": "#/$defs/x~1y~0" } } });
        (json!({ "$defs": { "x/y~": part }, "allOf": [whole, referring] }), documents)
    };
    let cases: Vec<_> = (0..2_000).map(|_| draw()).collect();
    let mut taken = 0;
    for ((schema, documents), elsewhere) in cases.iter().zip(accepts_elsewhere(&cases)) {
        let check = json!({ "check": "json_schema", "of": "stdout", "schema": schema });
        for (document, elsewhere) in documents.iter().zip(elsewhere) {
            let here = prints(check.clone(), &document.to_string());
            assert_eq!(here, elsewhere, "{document} under {schema}");
            taken += usize::from(elsewhere);
        }
    }
    assert!((2_000..14_000).contains(&taken), "{taken} of 16000 were taken");
}
