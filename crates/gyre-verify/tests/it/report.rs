//! Reports that break a rule are refused, whoever wrote them.

use std::collections::BTreeSet;

use gyre_types::{InvalidReason, Value, Verdict};
use gyre_verify::{Cost, REPORT_BYTES_MAX, REPORT_CHECKS_MAX, Report, judge_report};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn check(name: &str, passed: bool) -> Json {
    json!({ "name": name, "passed": passed, "weight": 1, "detail": "" })
}

fn passing() -> Json {
    json!({ "passed": true, "score": 1, "checks": [check("a", true)], "metrics": {} })
}

fn failing() -> Json {
    json!({
        "passed": false, "score": 0.5,
        "checks": [check("a", true), check("b", false)], "metrics": { "steps": 3 },
    })
}

fn with(mut report: Json, pointer: &str, value: Json) -> String {
    *report.pointer_mut(pointer).unwrap() = value;
    report.to_string()
}

#[track_caller]
fn refused(text: &str, words: &str) {
    let error = Report::parse(text).expect_err(&format!("accepted: {text:.300}"));
    assert!(error.to_string().contains(words), "{error} does not say {words:?}");
    let judgement = judge_report(Err(error), Cost::default());
    let is_the_verifiers =
        matches!(judgement.verdict, Verdict::Invalid { reason: InvalidReason::Verifier { .. } });
    assert!(is_the_verifiers && judgement.checks.is_empty(), "{judgement:?}");
}

#[test]
fn reports_that_keep_the_rules_are_judged() {
    let cost = Cost { fuel: 7, guests: 2 };
    let judged = judge_report(Report::parse(&passing().to_string()), cost);
    assert_eq!((judged.verdict, judged.fuel, judged.guests), (Verdict::Pass, 7, 2));

    let report = Report::parse(&failing().to_string()).unwrap();
    assert_eq!(report.metrics()["steps"], 3.0);
    let judged = judge_report(Ok(report), cost);
    assert_eq!(judged.verdict.score().map(f64::from), Some(0.5));
    assert_eq!(judged.checks.len(), 2);
    assert!(!judged.verdict.is_pass());
}

#[test]
fn what_says_two_things_says_nothing() {
    refused(&with(passing(), "/passed", json!(false)), "every check did");
    refused(&with(passing(), "/score", json!(0.9)), "not 1");
    refused(&with(failing(), "/passed", json!(true)), "\"b\" did not");
    refused(&with(failing(), "/score", json!(1)), "its score is 1");
    refused(&with(failing(), "/checks/1/name", json!("a")), "there twice");
    let twice = passing().to_string().replacen('{', "{\"passed\": false, ", 1);
    refused(&twice, "there twice");
    refused(&passing().to_string().replacen("{}", "{\"x\": 1, \"x\": 2}", 1), "there twice");
}

#[test]
fn what_is_no_report_is_refused_in_words() {
    for (text, words) in [
        ("", "EOF"),
        ("PASS", "expected"),
        ("true", "a boolean instead of an object"),
        ("null", "null instead of an object"),
        ("\"PASS\"", "a string instead of an object"),
        ("[true, 1, [], {}]", "a list instead of an object"),
        ("{}", "passed is missing"),
        ("{\"passed\": true, \"score\": NaN}", "expected"),
    ] {
        refused(text, words);
    }
    refused(&(passing().to_string() + " {}"), "trailing");
    refused(&with(passing(), "/passed", json!("true")), "a string instead of a boolean");
    refused(&with(passing(), "/passed", json!(1)), "a number instead of a boolean");
    refused(&with(passing(), "/score", json!(true)), "a boolean instead of a number");
    refused(&with(passing(), "/score", json!(1.5)), "not a score");
    refused(&with(failing(), "/score", json!(-0.1)), "not a score");
    refused(&with(passing(), "/score", json!(null)), "null instead of a number");
    refused(&passing().to_string().replace("\"score\":1", "\"score\":1e999"), "range");
    refused(&with(passing(), "/checks", json!([])), "there is none");
    refused(&with(passing(), "/checks", json!({})), "an object instead of a list");
    refused(&with(passing(), "/checks/0", json!("a")), "a string instead of an object");
    refused(&with(passing(), "/checks/0/weight", json!(0)), "not above 0");
    refused(&with(passing(), "/checks/0/weight", json!(-1)), "not above 0");
    refused(&with(passing(), "/checks/0/weight", json!(1e300)), "not above 0");
    refused(&with(passing(), "/checks/0/name", json!(" ")), "empty");
    refused(&with(passing(), "/checks/0/name", json!("a\u{1b}[2J")), "control character");
    refused(&with(passing(), "/metrics", json!({ "x": null })), "null instead of a number");
    refused(&with(passing(), "/metrics", json!({ "x": { "y": 1 } })), "instead of a number");
    let mut unknown = passing();
    unknown["verdict"] = json!("pass");
    refused(&unknown.to_string(), "unknown key \"verdict\"");
    // A tag of the wire form is a key like any other here.
    refused(&with(passing(), "/metrics", json!({ "x": { "$float": "nan" } })), "a number");
}

#[test]
fn reports_are_bounded() {
    let long = "x".repeat(REPORT_BYTES_MAX);
    refused(&with(passing(), "/checks/0/detail", json!(long)), "bytes, more than");
    refused(&with(passing(), "/checks/0/detail", json!(&long[..5_000])), "takes 5000 bytes");
    refused(&with(passing(), "/checks/0/name", json!(&long[..200])), "takes 200 bytes");
    let many: Vec<_> = (0..=REPORT_CHECKS_MAX).map(|at| check(&at.to_string(), true)).collect();
    refused(&with(passing(), "/checks", json!(many)), "more than 512");
    let many: serde_json::Map<_, _> = (0..65).map(|at| (at.to_string(), json!(at))).collect();
    refused(&with(passing(), "/metrics", Json::Object(many)), "more than 64");
    for depth in [20, 100_000] {
        let deep = "[".repeat(depth) + &"]".repeat(depth);
        refused(&passing().to_string().replacen("{}", &deep, 1), "deep");
    }
}

#[test]
fn python_values_are_held_to_the_same_rules() {
    let text = |text: &str| Value::Str(text.to_owned());
    let dict = |entries: Vec<(&str, Value)>| {
        Value::Dict(entries.into_iter().map(|(key, value)| (text(key), value)).collect())
    };
    let check = dict(vec![
        ("name", text("a")),
        ("passed", Value::Bool(true)),
        ("weight", Value::Float(2.0)),
        ("detail", text("")),
    ]);
    let report = |passed: Value, score: Value, checks: Value| {
        dict(vec![
            ("passed", passed),
            ("score", score),
            ("checks", checks),
            ("metrics", dict(vec![])),
        ])
    };
    let yes = || Value::Bool(true);
    let checks = || Value::List(vec![check.clone()]);
    assert!(Report::of_value(&report(yes(), Value::Int(1), checks())).is_ok());
    for (value, words) in [
        (Value::Null, "null instead"),
        (yes(), "a boolean instead"),
        (text("PASS"), "a string instead"),
        (report(Value::Int(1), Value::Int(1), checks()), "a number instead of a boolean"),
        (report(yes(), Value::Float(f64::NAN), checks()), "finite"),
        (report(yes(), Value::Float(f64::INFINITY), checks()), "finite"),
        (report(yes(), Value::BigInt("9".repeat(30)), checks()), "int is not JSON"),
        (report(yes(), Value::Int(1), Value::Tuple(vec![check.clone()])), "tuple is not JSON"),
        (report(yes(), Value::Int(1), Value::Bytes(vec![1])), "bytes is not JSON"),
        (Value::Dict(vec![(Value::Int(1), Value::Null)]), "a key is int"),
    ] {
        let error = Report::of_value(&value).unwrap_err().to_string();
        assert!(error.contains(words), "{error} does not say {words:?}");
    }
    let twice = Value::Dict(vec![(text("passed"), yes()), (text("passed"), yes())]);
    assert!(Report::of_value(&twice).unwrap_err().to_string().contains("there twice"));
}

/// Reports that are nearly right: every field now and then of another kind,
/// missing, or there twice, in text.
fn nearly() -> impl Strategy<Value = String> {
    let odd = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("0".to_owned()),
        Just("1".to_owned()),
        Just("-1".to_owned()),
        Just("1e400".to_owned()),
        Just("NaN".to_owned()),
        Just("\"PASS\"".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("[[[[[[[[[[1]]]]]]]]]]".to_owned()),
    ];
    let or_odd = move |usual: BoxedStrategy<String>| prop_oneof![12 => usual, 1 => odd.clone()];
    let boolean = prop_oneof![Just("true".to_owned()), Just("false".to_owned())].boxed();
    let number = prop_oneof![
        3 => Just("1".to_owned()),
        2 => (0.0..1.2_f64).prop_map(|x| x.to_string()),
    ]
    .boxed();
    let name = prop_oneof![
        4 => "[a-c]{1,2}".prop_map(|name| format!("{name:?}")),
        1 => Just("\"\"".to_owned()),
    ]
    .boxed();
    let one = (or_odd(name), or_odd(boolean.clone()), or_odd(number.clone()), 0..20)
        .prop_map(|(name, passed, weight, shape)| match shape {
            0 => format!("{{\"name\":{name},\"passed\":{passed},\"weight\":{weight}}}"),
            1 => format!("{{\"name\":{name},\"name\":{name},\"passed\":{passed},\"weight\":{weight},\"detail\":\"\"}}"),
            _ => format!("{{\"name\":{name},\"passed\":{passed},\"weight\":{weight},\"detail\":\"\"}}"),
        })
        .boxed();
    let checks = prop::collection::vec(one, 0..4).prop_map(|all| format!("[{}]", all.join(",")));
    let metrics = prop_oneof![Just("{}".to_owned()), Just("{\"x\":1,\"x\":1}".to_owned())].boxed();
    (or_odd(boolean), or_odd(number), or_odd(checks.boxed()), or_odd(metrics), 0..20).prop_map(
        |(passed, score, checks, metrics, shape)| match shape {
            0 => format!("{{\"passed\":{passed},\"score\":{score},\"checks\":{checks}}}"),
            1 => format!("{{\"passed\":{passed},\"score\":{score},\"checks\":{checks},\"metrics\":{metrics},\"passed\":{passed}}}"),
            _ => format!("{{\"passed\":{passed},\"score\":{score},\"checks\":{checks},\"metrics\":{metrics}}}"),
        },
    )
}

/// What an accepted report must be, read by a parser that knows no rules.
fn require_rules(text: &str, report: &Report) {
    let json: Json = serde_json::from_str(text).unwrap();
    let checks = json["checks"].as_array().unwrap();
    assert!(!checks.is_empty() && checks.len() == report.checks().len(), "{text}");
    let names: BTreeSet<_> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), checks.len(), "{text}");
    let all = checks.iter().all(|check| check["passed"].as_bool().unwrap());
    let score = json["score"].as_f64().unwrap();
    assert_eq!(json["passed"].as_bool().unwrap(), all, "{text}");
    assert_eq!(score == 1.0, all, "{text}");
    assert!((0.0..=1.0).contains(&score), "{text}");
    assert!(checks.iter().all(|check| check["weight"].as_f64().unwrap() > 0.0), "{text}");
    assert_eq!(text.matches("\"passed\":").count(), 1 + checks.len(), "{text}");
    assert_eq!(json.as_object().unwrap().len(), 4, "{text}");
    assert!(!text.contains("\"x\""), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_report_that_breaks_a_rule_is_accepted(text in nearly()) {
        if let Ok(report) = Report::parse(&text) {
            require_rules(&text, &report);
        }
    }

    #[test]
    fn no_text_makes_the_parser_fall(text in ".{0,200}") {
        prop_assert!(Report::parse(&text).is_err());
    }
}
