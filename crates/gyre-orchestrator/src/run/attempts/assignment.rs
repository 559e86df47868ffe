//! What is sampled as one: the rollouts of a wave, or of a held-out part.

use std::collections::BTreeMap;
use std::ops::Range;

use gyre_env::{EpisodeSettings, EpisodeSpec};
use gyre_round::{Action, RoundState, WaveIndex};
use gyre_types::{CheckpointId, Purpose, Split, Task, TaskId};
use serde::{Deserialize, Serialize};

use super::phase::{first_sample, phase_tasks};
use crate::config::RunConfig;
use crate::error::Error;
use crate::layout::{evaluation_part, wave_part};
use crate::run::context::RunContext;
use crate::run::recorded::{candidate, champion, planned};
use crate::run::tasks::store::{TaskStore, load_tasks, missing};

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
    pub(crate) fn of(action: &Action) -> Option<Self> {
        match action {
            Action::RollOut(at) => Some(Self::Wave(*at)),
            Action::Evaluate(part) => Some(Self::HeldOut(*part)),
            _ => None,
        }
    }

    /// The name of its part, which is unique in its round.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Wave(at) => wave_part(at.phase, at.wave),
            Self::HeldOut(part) => evaluation_part(part),
        }
    }
}

/// How the tasks of a batch are attempted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum EpisodeMode {
    /// As in training, with this temperature of the first turn.
    Training(f32),
    /// As in evaluation.
    Evaluation,
}

impl EpisodeMode {
    /// The settings of its episodes.
    pub(crate) fn settings(self, config: &RunConfig) -> EpisodeSettings {
        match self {
            Self::Training(temperature) => config.training_episode(temperature),
            Self::Evaluation => config.evaluation_episode(),
        }
    }
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
    /// Jobs in the queue know it by its first name.
    #[serde(rename = "manner")]
    pub(crate) mode: EpisodeMode,
}

impl Assignment {
    /// What a batch of a round consists of.
    ///
    /// # Errors
    ///
    /// When the store fails, or there is no champion to make it.
    pub(crate) fn of(
        run: &RunContext,
        tasks: &mut TaskStore,
        state: &RoundState,
        batch: Batch,
    ) -> Result<Self, Error> {
        let plan = planned(state);
        match batch {
            Batch::Wave(at) => {
                let phase = &plan.phases[at.phase as usize];
                let per_wave = run.config.rollout.tasks_per_wave as usize;
                let tasks = phase_tasks(run, tasks, plan, at.phase)?;
                let of_wave = tasks.iter().skip(at.wave as usize * per_wave).take(per_wave);
                let first = first_sample(plan, at.phase);
                Ok(Self {
                    round: plan.round,
                    purpose: Split::Train,
                    checkpoint: champion(run)?,
                    tasks: of_wave.cloned().collect(),
                    samples: first..first + phase.samples,
                    mode: EpisodeMode::Training(phase.temperature),
                })
            }
            Batch::HeldOut(part) => Ok(Self {
                round: plan.round,
                purpose: part,
                checkpoint: candidate(state).clone(),
                tasks: load_tasks(run, 0, part)?.into_keys().collect(),
                samples: 0..1,
                mode: EpisodeMode::Evaluation,
            }),
        }
    }

    /// The round in which its tasks were made.
    pub(crate) fn tasks_round(&self) -> u32 {
        if self.purpose.is_held_out() { 0 } else { self.round }
    }

    /// Pieces of so many tasks each, in order.
    pub(crate) fn pieces(&self, tasks: u32) -> Vec<Self> {
        let piece = |tasks: &[TaskId]| Self { tasks: tasks.to_vec(), ..self.clone() };
        self.tasks.chunks(tasks.max(1) as usize).map(piece).collect()
    }

    /// Its episodes, in order.
    ///
    /// # Errors
    ///
    /// When one of its tasks is not among `tasks`.
    pub(crate) fn episodes<'t>(
        &self,
        run: &RunContext,
        tasks: &'t BTreeMap<TaskId, Task>,
    ) -> Result<Vec<EpisodeSpec<'t>>, Error> {
        let mut episodes = Vec::new();
        for id in &self.tasks {
            let task = tasks.get(id).ok_or_else(|| missing(run, id))?;
            for sample in self.samples.clone() {
                episodes.push(run.episode(self.round, self.purpose, task, sample));
            }
        }
        Ok(episodes)
    }
}
