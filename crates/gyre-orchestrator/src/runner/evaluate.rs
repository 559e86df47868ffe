//! Measures a candidate on held-out tasks and asks the gate.

use gyre_lineage::{GateDecision, GateRow, Promotion};
use gyre_round::{
    Contest, Decision, Outcome, PairedOutcome, RoundEvent, RoundPlan, RoundState, decide,
};
use gyre_types::{CheckpointId, Digest, Split, TaskId, to_json};

use super::batch::Batch;
use super::generate::planned;
use super::judge::count;
use super::{Done, Runner};
use crate::error::Error;
use crate::inspect::outcomes;

impl Runner<'_> {
    /// One greedy turn at every task of a part. Rollouts and verdicts become
    /// durable in one commit.
    pub(super) fn evaluate(&mut self, state: &RoundState, part: Split) -> Result<Done, Error> {
        let plan = planned(state);
        let round = plan.round;
        let what = if part == Split::Gate {
            "evaluating for the gate"
        } else {
            "evaluating for the report"
        };
        let tasks = self.task_set(0, part)?.tasks.len();
        self.working(round, what, 0, tasks as u64);
        let stored = self.sample(state, Batch::HeldOut(part))?;
        let verdicts = self.judged(round, Batch::HeldOut(part), &stored.records)?;
        let second = self.recheck(plan, &stored.records, &verdicts, true)?;
        let counts = second.correct(count(&stored.records, &verdicts));
        let rechecked = second.rechecked;
        let mut done = Done {
            event: RoundEvent::Evaluated { part, counts, rechecked },
            rows: self.empty_commit(),
        };
        done.rows.rollout_parts.push(stored.part);
        done.rows.rollouts = stored.rows;
        done.rows.verdicts = verdicts;
        done.rows.verdicts.extend(stored.faulted);
        done.rows.verdicts.extend(second.corrections);
        done.rows.alarms = second.alarms;
        Ok(self.taking(done, round, Batch::HeldOut(part)))
    }

    pub(super) fn decide(&mut self, state: &RoundState) -> Result<Done, Error> {
        let plan = planned(state);
        let candidate = candidate(state).clone();
        match (&plan.gate, &plan.champion) {
            (Some(_), Some(champion)) => self.ask_gate(plan, candidate, champion.clone()),
            _ => {
                let event = RoundEvent::Decided { decision: Decision::Promote, gate: None };
                let mut done = Done { event, rows: self.empty_commit() };
                done.rows.promotion = Some(Promotion {
                    expected_champion: None,
                    champion: candidate,
                    round: plan.round,
                    gate_digest: None,
                });
                Ok(done)
            }
        }
    }

    fn ask_gate(
        &self,
        plan: &RoundPlan,
        candidate: CheckpointId,
        champion: CheckpointId,
    ) -> Result<Done, Error> {
        let Some(gate) = &plan.gate else {
            return Err(self.unreadable("the plan", "it has no gate"));
        };
        let contest = Contest {
            round: plan.round,
            champion: self.policy_digest(&champion)?,
            candidate: self.policy_digest(&candidate)?,
            history: gate.history,
        };
        let pairs = self.pairs(Split::Gate, &champion, &candidate)?;
        let record = decide(&gate.config, &contest, &pairs);
        let promoted = record.is_promotion();
        let decision = record.decision.clone();
        let record = to_json("the record of a gate", &record)?;
        let said = if promoted { GateDecision::Promoted } else { GateDecision::Rejected };
        let row = GateRow::new(plan.round, (candidate.clone(), champion.clone()), said, record);
        let event = RoundEvent::Decided { decision, gate: Some(row.digest) };
        let mut done = Done { event, rows: self.empty_commit() };
        done.rows.promotion = promoted.then_some(Promotion {
            expected_champion: Some(champion),
            champion: candidate,
            round: plan.round,
            gate_digest: Some(row.digest),
        });
        done.rows.gates.push(row);
        Ok(done)
    }

    /// What both did on every task of a held-out part.
    pub(super) fn pairs(
        &self,
        part: Split,
        champion: &CheckpointId,
        candidate: &CheckpointId,
    ) -> Result<Vec<PairedOutcome>, Error> {
        let of_champion = outcomes(&self.project, &self.run.id, part, champion)?;
        let of_candidate = outcomes(&self.project, &self.run.id, part, candidate)?;
        let tasks = self.load_tasks(0, part)?;
        let pair = |(id, task): (TaskId, gyre_types::Task)| PairedOutcome {
            family: task.family,
            difficulty: task.difficulty,
            champion: Outcome::from(of_champion.get(&id)),
            candidate: Outcome::from(of_candidate.get(&id)),
            task: id,
        };
        Ok(tasks.into_iter().map(pair).collect())
    }

    fn policy_digest(&self, id: &CheckpointId) -> Result<Digest, Error> {
        let checkpoint = self.project.wait(self.project.store.checkpoint(&self.run.id, id))?;
        checkpoint
            .map(|row| row.policy_digest)
            .ok_or_else(|| self.unreadable(id.to_string(), "it is not recorded"))
    }
}

pub(super) fn candidate(state: &RoundState) -> &CheckpointId {
    state.candidate.as_ref().expect("the state machine evaluates only after training")
}
