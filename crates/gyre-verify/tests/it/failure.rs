//! Why answers failed, as real guests show it.

use gyre_types::{
    AnswerRef, Composition, Digest, EnvironmentSpec, FailureKind, Interface, Limits, Message,
    ProgramSpec, Seed, Split, Task, TaskId,
};
use gyre_verify::{ANSWER_BYTES_MAX, FailurePlan, judge_failure, plan_failure};

use crate::corpus::sandbox;

fn task(interface: Interface) -> Task {
    let digest = Digest::of(b"a task");
    Task {
        id: TaskId::from_digest(&digest),
        digest,
        family: "test".to_owned(),
        family_version: 1,
        seed: Seed(1),
        difficulty: 1,
        composition: Composition(vec!["next".to_owned()]),
        skills: Vec::new(),
        split: Split::Test,
        messages: vec![Message::user("Return the next integer.")],
        tools: Vec::new(),
        environment: EnvironmentSpec::Program(ProgramSpec {
            entry: "solve".to_owned(),
            interface,
            visible: Vec::new(),
        }),
        limits: Limits::default(),
        key_digest: Digest::of(b"a key"),
    }
}

#[test]
fn an_answer_is_looked_at_without_being_asked_for_a_case() {
    let known =
        |answer: &str| match plan_failure(&task(Interface::Call), AnswerRef::Program(answer)) {
            FailurePlan::Known(kind) => Some(kind),
            FailurePlan::Run(_) => None,
        };
    assert_eq!(known(""), Some(FailureKind::NoCode));
    assert_eq!(known(" \n\t"), Some(FailureKind::NoCode));
    assert_eq!(known(&"#".repeat(ANSWER_BYTES_MAX + 1)), Some(FailureKind::Crashed));
    assert_eq!(known("x"), None);
}

#[test]
fn the_form_is_told_from_the_skill() {
    let checks = [
        (Interface::Call, "def solve(n):\n    return n\n", FailureKind::WrongValue),
        (Interface::Call, "solve = lambda n: n", FailureKind::WrongValue),
        (Interface::Call, "class solve: pass", FailureKind::WrongValue),
        (Interface::Call, "def solve(n):\n    return m\n", FailureKind::WrongValue),
        (Interface::Call, "def solves(n):\n    return n\n", FailureKind::WrongName),
        (Interface::Call, "# only a remark", FailureKind::WrongName),
        (Interface::Call, "Here is the code:", FailureKind::Syntax),
        (Interface::Call, "def solve(n):\nreturn n", FailureKind::Syntax),
        (Interface::Call, "text = \"\u{1f600} \\\\ \\n\"\n\"", FailureKind::Syntax),
        (Interface::Call, "text = \"\u{1f600} \\\\ \\n \u{7f}\"", FailureKind::WrongName),
        (Interface::Call, "1 / 0\ndef solve(n): return n", FailureKind::Crashed),
        // What raises a SyntaxError while it runs is of the right syntax.
        (Interface::Call, "raise SyntaxError()", FailureKind::Crashed),
        (Interface::Call, "while True: pass", FailureKind::Crashed),
        (Interface::Statements, "def solved(n): return n", FailureKind::WrongName),
        (Interface::Stdio, "print(int(input()) + 1)", FailureKind::WrongValue),
        (Interface::Stdio, "print(int(input()", FailureKind::Syntax),
    ];
    for (interface, answer, expected) in checks {
        let FailurePlan::Run(job) = plan_failure(&task(interface), AnswerRef::Program(answer))
        else {
            panic!("{answer:?} was not run")
        };
        let report = sandbox().execute_one(job).expect("a report");
        assert_eq!(judge_failure(&report), expected, "{answer:?}: {:?}", report.steps);
    }
}
