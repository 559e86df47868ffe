//! The gate that needs a guest: the reference passes, every failure fails.

use std::collections::BTreeMap;

use gyre_types::{
    Case, EnvironmentSpec, GuestOutcome, Limits, ProgramSpec, SandboxJob, SandboxReport, Seed,
    Step, StepReport, Task, Value,
};
use gyre_verify::{GradingKey, ProgramKey, same};

use crate::guest::{Execute, run_jobs};
use crate::manifest::SourceKind;
use crate::{Reason, Refusal, TaskError};

/// Calls a program for all its cases within one step. The family's programs are
/// no adversaries, and a step for each case would be most of the cost. It is
/// short because each guest compiles it.
const DRIVER: &str = include_str!("admit/driver.py");

/// Bytes of all results of one program.
const RESULT_BYTES_MAX: u64 = 4 << 20;

/// A task that waits for admission.
#[derive(Clone, Copy)]
pub(crate) struct Draft<'a> {
    pub(crate) task: &'a Task,
    pub(crate) key: &'a GradingKey,
}

impl<'a> Draft<'a> {
    pub(crate) fn spec(&self) -> &'a ProgramSpec {
        let EnvironmentSpec::Program(spec) = &self.task.environment;
        spec
    }

    pub(crate) fn program_key(&self) -> &'a ProgramKey {
        let GradingKey::Program(key) = self.key;
        key
    }
}

/// Runs reference and failure cases of each draft, usually in one guest for
/// each: first the reference, in the fresh guest, then the failures after it,
/// each in a namespace of its own.
///
/// The programs are the family's own, so what they could leave behind for the
/// next is not an attack; `gyre task check` judges each as an answer is judged.
pub(crate) fn admit_all(
    drafts: &[Draft<'_>],
    source: SourceKind,
    execute: &Execute<'_>,
) -> Result<Vec<Result<(), Refusal>>, TaskError> {
    let mut verdicts: Vec<Option<Result<(), Refusal>>> = vec![None; drafts.len()];
    let mut open: Vec<(usize, Part)> = (0..drafts.len()).map(|at| (at, Part::All)).collect();
    while !open.is_empty() {
        let plan = |&(at, part): &(usize, Part)| plan(&drafts[at], source, part);
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

fn plan(draft: &Draft<'_>, source: SourceKind, part: Part) -> SandboxJob {
    let (task, spec, key) = (draft.task, draft.spec(), draft.program_key());
    let mut steps = vec![Step::Run { code: DRIVER.to_owned() }];
    if let Part::All = part {
        steps.push(try_step(spec, &key.reference, reference_cases(draft)));
    }
    let failures = key.failures[part.failures_from()..].iter();
    steps.extend(failures.map(|failure| try_step(spec, failure, key.hidden.iter())));
    SandboxJob {
        seed: Seed(task.digest.to_u64()).derive("admission", &[part.failures_from() as u64]),
        limits: Limits {
            result_bytes_max: RESULT_BYTES_MAX,
            fuel_max: fuel_max(draft, source),
            ..task.limits.clone()
        },
        steps,
        files: BTreeMap::new(),
    }
}

/// Fuel for all cases of one program.
///
/// A generated task must leave room: all its cases share what an answer has for
/// one. What people wrote is what it is, and each case has what an answer has.
fn fuel_max(draft: &Draft<'_>, source: SourceKind) -> u64 {
    let cases = match source {
        SourceKind::Generate => 1,
        SourceKind::Static => reference_cases(draft).count() as u64,
    };
    draft.task.limits.fuel_max.saturating_mul(cases)
}

fn try_step<'a>(spec: &ProgramSpec, program: &str, cases: impl Iterator<Item = &'a Case>) -> Step {
    let calls = cases.map(|case| Value::List(case.args.clone())).collect();
    let text = |text: &str| Value::Str(text.to_owned());
    Step::Call {
        function: "__gyre_try__".to_owned(),
        args: vec![text(program), text(&spec.entry), Value::List(calls)],
    }
}

fn reference_cases<'a>(draft: &Draft<'a>) -> impl Iterator<Item = &'a Case> {
    draft.spec().visible.iter().chain(&draft.program_key().hidden)
}

fn judge(draft: &Draft<'_>, part: Part, report: &SandboxReport) -> Result<Progress, TaskError> {
    let mut steps = report.steps.iter();
    match steps.next().map(|step| &step.outcome) {
        Some(GuestOutcome::Value { .. }) => {}
        Some(other) => return Err(broken(&format!("the driver {}", other.describe()))),
        None => return Err(broken("a report holds no step")),
    }
    if let Part::All = part {
        let step = steps.next().ok_or_else(|| broken("the reference was not run"))?;
        if let Err(detail) = judge_reference(draft, step) {
            return Ok(Progress::Decided(Err(Refusal::new(Reason::ReferenceFails, detail))));
        }
    }
    let failures = draft.program_key().failures.len();
    for failure in part.failures_from()..failures {
        let step = steps.next().ok_or_else(|| broken("a failure case was not run"))?;
        if passes(draft, step) {
            let detail = format!("failures[{failure}] passes every hidden case");
            return Ok(Progress::Decided(Err(Refusal::new(Reason::FailurePasses, detail))));
        }
        if step.outcome.is_fatal() && failure + 1 < failures {
            return Ok(Progress::Continue(Part::FailuresFrom(failure + 1)));
        }
    }
    Ok(Progress::Decided(Ok(())))
}

fn broken(detail: &str) -> TaskError {
    TaskError::Sandbox { detail: format!("admission: {detail}") }
}

fn judge_reference(draft: &Draft<'_>, step: &StepReport) -> Result<(), String> {
    let results = match &step.outcome {
        GuestOutcome::Value { value } => value.as_seq().unwrap_or_default(),
        GuestOutcome::Exception(exception) => {
            return Err(exception.traceback.trim_end().to_owned());
        }
        other => return Err(other.describe()),
    };
    let (visible, comparison) = (draft.spec().visible.len(), &draft.program_key().comparison);
    for (at, case) in reference_cases(draft).enumerate() {
        let name = || match at.checked_sub(visible) {
            None => format!("visible[{at}]"),
            Some(hidden) => format!("hidden[{hidden}]"),
        };
        let actual = results.get(at).ok_or_else(|| format!("{}: gave nothing", name()))?;
        same(&case.expect, actual, comparison)
            .map_err(|mismatch| format!("{}: {mismatch}", name()))?;
    }
    Ok(())
}

/// Whether a program ran and gave every expected value.
fn passes(draft: &Draft<'_>, step: &StepReport) -> bool {
    let ProgramKey { hidden, comparison, .. } = draft.program_key();
    let results = step.outcome.value().and_then(Value::as_seq).unwrap_or_default();
    let agrees = |(case, actual): (&Case, &Value)| same(&case.expect, actual, comparison).is_ok();
    results.len() == hidden.len() && hidden.iter().zip(results).all(agrees)
}
