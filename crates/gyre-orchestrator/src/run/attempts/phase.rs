//! The phases of a round: which tasks each attempts, and how often.

use std::collections::BTreeSet;
use std::sync::Arc;

use gyre_round::{PhaseTasks, RoundEvent, RoundPlan, RoundState};
use gyre_types::{Split, TaskId};

use crate::error::Error;
use crate::run::context::RunContext;
use crate::run::event_log::LogEntry;
use crate::run::recorded::{each_rollout, planned};
use crate::run::tasks::store::{TaskStore, load_tasks};

/// Opens a phase: says how many rollouts it has, in how many waves.
///
/// # Errors
///
/// When the store fails.
pub(crate) fn open_phase(
    run: &RunContext,
    tasks: &mut TaskStore,
    state: &RoundState,
    phase: u32,
) -> Result<LogEntry, Error> {
    let plan = planned(state);
    let tasks = phase_tasks(run, tasks, plan, phase)?.len() as u32;
    let rollouts = tasks * plan.phases[phase as usize].samples;
    let waves = tasks.div_ceil(run.config.rollout.tasks_per_wave);
    Ok(LogEntry::new(run, RoundEvent::PhaseOpened { phase, rollouts, waves }))
}

/// The tasks of a phase, in order of their ids. Follows from what was
/// recorded before the phase opened, so it is the same after a crash.
///
/// # Errors
///
/// When the store fails.
pub(crate) fn phase_tasks(
    run: &RunContext,
    tasks: &mut TaskStore,
    plan: &RoundPlan,
    phase: u32,
) -> Result<Arc<[TaskId]>, Error> {
    tasks.phase((plan.round, phase), || {
        let mut tasks: Vec<_> = load_tasks(run, plan.round, Split::Train)?.into_keys().collect();
        if plan.phases[phase as usize].tasks == PhaseTasks::Unsolved {
            let solved = solved_before(run, plan, phase)?;
            tasks.retain(|task| !solved.contains(task));
        }
        Ok(tasks)
    })
}

fn solved_before(
    run: &RunContext,
    plan: &RoundPlan,
    phase: u32,
) -> Result<BTreeSet<TaskId>, Error> {
    let first = first_sample(plan, phase);
    let mut solved = BTreeSet::new();
    each_rollout(run, plan.round, |row| {
        let passed = row.verdict.as_ref().is_some_and(|v| v.verdict.is_pass());
        if row.rollout.sample < first && passed {
            solved.insert(row.rollout.task);
        }
    })?;
    Ok(solved)
}

/// Samples are numbered on from phase to phase, so that each is unique in its round.
pub(crate) fn first_sample(plan: &RoundPlan, phase: u32) -> u32 {
    plan.phases[..phase as usize].iter().map(|phase| phase.samples).sum()
}
