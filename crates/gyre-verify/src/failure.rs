//! Why an answer failed: by its form, or by what it does.
//!
//! This decides no verdict. It looks at answers that failed already, in a guest of
//! their own, so that a report can tell a model that has not learned how to answer
//! from one that answers wrongly.

use std::collections::BTreeMap;

use gyre_types::{
    AnswerRef, EnvironmentSpec, FailureKind, GuestOutcome, Interface, SandboxJob, SandboxReport,
    Step, Task,
};

use crate::plan::{ANSWER_BYTES_MAX, judging_seed};

/// What has to be done to say why an answer failed.
#[derive(Debug, Clone, PartialEq)]
pub enum FailurePlan {
    /// Nothing: the text alone tells.
    Known(FailureKind),
    /// This job, whose report [`judge_failure`] reads.
    Run(SandboxJob),
}

/// Plans the look at an answer that failed: whether it compiles, whether it runs by
/// itself, and whether it then defines what the task asks for.
pub fn plan_failure(task: &Task, answer: AnswerRef<'_>) -> FailurePlan {
    let AnswerRef::Program(answer) = answer;
    if answer.trim().is_empty() {
        return FailurePlan::Known(FailureKind::NoCode);
    }
    if answer.len() > ANSWER_BYTES_MAX {
        // It was never run.
        return FailurePlan::Known(FailureKind::Crashed);
    }
    FailurePlan::Run(SandboxJob {
        seed: judging_seed(task, answer).derive("failure", &[]),
        limits: task.limits.clone(),
        steps: steps(task, answer),
        files: BTreeMap::new(),
    })
}

/// Says why an answer failed, from the report of [`plan_failure`]'s job.
pub fn judge_failure(report: &SandboxReport) -> FailureKind {
    let mut outcomes = report.steps.iter().map(|step| &step.outcome);
    match outcomes.next() {
        Some(GuestOutcome::Value { .. }) => {}
        Some(GuestOutcome::Exception(_)) => return FailureKind::Syntax,
        _ => return FailureKind::Crashed,
    }
    match outcomes.next() {
        None | Some(GuestOutcome::Value { .. }) => {}
        Some(_) => return FailureKind::Crashed,
    }
    match outcomes.next() {
        Some(GuestOutcome::Exception(error)) if error.kind == "NameError" => FailureKind::WrongName,
        // An object of the program's own is no value that can be carried, and is there.
        _ => FailureKind::WrongValue,
    }
}

/// Compile, run, look the name up. Programs that read standard input do everything
/// when they are run, which only a case can do.
fn steps(task: &Task, answer: &str) -> Vec<Step> {
    // JSON's escapes are among those of Python's literals.
    let literal = serde_json::Value::from(answer).to_string();
    let mut steps = vec![Step::Run { code: format!("compile({literal}, 'answer', 'exec')") }];
    let EnvironmentSpec::Program(program) = &task.environment;
    if program.interface != Interface::Stdio {
        steps.push(Step::Run { code: answer.to_owned() });
        if is_identifier(&program.entry) {
            steps.push(Step::Run { code: program.entry.clone() });
        }
    }
    steps
}

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    let begins = chars.next().is_some_and(|c| c == '_' || c.is_alphabetic());
    begins && chars.all(|c| c == '_' || c.is_alphanumeric())
}
