//! The gate that needs a guest: the reference passes, every failure fails.

use gyre_types::{Case, GuestOutcome, SandboxJob, SandboxReport, Seed, Step, StepReport, Task};
use gyre_verify::{GradingKey, same};

use crate::guest::{Execute, explain, run_jobs};
use crate::{Reason, Refusal, TaskError};

/// A task that waits for admission.
#[derive(Clone, Copy)]
pub(crate) struct Draft<'a> {
    pub(crate) task: &'a Task,
    pub(crate) key: &'a GradingKey,
}

/// Runs reference and failure cases of each draft, usually in one guest for
/// each: first the reference, in the fresh guest, then the failures after it.
///
/// The programs are the family's own, so what they leave behind for the next
/// is not an attack; `gyre task check` gives each a guest of its own.
pub(crate) fn admit_all(
    drafts: &[Draft<'_>],
    execute: &Execute<'_>,
) -> Result<Vec<Result<(), Refusal>>, TaskError> {
    let mut verdicts: Vec<Option<Result<(), Refusal>>> = vec![None; drafts.len()];
    let mut open: Vec<(usize, Part)> = (0..drafts.len()).map(|at| (at, Part::All)).collect();
    while !open.is_empty() {
        let plan = |&(at, part): &(usize, Part)| plan(&drafts[at], part);
        let reports = run_jobs(open.iter().map(plan).collect(), execute)?;
        let mut still_open = Vec::new();
        for (&(at, part), report) in open.iter().zip(&reports) {
            match judge(&drafts[at], part, report)? {
                Progress::Decided(verdict) => verdicts[at] = Some(verdict),
                Progress::Continue(part) => still_open.push((at, part)),
            }
        }
        open = still_open;
    }
    Ok(verdicts.into_iter().flatten().collect())
}

/// Which programs of a draft a job runs.
#[derive(Clone, Copy)]
enum Part {
    /// The reference, then all failures.
    All,
    /// The failures from this one on: the one before it killed its guest.
    FailuresFrom(usize),
}

enum Progress {
    Decided(Result<(), Refusal>),
    Continue(Part),
}

impl Part {
    fn failures_from(self) -> usize {
        match self {
            Self::All => 0,
            Self::FailuresFrom(first) => first,
        }
    }
}

fn plan(draft: &Draft<'_>, part: Part) -> SandboxJob {
    let Draft { task, key } = draft;
    let mut steps = Vec::new();
    let mut calls = |program: &str, cases: &mut dyn Iterator<Item = &Case>| {
        steps.push(Step::Run { code: program.to_owned() });
        let call =
            |case: &Case| Step::Call { function: task.entry.clone(), args: case.args.clone() };
        steps.extend(cases.map(call));
    };
    if let Part::All = part {
        calls(&key.reference, &mut reference_cases(draft));
    }
    for failure in &key.failures[part.failures_from()..] {
        // A failure that does not define the entry point must not be judged
        // by the definition that the program before it left.
        calls(&format!("globals().pop('{}', None)", task.entry), &mut std::iter::empty());
        calls(failure, &mut key.hidden.iter());
    }
    SandboxJob {
        seed: Seed(task.digest.to_u64()).derive("admission", &[part.failures_from() as u64]),
        limits: task.limits.clone(),
        steps,
    }
}

fn reference_cases<'a>(draft: &Draft<'a>) -> impl Iterator<Item = &'a Case> {
    draft.task.visible.iter().chain(&draft.key.hidden)
}

fn judge(draft: &Draft<'_>, part: Part, report: &SandboxReport) -> Result<Progress, TaskError> {
    let mut steps = report.steps.as_slice();
    if let Part::All = part {
        let block = take(&mut steps, 1 + draft.task.visible.len() + draft.key.hidden.len());
        if let Err(refusal) = judge_reference(draft, block) {
            return Ok(Progress::Decided(Err(refusal)));
        }
    }
    for failure in part.failures_from()..draft.key.failures.len() {
        let block = take(&mut steps, 2 + draft.key.hidden.len());
        if block.iter().any(|step| step.outcome.is_fatal()) {
            let next = failure + 1;
            return Ok(if next == draft.key.failures.len() {
                Progress::Decided(Ok(()))
            } else {
                Progress::Continue(Part::FailuresFrom(next))
            });
        }
        if block.len() < 2 + draft.key.hidden.len() {
            let detail = "a report ends before its job does".to_owned();
            return Err(TaskError::Sandbox { detail });
        }
        if passes(draft, &block[1..]) {
            let detail = format!("failures[{failure}] passes every hidden case");
            return Ok(Progress::Decided(Err(Refusal::new(Reason::FailurePasses, detail))));
        }
    }
    Ok(Progress::Decided(Ok(())))
}

fn take<'a>(steps: &mut &'a [StepReport], count: usize) -> &'a [StepReport] {
    let (block, rest) = steps.split_at(count.min(steps.len()));
    *steps = rest;
    block
}

fn judge_reference(draft: &Draft<'_>, block: &[StepReport]) -> Result<(), Refusal> {
    let refuse = |detail: String| Err(Refusal::new(Reason::ReferenceFails, detail));
    match block.first().map(|step| &step.outcome) {
        Some(GuestOutcome::Value { .. }) => {}
        Some(other) => return refuse(format!("the reference itself {}", explain(other))),
        None => return refuse("the reference was not run".to_owned()),
    }
    let visible = draft.task.visible.len();
    for (at, case) in reference_cases(draft).enumerate() {
        let name = match at.checked_sub(visible) {
            None => format!("visible[{at}]"),
            Some(hidden) => format!("hidden[{hidden}]"),
        };
        match block.get(1 + at).map(|step| &step.outcome) {
            Some(GuestOutcome::Value { value }) => {
                if let Err(mismatch) = same(&case.expect, value, &draft.key.comparison) {
                    return refuse(format!("{name}: {mismatch}"));
                }
            }
            Some(other) => return refuse(format!("{name}: {}", other.describe())),
            None => return refuse(format!("{name}: not reached")),
        }
    }
    Ok(())
}

/// Whether a program ran and gave every expected value.
fn passes(draft: &Draft<'_>, block: &[StepReport]) -> bool {
    let Some((run, calls)) = block.split_first() else { return false };
    let agrees = |(case, step): (&Case, &StepReport)| {
        let value = step.outcome.value();
        value.is_some_and(|value| same(&case.expect, value, &draft.key.comparison).is_ok())
    };
    run.outcome.value().is_some() && draft.key.hidden.iter().zip(calls).all(agrees)
}
