//! Samples waves of rollouts and stores them.

use std::collections::BTreeSet;
use std::sync::Arc;

use gyre_dataset::{Source, read_part, write_part};
use gyre_env::{EpisodeOutcome, EpisodeSettings, EpisodeSpec};
use gyre_lineage::{PartRow, RolloutFilter, RolloutRow, RolloutWithVerdict, VerdictRow};
use gyre_round::{PhaseTasks, RoundEvent, RoundPlan, RoundState, WaveIndex};
use gyre_types::{
    CheckpointId, Digest, InvalidReason, Judgement, PartId, Purpose, RolloutId, RolloutRecord,
    Split, Task, TaskId, Verdict,
};

use super::batch::Batch;
use super::generate::planned;
use super::{Done, PhaseTaskIds, Runner};
use crate::error::Error;
use crate::models::{self, Model};

/// Rollouts that are read at once where all of a round are looked at.
const ROLLOUT_PAGE: u32 = 1_000;

/// A wave that was sampled and written, ready to be committed.
pub(super) struct Stored {
    pub(super) part: PartRow,
    pub(super) rows: Vec<RolloutRow>,
    pub(super) faulted: Vec<VerdictRow>,
    pub(super) records: Vec<RolloutRecord>,
}

impl Runner<'_> {
    pub(super) fn open_phase(&mut self, state: &RoundState, phase: u32) -> Result<Done, Error> {
        let plan = planned(state);
        let tasks = self.phase_tasks(plan, phase)?.len() as u32;
        let rollouts = tasks * plan.phases[phase as usize].samples;
        let waves = tasks.div_ceil(self.config.rollout.tasks_per_wave);
        Ok(Done {
            event: RoundEvent::PhaseOpened { phase, rollouts, waves },
            rows: self.empty_commit(),
        })
    }

    /// The tasks of a phase, in order of their ids. Follows from what was
    /// recorded before the phase opened, so it is the same after a crash.
    pub(super) fn phase_tasks(
        &mut self,
        plan: &RoundPlan,
        phase: u32,
    ) -> Result<Arc<[TaskId]>, Error> {
        let round = plan.round;
        let known = self.phase.as_ref().filter(|p| (p.round, p.phase) == (round, phase));
        if let Some(known) = known {
            return Ok(known.tasks.clone());
        }
        let mut tasks: Vec<_> = self.load_tasks(plan.round, Split::Train)?.into_keys().collect();
        if plan.phases[phase as usize].tasks == PhaseTasks::Unsolved {
            let solved = self.solved_before(plan, phase)?;
            tasks.retain(|task| !solved.contains(task));
        }
        let tasks: Arc<[TaskId]> = tasks.into();
        self.phase = Some(PhaseTaskIds { round, phase, tasks: tasks.clone() });
        Ok(tasks)
    }

    fn solved_before(&self, plan: &RoundPlan, phase: u32) -> Result<BTreeSet<TaskId>, Error> {
        let first = first_sample(plan, phase);
        let mut solved = BTreeSet::new();
        self.each_rollout(plan.round, |row| {
            let passed = row.verdict.as_ref().is_some_and(|v| v.verdict.is_pass());
            if row.rollout.sample < first && passed {
                solved.insert(row.rollout.task);
            }
        })?;
        Ok(solved)
    }

    pub(super) fn roll_out(&mut self, state: &RoundState, at: WaveIndex) -> Result<Done, Error> {
        let stored = self.sample(state, Batch::Wave(at))?;
        let mut done = Done {
            event: RoundEvent::WaveRolledOut {
                at,
                rollouts: stored.rows.len() as u32,
                tokens: stored.rows.iter().map(|row| row.tokens).sum(),
                fuel: stored.rows.iter().map(|row| row.fuel).sum(),
            },
            rows: self.empty_commit(),
        };
        done.rows.rollout_parts.push(stored.part);
        done.rows.rollouts = stored.rows;
        done.rows.verdicts = stored.faulted;
        Ok(done)
    }

    /// Makes rollouts, and once more those that the infrastructure failed at.
    pub(super) fn attempt(
        &self,
        model: &Model,
        settings: &EpisodeSettings,
        specs: &[EpisodeSpec<'_>],
    ) -> Vec<EpisodeOutcome> {
        models::attempt(&self.project, &self.workshop.sandbox, model, settings, specs)
    }

    pub(super) fn store_part(
        &self,
        round: u32,
        name: &str,
        made: Vec<EpisodeOutcome>,
    ) -> Result<Stored, Error> {
        let folder = self.project.data.rollouts(&self.run.id, round);
        folder.make().map_err(crate::project::io("make", &folder.path()))?;
        let faults: Vec<_> = made.iter().map(|m| m.fault.clone()).collect();
        let records: Vec<_> = made.into_iter().map(|m| m.record).collect();
        let file = write_part(&folder, name, &records)?;
        let part = PartRow {
            id: PartId::from_digest(&file.sha256),
            path: self.project.data.relative(&file.path),
            sha256: file.sha256,
            bytes: file.bytes,
            rows: file.rows,
        };
        let row = |(at, record): (usize, &RolloutRecord)| {
            RolloutRow::of(record, part.id.clone(), at as u32)
        };
        let rows = records.iter().enumerate().map(row).collect();
        let faulted = records
            .iter()
            .zip(faults)
            .filter_map(|(record, fault)| Some(self.faulted(record, fault?)))
            .collect::<Result<_, _>>()?;
        Ok(Stored { part, rows, faulted, records })
    }

    /// The verdict of a rollout that the infrastructure ended.
    pub(super) fn faulted(
        &self,
        record: &RolloutRecord,
        detail: String,
    ) -> Result<VerdictRow, Error> {
        let verdict = Verdict::Invalid { reason: InvalidReason::Infrastructure { detail } };
        let judgement = Judgement { verdict, checks: vec![], fuel: 0, guests: 0 };
        self.verdict_row(record, judgement)
    }

    pub(super) fn verdict_row(
        &self,
        record: &RolloutRecord,
        judgement: Judgement,
    ) -> Result<VerdictRow, Error> {
        let verifier = self.verifier_digest_of(&record.task)?;
        let sandbox = self.workshop.sandbox.digest();
        Ok(VerdictRow::of(record.id.clone(), judgement, verifier, sandbox))
    }

    /// The identity of what decides a task's answers.
    fn verifier_digest_of(&self, task: &TaskId) -> Result<Digest, Error> {
        if self.workshop.verifier_digests().is_empty() {
            return Ok(gyre_verify::verifier_digest());
        }
        let at_hand = self.tasks.as_ref().and_then(|set| set.tasks.get(task));
        let family = match at_hand {
            Some(admitted) => admitted.task.family.clone(),
            None => {
                let (task, _) = crate::inspect::task_with_key(&self.project, &self.run.id, task)?;
                task.family
            }
        };
        Ok(self.workshop.verifier_digest(&family))
    }

    pub(super) fn request<'a>(
        &self,
        round: u32,
        purpose: Purpose,
        task: &'a Task,
        sample: u32,
    ) -> EpisodeSpec<'a> {
        let identity =
            Digest::of_json(&("rollout", self.run.fingerprint, round, purpose, &task.id, sample));
        let at = [u64::from(round), task.digest.to_u64(), u64::from(sample)];
        EpisodeSpec {
            id: RolloutId::from_digest(&identity),
            round,
            purpose,
            task,
            sample,
            seed: self.run.seed.derive(purpose.as_str(), &at),
        }
    }

    /// Shows the training rollouts of a round to `see`, by their ids and a page at
    /// a time, so that no caller holds more of them than it keeps.
    pub(super) fn each_rollout(
        &self,
        round: u32,
        mut see: impl FnMut(RolloutWithVerdict),
    ) -> Result<(), Error> {
        let filter = RolloutFilter {
            round: Some(round),
            purpose: Some(Split::Train),
            ..RolloutFilter::default()
        };
        let (store, run) = (&self.project.store, &self.run.id);
        let mut rollouts = store.rollouts(run, &filter).rows_at_a_time(ROLLOUT_PAGE);
        while let Some(rows) = self.project.wait(rollouts.next())? {
            rows.into_iter().for_each(&mut see);
        }
        Ok(())
    }

    pub(super) fn champion(&self) -> Result<CheckpointId, Error> {
        let champion = self.project.wait(self.project.store.champion(&self.run.id))?;
        champion
            .map(|promotion| promotion.champion)
            .ok_or_else(|| self.unreadable("the champion", "no checkpoint was promoted yet"))
    }

    /// The model of a checkpoint; it is loaded unless it was the last one used.
    pub(super) fn model(&mut self, id: &CheckpointId) -> Result<Model, Error> {
        if let Some(model) = self.models.loaded(id) {
            return Ok(model);
        }
        let dir = crate::replay::checkpoint_dir(&self.project, &self.run.id, id)?;
        self.models.load(&self.project, id, &dir, &self.cancel)
    }

    /// The records of a wave, read back from its part.
    pub(super) fn read_wave(&self, round: u32, name: &str) -> Result<Vec<RolloutRecord>, Error> {
        let folder = self.project.data.rollouts(&self.run.id, round);
        let part = Source::below(&folder, format!("{name}.parquet"));
        Ok(read_part(part)?.collect::<Result<_, _>>()?)
    }
}

/// Samples are numbered on from phase to phase, so that each is unique in its round.
pub(super) fn first_sample(plan: &RoundPlan, phase: u32) -> u32 {
    plan.phases[..phase as usize].iter().map(|phase| phase.samples).sum()
}
