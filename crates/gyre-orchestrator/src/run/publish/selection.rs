//! Chooses among a round's rollouts.

use std::collections::BTreeMap;

use gyre_lineage::RolloutWithVerdict;
use gyre_round::{Curated, CurationCandidate, RoundPlan, VerdictKind, curate};
use gyre_types::{Digest, Split, Task, TaskId};

use crate::error::Error;
use crate::run::context::RunContext;
use crate::run::recorded::each_rollout;
use crate::run::tasks::store::load_tasks;

/// What was chosen of a round's rollouts.
pub(crate) struct Selection {
    pub(crate) chosen: Curated,
    pub(crate) tasks: BTreeMap<TaskId, Task>,
}

/// Chooses among a round's rollouts, by their newest verdicts.
///
/// # Errors
///
/// When the store fails.
pub(crate) fn select(run: &RunContext, plan: &RoundPlan) -> Result<Selection, Error> {
    let tasks = load_tasks(run, plan.round, Split::Train)?;
    let mut candidates = Vec::new();
    each_rollout(run, plan.round, |row| {
        let task = tasks.get(&row.rollout.task);
        candidates.extend(task.and_then(|task| candidate(&row, task)));
    })?;
    let chosen = curate(&plan.curation, plan.seed.derive("curation", &[]), &candidates);
    Ok(Selection { chosen, tasks })
}

fn candidate(row: &RolloutWithVerdict, task: &Task) -> Option<CurationCandidate> {
    let verdict = &row.verdict.as_ref()?.verdict;
    Some(CurationCandidate {
        rollout: row.rollout.id.clone(),
        task: task.id.clone(),
        split: task.split,
        sample: row.rollout.sample,
        family: task.family.clone(),
        skills: task.skills.clone(),
        answer_digest: row.rollout.answer_digest,
        answer_bytes: u64::from(row.rollout.answer_digest != Digest::of(b"")),
        tokens: row.rollout.tokens,
        verdict: VerdictKind::from(verdict),
    })
}
