//! Makes the plan of a round from what is recorded of the rounds before.

use std::collections::BTreeMap;

use gyre_round::{
    CurriculumState, GateHistory, GatePlan, Observation, PhasePlan, PhaseTasks, PlanVersion,
    RoundEvent, RoundPlan, plan_round, skill_weights,
};
use gyre_types::{Split, Task};

use super::context::RunContext;
use super::event_log::LogEntry;
use super::recorded::{champion, each_rollout, gate_record, recorded_state};
use super::tasks::store::load_tasks;
use crate::error::Error;
use crate::inspect::round_events;

/// Plans a round.
///
/// # Errors
///
/// When something recorded is missing, or the store fails.
pub(crate) fn plan(run: &RunContext, round: u32) -> Result<LogEntry, Error> {
    let plan = if round == 0 { base_plan(run) } else { round_plan(run, round)? };
    Ok(LogEntry::new(run, RoundEvent::Planned { plan: Box::new(plan) }))
}

fn base_plan(run: &RunContext) -> RoundPlan {
    RoundPlan {
        version: PlanVersion,
        round: 0,
        seed: run.round_seed(0),
        fingerprint: run.row.fingerprint,
        champion: None,
        sandbox: run.harness.sandbox.digest(),
        verifier: gyre_verify::verifier_digest(),
        verifiers: run.harness.verifier_digests(),
        families: run.harness.family_digests(),
        slots: vec![],
        curriculum: CurriculumState::default(),
        skill_weights: BTreeMap::new(),
        phases: vec![],
        curation: run.config.curation.clone(),
        gate: None,
        guards: Some(run.config.guards()),
        collects_only: run.config.collects_only(),
    }
}

fn round_plan(run: &RunContext, round: u32) -> Result<RoundPlan, Error> {
    let config = &run.config;
    let seed = run.round_seed(round);
    let curriculum = curriculum_after(run, round - 1)?;
    let families = config.curriculum.families.iter().map(|family| &family.family);
    let weights =
        |family: &String| (family.clone(), skill_weights(&config.curriculum, &curriculum, family));
    let count = config.rollout.tasks_per_round;
    Ok(RoundPlan {
        champion: Some(champion(run)?),
        seed,
        round,
        slots: plan_round(&config.curriculum, &curriculum, round, seed, count),
        skill_weights: families.map(weights).collect(),
        curriculum,
        phases: phases(run),
        gate: match config.collects_only() {
            true => None,
            false => {
                let history = gate_history(run, round)?;
                Some(GatePlan { config: config.gate.clone(), history })
            }
        },
        ..base_plan(run)
    })
}

fn phases(run: &RunContext) -> Vec<PhasePlan> {
    let rollout = &run.config.rollout;
    let first = PhasePlan {
        tasks: PhaseTasks::All,
        samples: rollout.samples,
        temperature: rollout.temperature,
    };
    let extra = PhasePlan {
        tasks: PhaseTasks::Unsolved,
        samples: rollout.extra_samples,
        temperature: rollout.extra_temperature,
    };
    [first, extra].into_iter().filter(|phase| phase.samples > 0).collect()
}

/// What is known of the policy's pass rates after a round: the state in its
/// plan, and what its first phase showed. Later phases sample unsolved tasks
/// alone, which would make hard tasks look harder.
fn curriculum_after(run: &RunContext, round: u32) -> Result<CurriculumState, Error> {
    let state = recorded_state(run, round)?;
    let Some(plan) = state.plan else { return Ok(CurriculumState::default()) };
    let Some(first) = plan.phases.first() else { return Ok(plan.curriculum) };
    let tasks = load_tasks(run, round, Split::Train)?;
    let mut seen = Vec::new();
    each_rollout(run, round, |row| {
        let Some(verdict) = row.verdict.map(|row| row.verdict) else { return };
        if row.rollout.sample < first.samples && !verdict.is_invalid() {
            seen.push((tasks.get(&row.rollout.task), verdict.is_pass()));
        }
    })?;
    let observations = seen.into_iter().filter_map(|(task, passed)| {
        let Task { family, difficulty, skills, .. } = task?;
        Some(Observation { family, difficulty: *difficulty, skills, passed })
    });
    Ok(plan.curriculum.after_round(&run.config.curriculum, observations))
}

fn gate_history(run: &RunContext, round: u32) -> Result<GateHistory, Error> {
    let mut history = GateHistory::default();
    for past in 1..round {
        let events = round_events(&run.project, &run.row, past)?;
        let decided = events.iter().any(|(_, event)| matches!(event, RoundEvent::Decided { .. }));
        if decided {
            history = history.after(&gate_record(run, past)?);
        }
    }
    Ok(history)
}
