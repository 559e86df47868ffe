//! Gives the rollouts of a run to workers, and takes in what they bring.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use gyre_dataset::read_part;
use gyre_lineage::{
    DatabaseUrl, Delivery, FleetRow, VerdictRow, WorkKey, WorkOffer, WorkRow, WorkState,
};
use gyre_queue::{Job, Location, Pulse, Queue};
use gyre_rollout::{RolledOut, RolloutRequest};
use gyre_round::RoundState;
use gyre_types::{Digest, Judgement, RolloutRecord, RunId, StopReason};
use serde::{Deserialize, Serialize};

use super::Runner;
use super::batch::{Assignment, Batch};
use crate::error::Error;
use crate::objects::Objects;
use crate::project::{Project, io};
use crate::worker_settings::WorkerMode;

/// How often is looked for results.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Looks between two questions of whether a piece failed for good, or nobody works.
const LOOKS_PER_QUESTION: u32 = 20;
/// A worker that was not heard of for so long is taken for gone.
const SILENT_MS: i64 = 30_000;

/// The version that workers must be.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The queue of those who can work together: of one version, with one sandbox.
pub(crate) fn queue_name(sandbox: &Digest) -> String {
    format!("gyre-{VERSION}-{}", sandbox.short())
}

/// Where the queue of a lineage is kept: beside its file, or on its server.
pub(crate) fn queue_location(url: &DatabaseUrl) -> Location {
    match url {
        DatabaseUrl::Sqlite(path) => Location::Sqlite(path.with_file_name("queue.db")),
        DatabaseUrl::Postgres(text) => {
            Location::Postgres { url: text.clone(), shown: url.to_string() }
        }
    }
}

/// What a worker is given to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) run: RunId,
    pub(crate) batch: String,
    pub(crate) piece: u32,
    /// The lease of the driver that offers it.
    pub(crate) offer: u64,
    pub(crate) assignment: Assignment,
}

impl Piece {
    pub(crate) fn key(&self) -> WorkKey {
        let (run, batch) = (self.run.clone(), self.batch.clone());
        WorkKey { run, round: self.assignment.round, batch, piece: self.piece }
    }
}

/// What a worker says of the rollouts that it brings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Said {
    /// What the infrastructure failed at, by the rollout's place.
    pub(crate) faults: BTreeMap<u32, String>,
    /// Of all others, in order.
    pub(crate) judgements: Vec<Judgement>,
}

/// The workers of a run, as its driver has them.
pub(super) struct Fleet {
    project: Project,
    run: RunId,
    epoch: u64,
    queue: Arc<dyn Queue>,
    objects: Objects,
    /// Batches that this driver offered.
    offered: HashSet<(u32, String)>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let closed = self.project.wait(self.project.store.close_fleet(&self.run, self.epoch));
        if let Err(error) = closed {
            tracing::debug!(%error, "workers were not told that the run's driver ended");
        }
    }
}

impl Runner<'_> {
    /// Whether workers make this run's rollouts. A worker itself asks nobody.
    pub(super) fn uses_workers(&self) -> bool {
        self.config.workers.mode == WorkerMode::Queue && self.lease.is_some()
    }

    /// Tells workers that they are wanted.
    pub(super) fn open_fleet(&mut self) -> Result<(), Error> {
        let Some(epoch) = self.lease.as_ref().map(super::lease::HeldLease::epoch) else {
            return Ok(());
        };
        if self.fleet.is_some() || !self.uses_workers() {
            return Ok(());
        }
        let project = self.project.clone();
        let store = self.config.workers.store.as_deref();
        let objects = Objects::open(store, &project.data, project.runtime())?;
        let sandbox = self.workshop.sandbox.digest();
        let location = queue_location(project.store.url());
        let name = queue_name(&sandbox);
        let opening = gyre_queue::open(&location, &name, Pulse::default());
        let queue = project.wait(opening)?;
        let run = self.run.id.clone();
        let asked =
            FleetRow { run: run.clone(), version: VERSION.to_owned(), sandbox_digest: sandbox };
        project.wait(project.store.open_fleet(&asked, epoch))?;
        let named = project.wait(project.store.work_paths(&run))?.into_iter().collect();
        objects.sweep(&run, &named)?;
        self.fleet = Some(Fleet { project, run, epoch, queue, objects, offered: HashSet::new() });
        Ok(())
    }

    /// The object store that gets what this run publishes: that of its workers,
    /// or one that its configuration names.
    pub(super) fn objects(&self) -> Result<Option<Objects>, Error> {
        match (&self.fleet, &self.config.workers.store) {
            (Some(fleet), _) => Ok(Some(fleet.objects.clone())),
            (None, Some(named)) if self.lease.is_some() => {
                let project = &self.project;
                Objects::open(Some(named), &project.data, project.runtime()).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn fleet(&self) -> Result<&Fleet, Error> {
        self.fleet.as_ref().ok_or_else(|| self.unreadable("the fleet", "it is not open"))
    }

    /// Has workers make a batch, and gives its rollouts in order. All that is
    /// outstanding beside it is offered too, so that no worker waits.
    pub(super) fn gather(
        &mut self,
        state: &RoundState,
        batch: Batch,
        requests: &[RolloutRequest<'_>],
    ) -> Result<Vec<RolledOut>, Error> {
        self.open_fleet()?;
        for other in state.outstanding().iter().filter_map(Batch::of) {
            self.offer(state, other)?;
        }
        let Some(plan) = &state.plan else { return Ok(vec![]) };
        self.wait_for(plan.round, &batch.name())?;
        let made = self.fetch(plan.round, batch)?;
        let same = made.len() == requests.len()
            && made.iter().zip(requests).all(|(made, asked)| {
                made.record.id == asked.id && made.record.task == asked.task.id
            });
        if !same {
            let what = format!("what workers brought for {}", batch.name());
            return Err(self.unreadable(what, "these are not the rollouts that were asked for"));
        }
        Ok(made)
    }

    fn offer(&mut self, state: &RoundState, batch: Batch) -> Result<(), Error> {
        let assignment = self.assignment(state, batch)?;
        let (round, name) = (assignment.round, batch.name());
        if self.fleet()?.offered.contains(&(round, name.clone())) {
            return Ok(());
        }
        let checkpoint = assignment.checkpoint.clone();
        let dir = crate::replay::checkpoint_dir(&self.project, &self.run.id, &checkpoint)?;
        let row = self.project.wait(self.project.store.checkpoint(&self.run.id, &checkpoint))?;
        let row = row.ok_or_else(|| self.unreadable(checkpoint.to_string(), "it is missing"))?;
        let fleet = self.fleet()?;
        fleet.objects.put_checkpoint(&row.digest, &dir)?;
        let settings = &self.config.workers;
        let pieces = assignment.pieces(settings.tasks_per_piece);
        let offer = WorkOffer {
            run: &self.run.id,
            epoch: fleet.epoch,
            round,
            batch: &name,
            pieces: pieces.len() as u32,
            at_ms: (self.clock)(),
        };
        let missing = self.project.wait(self.project.store.offer_work(&offer))?;
        let job = |(piece, assignment): (u32, Assignment)| {
            let piece = Piece {
                run: self.run.id.clone(),
                batch: name.clone(),
                piece,
                offer: fleet.epoch,
                assignment,
            };
            Job {
                key: job_key(&piece),
                urgency: urgency(batch, piece.piece),
                attempts_max: settings.attempts_max,
                body: serde_json::to_value(&piece).unwrap_or_default(),
            }
        };
        let numbered = (0u32..).zip(pieces).filter(|(piece, _)| missing.contains(piece));
        let jobs: Vec<_> = numbered.map(job).collect();
        self.project.wait(fleet.queue.push(jobs))?;
        if let Some(fleet) = &mut self.fleet {
            fleet.offered.insert((round, name));
        }
        Ok(())
    }

    /// Waits until every piece of a batch is there.
    fn wait_for(&mut self, round: u32, name: &str) -> Result<(), Error> {
        let mut looks = 0u32;
        loop {
            let store = &self.project.store;
            let (done, all) = self.project.wait(store.work_done(&self.run.id, round, name))?;
            if done == all && all > 0 {
                return Ok(());
            }
            if self.cancel.is_cancelled() {
                return Err(Error::Interrupted);
            }
            if looks % LOOKS_PER_QUESTION == LOOKS_PER_QUESTION - 1 {
                self.stop_on_dead(round, name)?;
                self.warn_if_alone(looks)?;
            }
            self.working(round, "waiting for workers", u64::from(done), u64::from(all));
            self.project.pause(LOOK_EVERY);
            looks += 1;
        }
    }

    /// Stops where a piece failed for as often as it may.
    fn stop_on_dead(&self, round: u32, name: &str) -> Result<(), Error> {
        let fleet = self.fleet()?;
        let dead: HashSet<String> =
            self.project.wait(fleet.queue.dead())?.into_iter().map(|job| job.key).collect();
        if dead.is_empty() {
            return Ok(());
        }
        let rows = self.project.wait(self.project.store.work(&self.run.id, round, name))?;
        let open = |row: &&WorkRow| matches!(row.state, WorkState::Offered | WorkState::Claimed);
        let is_dead = |row: &&WorkRow| dead.contains(&key_text(&row.key, fleet.epoch));
        match rows.iter().filter(open).find(is_dead) {
            None => Ok(()),
            Some(row) => Err(Error::DeadWork {
                run: self.run.id.clone(),
                round,
                batch: name.to_owned(),
                worker: row.worker.clone(),
                why: row.detail.clone(),
            }),
        }
    }

    /// Says once a while that nobody works.
    fn warn_if_alone(&self, looks: u32) -> Result<(), Error> {
        let now = (self.clock)();
        let workers = self.project.wait(self.project.store.workers(1))?;
        let heard = workers.iter().any(|worker| now - worker.last_seen_ms < SILENT_MS);
        if !heard && looks % (LOOKS_PER_QUESTION * 5) == LOOKS_PER_QUESTION - 1 {
            tracing::warn!(
                "no worker was heard of: start some with `gyre worker` on the same database"
            );
        }
        Ok(())
    }

    /// Fetches a batch's rollouts from the object store.
    fn fetch(&self, round: u32, batch: Batch) -> Result<Vec<RolledOut>, Error> {
        let fleet = self.fleet()?;
        let folder = self.project.data.run(&self.run.id).join("rollouts");
        std::fs::create_dir_all(&folder).map_err(io("make", &folder))?;
        let mut made = Vec::new();
        for (row, delivery) in self.deliveries(round, batch)?.unwrap_or_default() {
            let file = folder.join(format!("{}-{}.fetched", batch.name(), row.key.piece));
            fleet.objects.fetch(&delivery.path, &delivery.sha256, &file)?;
            let records = read_part(&file)?.collect::<Result<Vec<RolloutRecord>, _>>()?;
            std::fs::remove_file(&file).map_err(io("remove", &file))?;
            let said = self.said(&row, &delivery)?;
            made.extend(
                (0u32..)
                    .zip(records)
                    .map(|(at, record)| RolledOut { fault: said.faults.get(&at).cloned(), record }),
            );
        }
        Ok(made)
    }

    /// What workers said of a batch's rollouts; none where they did not make it.
    pub(super) fn brought(
        &self,
        round: u32,
        batch: Batch,
        records: &[RolloutRecord],
    ) -> Result<Option<Vec<VerdictRow>>, Error> {
        let Some(deliveries) = self.deliveries(round, batch)? else { return Ok(None) };
        let mut judgements = Vec::new();
        for (row, delivery) in &deliveries {
            judgements.extend(self.said(row, delivery)?.judgements);
        }
        let open: Vec<_> = records.iter().filter(|r| r.stop != StopReason::Faulted).collect();
        if open.len() != judgements.len() {
            let what = format!("what workers said of {}", batch.name());
            let why = format!("{} verdicts for {} rollouts", judgements.len(), open.len());
            return Err(self.unreadable(what, why));
        }
        let row =
            |(record, judgement): (&&RolloutRecord, Judgement)| self.verdict_row(record, judgement);
        open.iter().zip(judgements).map(row).collect::<Result<_, _>>().map(Some)
    }

    /// The results of a batch, piece by piece; none unless all are there.
    fn deliveries(
        &self,
        round: u32,
        batch: Batch,
    ) -> Result<Option<Vec<(WorkRow, Delivery)>>, Error> {
        let store = &self.project.store;
        let rows = self.project.wait(store.work(&self.run.id, round, &batch.name()))?;
        let taken = |row: WorkRow| row.delivery.clone().map(|delivery| (row, delivery));
        let all = !rows.is_empty();
        Ok(rows.into_iter().map(taken).collect::<Option<Vec<_>>>().filter(|_| all))
    }

    fn said(&self, row: &WorkRow, delivery: &Delivery) -> Result<Said, Error> {
        serde_json::from_value(delivery.result.clone()).map_err(|error| {
            let what = format!("what {} said of piece {}", row.worker, row.key.piece);
            self.unreadable(what, error)
        })
    }

    /// Removes the files of results that are part of the lineage by now.
    pub(super) fn sweep_fleet(&self) -> Result<(), Error> {
        let Some(fleet) = &self.fleet else { return Ok(()) };
        let named = self.project.wait(self.project.store.work_paths(&self.run.id))?;
        fleet.objects.sweep(&self.run.id, &named.into_iter().collect())?;
        fleet.objects.sweep_begun(&self.run.id)
    }
}

fn job_key(piece: &Piece) -> String {
    key_text(&piece.key(), piece.offer)
}

fn key_text(key: &WorkKey, offer: u64) -> String {
    let WorkKey { run, round, batch, piece } = key;
    format!("{run}/{round}/{batch}/{piece}/{offer}")
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
