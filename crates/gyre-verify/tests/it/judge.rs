use std::cell::RefCell;
use std::collections::BTreeMap;

use gyre_types::{
    Case, Composition, Digest, EnvironmentSpec, GuestException, GuestOutcome, Interface,
    InvalidReason, Judgement, Limits, Message, ProgramSpec, SandboxJob, SandboxReport, Score, Seed,
    Split, Step, StepReport, Task, TaskId, Value, Verdict,
};
use gyre_verify::{
    ANSWER_BYTES_MAX, Comparison, GradingKey, ProgramKey, Submission, judge_batch, verifier_digest,
};
use proptest::prelude::*;

/// `solve(n)` must return `n + 1`, for four values of `n`.
fn program_key() -> ProgramKey {
    let case = |n| Case { args: vec![Value::Int(n)], expect: Value::Int(n + 1) };
    ProgramKey {
        hidden: (0..4).map(case).collect(),
        comparison: Comparison::default(),
        reference: "def solve(n):\n    return n + 1\n".to_owned(),
        failures: vec!["def solve(n):\n    return n\n".to_owned()],
    }
}

fn key() -> GradingKey {
    GradingKey::Program(program_key())
}

fn task(key: &GradingKey) -> Task {
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
        split: Split::Train,
        messages: vec![Message::user("Return the next integer.")],
        tools: Vec::new(),
        environment: EnvironmentSpec::Program(ProgramSpec {
            entry: "solve".to_owned(),
            interface: Interface::default(),
            visible: Vec::new(),
        }),
        limits: Limits::default(),
        key_digest: key.digest(),
    }
}

fn step(outcome: GuestOutcome) -> StepReport {
    StepReport { outcome, stdout: "PASS\n".to_owned(), fuel: 10, virtual_ns: 0 }
}

fn value(value: Value) -> GuestOutcome {
    GuestOutcome::Value { value }
}

fn raised() -> GuestOutcome {
    GuestOutcome::Exception(GuestException {
        kind: "SystemExit".to_owned(),
        message: "0".to_owned(),
        traceback: String::new(),
    })
}

/// Executes a job by rule: what each call gives, from its argument and its
/// position in the session. Stops at the first fatal outcome, as a sandbox does.
fn execute(job: &SandboxJob, call: &dyn Fn(i64, usize) -> GuestOutcome) -> SandboxReport {
    let mut steps = Vec::new();
    for (at, planned) in job.steps.iter().enumerate() {
        steps.push(step(match planned {
            Step::Run { .. } => value(Value::Null),
            Step::Call { args, .. } => call(args[0].as_int().unwrap(), at),
        }));
        if steps.last().unwrap().outcome.is_fatal() {
            break;
        }
    }
    SandboxReport {
        fuel: steps.iter().map(|s| s.fuel).sum(),
        steps,
        memory_bytes_peak: 1,
        files: BTreeMap::new(),
    }
}

fn judge(call: impl Fn(i64, usize) -> GuestOutcome) -> Judgement {
    judge_by(|job| Ok(execute(job, &call)))
}

fn judge_by(run: impl Fn(&SandboxJob) -> Result<SandboxReport, String>) -> Judgement {
    let key = key();
    let task = task(&key);
    let submission = Submission::of_program(&task, &key, "def solve(n): …");
    judge_batch(&[submission], |jobs| jobs.iter().map(&run).collect()).remove(0)
}

fn fail(score: f64) -> Verdict {
    Verdict::Fail { score: Score::new(score).unwrap() }
}

#[test]
fn agreement_in_every_fresh_guest_passes() {
    let judgement = judge(|n, _| value(Value::Int(n + 1)));
    assert_eq!(judgement.verdict, Verdict::Pass);
    assert_eq!(judgement.guests, 5);
    assert_eq!(judgement.fuel, 50 + 4 * 20);
    assert_eq!(judgement.checks.len(), 4);
    assert!(judgement.checks.iter().all(|check| check.passed && check.detail.is_empty()));
}

#[test]
fn what_all_cases_of_an_answer_burn_is_bounded_together() {
    // The first look costs little; each confirmation burns half of what all may.
    let half = Limits::default().job_fuel_max() / 2 + 1;
    let judgement = judge_by(|job| {
        let mut report = execute(job, &|n, _| value(Value::Int(n + 1)));
        if report.steps.len() == 2 {
            report.fuel = half;
        }
        Ok(report)
    });
    assert_eq!(judgement.verdict, fail(0.5));
    assert_eq!(judgement.fuel, 50 + 2 * half);
    let run: Vec<_> = judgement.checks.iter().map(|check| check.passed).collect();
    assert_eq!(run, [true, true, false, false]);
    assert!(judgement.checks[2].detail.contains("burn together"), "{}", judgement.checks[2].detail);
}

#[test]
fn a_wrong_answer_is_rejected_in_one_guest_with_its_share() {
    let judgement = judge(|n, _| value(if n == 2 { Value::Float(3.0) } else { Value::Int(n + 1) }));
    assert_eq!(judgement.verdict, fail(0.75));
    assert_eq!(judgement.guests, 1);
    assert_eq!(judgement.checks[2].name, "hidden[2]");
    assert_eq!(judgement.checks[2].detail, "expected 3 (int), got 3.0 (float)");
}

#[test]
fn what_a_guest_does_wrong_is_a_failed_check() {
    let judgement = judge(|n, _| if n == 1 { raised() } else { value(Value::Int(n + 1)) });
    assert_eq!(judgement.verdict, fail(0.75));
    assert_eq!(judgement.checks[1].detail, "raised SystemExit: 0");
}

#[test]
fn cases_after_a_death_count_as_failed() {
    let judgement = judge(|n, _| match n {
        0 => value(Value::Int(1)),
        _ => GuestOutcome::FuelExhausted,
    });
    assert_eq!(judgement.verdict, fail(0.25));
    assert_eq!(judgement.checks[1].detail, "ran out of fuel");
    assert_eq!(judgement.checks[3].detail, "not reached: the guest had died");
}

#[test]
fn an_answer_that_raises_by_itself_fails_every_case() {
    let judgement = judge_by(|job| {
        let mut report = execute(job, &|n, _| value(Value::Int(n + 1)));
        report.steps[0].outcome = raised();
        Ok(report)
    });
    assert_eq!(judgement.verdict, fail(0.0));
    assert_eq!(judgement.checks[0].detail, "the answer itself raised SystemExit: 0");
}

#[test]
fn state_carried_between_cases_fails() {
    // Right only as the second or a later call of a session, or on 0.
    let judgement = judge(|n, at| value(Value::Int(if at > 1 || n == 0 { n + 1 } else { 0 })));
    assert_eq!(judgement.verdict, fail(0.25));
    assert_eq!(judgement.guests, 5);
    assert!(judgement.checks[3].detail.contains("carries state from case to case"));
}

#[test]
fn our_own_faults_are_never_a_fail() {
    let pool = || Err("no worker".to_owned());
    let infrastructure = |judgement: &Judgement, text: &str| match &judgement.verdict {
        Verdict::Invalid { reason: InvalidReason::Infrastructure { detail } } => {
            assert!(detail.contains(text), "{detail}");
        }
        other => panic!("{other:?}"),
    };
    infrastructure(&judge_by(|_| pool()), "no worker");
    let confirm_breaks = |job: &SandboxJob| match job.steps.len() {
        2 => pool(),
        _ => Ok(execute(job, &|n, _| value(Value::Int(n + 1)))),
    };
    infrastructure(&judge_by(confirm_breaks), "hidden[0]: no worker");
    let truncated = |job: &SandboxJob| {
        let mut report = execute(job, &|n, _| value(Value::Int(n + 1)));
        report.steps.pop();
        Ok(report)
    };
    infrastructure(&judge_by(truncated), "the report holds 4 steps of 5");
    let overlong = |job: &SandboxJob| {
        let mut report = execute(job, &|n, _| value(Value::Int(n + 1)));
        report.steps.push(step(value(Value::Int(1))));
        Ok(report)
    };
    infrastructure(&judge_by(overlong), "the report holds 6 steps of 5");
    let undead = |job: &SandboxJob| {
        let mut report = execute(job, &|n, _| value(Value::Int(n + 1)));
        report.steps[1].outcome = GuestOutcome::FuelExhausted;
        Ok(report)
    };
    infrastructure(&judge_by(undead), "its guest died in step 1");
}

#[test]
fn keys_that_decide_nothing_are_invalid() {
    let never =
        |_: Vec<SandboxJob>| -> Vec<Result<SandboxReport, String>> { panic!("no guest is needed") };
    let empty = GradingKey::Program(ProgramKey { hidden: Vec::new(), ..program_key() });
    let of_empty = task(&empty);
    let of_another = task(&key());
    let submission = |task, key| Submission::of_program(task, key, "x = 1");
    let judged =
        judge_batch(&[submission(&of_empty, &empty), submission(&of_another, &empty)], never);
    assert!(judged.iter().all(|judgement| judgement.verdict.is_invalid()), "{judged:?}");
}

#[test]
fn answers_without_substance_fail_without_a_guest() {
    let key = key();
    let task = task(&key);
    let long = "#".repeat(ANSWER_BYTES_MAX + 1);
    let answers = ["", " \n\t", long.as_str()];
    let submissions = answers.map(|answer| Submission::of_program(&task, &key, answer));
    let judged = judge_batch(&submissions, |_| -> Vec<Result<SandboxReport, String>> {
        panic!("no guest is needed")
    });
    for judgement in &judged {
        assert_eq!((&judgement.verdict, judgement.guests), (&fail(0.0), 0));
        assert_eq!(judgement.checks.len(), 4);
    }
    assert_eq!(judged[1].checks[0].detail, "the answer is empty");
    assert!(judged[2].checks[0].detail.contains("takes 65537 bytes"));
}

#[test]
fn equal_answers_are_judged_once() {
    let key = key();
    let task = task(&key);
    let answers = ["a", "b", "a", "a"];
    let submissions = answers.map(|answer| Submission::of_program(&task, &key, answer));
    let jobs_seen = RefCell::new(Vec::new());
    let judged = judge_batch(&submissions, |jobs| {
        jobs_seen.borrow_mut().push(jobs.len());
        let right = |job: &SandboxJob| job.steps[0] == Step::Run { code: "a".to_owned() };
        let run = |job| execute(job, &|n, _| value(Value::Int(if right(job) { n + 1 } else { n })));
        jobs.iter().map(|job| Ok::<_, String>(run(job))).collect()
    });
    assert_eq!(*jobs_seen.borrow(), [2, 4]);
    assert!(judged[0].verdict.is_pass() && judged[0] == judged[2] && judged[0] == judged[3]);
    assert_eq!(judged[1].verdict, fail(0.0));
}

#[test]
fn no_guest_is_told_what_is_expected() {
    let secret = Case { args: vec![Value::Int(1)], expect: Value::Str("the secret".to_owned()) };
    let program = ProgramKey { hidden: vec![secret], ..program_key() };
    let key = GradingKey::Program(program.clone());
    let task = task(&key);
    let submission = Submission::of_program(&task, &key, "def solve(n): …");
    judge_batch(&[submission], |jobs| {
        let secrets = ["the secret", program.reference.as_str(), program.failures[0].as_str()];
        let sent = format!("{jobs:?}");
        assert!(secrets.iter().all(|secret| !sent.contains(secret)));
        let secret = |_, _| value(Value::Str("the secret".to_owned()));
        jobs.iter().map(|job| Ok::<_, String>(execute(job, &secret))).collect()
    });
    assert!(!format!("{key:?}").contains("the secret"));
}

#[test]
fn the_verifier_has_one_identity() {
    assert_eq!(verifier_digest(), verifier_digest());
}

fn arbitrary_outcome() -> impl Strategy<Value = GuestOutcome> {
    prop_oneof![
        4 => Just(value(Value::Int(1))),
        1 => Just(value(Value::Bool(true))),
        1 => Just(raised()),
        1 => Just(GuestOutcome::MemoryExceeded),
        1 => Just(GuestOutcome::Trap { message: "unreachable".to_owned() }),
        1 => Just(GuestOutcome::Unrepresentable { reason: "a class".to_owned() }),
    ]
}

fn arbitrary_report() -> impl Strategy<Value = Result<SandboxReport, String>> {
    let report = prop::collection::vec(arbitrary_outcome(), 0..7).prop_map(|outcomes| {
        Ok(SandboxReport {
            steps: outcomes.into_iter().map(step).collect(),
            fuel: 1,
            memory_bytes_peak: 1,
            files: BTreeMap::new(),
        })
    });
    prop_oneof![9 => report, 1 => Just(Err("lost".to_owned()))]
}

proptest! {
    /// Whatever comes back, a pass means that one screening guest and one
    /// guest of each case gave complete reports in agreement.
    #[test]
    fn a_pass_rests_on_complete_agreement(
        screen in prop::collection::vec(arbitrary_report(), 0..2),
        confirm in prop::collection::vec(arbitrary_report(), 0..4),
    ) {
        let one = |_| Case { args: vec![Value::Int(0)], expect: Value::Int(1) };
        let hidden = (0..2).map(one).collect();
        let key = GradingKey::Program(ProgramKey { hidden, ..program_key() });
        let task = task(&key);
        let submission = Submission::of_program(&task, &key, "…");
        let judgement = judge_batch(&[submission], |jobs| {
            if jobs[0].steps.len() == 3 { screen.clone() } else { confirm.clone() }
        }).remove(0);

        let agreed = |report: &Result<SandboxReport, String>, calls: usize| {
            report.as_ref().is_ok_and(|report| {
                report.steps.len() == calls + 1
                    && report.steps[0].outcome.value().is_some()
                    && report.steps[1..].iter().all(|s| s.outcome == value(Value::Int(1)))
            })
        };
        let all = screen.first().is_some_and(|report| agreed(report, 2))
            && confirm.len() >= 2
            && confirm[..2].iter().all(|report| agreed(report, 1));
        prop_assert_eq!(judgement.verdict.is_pass(), all);
        if let Some(score) = judgement.verdict.score() {
            prop_assert_eq!(score == Score::ONE, judgement.verdict.is_pass());
        }
    }
}
