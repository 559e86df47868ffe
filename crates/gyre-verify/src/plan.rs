use std::collections::BTreeMap;

use gyre_env::program::interface;
use gyre_types::{Case, Digest, SandboxJob, Seed, Step, Task};

use crate::ProgramSubmission;

/// Longest answer that is executed, in bytes. Far above any honest program of
/// a task here, and what a policy that runs away is cut off at.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The seed of the guests that judge this answer to this task.
///
/// It depends on nothing else, so that equal answers get equal verdicts in any
/// round, on any machine, in any batch.
pub fn judging_seed(task: &Task, program: &str) -> Seed {
    let parts = [b"judging".as_slice(), task.digest.as_bytes(), program.as_bytes()];
    Seed(Digest::of_parts(parts).to_u64())
}

impl ProgramSubmission<'_> {
    /// Its [`judging_seed`].
    pub(crate) fn seed(&self) -> Seed {
        judging_seed(self.task, self.program)
    }
}

/// Plans the cheap first look: one fresh guest that runs the answer and then
/// calls it for every hidden case.
pub fn plan_screen(of: &ProgramSubmission<'_>, seed: Seed) -> SandboxJob {
    let calls = of.key.hidden.iter().map(|case| call(of, case));
    SandboxJob {
        seed: seed.derive("screen", &[]),
        limits: of.task.limits.clone(),
        steps: std::iter::once(run(of)).chain(calls).collect(),
        files: BTreeMap::new(),
    }
}

/// Plans what alone can accept: for every hidden case a fresh guest of its own.
pub fn plan_confirm(of: &ProgramSubmission<'_>, seed: Seed) -> Vec<SandboxJob> {
    (0..of.key.hidden.len()).map(|case| plan_confirm_case(of, seed, case)).collect()
}

/// Plans one of [`plan_confirm`]'s jobs.
pub(crate) fn plan_confirm_case(of: &ProgramSubmission<'_>, seed: Seed, at: usize) -> SandboxJob {
    SandboxJob {
        seed: seed.derive("confirm", &[at as u64]),
        limits: of.task.limits.clone(),
        steps: vec![run(of), call(of, &of.key.hidden[at])],
        files: BTreeMap::new(),
    }
}

/// Plans what a verifier is told of: for every hidden case a fresh guest of its
/// own, whatever the interface.
pub fn plan_observation(of: &ProgramSubmission<'_>, seed: Seed) -> Vec<SandboxJob> {
    (0..of.key.hidden.len()).map(|case| plan_observation_case(of, seed, case)).collect()
}

/// Plans one of [`plan_observation`]'s jobs.
pub(crate) fn plan_observation_case(
    of: &ProgramSubmission<'_>,
    seed: Seed,
    at: usize,
) -> SandboxJob {
    let mut steps = vec![interface::begin(of.spec.interface, of.program)];
    steps.extend(interface::case(of.spec, of.program, &of.key.hidden[at].args));
    SandboxJob {
        seed: seed.derive("observe", &[at as u64]),
        limits: of.task.limits.clone(),
        steps,
        files: BTreeMap::new(),
    }
}

fn run(of: &ProgramSubmission<'_>) -> Step {
    Step::Run { code: of.program.to_owned() }
}

fn call(of: &ProgramSubmission<'_>, case: &Case) -> Step {
    Step::Call { function: of.spec.entry.clone(), args: case.args.clone() }
}
