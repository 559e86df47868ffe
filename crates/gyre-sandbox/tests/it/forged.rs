//! A guest can reply anything: whatever it does, it has failed or passed, and no
//! way of verifying is at a loss.
//!
//! Replies are made by a fuzzer over the wire format, or are those of real guests
//! that were changed, and are read as a worker's are. What is run for real is what
//! judges them: `verify.py` in a guest, a component in its worker, a command in its
//! process.

use std::cell::Cell;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};

use gyre_sandbox::plugin::ComponentVerifier;
use gyre_sandbox::read_reply;
use gyre_types::{
    Case, Composition, Digest, EnvironmentSpec, Executor, GuestOutcome, Interface, Judgement,
    Limits, Message, ProgramSpec, SandboxJob, SandboxReport, Seed, Split, Step, StepReport, Task,
    TaskId, Value,
};
use gyre_verify::{
    CheckDeclaration, Checks, Comparison, Equality, ExternalReply, ExternalVerifier,
    FloatTolerance, GradingKey, ProgramKey, PythonVerifier, Submission, TextOf, Verifier,
    VerifierFault, VerifierKind, default_python_limits,
};
use proptest::prelude::*;

use crate::plugin::load;
use crate::plugin_fixture::four_bytes;
use crate::support::{evaluated, sandbox};

/// What the answers say. The programs that judge say other things.
const ANSWER: &str = "def solve(n): return n  # forged";

fn key(expect: &Value, interface: Interface, comparison: Comparison) -> GradingKey {
    let args = match interface {
        Interface::Call => vec![Value::Int(1)],
        Interface::Stdio => vec![Value::Str("1\n".to_owned())],
        Interface::Statements => {
            vec![Value::Str("n = 1".to_owned()), Value::Str("solve(n)".to_owned())]
        }
    };
    let case = Case { args, expect: expect.clone() };
    GradingKey::Program(ProgramKey {
        hidden: vec![case.clone(), case],
        comparison,
        reference: "def solve(n):\n    return n\n".to_owned(),
        failures: vec![],
    })
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
        messages: vec![Message::user("Return it.")],
        tools: Vec::new(),
        environment: EnvironmentSpec::Program(ProgramSpec {
            entry: "solve".to_owned(),
            interface,
            visible: Vec::new(),
        }),
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

/// The same as an external command.
const COMMAND: &str = "\
import json, sys
checks = []
for case in json.load(sys.stdin)['cases']:
    result = case['result']
    agrees = result['kind'] == 'value' and result['value'] == case['expect']
    checks.append({'name': case['name'], 'passed': agrees, 'weight': 1.0, 'detail': ''})
share = sum(check['passed'] for check in checks) / len(checks)
json.dump({'passed': share == 1.0, 'score': share, 'checks': checks, 'metrics': {}}, sys.stdout)
";

fn command(outcome: &String) -> Result<ExternalReply, VerifierFault> {
    let mut python = Command::new("python3");
    python.args(["-I", "-c", COMMAND]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.stderr(Stdio::inherit()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(outcome.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    match output.status.success() {
        true => Ok(ExternalReply { report: String::from_utf8(output.stdout).unwrap(), fuel: 0 }),
        false => Err(VerifierFault::Verifier(output.status.to_string())),
    }
}

/// Every way of verifying, each with what its task's key says of comparing.
fn verifiers(component: &ComponentVerifier) -> Vec<(&'static str, Comparison, Verifier)> {
    let exactly = Comparison::default();
    let checks = |declared: CheckDeclaration| {
        Verifier::checks(Checks::new(vec![declared], exactly).unwrap(), exactly)
    };
    let tolerance = FloatTolerance::new(1e-6, 0.0).unwrap();
    let as_python = Comparison { equality: Equality::Python, float_tolerance: Some(tolerance) };
    let schema = serde_json::json!({ "type": "array", "items": { "type": "integer" } });
    let pattern = Some("[0-9, ]+".to_owned());
    let (weight, of, stdout) = (1.0, TextOf::Result, TextOf::Stdout);
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
    let component = ExternalVerifier {
        digest: Digest::of(b"component"),
        kind: VerifierKind::Component,
        name: "four bytes".to_owned(),
        verify: Arc::new(verify),
    };
    let command = ExternalVerifier {
        digest: Digest::of(b"command"),
        kind: VerifierKind::Command,
        name: "python3".to_owned(),
        verify: Arc::new(|outcomes: &[String]| outcomes.iter().map(command).collect()),
    };
    let python = PythonVerifier::new(VERIFY.to_owned(), default_python_limits()).unwrap();
    let file = CheckDeclaration::File { path: "out".to_owned(), pattern: pattern.clone(), weight };
    let by_checks = [
        ("exact", CheckDeclaration::Exact { weight }),
        ("numeric", CheckDeclaration::Numeric { tolerance, weight }),
        ("set", CheckDeclaration::Set { weight }),
        ("multiset", CheckDeclaration::Multiset { weight }),
        ("text", CheckDeclaration::Text { of, weight }),
        ("tokens", CheckDeclaration::Tokens { of, tolerance: Some(tolerance), weight }),
        ("regex", CheckDeclaration::Regex { of, pattern: pattern.clone(), weight }),
        ("schema", CheckDeclaration::JsonSchema { of, schema: schema.clone(), weight }),
        ("file", file),
        ("printed text", CheckDeclaration::Text { of: stdout, weight }),
        ("printed tokens", CheckDeclaration::Tokens { of: stdout, tolerance: None, weight }),
        ("printed regex", CheckDeclaration::Regex { of: stdout, pattern, weight }),
        ("printed schema", CheckDeclaration::JsonSchema { of: stdout, schema, weight }),
    ];
    let by_checks = by_checks.map(|(name, declared)| (name, exactly, checks(declared)));
    let mut all = vec![
        ("cases", exactly, Verifier::Cases),
        ("cases as Python", as_python, Verifier::Cases),
        ("verify.py", exactly, Verifier::Python(python)),
        ("component", exactly, Verifier::External(component)),
        ("command", exactly, Verifier::External(command)),
    ];
    all.extend(by_checks);
    all
}

fn judge_all(reply: &[u8], stdout: &str, expect: &Value) -> Vec<(String, Judgement)> {
    let component = load(&four_bytes());
    let mut all = Vec::new();
    for interface in [Interface::Call, Interface::Stdio, Interface::Statements] {
        for (name, comparison, verifier) in verifiers(&component) {
            // The built-in comparison of every case is for functions.
            if interface != Interface::Call && matches!(verifier, Verifier::Cases) {
                continue;
            }
            let key = key(expect, interface, comparison);
            let task = task(&key, interface);
            let forging = Forging { reply, stdout, forged: Cell::new(0) };
            let submission = Submission::of_program(&task, &key, ANSWER);
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

/// Values that real guests give, of every kind that there is.
const EXPRESSIONS: &[&str] = &[
    "None",
    "[True, False, 0, -1, 2**63, -2**63, 10**4000]",
    "[0.1, -0.0, 1e308, 5e-324, float('nan'), float('inf'), -float('inf')]",
    "['', 'plain', chr(0) + chr(0x1f600), '$int', chr(92) + chr(34)]",
    "(1, (2.5, ('x', ())))",
    "{1, 2.5, 'x', (1, 2), frozenset({3})}",
    "{'a': [1, {'b': None}], 'c': {}}",
    "{1: 'a', (2, 3): {4}, None: b'bytes', '$tag': [[]]}",
    "[b'', bytes(range(256))]",
    "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]",
];

/// What real guests replied, as it is on the wire.
static REPLIES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let replied = |expression: &&str| {
        let value = evaluated(expression).value().unwrap().to_wire_text();
        format!(r#"{{"ok":{value}}}"#).into_bytes()
    };
    let mut replies: Vec<_> = EXPRESSIONS.iter().map(replied).collect();
    let raised = r#"{"exception":{"type":"KeyError","message":"'a'","traceback":"KeyError"}}"#;
    replies.push(raised.as_bytes().to_vec());
    replies.push(br#"{"unrepresentable":"a value of type complex"}"#.to_vec());
    replies
});

/// Pieces of the wire format.
const PIECES: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "\\",
    "\\ud800",
    "null",
    "true",
    "-",
    "0",
    "1e400",
    ".5",
    r#"{"$set":"#,
    r#"{"$frozenset":"#,
    r#"{"$tuple":"#,
    r#"{"$dict":"#,
    r#"{"$int":""#,
    r#"{"$float":"nan"}"#,
    r#"{"$bytes":"0""#,
    r#""$int""#,
    "[[1],2]",
    "{}",
    "[]",
    r#"{"ok":"#,
];

/// Changes a reply in one place.
#[derive(Debug, Clone)]
enum Change {
    Replace(prop::sample::Index, u8),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Insert(prop::sample::Index, &'static str),
    /// Puts a part of another reply here.
    Splice(prop::sample::Index, prop::sample::Index, prop::sample::Index, usize),
}

impl Change {
    fn make(&self, reply: &mut Vec<u8>) {
        if reply.is_empty() {
            return;
        }
        let part = |of: &[u8], at: usize, bytes: usize| of[at..of.len().min(at + bytes)].to_vec();
        match self {
            Self::Replace(at, byte) => {
                let at = at.index(reply.len());
                reply[at] = *byte;
            }
            Self::Remove(at, bytes) => {
                let at = at.index(reply.len());
                reply.drain(at..reply.len().min(at + bytes));
            }
            Self::Repeat(at, bytes) => {
                let at = at.index(reply.len());
                let again = part(reply, at, *bytes);
                reply.splice(at..at, again);
            }
            Self::Insert(at, piece) => {
                let at = at.index(reply.len());
                reply.splice(at..at, piece.bytes());
            }
            Self::Splice(at, other, from, bytes) => {
                let other = &REPLIES[other.index(REPLIES.len())];
                let taken = part(other, from.index(other.len()), *bytes);
                let at = at.index(reply.len());
                reply.splice(at..at, taken);
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    let pieces = prop::sample::select(PIECES);
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (at(), 1_usize..20).prop_map(|(at, bytes)| Change::Remove(at, bytes)),
        (at(), 1_usize..20).prop_map(|(at, bytes)| Change::Repeat(at, bytes)),
        (at(), pieces).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (at(), at(), at(), 1_usize..40)
            .prop_map(|(at, other, from, bytes)| Change::Splice(at, other, from, bytes)),
    ]
}

/// What a real guest replied, changed in a few places.
fn changed() -> impl Strategy<Value = Vec<u8>> {
    let which = any::<prop::sample::Index>();
    (which, prop::collection::vec(change(), 1..4)).prop_map(|(which, changes)| {
        let mut reply = REPLIES[which.index(REPLIES.len())].clone();
        changes.iter().for_each(|change| change.make(&mut reply));
        reply
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
    prop_oneof![4 => value(), 1 => cut, 1 => flipped, 1 => other, 4 => changed()]
}

/// Those that are not changed are values, and are judged too.
#[test]
fn real_replies_are_judged() {
    for reply in REPLIES.iter() {
        require_verdicts(reply, "[1, 2]\n");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_reply_is_without_a_verdict(reply in reply(), stdout in ".{0,20}") {
        require_verdicts(&reply, &stdout);
    }
}
