//! What is sampled as one: the rollouts of a wave, or of a held-out part.

use std::collections::BTreeMap;
use std::ops::Range;

use gyre_env::{EpisodeOutcome, EpisodeSettings, EpisodeSpec};
use gyre_lineage::VerdictRow;
use gyre_round::{Action, RoundState, WaveIndex};
use gyre_types::{CheckpointId, Judgement, Purpose, RolloutRecord, Split, Task, TaskId};
use serde::{Deserialize, Serialize};

use super::evaluate::candidate;
use super::fleet::Said;
use super::generate::planned;
use super::roll_out::{Stored, first_sample};
use super::{Done, Runner};
use crate::error::Error;
use crate::layout::{evaluation_part, wave_part};
use crate::models::Model;

/// A batch of rollouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batch {
    /// A wave of a phase.
    Wave(WaveIndex),
    /// A held-out part.
    HeldOut(Split),
}

impl Batch {
    /// The batch that an action samples, if it does.
    pub(super) fn of(action: &Action) -> Option<Self> {
        match action {
            Action::RollOut(at) => Some(Self::Wave(*at)),
            Action::Evaluate(part) => Some(Self::HeldOut(*part)),
            _ => None,
        }
    }

    /// The name of its part, which is unique in its round.
    pub(super) fn name(self) -> String {
        match self {
            Self::Wave(at) => wave_part(at.phase, at.wave),
            Self::HeldOut(part) => evaluation_part(part),
        }
    }
}

/// How the tasks of a batch are attempted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Manner {
    /// As in training, with this temperature of the first turn.
    Training(f32),
    /// As in evaluation.
    Evaluation,
}

/// All that decides which rollouts a batch, or a piece of one, consists of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) round: u32,
    pub(crate) purpose: Purpose,
    /// Who acts.
    pub(crate) checkpoint: CheckpointId,
    /// In order.
    pub(crate) tasks: Vec<TaskId>,
    pub(crate) samples: Range<u32>,
    pub(crate) manner: Manner,
}

impl Assignment {
    /// The round in which its tasks were made.
    pub(crate) fn tasks_round(&self) -> u32 {
        if self.purpose.is_held_out() { 0 } else { self.round }
    }

    /// Pieces of so many tasks each, in order.
    pub(crate) fn pieces(&self, tasks: u32) -> Vec<Self> {
        let piece = |tasks: &[TaskId]| Self { tasks: tasks.to_vec(), ..self.clone() };
        self.tasks.chunks(tasks.max(1) as usize).map(piece).collect()
    }
}

impl Runner<'_> {
    /// What a batch consists of.
    pub(super) fn assignment(
        &mut self,
        state: &RoundState,
        batch: Batch,
    ) -> Result<Assignment, Error> {
        let plan = planned(state);
        match batch {
            Batch::Wave(at) => {
                let phase = &plan.phases[at.phase as usize];
                let per_wave = self.config.rollout.tasks_per_wave as usize;
                let tasks = self.phase_tasks(plan, at.phase)?;
                let of_wave = tasks.iter().skip(at.wave as usize * per_wave).take(per_wave);
                let first = first_sample(plan, at.phase);
                Ok(Assignment {
                    round: plan.round,
                    purpose: Split::Train,
                    checkpoint: self.champion()?,
                    tasks: of_wave.cloned().collect(),
                    samples: first..first + phase.samples,
                    manner: Manner::Training(phase.temperature),
                })
            }
            Batch::HeldOut(part) => Ok(Assignment {
                round: plan.round,
                purpose: part,
                checkpoint: candidate(state).clone(),
                tasks: self.load_tasks(0, part)?.into_keys().collect(),
                samples: 0..1,
                manner: Manner::Evaluation,
            }),
        }
    }

    /// The rollouts of an assignment, in order.
    pub(super) fn requests<'a>(
        &self,
        assignment: &Assignment,
        tasks: &'a BTreeMap<TaskId, Task>,
    ) -> Result<Vec<EpisodeSpec<'a>>, Error> {
        let mut requests = Vec::new();
        for id in &assignment.tasks {
            let task = tasks.get(id).ok_or_else(|| {
                self.unreadable(id.to_string(), "it is not among the round's tasks")
            })?;
            for sample in assignment.samples.clone() {
                requests.push(self.request(assignment.round, assignment.purpose, task, sample));
            }
        }
        Ok(requests)
    }

    pub(super) fn manner(&self, manner: Manner) -> EpisodeSettings {
        match manner {
            Manner::Training(temperature) => self.config.training_episode(temperature),
            Manner::Evaluation => self.config.evaluation_episode(),
        }
    }

    /// Makes the rollouts of a batch, here or by workers, and once more those
    /// that the infrastructure failed at. A rollout keeps its identity over all.
    pub(super) fn sample(&mut self, state: &RoundState, batch: Batch) -> Result<Stored, Error> {
        let assignment = self.assignment(state, batch)?;
        let tasks = self.load_tasks(assignment.tasks_round(), assignment.purpose)?;
        let requests = self.requests(&assignment, &tasks)?;
        let made = if self.uses_workers() {
            self.gather(state, batch, &requests)?
        } else {
            let model = self.model(&assignment.checkpoint)?;
            self.attempt(&model, &self.manner(assignment.manner), &requests)
        };
        self.store_part(assignment.round, &batch.name(), made)
    }

    /// Makes and judges the rollouts of a piece: a worker's whole work.
    pub(crate) fn make_piece(
        &mut self,
        assignment: &Assignment,
        model: &Model,
    ) -> Result<(Vec<RolloutRecord>, Said), Error> {
        let set = self.task_set(assignment.tasks_round(), assignment.purpose)?;
        let of_piece = |id: &TaskId| Some((id.clone(), set.tasks.get(id)?.task.clone()));
        let tasks: BTreeMap<_, _> = assignment.tasks.iter().filter_map(of_piece).collect();
        let requests = self.requests(assignment, &tasks)?;
        let made = self.attempt(model, &self.manner(assignment.manner), &requests);
        let fault = |(at, made): (u32, &EpisodeOutcome)| Some((at, made.fault.clone()?));
        let faults = (0u32..).zip(&made).filter_map(fault).collect();
        let records: Vec<_> = made.into_iter().map(|made| made.record).collect();
        let judgement = |row: VerdictRow| Judgement {
            verdict: row.verdict,
            checks: row.checks,
            fuel: row.fuel,
            guests: row.guests,
        };
        let judgements = self.judge_records(&records)?.into_iter().map(judgement).collect();
        Ok((records, Said { faults, judgements }))
    }

    /// What is said of a batch's rollouts, here or by those who made them.
    pub(super) fn judged(
        &self,
        round: u32,
        batch: Batch,
        records: &[RolloutRecord],
    ) -> Result<Vec<VerdictRow>, Error> {
        let brought = if self.uses_workers() { self.brought(round, batch, records)? } else { None };
        match brought {
            Some(verdicts) => {
                self.stop_on_fault(records, &verdicts)?;
                Ok(verdicts)
            }
            None => self.judge_records(records),
        }
    }

    /// Takes a batch from the workers' hands, in the commit that records what was
    /// said of it: whoever made it, what they bring from here on comes too late.
    pub(super) fn taking(&self, mut done: Done, round: u32, batch: Batch) -> Done {
        done.rows.taken = Some((round, batch.name()));
        done
    }
}
