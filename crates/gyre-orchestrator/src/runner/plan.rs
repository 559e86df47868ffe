//! Makes the plan of a round from what is recorded of the rounds before.

use std::collections::BTreeMap;

use gyre_round::{
    CurriculumState, GateHistory, GatePlan, GateRecord, Observation, PhasePlan, PhaseTasks,
    PlanVersion, RoundEvent, RoundPlan, plan_round, skill_weights,
};
use gyre_types::{Seed, Split, Task};

use super::{Done, Runner, round_events};
use crate::error::Error;

impl Runner<'_> {
    pub(super) fn plan(&mut self, round: u32) -> Result<Done, Error> {
        let plan = if round == 0 { self.base_plan() } else { self.round_plan(round)? };
        let event = RoundEvent::Planned { plan: Box::new(plan) };
        Ok(Done { event, rows: self.empty_commit() })
    }

    fn base_plan(&self) -> RoundPlan {
        RoundPlan {
            version: PlanVersion,
            round: 0,
            seed: self.round_seed(0),
            fingerprint: self.run.fingerprint,
            champion: None,
            sandbox: self.workshop.sandbox.digest(),
            verifier: gyre_verify::verifier_digest(),
            verifiers: self.workshop.verifier_digests(),
            families: self.workshop.family_digests(),
            slots: vec![],
            curriculum: CurriculumState::default(),
            skill_weights: BTreeMap::new(),
            phases: vec![],
            curation: self.config.curation.clone(),
            gate: None,
            guards: Some(self.config.guards()),
        }
    }

    fn round_plan(&self, round: u32) -> Result<RoundPlan, Error> {
        let config = &self.config;
        let seed = self.round_seed(round);
        let curriculum = self.curriculum_after(round - 1)?;
        let families = config.curriculum.families.iter().map(|family| &family.family);
        let weights = |family: &String| {
            (family.clone(), skill_weights(&config.curriculum, &curriculum, family))
        };
        let count = config.rollout.tasks_per_round;
        Ok(RoundPlan {
            champion: Some(self.champion()?),
            seed,
            round,
            slots: plan_round(&config.curriculum, &curriculum, round, seed, count),
            skill_weights: families.map(weights).collect(),
            curriculum,
            phases: self.phases(),
            gate: Some(GatePlan {
                config: config.gate.clone(),
                history: self.gate_history(round)?,
            }),
            ..self.base_plan()
        })
    }

    fn phases(&self) -> Vec<PhasePlan> {
        let rollout = &self.config.rollout;
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

    fn round_seed(&self, round: u32) -> Seed {
        self.run.seed.derive("round", &[u64::from(round)])
    }

    /// What is known of the policy's pass rates after a round: the state in its
    /// plan, and what its first phase showed. Later phases sample unsolved tasks
    /// alone, which would make hard tasks look harder.
    fn curriculum_after(&self, round: u32) -> Result<CurriculumState, Error> {
        let state = self.recorded_state(round)?;
        let Some(plan) = state.plan else { return Ok(CurriculumState::default()) };
        let Some(first) = plan.phases.first() else { return Ok(plan.curriculum) };
        let tasks = self.load_tasks(round, Split::Train)?;
        let mut seen = Vec::new();
        self.each_rollout(round, |row| {
            let Some(verdict) = row.verdict.map(|row| row.verdict) else { return };
            if row.rollout.sample < first.samples && !verdict.is_invalid() {
                seen.push((tasks.get(&row.rollout.task), verdict.is_pass()));
            }
        })?;
        let observations = seen.into_iter().filter_map(|(task, passed)| {
            let Task { family, difficulty, skills, .. } = task?;
            Some(Observation { family, difficulty: *difficulty, skills, passed })
        });
        Ok(plan.curriculum.after_round(&self.config.curriculum, observations))
    }

    fn gate_history(&self, round: u32) -> Result<GateHistory, Error> {
        let mut history = GateHistory::default();
        for past in 1..round {
            let events = round_events(&self.project, &self.run, past)?;
            let decided =
                events.iter().any(|(_, event)| matches!(event, RoundEvent::Decided { .. }));
            if decided {
                history = history.after(&self.gate_record(past)?);
            }
        }
        Ok(history)
    }

    pub(super) fn gate_record(&self, round: u32) -> Result<GateRecord, Error> {
        let gate = crate::inspect::gate(&self.project, &self.run.id, round)?;
        let what = || format!("the gate of round {round}");
        let gate = gate.ok_or_else(|| self.unreadable(what(), "it is missing"))?;
        serde_json::from_value(gate.record).map_err(|error| self.unreadable(what(), error))
    }
}
