//! Makes the rollouts of batches, here or by workers, and stores them.

use gyre_round::{RoundEvent, RoundState, WaveIndex};

use super::assignment::{Assignment, Batch};
use super::attempter::Attempter;
use super::part_file::{StoredPart, store_part};
use super::pipeline::{Making, Pipeline};
use crate::error::Error;
use crate::progress::Observer;
use crate::run::context::RunContext;
use crate::run::event_log::LogEntry;
use crate::run::fleet::gather::Gathering;
use crate::run::fleet::handle::Fleet;
use crate::run::tasks::store::{TaskStore, load_tasks};

/// Makes the rollouts of batches: by the workers of `fleet`, or here where there is
/// none.
pub(crate) struct Sampler<'a> {
    pub(crate) run: &'a RunContext,
    pub(crate) tasks: &'a mut TaskStore,
    pub(crate) attempter: &'a mut Attempter,
    pub(crate) pipeline: &'a mut Pipeline,
    pub(crate) fleet: Option<&'a mut Fleet>,
    pub(crate) observer: &'a mut dyn Observer,
}

impl Sampler<'_> {
    /// Makes the rollouts of a wave.
    ///
    /// # Errors
    ///
    /// See [`Sampler::sample`].
    pub(crate) fn roll_out(
        &mut self,
        state: &RoundState,
        at: WaveIndex,
    ) -> Result<LogEntry, Error> {
        let stored = self.sample(state, Batch::Wave(at))?;
        let event = RoundEvent::WaveRolledOut {
            at,
            rollouts: stored.rows.len() as u32,
            tokens: stored.rows.iter().map(|row| row.tokens).sum(),
            fuel: stored.rows.iter().map(|row| row.fuel).sum(),
            faulted: stored.faulted.len() as u32,
            usage: self.run.usage(&stored.records),
        };
        let mut entry = LogEntry::new(self.run, event);
        entry.rows.rollout_parts.push(stored.part);
        entry.rows.rollouts = stored.rows;
        entry.rows.verdicts = stored.faulted;
        Ok(entry)
    }

    /// Makes the rollouts of a batch, and once more those that the infrastructure
    /// failed at. A rollout keeps its identity over all.
    ///
    /// # Errors
    ///
    /// When model, workers, store or disk fail, and [`Error::Interrupted`].
    pub(crate) fn sample(&mut self, state: &RoundState, batch: Batch) -> Result<StoredPart, Error> {
        let run = self.run;
        let assignment = Assignment::of(run, self.tasks, state, batch)?;
        let tasks = load_tasks(run, assignment.tasks_round(), assignment.purpose)?;
        let made = match &mut self.fleet {
            Some(fleet) => {
                let episodes = assignment.episodes(run, &tasks)?;
                let (tasks, observer) = (&mut *self.tasks, &mut *self.observer);
                Gathering { run, fleet, tasks, observer }.gather(state, batch, &episodes)?
            }
            None => {
                let (tasks, attempter) = (&mut *self.tasks, &mut *self.attempter);
                let mut making = Making { run, tasks, attempter };
                self.pipeline.make(&mut making, state, (batch, &assignment))?
            }
        };
        store_part(run, (assignment.round, &batch.name()), &tasks, made)
    }
}
