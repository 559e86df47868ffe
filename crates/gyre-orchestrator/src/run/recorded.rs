//! Reads what is recorded of a run, for the actions that follow from it.

use std::collections::{BTreeSet, HashMap};

use gyre_dataset::read_part;
use gyre_lineage::{RolloutFilter, RolloutWithVerdict};
use gyre_round::{GateRecord, RoundPlan, RoundState, Stage, fold};
use gyre_types::{CheckpointId, Digest, PartId, RolloutId, RolloutRecord, Split};

use super::context::RunContext;
use crate::error::Error;
use crate::inspect;

/// Rollouts that are read at once where all of a round are looked at.
const ROLLOUT_PAGE: u32 = 1_000;

/// The plan of a round that has one: every action but planning comes after it.
pub(crate) fn planned(state: &RoundState) -> &RoundPlan {
    state.plan.as_ref().expect("the state machine gives no action before the plan but planning")
}

/// The candidate of a round that has one.
pub(crate) fn candidate(state: &RoundState) -> &CheckpointId {
    state.candidate.as_ref().expect("the state machine evaluates only after training")
}

/// The state of a round, from its recorded events.
///
/// # Errors
///
/// When the events do not follow from each other, and [`Error::StaleChampion`] where
/// the round is under way and its plan's champion is no longer current.
pub(crate) fn recorded_state(run: &RunContext, round: u32) -> Result<RoundState, Error> {
    let events = inspect::round_events(&run.project, &run.row, round)?;
    let events: Vec<_> = events.into_iter().map(|(_, event)| event).collect();
    let state = fold(&events).map_err(|source| run.illegal(round, source))?;
    if state.stage != Stage::Unplanned {
        check_champion(run, &state)?;
    }
    Ok(state)
}

/// Refuses to go on with a plan whose champion is no longer current.
fn check_champion(run: &RunContext, state: &RoundState) -> Result<(), Error> {
    let Some(plan) = state.plan.as_ref().filter(|_| !state.stage.is_terminal()) else {
        return Ok(());
    };
    let current = run.wait(run.store().champion(run.id()))?;
    match (plan.champion.clone(), current) {
        (Some(planned), Some(current)) if planned != current.champion => {
            let current = current.champion;
            Err(Error::StaleChampion { round: plan.round, planned, current })
        }
        _ => Ok(()),
    }
}

/// The current champion.
pub(crate) fn champion(run: &RunContext) -> Result<CheckpointId, Error> {
    let champion = run.wait(run.store().champion(run.id()))?;
    champion
        .map(|promotion| promotion.champion)
        .ok_or_else(|| run.unreadable("the champion", "no checkpoint was promoted yet"))
}

/// Digest of what decides a checkpoint's answers.
pub(crate) fn policy_digest(run: &RunContext, id: &CheckpointId) -> Result<Digest, Error> {
    let checkpoint = run.wait(run.store().checkpoint(run.id(), id))?;
    checkpoint
        .map(|row| row.policy_digest)
        .ok_or_else(|| run.unreadable(id.to_string(), "it is not recorded"))
}

/// The gate's record of a round that has one.
pub(crate) fn gate_record(run: &RunContext, round: u32) -> Result<GateRecord, Error> {
    let gate = inspect::gate(&run.project, run.id(), round)?;
    let what = || format!("the gate of round {round}");
    let gate = gate.ok_or_else(|| run.unreadable(what(), "it is missing"))?;
    serde_json::from_value(gate.record).map_err(|error| run.unreadable(what(), error))
}

/// Shows the training rollouts of a round to `see`, by their ids and a page at
/// a time, so that no caller holds more of them than it keeps.
pub(crate) fn each_rollout(
    run: &RunContext,
    round: u32,
    mut see: impl FnMut(RolloutWithVerdict),
) -> Result<(), Error> {
    let filter = RolloutFilter {
        round: Some(round),
        purpose: Some(Split::Train),
        ..RolloutFilter::default()
    };
    let mut rollouts = run.store().rollouts(run.id(), &filter).rows_at_a_time(ROLLOUT_PAGE);
    while let Some(rows) = run.wait(rollouts.next())? {
        rows.into_iter().for_each(&mut see);
    }
    Ok(())
}

/// The bodies of some rollouts, read from the parts that hold them.
pub(crate) fn rollout_records<'a>(
    run: &RunContext,
    parts: impl Iterator<Item = &'a PartId>,
    wanted: &BTreeSet<&RolloutId>,
) -> Result<HashMap<RolloutId, RolloutRecord>, Error> {
    let mut records = HashMap::new();
    for part in parts.collect::<BTreeSet<_>>() {
        let row = run.wait(run.store().part(run.id(), part))?;
        let row = row.ok_or_else(|| run.unreadable(part.to_string(), "it is not recorded"))?;
        for record in read_part(run.project.data.open(&row.path))? {
            let record = record?;
            if wanted.contains(&record.id) {
                records.insert(record.id.clone(), record);
            }
        }
    }
    Ok(records)
}
