use gyre_types::{Value, ValueLimits};
use gyre_verify::{Comparison, Equality, FloatTolerance, same};
use proptest::prelude::*;

const EXACT: Comparison = Comparison { equality: Equality::Exact, float_tolerance: None };

fn parse(wire: &str) -> Value {
    Value::parse(wire, ValueLimits::default()).unwrap()
}

fn mismatch(expected: &str, actual: &str) -> String {
    same(&parse(expected), &parse(actual), &EXACT).unwrap_err().to_string()
}

#[test]
fn types_are_exact() {
    for (expected, actual, message) in [
        ("1", "true", "expected 1 (int), got True (bool)"),
        ("1", "1.0", "expected 1 (int), got 1.0 (float)"),
        ("0", "null", "expected 0 (int), got None (NoneType)"),
        ("[1]", r#"{"$tuple":[1]}"#, "expected [1] (list), got (1,) (tuple)"),
        (
            r#"{"$set":[1]}"#,
            r#"{"$frozenset":[1]}"#,
            "expected {1} (set), got frozenset([1]) (frozenset)",
        ),
        (r#""1""#, r#"{"$bytes":"31"}"#, "expected '1' (str), got bytes.fromhex('31') (bytes)"),
        (r#"{"$set":[1]}"#, r#"{"$set":[true]}"#, "expected the element 1, which is missing"),
        (r#"{"$dict":[[1,2]]}"#, r#"{"$dict":[[1.0,2]]}"#, "expected the key 1, which is missing"),
    ] {
        assert_eq!(mismatch(expected, actual), message);
    }
}

#[test]
fn a_difference_is_found_where_it_is() {
    assert_eq!(
        mismatch(r#"[1,2,{"a":[3]}]"#, r#"[1,2,{"a":[4]}]"#),
        "at [2]['a'][0]: expected 3, got 4"
    );
    assert_eq!(mismatch("[1,2]", "[1,2,3]"), "expected 2 items, got 3");
    assert_eq!(mismatch("[[1,2]]", "[[1]]"), "at [0]: expected 2 items, got 1");
    assert_eq!(mismatch(r#"{"a":1}"#, r#"{"a":1,"b":2}"#), "expected 1 keys, got 2");
}

#[test]
fn order_matters_in_lists_alone() {
    let agree = |a: &str, b: &str| same(&parse(a), &parse(b), &EXACT).is_ok();
    assert!(!agree("[1,2]", "[2,1]"));
    assert!(agree(r#"{"$set":[1,2]}"#, r#"{"$set":[2,1]}"#));
    assert!(agree(r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#));
    assert!(agree(r#"{"$dict":[[1,2],[3,4]]}"#, r#"{"$dict":[[3,4],[1,2]]}"#));
    // A set may hold sets, whose order does not matter either; nor does the
    // sign of a zero.
    let nested = |inner: [f64; 2]| {
        Value::Set(vec![Value::FrozenSet(inner.map(Value::Float).to_vec()), Value::Int(1)])
    };
    assert_eq!(same(&nested([0.0, 2.0]), &nested([2.0, -0.0]), &EXACT), Ok(()));
}

#[test]
fn floats_agree_exactly_or_within_the_tolerance() {
    let tolerance = |absolute, relative| Comparison {
        float_tolerance: Some(FloatTolerance::new(absolute, relative).unwrap()),
        ..EXACT
    };
    let agree =
        |a: f64, b: f64, how: &Comparison| same(&Value::Float(a), &Value::Float(b), how).is_ok();
    assert!(agree(f64::NAN, f64::NAN, &EXACT));
    assert!(agree(0.0, -0.0, &EXACT));
    assert!(!agree(0.1 + 0.2, 0.3, &EXACT));
    assert!(agree(0.1 + 0.2, 0.3, &tolerance(0.0, 1e-9)));
    assert!(agree(1e-12, 0.0, &tolerance(1e-9, 0.0)));
    assert!(!agree(1e-12, 0.0, &tolerance(0.0, 1e-9)));
    assert!(!agree(f64::INFINITY, 1e308, &tolerance(1e308, 0.4)));
    assert!(!agree(f64::NAN, 0.0, &tolerance(1e308, 0.4)));
    assert!(same(&Value::Int(1), &Value::Float(1.0), &tolerance(1.0, 0.1)).is_err());
}

#[test]
fn senseless_tolerances_are_refused() {
    for (absolute, relative) in
        [(-1.0, 0.0), (f64::NAN, 0.0), (f64::INFINITY, 0.0), (0.0, 1.0), (0.0, f64::NAN)]
    {
        assert!(FloatTolerance::new(absolute, relative).is_err(), "{absolute} {relative}");
    }
    let error = serde_json::from_str::<Comparison>(r#"{"float_tolerance":{"relative":7.0}}"#);
    assert!(error.unwrap_err().to_string().contains("a float tolerance must be finite"));
}

/// Values as a guest may return them: sets hold hashable, distinct elements.
fn arbitrary() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-3_i64..3).prop_map(Value::Int),
        Just(Value::BigInt("98765432109876543210".to_owned())),
        prop_oneof![Just(0.0), Just(-0.0), Just(1.0), Just(f64::NAN), any::<f64>()]
            .prop_map(Value::Float),
        "[ab]{0,2}".prop_map(Value::Str),
        prop::collection::vec(0_u8..3, 0..2).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Tuple),
            prop::collection::btree_set(-3_i64..3, 0..4)
                .prop_map(|set| Value::Set(set.into_iter().map(Value::Int).collect())),
            prop::collection::btree_map("[ab]{0,2}", inner, 0..3).prop_map(|map| {
                Value::Dict(map.into_iter().map(|(k, v)| (Value::Str(k), v)).collect())
            }),
        ]
    })
}

fn how() -> impl Strategy<Value = Comparison> {
    prop_oneof![
        Just(EXACT),
        Just(Comparison { float_tolerance: FloatTolerance::new(0.5, 0.1).ok(), ..EXACT })
    ]
}

proptest! {
    #[test]
    fn same_is_reflexive(value in arbitrary(), how in how()) {
        prop_assert_eq!(same(&value, &value, &how), Ok(()));
    }

    #[test]
    fn same_is_symmetric(a in arbitrary(), b in arbitrary(), how in how()) {
        prop_assert_eq!(same(&a, &b, &how).is_ok(), same(&b, &a, &how).is_ok());
    }

    #[test]
    fn the_wire_changes_nothing(value in arbitrary()) {
        let back = parse(&value.to_wire_text());
        prop_assert_eq!(same(&value, &back, &EXACT), Ok(()));
    }
}
