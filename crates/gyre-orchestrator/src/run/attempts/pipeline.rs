//! The rollouts that this process makes: phase by phase, and part by part.

use std::collections::BTreeMap;

use gyre_env::EpisodeOutcome;
use gyre_lineage::VerdictRow;
use gyre_round::{RoundState, WaveIndex};
use gyre_types::{Judgement, RolloutId, RolloutRecord, StopReason};

use super::ahead::{Ahead, Attempt, EpisodePlan, PlannedEpisode};
use super::assignment::{Assignment, Batch};
use super::attempter::Attempter;
use crate::checkpoints::weights_of;
use crate::error::Error;
use crate::run::context::RunContext;
use crate::run::recorded::planned;
use crate::run::tasks::store::TaskStore;
use crate::run::verdicts::judge::Judge;

/// Makes rollouts here, and keeps what is under way from one commit to the next.
#[derive(Default)]
pub(crate) struct Pipeline {
    phase: Option<PhaseAhead>,
    /// Judgements of the rollouts last made.
    judged: BTreeMap<RolloutId, Judgement>,
}

/// A phase whose rollouts are under way.
struct PhaseAhead {
    round: u32,
    phase: u32,
    /// The wave whose rollouts are the next ones.
    wave: u32,
    /// The place of its first rollout.
    place: usize,
    ahead: Ahead,
}

/// What the pipeline makes rollouts with.
pub(crate) struct Making<'a> {
    pub(crate) run: &'a RunContext,
    pub(crate) tasks: &'a mut TaskStore,
    pub(crate) attempter: &'a mut Attempter,
}

impl Pipeline {
    /// Makes the rollouts of a batch, in order, and judges them.
    ///
    /// # Errors
    ///
    /// When the model, the store or the disk fails.
    pub(crate) fn make(
        &mut self,
        making: &mut Making<'_>,
        state: &RoundState,
        (batch, assignment): (Batch, &Assignment),
    ) -> Result<Vec<EpisodeOutcome>, Error> {
        self.judged.clear();
        let count = assignment.tasks.len() * assignment.samples.len();
        let attempts = match batch {
            Batch::Wave(at) => self.wave(making, state, at, count)?,
            Batch::HeldOut(_) => {
                // Nothing of a phase is of use any more.
                self.phase = None;
                let mut ahead = making.start(std::slice::from_ref(assignment))?;
                ahead.take(making.run, making.attempter, 0..count)?
            }
        };
        let mut made = Vec::with_capacity(attempts.len());
        for Attempt { outcome, judgement } in attempts {
            if let Some(judgement) = judgement {
                self.judged.insert(outcome.record.id.clone(), judgement);
            }
            made.push(outcome);
        }
        Ok(made)
    }

    fn wave(
        &mut self,
        making: &mut Making<'_>,
        state: &RoundState,
        at: WaveIndex,
        count: usize,
    ) -> Result<Vec<Attempt>, Error> {
        let round = planned(state).round;
        let is_next = |of: &PhaseAhead| (of.round, of.phase, of.wave) == (round, at.phase, at.wave);
        // What fails here is not gone on with: the next start makes it again.
        let mut phase = match self.phase.take().filter(is_next) {
            Some(phase) => phase,
            None => making.phase(state, at)?,
        };
        let places = phase.place..phase.place + count;
        let attempts = phase.ahead.take(making.run, making.attempter, places)?;
        phase.wave += 1;
        phase.place += count;
        if at.wave + 1 < state.phases[at.phase as usize].waves {
            self.phase = Some(phase);
        }
        Ok(attempts)
    }

    /// Gives up what is under way.
    pub(crate) fn stop(&mut self) {
        self.phase = None;
    }

    /// The verdicts on rollouts that were made last, where each has its judgement.
    ///
    /// # Errors
    ///
    /// When a rollout is of no task of the judge's set, and where a verifier's fault
    /// stops the run.
    pub(crate) fn verdicts(
        &mut self,
        judge: &Judge<'_>,
        records: &[RolloutRecord],
    ) -> Result<Option<Vec<VerdictRow>>, Error> {
        let open: Vec<_> = records.iter().filter(|r| r.stop != StopReason::Faulted).collect();
        let mut judged = std::mem::take(&mut self.judged);
        let mut verdicts = Vec::with_capacity(open.len());
        for record in open {
            let Some(judgement) = judged.remove(&record.id) else { return Ok(None) };
            verdicts.push(judge.row(record, judgement)?);
        }
        judge.stop_on_fault(records, &verdicts)?;
        Ok(Some(verdicts))
    }
}

impl Making<'_> {
    /// The rollouts of a phase from a wave on.
    fn phase(&mut self, state: &RoundState, at: WaveIndex) -> Result<PhaseAhead, Error> {
        let waves = at.wave..state.phases[at.phase as usize].waves;
        let assignment = |wave| {
            Assignment::of(self.run, self.tasks, state, Batch::Wave(WaveIndex { wave, ..at }))
        };
        let assignments = waves.map(assignment).collect::<Result<Vec<_>, _>>()?;
        let ahead = self.start(&assignments)?;
        let round = planned(state).round;
        Ok(PhaseAhead { round, phase: at.phase, wave: at.wave, place: 0, ahead })
    }

    /// The rollouts of assignments of one round, purpose, model and mode, in order.
    fn start(&mut self, assignments: &[Assignment]) -> Result<Ahead, Error> {
        let run = self.run;
        let nothing = || run.unreadable("the round", "it has nothing to attempt");
        let first = assignments.first().ok_or_else(nothing)?;
        let find = || weights_of(&run.project, run.id(), &first.checkpoint);
        let model = self.attempter.model(&first.checkpoint, find, &run.cancel)?;
        let set = self.tasks.set(run, first.tasks_round(), first.purpose)?;
        let mut episodes = Vec::new();
        for assignment in assignments {
            for id in &assignment.tasks {
                let task = &set.get(run, id)?.task;
                for sample in assignment.samples.clone() {
                    let spec = run.episode(first.round, first.purpose, task, sample);
                    let (id, seed, task) = (spec.id, spec.seed, id.clone());
                    episodes.push(PlannedEpisode { id, task, sample, seed });
                }
            }
        }
        let settings = first.mode.settings(&run.config);
        let (round, purpose) = (first.round, first.purpose);
        let plan = EpisodePlan { round, purpose, settings, set, episodes };
        Ok(Ahead::start(run, model, plan))
    }
}
