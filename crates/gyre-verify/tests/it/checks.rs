//! Declared checks, each over values that it must take and refuse.

use std::collections::BTreeMap;

use gyre_types::{Judgement, Value, ValueLimits, Verdict};
use gyre_verify::{
    CaseOutcome, CaseResult, Comparison, Cost, Outcome, ProgramOutcome, Verifier,
    VerifierDeclaration,
};
use serde_json::{Value as Json, json};

fn wire(json: &str) -> Value {
    Value::parse(json, ValueLimits::default()).unwrap()
}

fn case(at: usize, expect: &str, result: CaseResult) -> CaseOutcome {
    CaseOutcome {
        name: format!("hidden[{at}]"),
        args: Vec::new(),
        expect: wire(expect),
        result,
        stdout: String::new(),
        files: BTreeMap::new(),
    }
}

fn outcome(cases: Vec<CaseOutcome>) -> Outcome {
    Outcome::Program(ProgramOutcome {
        task: "t".to_owned(),
        family: "f".to_owned(),
        instruction: "i".to_owned(),
        entry: "solve".to_owned(),
        visible: Vec::new(),
        answer: "…".to_owned(),
        cases,
    })
}

fn declared(checks: Json) -> Result<Verifier, String> {
    let declaration: VerifierDeclaration =
        serde_json::from_value(json!({ "kind": "checks", "checks": checks }))
            .map_err(|error| error.to_string())?;
    Verifier::declared(&declaration, Comparison::default(), None)
}

fn judge(check: Json, cases: Vec<CaseOutcome>) -> Judgement {
    match declared(json!([check])).unwrap() {
        Verifier::Checks { checks, .. } => checks.judge(&outcome(cases), Cost::default()),
        other => panic!("{other:?}"),
    }
}

/// Whether a check of what was printed takes a text.
pub(crate) fn prints(check: Json, text: &str) -> bool {
    let mut printed = case(0, "null", CaseResult::Value(Value::Null));
    printed.stdout = text.to_owned();
    judge(check, vec![printed]).verdict.is_pass()
}

#[track_caller]
fn accepts(check: Json, expect: &str, actual: &str) {
    let judged = judge(check.clone(), vec![case(0, expect, CaseResult::Value(wire(actual)))]);
    assert_eq!(judged.verdict, Verdict::Pass, "{check} {expect} {actual}: {judged:?}");
}

#[track_caller]
fn refuses(check: Json, expect: &str, actual: &str) {
    let judged = judge(check.clone(), vec![case(0, expect, CaseResult::Value(wire(actual)))]);
    let failed = matches!(judged.verdict, Verdict::Fail { .. });
    assert!(failed && !judged.checks[0].detail.is_empty(), "{check} {expect} {actual}: {judged:?}");
}

#[test]
fn numbers_agree_within_a_tolerance() {
    let check = || json!({ "check": "numeric", "tolerance": { "absolute": 0.5 } });
    for (expect, actual) in
        [("3", "3.4"), ("3.0", "3"), ("[1, [2.0]]", "[1.2, [2]]"), ("{\"a\": 1.0}", "{\"a\": 1}")]
    {
        accepts(check(), expect, actual);
    }
    for (expect, actual) in [
        ("3", "4"),
        ("3", "3.6"),
        ("1", "true"),
        ("1", "\"1\""),
        ("[1]", "{\"$tuple\": [1]}"),
        ("[1]", "[1, 1]"),
        ("{\"a\": 1}", "{\"b\": 1}"),
        ("{\"a\": 1}", "{\"a\": 1, \"b\": 1}"),
        ("1", "{\"$float\": \"nan\"}"),
        ("9007199254740993", "9007199254740992"),
    ] {
        refuses(check(), expect, actual);
    }
}

#[test]
fn items_agree_in_any_order() {
    let set = || json!({ "check": "set" });
    let multiset = || json!({ "check": "multiset" });
    accepts(set(), "[1, 2]", "[2, 1, 2]");
    accepts(set(), "[1, 2]", "{\"$set\": [1, 2]}");
    accepts(multiset(), "[1, 2, 2]", "{\"$tuple\": [2, 1, 2]}");
    refuses(multiset(), "[1, 2]", "[2, 1, 2]");
    refuses(multiset(), "[1, 2, 2]", "[1, 1, 2]");
    for (expect, actual) in
        [("[1, 2]", "[1]"), ("[1]", "[1, 2]"), ("[1]", "[true]"), ("[1]", "[1.0]"), ("[1]", "1")]
    {
        refuses(set(), expect, actual);
        refuses(multiset(), expect, actual);
    }
}

#[test]
fn texts_agree_but_for_white_space_at_ends() {
    let check = || json!({ "check": "text" });
    accepts(check(), "\"a b\\nc\"", "\"a b  \\nc\\n\\n\"");
    refuses(check(), "\"a b\"", "\"a  b\"");
    refuses(check(), "\"a\"", "\" a\"");
    refuses(check(), "\"1\"", "1");
    let mut printed = case(0, "\"3\"", CaseResult::Value(Value::Null));
    printed.stdout = "3\n".to_owned();
    let judged = judge(json!({ "check": "text", "of": "stdout" }), vec![printed]);
    assert_eq!(judged.verdict, Verdict::Pass);
}

#[test]
fn words_agree_whatever_the_white_space() {
    let check = || json!({ "check": "tokens" });
    for (expect, actual) in [
        ("\"1 2\\n3\\n\"", "\"1 2\\n3\""),
        ("\"1 2\\n3\"", "\"\\n 1\\t2 \\r\\n\\u000b\\u000c3 \\n\\n\""),
        ("\"1 2 3\"", "\"1\\n2\\n3\""),
        ("\"\"", "\" \\n\""),
        ("\"nan Yes\"", "\"nan  Yes\""),
    ] {
        accepts(check(), expect, actual);
    }
    for (expect, actual) in [
        ("\"1 2\"", "\"1\""),
        ("\"1\"", "\"1 2\""),
        ("\"1 2\"", "\"12\""),
        ("\"12\"", "\"1 2\""),
        ("\"1 2\"", "\"2 1\""),
        ("\"\"", "\"0\""),
        ("\"0\"", "\"\""),
        ("\"Yes\"", "\"yes\""),
        ("\"1\"", "\"1.0\""),
        ("\"1\"", "\"01\""),
        ("\"a b\"", "\"a\\u00a0b\""),
        ("\"1\"", "1"),
        ("\"1\"", "null"),
    ] {
        refuses(check(), expect, actual);
    }
    let mut printed = case(0, "\"3 4\"", CaseResult::Value(Value::Null));
    printed.stdout = "3\n4\n".to_owned();
    let judged = judge(json!({ "check": "tokens", "of": "stdout" }), vec![printed]);
    assert_eq!(judged.verdict, Verdict::Pass);
    let judged = judge(check(), vec![case(0, "\"a b c\"", CaseResult::Value(wire("\"a x c\"")))]);
    assert_eq!(judged.checks[0].detail, "token 2: expected 'b', got 'x'");
}

#[test]
fn numbers_among_words_agree_within_a_tolerance() {
    let check =
        || json!({ "check": "tokens", "tolerance": { "absolute": 1e-6, "relative": 1e-9 } });
    for (expect, actual) in [
        ("\"0.333333333\"", "\"0.3333334\""),
        ("\"x 2\"", "\"x\\n2.0\""),
        ("\"2.0\"", "\"2\""),
        ("\"1000000\"", "\"1e6\""),
        ("\"-0\"", "\"0.0\""),
        ("\".5\"", "\"5.e-1\""),
        ("\"2000000001\"", "\"2000000000\""),
        ("\"inf\"", "\"inf\""),
        ("\"1e999\"", "\"1e999\""),
    ] {
        accepts(check(), expect, actual);
    }
    for (expect, actual) in [
        ("\"0.3333\"", "\"0.3334\""),
        ("\"x\"", "\"y\""),
        ("\"1\"", "\"x\""),
        ("\"x\"", "\"1\""),
        ("\"inf\"", "\"1e308\""),
        ("\"inf\"", "\"infinity\""),
        ("\"1e999\"", "\"1e9999\""),
        ("\"0\"", "\"nan\""),
        ("\"nan\"", "\"NaN\""),
        ("\"16\"", "\"0x10\""),
        ("\"1000\"", "\"1_000\""),
    ] {
        refuses(check(), expect, actual);
    }
    // As floats these two are one.
    let near = || json!({ "check": "tokens", "tolerance": { "absolute": 0.5 } });
    refuses(near(), "\"9007199254740993\"", "\"9007199254740992\"");
    accepts(near(), "\"9007199254740993\"", "\"9007199254740993\"");
}

#[test]
fn expressions_match_the_whole_text() {
    let check = |pattern: &str| json!({ "check": "regex", "pattern": pattern });
    accepts(check("a+|b"), "null", "\"aaa\"");
    for (pattern, actual) in
        [("a+|b", "\"ab\""), ("a", "\"a\\n\""), ("a", "\"xa\""), (".", "\"\\n\""), ("1", "1")]
    {
        refuses(check(pattern), "null", actual);
    }
    // Without an expression of its own, each case expects one.
    accepts(json!({ "check": "regex" }), "\"[0-9]{3}\"", "\"123\"");
    refuses(json!({ "check": "regex" }), "\"[0-9]{3}\"", "\"1234\"");
    // What takes other engines longer than the sun will shine.
    refuses(check("(a|a)*b"), "null", &format!("\"{}\"", "a".repeat(20_000)));
}

#[test]
fn documents_are_valid_under_a_schema() {
    let check = || {
        json!({ "check": "json_schema", "schema": {
            "type": "object",
            "properties": { "n": { "type": "integer" }, "s": { "pattern": "^(a|a)*$" } },
            "required": ["n"],
            "additionalProperties": false,
        } })
    };
    accepts(check(), "null", "{\"n\": 3}");
    accepts(check(), "null", "{\"n\": 3, \"s\": \"aa\"}");
    for actual in [
        "{}",
        "{\"n\": \"3\"}",
        "{\"n\": 3, \"m\": 3}",
        "{\"n\": {\"$float\": \"nan\"}}",
        "{\"$tuple\": []}",
        "null",
        &format!("{{\"n\": 1, \"s\": \"{}b\"}}", "a".repeat(5_000)),
    ] {
        refuses(check(), "null", actual);
    }
    let printed = |text: &str| {
        let mut check = check();
        check["of"] = json!("stdout");
        prints(check, text)
    };
    assert!(printed("{\"n\": 3}\n"));
    for text in ["", "{\"n\": 3} 4", "{\"n\": 3, \"n\": 3}", "{\"n\": NaN}", "n"] {
        assert!(!printed(text), "{text}");
    }
}

#[test]
fn files_are_read_from_the_workspace() {
    let left = |content: Option<&str>, check: Json| {
        let mut left = case(0, "\"total 6\\n\"", CaseResult::Value(Value::Null));
        left.files.extend(content.map(|text| ("out/total.txt".to_owned(), text.to_owned())));
        judge(check, vec![left])
    };
    let check = || json!({ "check": "file", "path": "out/total.txt" });
    assert_eq!(left(Some("total 6\n"), check()).verdict, Verdict::Pass);
    assert!(left(Some("total 6"), check()).verdict.score().is_some_and(|s| s.get() == 0.0));
    let missing = left(None, check());
    assert_eq!(missing.checks[0].detail, "the file out/total.txt is missing");
    let pattern =
        json!({ "check": "file", "path": "out/total.txt", "pattern": "total [0-9]+\\s*" });
    assert_eq!(left(Some("total 99\n"), pattern.clone()).verdict, Verdict::Pass);
    assert!(!left(Some("total\n"), pattern).verdict.is_pass());
}

#[test]
fn a_case_without_a_value_fails_every_check() {
    let judged = judge(
        json!({ "check": "regex", "of": "stdout", "pattern": ".*", "weight": 3 }),
        vec![
            case(0, "null", CaseResult::Value(Value::Null)),
            case(1, "null", CaseResult::Error("raised ValueError: no".to_owned())),
        ],
    );
    assert_eq!(judged.verdict.score().map(f64::from), Some(0.5));
    assert_eq!(judged.checks[1].detail, "raised ValueError: no");
    assert_eq!(judged.checks[0].name, "regex hidden[0]");
    assert_eq!(judged.checks[0].weight, 1.5);
}

#[test]
fn nothing_to_check_is_no_pass() {
    assert!(judge(json!({ "check": "exact" }), Vec::new()).verdict.is_invalid());
}

#[test]
fn declarations_that_cannot_be_used_say_why() {
    for (checks, words) in [
        (json!([]), "there is none"),
        (json!([{ "check": "exakt" }]), "unknown variant `exakt`"),
        (json!([{ "check": "exact", "wieght": 2 }]), "unknown field `wieght`"),
        (json!([{ "check": "exact", "weight": 0 }]), "checks[0].weight: is 0, not above 0"),
        (json!([{ "check": "numeric" }]), "missing field `tolerance`"),
        (json!([{ "check": "numeric", "tolerance": { "absolute": -1.0 } }]), "float tolerance"),
        (json!([{ "check": "tokens", "tolerance": { "relative": 1.0 } }]), "float tolerance"),
        (json!([{ "check": "set" }, { "check": "regex", "pattern": "(" }]), "checks[1].pattern"),
        (json!([{ "check": "regex", "pattern": "a)|(b" }]), "no regular expression"),
        (json!([{ "check": "regex", "pattern": "\\w{5000}" }]), "size limit"),
        (json!([{ "check": "json_schema", "schema": { "type": "objekt" } }]), "checks[0].schema"),
        (
            json!([{ "check": "json_schema", "schema": { "$ref": "http://127.0.0.1/s.json" } }]),
            "checks[0].schema",
        ),
        (
            json!([{ "check": "json_schema", "schema": { "$ref": "file:///etc/passwd" } }]),
            "checks[0].schema",
        ),
        (
            json!([{ "check": "json_schema", "schema": { "pattern": "(?=a)(a+)+$" } }]),
            "checks[0].schema",
        ),
    ] {
        let error = declared(checks.clone()).expect_err(&checks.to_string());
        assert!(error.contains(words), "{checks}: {error}");
    }
    let several = declared(json!([{ "check": "set" }, { "check": "set" }])).unwrap();
    let Verifier::Checks { checks, .. } = &several else { panic!("{several:?}") };
    let one = vec![case(0, "[]", CaseResult::Value(Value::List(vec![])))];
    let names: Vec<_> =
        checks.judge(&outcome(one), Cost::default()).checks.into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["set#1 hidden[0]", "set#2 hidden[0]"]);
    assert_ne!(several.digest(), declared(json!([{ "check": "set" }])).unwrap().digest());
}
