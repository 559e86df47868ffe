//! A guest can reply anything: whatever it does, it has failed or passed, and no
//! way of verifying is at a loss.
//!
//! Replies are made by a fuzzer over the wire format and read as a worker's are.
//! What is run for real is what judges them: `verify.py` in a guest, a component
//! in its worker.

use std::cell::Cell;
use std::sync::Arc;

use gyre_sandbox::plugin::ComponentVerifier;
use gyre_sandbox::read_reply;
use gyre_types::{
    Case, Composition, Digest, Executor, GuestOutcome, Interface, Judgement, Limits, SandboxJob,
    SandboxReport, Seed, Split, Step, StepReport, Task, TaskId, Value,
};
use gyre_verify::{
    CheckDeclaration, Checks, Comparison, ExternalReply, ExternalVerifier, FloatTolerance,
    GradingKey, PythonVerifier, Submission, TextOf, Verifier, VerifierFault, VerifierKind,
    default_python_limits,
};
use proptest::prelude::*;

use crate::plugin::load;
use crate::plugin_fixture::four_bytes;
use crate::support::sandbox;

/// What the answers say. The programs that judge say other things.
const ANSWER: &str = "def solve(n): return n  # forged";

fn key(expect: &Value, interface: Interface) -> GradingKey {
    let args = match interface {
        Interface::Call => vec![Value::Int(1)],
        Interface::Stdio => vec![Value::Str("1\n".to_owned())],
        Interface::Statements => {
            vec![Value::Str("n = 1".to_owned()), Value::Str("solve(n)".to_owned())]
        }
    };
    let case = Case { args, expect: expect.clone() };
    GradingKey {
        hidden: vec![case.clone(), case],
        comparison: Comparison::default(),
        reference: "def solve(n):\n    return n\n".to_owned(),
        failures: vec![],
    }
}

fn task(key: &GradingKey, interface: Interface) -> Task {
    let digest = Digest::of(interface.as_str().as_bytes());
    Task {
        id: TaskId::from_digest(&digest),
        digest,
        family: "forged".to_owned(),
        family_version: 1,
        seed: Seed(1),
        difficulty: 1,
        composition: Composition(vec!["one".to_owned()]),
        skills: Vec::new(),
        split: Split::Train,
        instruction: "Return it.".to_owned(),
        entry: "solve".to_owned(),
        interface,
        visible: Vec::new(),
        limits: Limits::default(),
        key_digest: key.digest(),
    }
}

/// Gives the forged reply for each step of a job that runs the answer, and runs
/// all others.
struct Forging<'a> {
    reply: &'a [u8],
    stdout: &'a str,
    forged: Cell<u32>,
}

impl Forging<'_> {
    fn report(&self, job: &SandboxJob) -> SandboxReport {
        let mut steps = Vec::new();
        for _ in &job.steps {
            let outcome = match steps.is_empty() {
                true => GuestOutcome::Value { value: Value::Null },
                false => read_reply(self.reply, job.limits.result_bytes_max),
            };
            let stdout = self.stdout.to_owned();
            let step = StepReport { outcome, stdout, fuel: 1, virtual_ns: 1 };
            let over = step.outcome.is_fatal();
            steps.push(step);
            if over {
                break;
            }
        }
        SandboxReport { steps, fuel: 2, memory_bytes_peak: 0, files: Default::default() }
    }
}

impl Executor for Forging<'_> {
    fn execute_each(
        &self,
        jobs: &mut dyn Iterator<Item = SandboxJob>,
        each: &mut dyn FnMut(usize, Result<SandboxReport, String>),
    ) {
        let is_answer = |job: &SandboxJob| {
            let text = |step: &Step| matches!(step, Step::Run { code } if code.contains("verify("));
            !job.steps.iter().any(text)
        };
        let jobs: Vec<_> = jobs.collect();
        for (at, job) in jobs.into_iter().enumerate() {
            if is_answer(&job) {
                self.forged.set(self.forged.get() + 1);
                each(at, Ok(self.report(&job)));
            } else {
                let report = sandbox().execute_one(job);
                each(at, report.map_err(|error| error.to_string()));
            }
        }
    }
}

const VERIFY: &str = "\
def verify(outcome):
    checks = []
    for case in outcome['cases']:
        result = case['result']
        agrees = result['kind'] == 'value' and result['value'] == case['expect']
        checks.append({'name': case['name'], 'passed': agrees, 'weight': 1.0,
                       'detail': repr(result)[:200]})
    share = sum(check['passed'] for check in checks) / len(checks)
    return {'passed': share == 1.0, 'score': share, 'checks': checks, 'metrics': {}}
";

/// Every way of verifying.
fn verifiers(component: &ComponentVerifier) -> Vec<(&'static str, Verifier)> {
    let checks = |declared: Vec<CheckDeclaration>| {
        let comparison = Comparison::default();
        Verifier::checks(Checks::new(declared, comparison).unwrap(), comparison)
    };
    let tolerance = FloatTolerance::new(1e-6, 0.0).unwrap();
    let schema = serde_json::json!({ "type": "array", "items": { "type": "integer" } });
    let (weight, of) = (1.0, TextOf::Result);
    let component = component.clone();
    let verify = move |outcomes: &[String]| {
        let reply = |outcome: &String| {
            let verified = component.verify(outcome);
            let verified = verified.map_err(|e| VerifierFault::Infrastructure(e.to_string()))?;
            let report = verified.report.map_err(|e| VerifierFault::Verifier(e.to_string()))?;
            Ok(ExternalReply { report, fuel: verified.fuel })
        };
        outcomes.iter().map(reply).collect()
    };
    let external = ExternalVerifier {
        digest: Digest::of(b"component"),
        kind: VerifierKind::Component,
        name: "four bytes".to_owned(),
        verify: Arc::new(verify),
    };
    let python = PythonVerifier::new(VERIFY.to_owned(), default_python_limits()).unwrap();
    vec![
        ("cases", Verifier::Cases),
        ("exact", checks(vec![CheckDeclaration::Exact { weight }])),
        ("numeric", checks(vec![CheckDeclaration::Numeric { tolerance, weight }])),
        ("set", checks(vec![CheckDeclaration::Set { weight }])),
        ("multiset", checks(vec![CheckDeclaration::Multiset { weight }])),
        ("text", checks(vec![CheckDeclaration::Text { of, weight }])),
        ("schema", checks(vec![CheckDeclaration::JsonSchema { of, schema, weight }])),
        ("verify.py", Verifier::Python(python)),
        ("component", Verifier::External(external)),
    ]
}

fn judge_all(reply: &[u8], stdout: &str, expect: &Value) -> Vec<(String, Judgement)> {
    let component = load(&four_bytes());
    let mut all = Vec::new();
    for interface in [Interface::Call, Interface::Stdio, Interface::Statements] {
        let key = key(expect, interface);
        let task = task(&key, interface);
        for (name, verifier) in verifiers(&component) {
            // The built-in comparison of every case is for functions.
            if interface != Interface::Call && name == "cases" {
                continue;
            }
            let forging = Forging { reply, stdout, forged: Cell::new(0) };
            let submission = Submission { task: &task, key: &key, answer: ANSWER };
            let judgement = verifier.judge_with(&[submission], &forging).remove(0);
            assert!(forging.forged.get() > 0);
            all.push((format!("{} by {name}", interface.as_str()), judgement));
        }
    }
    all
}

#[track_caller]
fn require_verdicts(reply: &[u8], stdout: &str) {
    let expect = Value::List(vec![Value::Int(1), Value::Int(2)]);
    for (how, judgement) in judge_all(reply, stdout, &expect) {
        let shown = String::from_utf8_lossy(&reply[..reply.len().min(200)]).into_owned();
        assert!(!judgement.verdict.is_invalid(), "{how}: {:?} of {shown}", judgement.verdict);
    }
}

/// Those that once broke a verifier, and such as stand at the bounds.
#[test]
fn known_forgeries_are_judged() {
    let deep = format!("{}1{}", "[".repeat(49), "]".repeat(49));
    let crowded = format!("[{}]", vec!["[1]"; 32_000].join(","));
    let dicts = format!("[{}]", vec![r#"{"":0}"#; 9_000].join(","));
    let sets =
        (0..48 / 2).fold("1".to_owned(), |inner, _| format!(r#"{{"$frozenset":[{inner}]}}"#));
    let long = format!(r#"{{"$int":"{}"}}"#, "1".repeat(9_001));
    let longest = format!(r#"{{"$int":"{}"}}"#, "1".repeat(4_300));
    for value in [
        r#"{"$set":[[1]]}"#,
        r#"{"$dict":[[[1],2]]}"#,
        r#"{"$set":[{"$tuple":[{"$set":[]}]}]}"#,
        r#"{"$set":[1,true]}"#,
        r#"{"$set":[1e400]}"#,
        r#""\ud800""#,
        "-0",
        "123456789012345678901234567890",
        r#"{"$set":[{"$float":"nan"},{"$float":"nan"}]}"#,
        &deep,
        &crowded,
        &dicts,
        &sets,
        &long,
        &longest,
    ] {
        require_verdicts(format!(r#"{{"ok":{value}}}"#).as_bytes(), "1\n");
    }
}

/// Wire text that is nearly a value: every tag over every kind of body.
fn wire() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        (0_usize..5_000).prop_map(|n| format!(r#"{{"$int":"{}"}}"#, "7".repeat(n))),
        any::<f64>().prop_map(|x| format!("{x:e}")),
        prop_oneof!["nan", "inf", "-inf", "1"].prop_map(|x| format!(r#"{{"$float":"{x}"}}"#)),
        ".{0,6}".prop_map(|text| Value::Str(text).to_wire_text()),
        "[0-9a-g]{0,5}".prop_map(|hex| format!(r#"{{"$bytes":"{hex}"}}"#)),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4)
            .prop_map(|items| format!("[{}]", items.join(",")));
        let tag = prop_oneof![
            Just("$tuple"),
            Just("$set"),
            Just("$frozenset"),
            Just("$dict"),
            Just("$int"),
            Just("$bytes"),
            Just("$odd"),
            Just("plain"),
        ];
        let pairs = prop::collection::vec((inner.clone(), inner.clone()), 0..3).prop_map(|pairs| {
            let pairs: Vec<_> =
                pairs.iter().map(|(key, value)| format!("[{key},{value}]")).collect();
            format!(r#"{{"$dict":[{}]}}"#, pairs.join(","))
        });
        prop_oneof![
            list.clone(),
            pairs,
            (tag.clone(), list).prop_map(|(tag, body)| format!(r#"{{"{tag}":{body}}}"#)),
            (tag, inner).prop_map(|(tag, body)| format!(r#"{{"{tag}":{body}}}"#)),
        ]
    })
}

fn reply() -> impl Strategy<Value = Vec<u8>> {
    let value = || wire().prop_map(|wire| format!(r#"{{"ok":{wire}}}"#).into_bytes());
    let cut = (value(), any::<prop::sample::Index>()).prop_map(|(mut reply, at)| {
        reply.truncate(at.index(reply.len()));
        reply
    });
    let flipped =
        (value(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut reply, at, byte)| {
            let at = at.index(reply.len());
            reply[at] = byte;
            reply
        });
    let other = prop_oneof![
        wire().prop_map(|wire| format!(r#"{{"unrepresentable":{wire}}}"#).into_bytes()),
        wire().prop_map(|wire| format!(r#"{{"exception":{wire}}}"#).into_bytes()),
        prop::collection::vec(any::<u8>(), 0..30),
    ];
    prop_oneof![4 => value(), 1 => cut, 2 => flipped, 1 => other]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_reply_is_without_a_verdict(reply in reply(), stdout in ".{0,20}") {
        require_verdicts(&reply, &stdout);
    }
}
