//! `comparison = "python"` against CPython itself, started once.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex};

use gyre_types::{Value, ValueLimits};
use gyre_verify::{Comparison, Equality, FloatTolerance, same};
use proptest::prelude::*;

const PYTHON: Comparison = Comparison { equality: Equality::Python, float_tolerance: None };

/// A Python that answers questions until its stdin is closed.
struct Oracle {
    _process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

static ORACLE: LazyLock<Mutex<Oracle>> = LazyLock::new(|| {
    let mut process = Command::new("python3")
        .args(["-I", "-c", include_str!("oracle.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed");
    let questions = process.stdin.take().unwrap();
    let answers = BufReader::new(process.stdout.take().unwrap());
    Mutex::new(Oracle { _process: process, questions, answers })
});

/// What CPython says of `a == b`.
fn python_says(a: &Value, b: &Value) -> bool {
    let mut oracle = ORACLE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let pair = Value::List(vec![a.clone(), b.clone()]);
    writeln!(oracle.questions, "{}", pair.to_wire_text()).unwrap();
    oracle.questions.flush().unwrap();
    let mut answer = String::new();
    oracle.answers.read_line(&mut answer).unwrap();
    match answer.trim_end() {
        "1" => true,
        "0" => false,
        other => panic!("python3 said {other:?} of {a} and {b}"),
    }
}

fn wire(text: &str) -> Value {
    Value::parse(text, ValueLimits::default()).unwrap()
}

fn agree(a: &Value, b: &Value, how: &Comparison) -> bool {
    same(a, b, how).is_ok()
}

#[test]
fn what_python_holds_for_equal_agrees() {
    for (a, b, equal) in [
        ("2", "2.0", true),
        ("1", "true", true),
        ("0.0", "false", true),
        ("-0.0", "0", true),
        ("2", "2.5", false),
        ("null", "false", false),
        ("null", "0", false),
        ("\"1\"", "1", false),
        ("\"1\"", r#"{"$bytes":"31"}"#, false),
        (r#"{"$bytes":"31"}"#, r#"{"$bytes":"31"}"#, true),
        ("[1]", r#"{"$tuple":[1]}"#, false),
        ("[1, [true]]", "[1.0, [1]]", true),
        ("[1]", "[1, 1]", false),
        ("[]", "{}", false),
        ("[]", r#"{"$set":[]}"#, false),
        (r#"{"$set":[1, 2]}"#, r#"{"$frozenset":[2.0, true]}"#, true),
        (r#"{"$set":[1, 2]}"#, r#"{"$set":[1]}"#, false),
        (
            r#"{"$set":[{"$tuple":[1, {"$frozenset":[2]}]}]}"#,
            r#"{"$set":[{"$tuple":[1.0, {"$frozenset":[2.0]}]}]}"#,
            true,
        ),
        (r#"{"a":1,"b":2}"#, r#"{"b":2.0,"a":true}"#, true),
        (r#"{"$dict":[[1,"a"],[0,"b"]]}"#, r#"{"$dict":[[false,"b"],[1.0,"a"]]}"#, true),
        (r#"{"$dict":[[1,"a"]]}"#, r#"{"1":"a"}"#, false),
        ("9007199254740993", "9007199254740992.0", false),
        ("9007199254740992", "9007199254740992.0", true),
        ("9223372036854775807", "9223372036854775808.0", false),
        (r#"{"$int":"9223372036854775808"}"#, "9223372036854775808.0", true),
        (r#"{"$int":"100000000000000000000000"}"#, "1e23", false),
        (r#"{"$int":"99999999999999991611392"}"#, "1e23", true),
        (r#"{"$float":"inf"}"#, "1.7976931348623157e308", false),
        (r#"{"$float":"inf"}"#, r#"{"$float":"inf"}"#, true),
        (r#"{"$float":"inf"}"#, r#"{"$float":"-inf"}"#, false),
        // One NaN everywhere: an item is equal to itself.
        (r#"{"$float":"nan"}"#, r#"{"$float":"nan"}"#, true),
        (r#"[{"$float":"nan"}]"#, r#"[{"$float":"nan"}]"#, true),
        (r#"{"$set":[{"$float":"nan"}]}"#, r#"{"$set":[{"$float":"nan"}]}"#, true),
        (r#"[{"$float":"nan"}]"#, "[0.0]", false),
    ] {
        let (a, b) = (wire(a), wire(b));
        assert_eq!(agree(&a, &b, &PYTHON), equal, "{a} and {b}");
        assert_eq!(agree(&b, &a, &PYTHON), equal, "{b} and {a}");
        assert_eq!(python_says(&a, &b), equal, "python3: {a} and {b}");
    }
}

#[test]
fn within_a_tolerance_a_float_meets_any_number() {
    let tolerance = FloatTolerance::new(1e-6, 0.0).ok();
    let near = Comparison { equality: Equality::Python, float_tolerance: tolerance };
    let exact = Comparison { equality: Equality::Exact, float_tolerance: tolerance };
    let agrees = |a: &str, b: &str, how: &Comparison| agree(&wire(a), &wire(b), how);
    for (a, b) in
        [("2.0", "2"), ("2", "2.0000001"), ("[1.0]", "[true]"), ("{\"a\":0.0}", "{\"a\":0}")]
    {
        assert!(agrees(a, b, &near) && agrees(b, a, &near), "{a} and {b}");
        assert!(!agrees(a, b, &exact), "{a} and {b}");
    }
    for (a, b) in [
        ("2.0", "3"),
        ("2.0", "\"2.0\""),
        ("0.0", "null"),
        ("2", "2.001"),
        (r#"{"$set":[1.0]}"#, r#"{"$set":[1.0000001]}"#),
        (r#"{"$dict":[[1.0,1]]}"#, r#"{"$dict":[[1.0000001,1]]}"#),
        (r#"{"$float":"inf"}"#, &format!(r#"{{"$int":"1{}"}}"#, "0".repeat(400))),
    ] {
        assert!(!agrees(a, b, &near) && !agrees(b, a, &near), "{a} and {b}");
    }
    // Integers are never rounded, however wide the tolerance.
    let wide = FloatTolerance::new(10.0, 0.0).ok();
    let wide = Comparison { equality: Equality::Python, float_tolerance: wide };
    assert!(!agrees("1", "2", &wide) && agrees("1.0", "2", &wide));
}

#[test]
fn a_comparison_is_written_as_a_name_or_a_table() {
    let read = |text: &str| serde_json::from_str::<Comparison>(text);
    let tolerance = FloatTolerance::new(0.5, 0.0).ok();
    for (text, comparison) in [
        ("{}", Comparison::default()),
        (r#""exact""#, Comparison::default()),
        (r#""python""#, PYTHON),
        (r#"{"equality":"python"}"#, PYTHON),
        (
            r#"{"equality":"python","float_tolerance":{"absolute":0.5}}"#,
            Comparison { equality: Equality::Python, float_tolerance: tolerance },
        ),
    ] {
        assert_eq!(read(text).unwrap(), comparison, "{text}");
        let written = serde_json::to_string(&comparison).unwrap();
        assert_eq!(read(&written).unwrap(), comparison, "{written}");
    }
    // As it always was: the digest of a key covers this text.
    assert_eq!(serde_json::to_string(&Comparison::default()).unwrap(), "{}");
    for (text, words) in [
        (r#""pyhton""#, "unknown variant `pyhton`, expected `exact` or `python`"),
        (r#"{"equality":"loose"}"#, "unknown variant `loose`"),
        (r#"{"equal":"python"}"#, "unknown field `equal`"),
        ("true", r#"expected "exact", "python", or a table"#),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

/// Numbers that Python holds for equal though their types differ, and their
/// neighbours that it does not.
fn number() -> impl Strategy<Value = Value> {
    let around = |power: u32| {
        (-2_i128..=2, any::<bool>()).prop_map(move |(by, negative)| {
            let magnitude = (1_i128 << power) + by;
            integer(if negative { -magnitude } else { magnitude })
        })
    };
    let float = prop_oneof![
        (-2_i8..=2).prop_map(f64::from),
        Just(-0.0),
        Just(0.5),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        (50_i32..70).prop_map(|power| 2_f64.powi(power)),
        (50_i32..70).prop_map(|power| -(2_f64.powi(power)).next_up()),
        any::<f64>(),
    ];
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        (-2_i64..=2).prop_map(Value::Int),
        around(53),
        around(63),
        around(64),
        around(100),
        float.prop_map(Value::Float),
    ]
}

fn integer(value: i128) -> Value {
    i64::try_from(value).map_or_else(|_| Value::BigInt(value.to_string()), Value::Int)
}

/// What may be in a set: no list, no dictionary and no set.
fn hashable() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        6 => number(),
        1 => Just(Value::Null),
        1 => "[01a]{0,2}".prop_map(Value::Str),
        1 => prop::collection::vec(0x30_u8..0x32, 0..2).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Tuple),
            prop::collection::vec(inner, 0..3).prop_map(|items| Value::FrozenSet(distinct(items))),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    let set = prop::collection::vec(hashable(), 0..4).prop_map(|items| Value::Set(distinct(items)));
    prop_oneof![4 => hashable(), 1 => set].prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Tuple),
            prop::collection::vec((hashable(), inner), 0..4).prop_map(|entries| {
                let keys = distinct(entries.iter().map(|(key, _)| key.clone()).collect());
                Value::Dict(keys.into_iter().zip(entries.into_iter().map(|(_, v)| v)).collect())
            }),
        ]
    })
}

/// Without those items that a Python set takes for one that it has.
fn distinct(items: Vec<Value>) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::new();
    for item in items {
        if !kept.iter().any(|other| python_says(other, &item)) {
            kept.push(item);
        }
    }
    kept
}

/// The same value written otherwise, or one that differs in little: numbers of
/// other types, sets for frozen sets, another order, tuples for lists.
fn altered(value: &Value, steps: &mut impl Iterator<Item = u8>) -> Value {
    let step = steps.next().unwrap_or(0);
    let mut all = |items: &[Value]| -> Vec<Value> {
        let mut items: Vec<_> = items.iter().map(|item| altered(item, steps)).collect();
        if step % 3 == 1 {
            items.reverse();
        }
        items
    };
    match value {
        Value::Bool(value) if step % 2 == 1 => Value::Int(i64::from(*value)),
        Value::Int(value) if step % 4 == 1 => Value::Float(*value as f64),
        Value::Int(value @ (0 | 1)) if step % 4 == 2 => Value::Bool(*value == 1),
        Value::BigInt(digits) if step % 2 == 1 => Value::Float(digits.parse().unwrap()),
        Value::Float(value) if step % 2 == 1 && value.abs() < 1e30 => integer(*value as i128),
        Value::List(items) if step % 8 == 7 => Value::Tuple(all(items)),
        Value::List(items) => Value::List(all(items)),
        Value::Tuple(items) => Value::Tuple(all(items)),
        Value::Set(items) if step % 2 == 1 => Value::FrozenSet(distinct(all(items))),
        Value::Set(items) => Value::Set(distinct(all(items))),
        Value::FrozenSet(items) => Value::FrozenSet(distinct(all(items))),
        Value::Dict(entries) => {
            let (keys, values): (Vec<_>, Vec<_>) = entries.iter().cloned().unzip();
            Value::Dict(distinct(all(&keys)).into_iter().zip(all(&values)).collect())
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_host_agrees_with_cpython(
        a in value(),
        other in value(),
        steps in prop::collection::vec(any::<u8>(), 24),
    ) {
        let near = altered(&a, &mut steps.into_iter());
        for b in [near, other, a.clone()] {
            let says = python_says(&a, &b);
            prop_assert_eq!(agree(&a, &b, &PYTHON), says, "{} and {}", a, b);
            prop_assert_eq!(agree(&b, &a, &PYTHON), says, "{} and {}", b, a);
        }
    }
}
