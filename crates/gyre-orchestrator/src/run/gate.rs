//! Asks the gate whether a candidate becomes champion, and makes its decisions again.

use gyre_lineage::{GateDecision, GateReview, GateRow, NewApproval, Promotion};
use gyre_round::{
    Contest, Decision, GateRecord, Outcome, PairedOutcome, RoundEvent, RoundPlan, RoundState,
    decide,
};
use gyre_types::{CheckpointId, Split, Task, TaskId, to_json};

use super::context::RunContext;
use super::event_log::LogEntry;
use super::recorded::{candidate, gate_record, planned, policy_digest};
use super::tasks::store::load_tasks;
use crate::error::Error;
use crate::inspect::{self, outcomes};

/// Decides on a candidate: by the gate, or at once where there is no champion yet.
///
/// # Errors
///
/// When something recorded is missing, or the store fails.
pub(crate) fn decide_round(run: &RunContext, state: &RoundState) -> Result<LogEntry, Error> {
    let plan = planned(state);
    let candidate = candidate(state).clone();
    match (&plan.gate, &plan.champion) {
        (Some(_), Some(champion)) => ask_gate(run, plan, candidate, champion.clone()),
        _ => {
            let event =
                RoundEvent::Decided { decision: Decision::Promote, gate: None, approval: None };
            let mut entry = LogEntry::new(run, event);
            entry.rows.handovers = run.config.promotion.handovers(plan.round, &candidate);
            entry.rows.promotion = Some(Promotion {
                expected_champion: None,
                champion: candidate,
                round: plan.round,
                gate_digest: None,
            });
            Ok(entry)
        }
    }
}

fn ask_gate(
    run: &RunContext,
    plan: &RoundPlan,
    candidate: CheckpointId,
    champion: CheckpointId,
) -> Result<LogEntry, Error> {
    let Some(gate) = &plan.gate else {
        return Err(run.unreadable("the plan", "it has no gate"));
    };
    let contest = Contest {
        round: plan.round,
        champion: policy_digest(run, &champion)?,
        candidate: policy_digest(run, &candidate)?,
        history: gate.history,
    };
    let pairs = pairs(run, Split::Gate, &champion, &candidate)?;
    let record = decide(&gate.config, &contest, &pairs);
    let promoted = record.is_promotion();
    let decision = record.decision.clone();
    let row = GateRow::new(
        plan.round,
        (candidate.clone(), champion.clone()),
        recorded_decision(&record),
        to_json("the record of a gate", &record)?,
    );
    let approval = gate.config.approval_request().filter(|_| promoted);
    let event = RoundEvent::Decided { decision, gate: Some(row.digest), approval };
    let mut entry = LogEntry::new(run, event);
    let (round, gate_digest) = (plan.round, row.digest);
    entry.rows.gates.push(row);
    if let Some(request) = approval {
        let expires_after_ms = request.expires_after.milliseconds();
        entry.rows.approval =
            Some(NewApproval { round, candidate, champion, gate_digest, expires_after_ms });
    } else if promoted {
        entry.rows.handovers = run.config.promotion.handovers(round, &candidate);
        entry.rows.promotion = Some(Promotion {
            expected_champion: Some(champion),
            champion: candidate,
            round,
            gate_digest: Some(gate_digest),
        });
    }
    Ok(entry)
}

/// Makes the decision of a round's gate again: its rule, its history and its level, and
/// the verdicts of today. None where the round has no gate.
///
/// # Errors
///
/// When something recorded is missing, or the store fails.
pub(crate) fn review(run: &RunContext, round: u32) -> Result<Option<GateReview>, Error> {
    let record = gate_record(run, round)?;
    let Some(gate) = inspect::gate(&run.project, run.id(), round)? else { return Ok(None) };
    let contest = Contest {
        round,
        champion: record.champion,
        candidate: record.candidate,
        history: record.history,
    };
    let pairs = pairs(run, Split::Gate, &gate.champion, &gate.candidate)?;
    let again = decide(&record.config, &contest, &pairs);
    Ok(Some(GateReview {
        round,
        decision: recorded_decision(&again),
        record: to_json("the review of a gate", &again)?,
    }))
}

fn recorded_decision(record: &GateRecord) -> GateDecision {
    if record.is_promotion() { GateDecision::Promoted } else { GateDecision::Rejected }
}

/// The outcomes of both on every task of a held-out part.
fn pairs(
    run: &RunContext,
    part: Split,
    champion: &CheckpointId,
    candidate: &CheckpointId,
) -> Result<Vec<PairedOutcome>, Error> {
    let of_champion = outcomes(&run.project, run.id(), part, champion)?;
    let of_candidate = outcomes(&run.project, run.id(), part, candidate)?;
    let pair = |(id, task): (TaskId, Task)| PairedOutcome {
        family: task.family,
        difficulty: task.difficulty,
        champion: Outcome::from(of_champion.get(&id)),
        candidate: Outcome::from(of_candidate.get(&id)),
        task: id,
    };
    Ok(load_tasks(run, 0, part)?.into_iter().map(pair).collect())
}
