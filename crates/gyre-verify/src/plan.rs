use std::collections::BTreeMap;

use gyre_types::{Case, Digest, SandboxJob, Seed, Step, Task};

use crate::GradingKey;

/// Longest answer that is executed, in bytes. Far above any honest program of
/// a task here, and what a policy that runs away is cut off at.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The seed of the guests that judge this answer to this task.
///
/// It depends on nothing else, so that equal answers get equal verdicts in any
/// round, on any machine, in any batch.
pub fn judging_seed(task: &Task, answer: &str) -> Seed {
    let parts = [b"judging".as_slice(), task.digest.as_bytes(), answer.as_bytes()];
    Seed(Digest::of_parts(parts).to_u64())
}

/// Plans the cheap first look: one fresh guest that runs the answer and then
/// calls it for every hidden case.
pub fn plan_screen(task: &Task, key: &GradingKey, answer: &str, seed: Seed) -> SandboxJob {
    let calls = (0..key.hidden.len()).map(|case| call(task, key, case));
    SandboxJob {
        seed: seed.derive("screen", &[]),
        limits: task.limits.clone(),
        steps: std::iter::once(run(answer)).chain(calls).collect(),
        files: BTreeMap::new(),
    }
}

/// Plans what alone can accept: for every hidden case a fresh guest of its own.
pub fn plan_confirm(task: &Task, key: &GradingKey, answer: &str, seed: Seed) -> Vec<SandboxJob> {
    (0..key.hidden.len()).map(|case| plan_confirm_case(task, key, answer, seed, case)).collect()
}

/// Plans one of [`plan_confirm`]'s jobs.
pub(crate) fn plan_confirm_case(
    task: &Task,
    key: &GradingKey,
    answer: &str,
    seed: Seed,
    case: usize,
) -> SandboxJob {
    SandboxJob {
        seed: seed.derive("confirm", &[case as u64]),
        limits: task.limits.clone(),
        steps: vec![run(answer), call(task, key, case)],
        files: BTreeMap::new(),
    }
}

/// Plans what a verifier is told of: for every hidden case a fresh guest of its
/// own, whatever the interface.
pub fn plan_observation(
    task: &Task,
    key: &GradingKey,
    answer: &str,
    seed: Seed,
) -> Vec<SandboxJob> {
    let case = |(at, case): (usize, &Case)| plan_observation_case(task, case, answer, seed, at);
    key.hidden.iter().enumerate().map(case).collect()
}

/// Plans one of [`plan_observation`]'s jobs.
pub(crate) fn plan_observation_case(
    task: &Task,
    case: &Case,
    answer: &str,
    seed: Seed,
    at: usize,
) -> SandboxJob {
    let mut steps = vec![task.interface.begin(answer)];
    steps.extend(task.interface.case(answer, &task.entry, &case.args));
    SandboxJob {
        seed: seed.derive("observe", &[at as u64]),
        limits: task.limits.clone(),
        steps,
        files: BTreeMap::new(),
    }
}

fn run(answer: &str) -> Step {
    Step::Run { code: answer.to_owned() }
}

fn call(task: &Task, key: &GradingKey, case: usize) -> Step {
    Step::Call { function: task.entry.clone(), args: key.hidden[case].args.clone() }
}
