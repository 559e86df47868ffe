//! Impossible tasks, made from ordinary ones.

use gyre_tasks::AdmittedTask;
use gyre_types::{Seed, Task, TaskId};
use gyre_verify::Verifier;

/// A task that no answer can solve.
pub(crate) struct Canary {
    /// The ordinary task that it was made from.
    pub(crate) made_from: TaskId,
    /// What the policy is shown: the ordinary task, word for word.
    pub(crate) shown: Task,
    /// What its answer is judged by.
    pub(crate) judged: AdmittedTask,
}

/// Makes a canary of an ordinary task.
pub(crate) fn impossible(ordinary: &AdmittedTask, verifier: &Verifier, seed: Seed) -> Canary {
    let made = gyre_verify::impossible(&ordinary.task, &ordinary.key, verifier, seed);
    let judged = AdmittedTask { task: made.judged, key: made.key };
    Canary { made_from: ordinary.task.id.clone(), shown: made.shown, judged }
}
