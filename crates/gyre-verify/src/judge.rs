use gyre_types::{
    Case, CheckResult, GuestOutcome, InvalidReason, Judgement, SandboxReport, Score, StepReport,
    Task, Verdict,
};

use crate::plan::ANSWER_BYTES_MAX;
use crate::{Cost, ProgramKey, ProgramSubmission, same};

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
pub fn judge_unrun(of: &ProgramSubmission<'_>) -> Option<Judgement> {
    let ProgramSubmission { task, key, program, .. } = of;
    if key.hidden.is_empty() {
        // Without this, "all of no cases agreed" would be a pass.
        return Some(invalid_key("the grading key holds no hidden case", Cost::default()));
    }
    if key.digest() != task.key_digest {
        return Some(invalid_key("the grading key is not the task's own", Cost::default()));
    }
    let detail = if program.trim().is_empty() {
        "the answer is empty".to_owned()
    } else if program.len() > ANSWER_BYTES_MAX {
        format!("the answer takes {} bytes, more than {ANSWER_BYTES_MAX}", program.len())
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
pub fn judge_screen(key: &ProgramKey, report: &SandboxReport) -> Screen {
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
/// answer carries state from case to case; its check says so. Cases that come
/// after the answer burnt what all of them may burn together fail unseen.
pub fn judge_confirm<E: std::fmt::Display>(
    of: &ProgramSubmission<'_>,
    screen: &ScreenPassed,
    reports: &[Result<SandboxReport, E>],
) -> Judgement {
    let hidden = of.key.hidden.len();
    if hidden > 0 && reports.len() != hidden {
        let fuel = reports.iter().flatten().fold(screen.fuel, |sum, r| sum.saturating_add(r.fuel));
        let guests = u32::try_from(reports.len()).unwrap_or(u32::MAX).saturating_add(1);
        let got = reports.len();
        return infrastructure(
            format!("{got} reports came for {hidden} cases"),
            Cost { fuel, guests },
        );
    }
    let mut confirmation = Confirmation::new(of, screen);
    for (case, report) in reports.iter().enumerate() {
        confirmation.take(case, report.as_ref().map_err(ToString::to_string));
    }
    confirmation.judge()
}

/// The cases of an answer that came through the first look, judged as their
/// reports arrive. What comes of it does not depend on their order.
pub(crate) struct Confirmation<'a> {
    key: &'a ProgramKey,
    screen_fuel: u64,
    meter: FuelMeter,
    checks: Vec<Option<Result<CheckResult, String>>>,
}

impl<'a> Confirmation<'a> {
    pub(crate) fn new(of: &ProgramSubmission<'a>, screen: &ScreenPassed) -> Self {
        let (key, cases) = (of.key, of.key.hidden.len());
        let meter = FuelMeter::new(of.task, cases);
        Self { key, screen_fuel: screen.fuel, meter, checks: (0..cases).map(|_| None).collect() }
    }

    /// Whether the cases to come fail unseen.
    pub(crate) fn is_spent(&self) -> bool {
        self.meter.is_spent()
    }

    /// Judges the report of one case.
    pub(crate) fn take(&mut self, case: usize, report: Result<&SandboxReport, String>) {
        let Some(expected) = self.key.hidden.get(case) else { return };
        self.meter.burn(case, report.as_ref().map_or(0, |report| report.fuel));
        let judged = report.and_then(|report| {
            check_report(self.key, std::slice::from_ref(expected), case, report)
        });
        let one =
            judged.and_then(|mut checks| checks.pop().ok_or("nothing was checked".to_owned()));
        self.checks[case] = Some(one.map(note_carried_state));
    }

    pub(crate) fn judge(self) -> Judgement {
        let within = self.meter.cases_within();
        let fuel = self.screen_fuel.saturating_add(self.meter.burnt(within));
        let guests = u32::try_from(within).unwrap_or(u32::MAX).saturating_add(1);
        let cost = Cost { fuel, guests };
        if self.checks.is_empty() {
            return invalid_key("the grading key holds no hidden case", cost);
        }
        let mut checks = Vec::with_capacity(self.checks.len());
        for (case, judged) in self.checks.into_iter().enumerate() {
            match judged {
                _ if case >= within => checks.push(check(case, Err(self.meter.why_unrun()))),
                Some(Ok(check)) => checks.push(check),
                Some(Err(detail)) => {
                    return infrastructure(format!("hidden[{case}]: {detail}"), cost);
                }
                None => return infrastructure(format!("hidden[{case}]: {NO_REPORT}"), cost),
            }
        }
        judge_checks(checks, cost)
    }
}

/// What is said of a job that nobody told of.
pub(crate) const NO_REPORT: &str = "the sandbox gave no report";

/// What the cases of one answer burn, each in a guest of its own, against what
/// all of them may burn together. It is counted in the order of the cases, so
/// that the order in which they were run decides nothing.
pub(crate) struct FuelMeter {
    fuel_max: u64,
    burnt: Vec<u64>,
}

impl FuelMeter {
    pub(crate) fn new(task: &Task, cases: usize) -> Self {
        Self { fuel_max: task.limits.job_fuel_max(), burnt: vec![0; cases] }
    }

    pub(crate) fn burn(&mut self, case: usize, fuel: u64) {
        self.burnt[case] = fuel;
    }

    /// Whether what was run already took all: cases that were not asked for yet
    /// need not be run, whatever is still to come of the others.
    pub(crate) fn is_spent(&self) -> bool {
        self.burnt(self.burnt.len()) > self.fuel_max
    }

    /// The cases up to the one that took more than was left.
    pub(crate) fn cases_within(&self) -> usize {
        let spent_by = (0..self.burnt.len()).find(|case| self.burnt(case + 1) > self.fuel_max);
        spent_by.map_or(self.burnt.len(), |case| case + 1)
    }

    /// What the first cases burnt.
    pub(crate) fn burnt(&self, cases: usize) -> u64 {
        self.burnt.iter().take(cases).fold(0, |sum, fuel| sum.saturating_add(*fuel))
    }

    pub(crate) fn why_unrun(&self) -> String {
        let fuel_max = self.fuel_max;
        format!(
            "not run: the cases before it burnt more than the {fuel_max} units of fuel that \
                 all cases may burn together"
        )
    }
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
    key: &ProgramKey,
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

fn check_case(key: &ProgramKey, case: &Case, call: &StepReport) -> Result<(), String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// In whatever order the cases were run.
    #[test]
    fn the_cases_of_an_answer_are_bounded_together() {
        let mut meter = FuelMeter { fuel_max: 100, burnt: vec![0; 4] };
        for (case, fuel) in [(3, 90), (0, 40), (1, 50)] {
            assert!(!meter.is_spent() || case == 1);
            meter.burn(case, fuel);
        }
        assert!(meter.is_spent());
        // The first three took 90 in all: only the last one went beyond.
        assert_eq!((meter.cases_within(), meter.burnt(3)), (4, 90));
        meter.burn(2, 11);
        assert_eq!((meter.cases_within(), meter.burnt(3)), (3, 101));
        let all = FuelMeter { fuel_max: u64::MAX, burnt: vec![u64::MAX; 2] };
        assert_eq!((all.cases_within(), all.is_spent()), (2, false));
    }
}
