use gyre_types::{
    Case, CheckResult, GuestOutcome, InvalidReason, Judgement, SandboxReport, Score, StepReport,
    Task, Verdict,
};

use crate::plan::ANSWER_BYTES_MAX;
use crate::{Cost, GradingKey, same};

/// What the first look came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Screen {
    /// It is decided: a fail, or invalid. Never a pass.
    Decided(Judgement),
    /// Every case agreed in the shared guest; each must now agree in its own.
    Candidate(ScreenPassed),
}

/// Evidence that an answer came through the first look, and what that cost.
/// Only [`judge_screen`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScreenPassed {
    fuel: u64,
}

/// Decides what needs no guest: an answer that is empty or too long fails with
/// score 0; a key that is not the task's, or that holds no case, is invalid.
pub fn judge_unrun(task: &Task, key: &GradingKey, answer: &str) -> Option<Judgement> {
    if key.hidden.is_empty() {
        // Without this, "all of no cases agreed" would be a pass.
        return Some(invalid_key("the grading key holds no hidden case", Cost::default()));
    }
    if key.digest() != task.key_digest {
        return Some(invalid_key("the grading key is not the task's own", Cost::default()));
    }
    let detail = if answer.trim().is_empty() {
        "the answer is empty".to_owned()
    } else if answer.len() > ANSWER_BYTES_MAX {
        format!("the answer takes {} bytes, more than {ANSWER_BYTES_MAX}", answer.len())
    } else {
        return None;
    };
    let checks = (0..key.hidden.len()).map(|case| check(case, Err(detail.clone()))).collect();
    Some(failed(checks, Cost::default()))
}

/// Judges the report of [`plan_screen`](crate::plan_screen)'s job.
///
/// What the guest did wrong is a failed check; when it died, so are all cases
/// that it did not come to.
pub fn judge_screen(key: &GradingKey, report: &SandboxReport) -> Screen {
    let cost = Cost { fuel: report.fuel, guests: 1 };
    match check_report(key, &key.hidden, 0, report) {
        Err(detail) => Screen::Decided(infrastructure(detail, cost)),
        Ok(checks) if !checks.is_empty() && checks.iter().all(|check| check.passed) => {
            Screen::Candidate(ScreenPassed { fuel: report.fuel })
        }
        Ok(checks) if checks.is_empty() => {
            Screen::Decided(invalid_key("the grading key holds no hidden case", cost))
        }
        Ok(checks) => Screen::Decided(failed(checks, cost)),
    }
}

/// Judges the reports of [`plan_confirm`](crate::plan_confirm)'s jobs, in
/// their order: a pass needs all of them, complete, and all in agreement.
///
/// A case that agreed in the shared guest and not in its own means that the
/// answer carries state from case to case; its check says so.
pub fn judge_confirm<E: std::fmt::Display>(
    key: &GradingKey,
    screen: &ScreenPassed,
    reports: &[Result<SandboxReport, E>],
) -> Judgement {
    let fuel = reports.iter().flatten().fold(screen.fuel, |sum, r| sum.saturating_add(r.fuel));
    let guests = u32::try_from(reports.len()).unwrap_or(u32::MAX).saturating_add(1);
    let cost = Cost { fuel, guests };
    if key.hidden.is_empty() {
        return invalid_key("the grading key holds no hidden case", cost);
    }
    if reports.len() != key.hidden.len() {
        let (got, want) = (reports.len(), key.hidden.len());
        return infrastructure(format!("{got} reports came for {want} cases"), cost);
    }
    let mut checks = Vec::with_capacity(reports.len());
    for (case, report) in reports.iter().enumerate() {
        let one = std::slice::from_ref(&key.hidden[case]);
        let judged = match report {
            Ok(report) => check_report(key, one, case, report),
            Err(fault) => Err(fault.to_string()),
        };
        match judged {
            Ok(judged) => checks.extend(judged.into_iter().map(note_carried_state)),
            Err(detail) => return infrastructure(format!("hidden[{case}]: {detail}"), cost),
        }
    }
    judge_checks(checks, cost)
}

/// A pass if there is a check and all passed.
pub(crate) fn judge_checks(checks: Vec<CheckResult>, cost: Cost) -> Judgement {
    if checks.is_empty() {
        return invalid_key("nothing was checked", cost);
    }
    if checks.iter().all(|check| check.passed) {
        Judgement { verdict: Verdict::Pass, checks, fuel: cost.fuel, guests: cost.guests }
    } else {
        failed(checks, cost)
    }
}

fn note_carried_state(mut check: CheckResult) -> CheckResult {
    if !check.passed {
        check.detail.push_str(
            " (it agreed in a guest shared with the other cases: the answer carries state from \
             case to case)",
        );
    }
    check
}

/// Judges one report of a `Run` and a `Call` per case; `Err` when the report
/// cannot be one of that job, which is a fault of ours.
fn check_report(
    key: &GradingKey,
    cases: &[Case],
    first: usize,
    report: &SandboxReport,
) -> Result<Vec<CheckResult>, String> {
    require_complete(report, 1 + cases.len())?;
    let (run, calls) = report.steps.split_first().ok_or("the report holds no step")?;
    let started = match &run.outcome {
        GuestOutcome::Value { .. } => Ok(()),
        other => Err(format!("the answer itself {}", other.describe())),
    };
    let judged = |(at, case): (usize, &Case)| {
        let agreed = match (&started, calls.get(at)) {
            (Err(why), _) => Err(why.clone()),
            (Ok(()), Some(call)) => check_case(key, case, call),
            (Ok(()), None) => Err("not reached: the guest had died".to_owned()),
        };
        check(first + at, agreed)
    };
    Ok(cases.iter().enumerate().map(judged).collect())
}

/// A report holds one step report for each step, or ends with the step that
/// killed the guest. Anything else would judge cases that nobody ran.
pub(crate) fn require_complete(report: &SandboxReport, steps: usize) -> Result<(), String> {
    let got = report.steps.len();
    let died_at = report.steps.iter().position(|step| step.outcome.is_fatal());
    match died_at {
        Some(at) if at + 1 == got && got <= steps => Ok(()),
        Some(at) => Err(format!("the report holds {got} steps, but its guest died in step {at}")),
        None if got == steps => Ok(()),
        None => Err(format!("the report holds {got} steps of {steps}")),
    }
}

fn check_case(key: &GradingKey, case: &Case, call: &StepReport) -> Result<(), String> {
    match &call.outcome {
        GuestOutcome::Value { value } => {
            same(&case.expect, value, &key.comparison).map_err(|mismatch| mismatch.to_string())
        }
        other => Err(other.describe()),
    }
}

fn check(case: usize, agreed: Result<(), String>) -> CheckResult {
    let passed = agreed.is_ok();
    let detail = agreed.err().unwrap_or_default();
    CheckResult { name: format!("hidden[{case}]"), passed, weight: 1.0, detail }
}

/// A fail with the weighted share of agreeing checks as its score.
fn failed(checks: Vec<CheckResult>, cost: Cost) -> Judgement {
    let weight = |checks: &mut dyn Iterator<Item = &CheckResult>| -> f64 {
        checks.map(|check| check.weight).sum()
    };
    let total = weight(&mut checks.iter());
    let agreed = weight(&mut checks.iter().filter(|check| check.passed));
    let verdict = match Score::new(agreed / total) {
        Ok(score) if score < Score::ONE => Verdict::Fail { score },
        _ => {
            let detail = format!("a failing share of {agreed} in {total} is no score");
            Verdict::Invalid { reason: InvalidReason::Verifier { detail } }
        }
    };
    Judgement { verdict, checks, fuel: cost.fuel, guests: cost.guests }
}

pub(crate) fn infrastructure(detail: String, cost: Cost) -> Judgement {
    invalid(InvalidReason::Infrastructure { detail }, cost)
}

fn invalid_key(detail: &str, cost: Cost) -> Judgement {
    verifier_fault(detail.to_owned(), cost)
}

pub(crate) fn verifier_fault(detail: String, cost: Cost) -> Judgement {
    invalid(InvalidReason::Verifier { detail }, cost)
}

fn invalid(reason: InvalidReason, cost: Cost) -> Judgement {
    let verdict = Verdict::Invalid { reason };
    Judgement { verdict, checks: Vec::new(), fuel: cost.fuel, guests: cost.guests }
}

/// An invalid judgement for a job that never gave a report.
pub(crate) fn judge_fault(detail: String) -> Judgement {
    infrastructure(detail, Cost { fuel: 0, guests: 1 })
}
