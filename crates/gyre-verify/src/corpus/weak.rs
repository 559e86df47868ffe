//! Runs naive graders for real: the harness and the answer share one guest,
//! and what the harness left behind is read by a second one.

use std::collections::BTreeMap;
use std::fmt::Display;

use gyre_types::{
    Case, EnvironmentSpec, GuestOutcome, Limits, SandboxJob, SandboxReport, Seed, Step, StepReport,
    Value,
};

use super::{CorpusTask, WeakControl};
use crate::GradingKey;

/// One program to be graded by one weak control.
#[derive(Debug, Clone, Copy)]
pub struct WeakTrial<'a> {
    /// The grader.
    pub control: &'a WeakControl,
    /// The task, key and all: a weak control has it beside the answer.
    pub task: &'a CorpusTask,
    /// The program.
    pub answer: &'a str,
}

/// Whether each trial's control accepts its program; `Err` where the sandbox
/// failed or the control is no program. `execute` is called twice, and gives
/// one result for each job, in order.
pub fn try_weak_controls<E: Display>(
    trials: &[WeakTrial<'_>],
    execute: impl Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, E>>,
) -> Vec<Result<bool, String>> {
    let runs = execute(trials.iter().map(plan_run).collect());
    let mut verdicts: Vec<Result<bool, String>> = Vec::with_capacity(trials.len());
    let mut judging = Vec::new();
    let mut runs = runs.into_iter();
    for (at, trial) in trials.iter().enumerate() {
        verdicts.push(match harness_step(runs.next()) {
            Err(why) => Err(why),
            Ok(step) if trial.control.judges() => {
                judging.push((at, plan_judge(trial, &step)));
                Err("the control's judge was not run".to_owned())
            }
            Ok(step) => Ok(is_true(&step)),
        });
    }
    let (places, jobs): (Vec<usize>, Vec<SandboxJob>) = judging.into_iter().unzip();
    let mut judged = execute(jobs).into_iter();
    for at in places {
        verdicts[at] = harness_step(judged.next()).map(|step| is_true(&step));
    }
    verdicts
}

impl WeakControl {
    /// Whether it has a part that reads what the first one left behind.
    fn judges(&self) -> bool {
        self.source.contains("\ndef judge(")
    }
}

/// The report of the call, after a harness that was defined without fault.
fn harness_step<E: Display>(
    report: Option<Result<SandboxReport, E>>,
) -> Result<StepReport, String> {
    let report = report
        .ok_or("the sandbox gave no report")?
        .map_err(|fault| format!("the sandbox failed: {fault}"))?;
    let mut steps = report.steps.into_iter();
    match (steps.next(), steps.next()) {
        (Some(defined), Some(called)) if defined.outcome.value().is_some() => Ok(called),
        (Some(defined), _) => Err(format!("the control itself {}", defined.outcome.describe())),
        (None, _) => Err("the report holds no step".to_owned()),
    }
}

fn is_true(step: &StepReport) -> bool {
    matches!(&step.outcome, GuestOutcome::Value { value: Value::Bool(true) })
}

fn plan_run(trial: &WeakTrial<'_>) -> SandboxJob {
    plan(trial, "run", vec![Value::Str(trial.answer.to_owned()), task_value(trial.task)])
}

fn plan_judge(trial: &WeakTrial<'_>, step: &StepReport) -> SandboxJob {
    let mut job = plan(trial, "judge", vec![observed(step)]);
    // It is the naive grader's own process, not the answer's.
    job.limits = Limits::default();
    job
}

fn plan(trial: &WeakTrial<'_>, function: &str, args: Vec<Value>) -> SandboxJob {
    SandboxJob {
        seed: Seed(trial.task.task.digest.to_u64()).derive("weak-control", &[]),
        limits: trial.task.task.limits.clone(),
        steps: vec![
            Step::Run { code: trial.control.source.to_owned() },
            Step::Call { function: function.to_owned(), args },
        ],
        files: BTreeMap::new(),
    }
}

fn text(text: &str) -> Value {
    Value::Str(text.to_owned())
}

/// The task as naive graders see it: with all that decides.
fn task_value(corpus: &CorpusTask) -> Value {
    let pair = |case: &Case| Value::List(vec![Value::List(case.args.clone()), case.expect.clone()]);
    let pairs = |cases: &[Case]| Value::List(cases.iter().map(pair).collect());
    let EnvironmentSpec::Program(spec) = &corpus.task.environment;
    let GradingKey::Program(key) = &corpus.key;
    Value::Dict(vec![
        (text("entry"), text(&spec.entry)),
        (text("reference"), text(&key.reference)),
        (text("shown"), pairs(&spec.visible)),
        (text("hidden"), pairs(&key.hidden)),
    ])
}

/// What a process left behind, as naive graders see it.
fn observed(step: &StepReport) -> Value {
    let (ended, exit, value, message) = match &step.outcome {
        GuestOutcome::Value { value } => ("value", Some(0), value.clone(), String::new()),
        GuestOutcome::Exception(raised) => {
            let message = format!("{}: {}", raised.kind, raised.message);
            let zero = ["", "0", "None"].contains(&raised.message.as_str());
            let exit = i64::from(!(raised.kind == "SystemExit" && zero));
            ("exception", Some(exit), Value::Null, message)
        }
        // The sandbox does not tell the code with which a process ended itself. No program of
        // the corpus does so with another than 0.
        GuestOutcome::Trap { message } if message.contains("ended its process") => {
            ("exited", Some(0), Value::Null, String::new())
        }
        other => (killed(other), None, Value::Null, other.describe()),
    };
    Value::Dict(vec![
        (text("ended"), text(ended)),
        (text("exit"), exit.map_or(Value::Null, Value::Int)),
        (text("value"), value),
        (text("message"), text(&message)),
        (text("stdout"), text(&step.stdout)),
    ])
}

fn killed(outcome: &GuestOutcome) -> &'static str {
    match outcome {
        GuestOutcome::Value { .. } => "value",
        GuestOutcome::Exception(_) => "exception",
        GuestOutcome::Unrepresentable { .. } => "unrepresentable",
        GuestOutcome::Trap { .. } => "trap",
        GuestOutcome::FuelExhausted => "fuel",
        GuestOutcome::MemoryExceeded => "memory",
        GuestOutcome::OutputExceeded => "output",
        GuestOutcome::HostCallsExceeded => "host_calls",
    }
}
