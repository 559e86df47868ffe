//! Gives the rollouts of a run to workers, and waits for them.

use std::collections::HashSet;
use std::time::Duration;

use gyre_env::{EpisodeOutcome, EpisodeSpec};
use gyre_lineage::{WorkOffer, WorkRow, WorkState};
use gyre_queue::Job;
use gyre_round::RoundState;
use gyre_types::CheckpointId;

use super::deliveries::{Fetched, LostResult, fetch};
use super::handle::Fleet;
use super::piece::Piece;
use crate::checkpoints::{checkpoint_row, find};
use crate::error::Error;
use crate::progress::{Observer, working};
use crate::run::attempts::assignment::{Assignment, Batch};
use crate::run::context::RunContext;
use crate::run::tasks::store::TaskStore;
use crate::weights::{Found, Weights};

/// How often the driver looks for results.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Looks between two questions of whether a piece failed for good, or nobody works.
const LOOKS_PER_QUESTION: u32 = 20;
/// A worker that was silent for so long is taken for gone.
const SILENT_MS: i64 = 30_000;

/// How often a driver gives one piece out again because its result cannot be
/// read: a store that loses it more often does not keep what is put there.
const AGAIN_MAX: u32 = 3;

/// Has workers make rollouts.
pub(crate) struct Gathering<'a> {
    pub(crate) run: &'a RunContext,
    pub(crate) fleet: &'a mut Fleet,
    pub(crate) tasks: &'a mut TaskStore,
    pub(crate) observer: &'a mut dyn Observer,
}

impl Gathering<'_> {
    /// Has workers make a batch, and gives its rollouts in order. All that is
    /// outstanding beside it is offered too, so that no worker waits.
    ///
    /// # Errors
    ///
    /// When a piece failed for as often as it may, a result stays unreadable, the
    /// database or a store fails, and [`Error::Interrupted`].
    pub(crate) fn gather(
        &mut self,
        state: &RoundState,
        batch: Batch,
        episodes: &[EpisodeSpec<'_>],
    ) -> Result<Vec<EpisodeOutcome>, Error> {
        for other in state.outstanding().iter().filter_map(Batch::of) {
            self.offer(state, other)?;
        }
        let Some(plan) = &state.plan else { return Ok(vec![]) };
        let made = loop {
            self.wait_for(plan.round, &batch.name())?;
            match fetch(self.run, self.fleet, plan.round, batch)? {
                Fetched::All(made) => break made,
                Fetched::Unreadable(lost) => self.reopen(state, batch, lost)?,
            }
        };
        let same = made.len() == episodes.len()
            && made.iter().zip(episodes).all(|(made, asked)| {
                made.record.id == asked.id && made.record.task == asked.task.id
            });
        if !same {
            let what = format!("what workers delivered for {}", batch.name());
            let why = "these are not the rollouts that were asked for";
            return Err(self.run.unreadable(what, why));
        }
        Ok(made)
    }

    /// Puts into the store what a worker needs to load a checkpoint: its files, and
    /// those of the checkpoint below an adapter.
    fn put_checkpoint(&self, checkpoint: &CheckpointId) -> Result<(), Error> {
        let run = self.run;
        let put = |id: &CheckpointId| -> Result<Found, Error> {
            let row = checkpoint_row(&run.project, run.id(), id)?;
            let found = find(&run.project, run.id(), id)?;
            self.fleet.objects.put_checkpoint(&row.digest, &found.folder)?;
            Ok(found)
        };
        Weights::of(put(checkpoint)?, put).map(drop)
    }

    fn offer(&mut self, state: &RoundState, batch: Batch) -> Result<(), Error> {
        let run = self.run;
        let assignment = Assignment::of(run, self.tasks, state, batch)?;
        let (round, name) = (assignment.round, batch.name());
        if self.fleet.offered.contains(&(round, name.clone())) {
            return Ok(());
        }
        let checkpoint = &assignment.checkpoint;
        self.put_checkpoint(checkpoint)?;
        let pieces = assignment.pieces(run.config.workers.tasks_per_piece);
        let offer = WorkOffer {
            run: run.id(),
            epoch: self.fleet.epoch,
            round,
            batch: &name,
            pieces: pieces.len() as u32,
            at_ms: (run.clock)(),
        };
        let missing = run.wait(run.store().offer_work(&offer))?;
        self.push(batch, pieces, &missing)?;
        self.fleet.offered.insert((round, name));
        Ok(())
    }

    /// Puts the jobs of some pieces of a batch into the queue.
    fn push(&self, batch: Batch, pieces: Vec<Assignment>, wanted: &[u32]) -> Result<(), Error> {
        let (run, fleet) = (self.run, &*self.fleet);
        let numbered = (0u32..).zip(pieces).filter(|(piece, _)| wanted.contains(piece));
        let job = |(piece, assignment): (u32, Assignment)| {
            let (id, batch_name) = (run.id().clone(), batch.name());
            let offer = fleet.epoch;
            let piece = Piece { run: id, batch: batch_name, piece, offer, assignment };
            let body = serde_json::to_value(&piece)
                .map_err(|error| run.unreadable(format!("piece {}", piece.piece), error))?;
            Ok(Job {
                key: fleet.job_key(&piece.key()),
                urgency: urgency(batch, piece.piece),
                attempts_max: run.config.workers.attempts_max,
                body,
            })
        };
        let jobs = numbered.map(job).collect::<Result<Vec<_>, Error>>()?;
        Ok(run.wait(fleet.queue.push(jobs))?)
    }

    /// Gives pieces out again whose results are recorded and cannot be read.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] where that happens to one piece again and again: the
    /// object store does not keep what is put there.
    fn reopen(
        &mut self,
        state: &RoundState,
        batch: Batch,
        lost: Vec<LostResult>,
    ) -> Result<(), Error> {
        let run = self.run;
        let mut pieces = Vec::new();
        for LostResult { key, epoch, path, why } in lost {
            let times = self.fleet.again.entry(key.clone()).or_default();
            if *times >= AGAIN_MAX {
                let why = format!("{why}, although its piece was made {} times", AGAIN_MAX + 1);
                return Err(Error::Object { doing: "read", name: path, why });
            }
            *times += 1;
            tracing::warn!(object = path, why, "a result cannot be read: its piece is made again");
            run.wait(run.store().reopen_work(&key, self.fleet.epoch, epoch, why))?;
            pieces.push(key.piece);
        }
        let all = Assignment::of(run, self.tasks, state, batch)?;
        self.push(batch, all.pieces(run.config.workers.tasks_per_piece), &pieces)
    }

    /// Waits until every piece of a batch is there.
    fn wait_for(&mut self, round: u32, name: &str) -> Result<(), Error> {
        let run = self.run;
        let mut looks = 0u32;
        loop {
            let (done, all) = run.wait(run.store().work_done(run.id(), round, name))?;
            if done == all && all > 0 {
                return Ok(());
            }
            run.check_cancelled()?;
            if looks % LOOKS_PER_QUESTION == LOOKS_PER_QUESTION - 1 {
                self.stop_on_dead(round, name)?;
                self.warn_if_alone(looks)?;
            }
            let (done, all) = (u64::from(done), u64::from(all));
            working(self.observer, round, "waiting for workers", done, all);
            run.project.pause(LOOK_EVERY);
            looks += 1;
        }
    }

    /// Stops where a piece failed for as often as it may.
    fn stop_on_dead(&self, round: u32, name: &str) -> Result<(), Error> {
        let (run, fleet) = (self.run, &*self.fleet);
        let dead: HashSet<String> =
            run.wait(fleet.queue.dead())?.into_iter().map(|job| job.key).collect();
        if dead.is_empty() {
            return Ok(());
        }
        let rows = run.wait(run.store().work(run.id(), round, name))?;
        let open = |row: &&WorkRow| matches!(row.state, WorkState::Offered | WorkState::Claimed);
        let is_dead = |row: &&WorkRow| dead.contains(&fleet.job_key(&row.key));
        match rows.iter().filter(open).find(is_dead) {
            None => Ok(()),
            Some(row) => Err(Error::DeadWork {
                run: run.id().clone(),
                round,
                batch: name.to_owned(),
                worker: row.worker.clone(),
                why: row.detail.clone(),
            }),
        }
    }

    /// Says once in a while that nobody works.
    fn warn_if_alone(&self, looks: u32) -> Result<(), Error> {
        let run = self.run;
        let now = (run.clock)();
        let workers = run.wait(run.store().workers(1))?;
        let is_alive = workers.iter().any(|worker| now - worker.last_seen_ms < SILENT_MS);
        if !is_alive && looks % (LOOKS_PER_QUESTION * 5) == LOOKS_PER_QUESTION - 1 {
            tracing::warn!("no worker answers: start some with `gyre worker` on the same database");
        }
        Ok(())
    }
}

/// What a driver waits for first is the most urgent: earlier waves, the gate's part.
fn urgency(batch: Batch, piece: u32) -> u32 {
    const MOST: u32 = 1_000_000;
    let place = match batch {
        Batch::Wave(at) => at.wave.saturating_mul(1_000),
        Batch::HeldOut(gyre_types::Split::Gate) => 0,
        Batch::HeldOut(_) => 100_000,
    };
    MOST.saturating_sub(place.saturating_add(piece))
}
