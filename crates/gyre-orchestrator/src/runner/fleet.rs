//! Gives the rollouts of a run to workers, and takes in what they bring.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use gyre_dataset::{Source, read_part};
use gyre_env::{EpisodeOutcome, EpisodeSpec};
use gyre_lineage::{
    DatabaseUrl, Delivery, FleetRow, VerdictRow, WorkKey, WorkOffer, WorkRow, WorkState,
};
use gyre_queue::{Job, Location, Pulse, Queue};
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

/// How often a driver gives one piece out again because its result cannot be
/// read: a store that loses it more often does not keep what is put there.
const AGAIN_MAX: u32 = 3;

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
    /// How often this driver gave a piece out again whose result it could not read.
    again: BTreeMap<WorkKey, u32>,
}

impl Fleet {
    /// The key of a piece's newest job in the queue, which knows each key once.
    fn job_key(&self, key: &WorkKey) -> String {
        let WorkKey { run, round, batch, piece } = key;
        let first = format!("{run}/{round}/{batch}/{piece}/{}", self.epoch);
        match self.again.get(key) {
            None => first,
            Some(times) => format!("{first}/again-{times}"),
        }
    }
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
        let location = queue_location(project.store.resolved_url());
        let name = queue_name(&sandbox);
        let opening = gyre_queue::open(&location, &name, Pulse::default());
        let queue = project.wait(opening)?;
        let run = self.run.id.clone();
        let asked =
            FleetRow { run: run.clone(), version: VERSION.to_owned(), sandbox_digest: sandbox };
        project.wait(project.store.open_fleet(&asked, epoch))?;
        sweep(&project, &objects, &run)?;
        let (offered, again) = (HashSet::new(), BTreeMap::new());
        self.fleet = Some(Fleet { project, run, epoch, queue, objects, offered, again });
        Ok(())
    }

    /// The object store that gets what this run publishes: that of its workers,
    /// one that its configuration names, or the data folder's own where an earlier
    /// driver published there, who had workers.
    pub(super) fn objects(&self) -> Result<Option<Objects>, Error> {
        if let Some(fleet) = &self.fleet {
            return Ok(Some(fleet.objects.clone()));
        }
        let (project, named) = (&self.project, self.config.workers.store.as_deref());
        let published = || {
            let folder = project.data.folder().below("store/datasets");
            folder.look_at(self.run.id.as_str()).is_ok()
        };
        if self.lease.is_none() || (named.is_none() && !published()) {
            return Ok(None);
        }
        Objects::open(named, &project.data, project.runtime()).map(Some)
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
        requests: &[EpisodeSpec<'_>],
    ) -> Result<Vec<EpisodeOutcome>, Error> {
        self.open_fleet()?;
        for other in state.outstanding().iter().filter_map(Batch::of) {
            self.offer(state, other)?;
        }
        let Some(plan) = &state.plan else { return Ok(vec![]) };
        let made = loop {
            self.wait_for(plan.round, &batch.name())?;
            match self.fetch(plan.round, batch)? {
                Fetched::All(made) => break made,
                Fetched::Unreadable(lost) => self.reopen(state, batch, lost)?,
            }
        };
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
        let pieces = assignment.pieces(self.config.workers.tasks_per_piece);
        let offer = WorkOffer {
            run: &self.run.id,
            epoch: fleet.epoch,
            round,
            batch: &name,
            pieces: pieces.len() as u32,
            at_ms: (self.clock)(),
        };
        let missing = self.project.wait(self.project.store.offer_work(&offer))?;
        self.push(batch, pieces, &missing)?;
        if let Some(fleet) = &mut self.fleet {
            fleet.offered.insert((round, name));
        }
        Ok(())
    }

    /// Puts the jobs of some pieces of a batch into the queue.
    fn push(&self, batch: Batch, pieces: Vec<Assignment>, wanted: &[u32]) -> Result<(), Error> {
        let fleet = self.fleet()?;
        let numbered = (0u32..).zip(pieces).filter(|(piece, _)| wanted.contains(piece));
        let job = |(piece, assignment): (u32, Assignment)| {
            let (run, batch_name) = (self.run.id.clone(), batch.name());
            let piece = Piece { run, batch: batch_name, piece, offer: fleet.epoch, assignment };
            let body = serde_json::to_value(&piece)
                .map_err(|error| self.unreadable(format!("piece {}", piece.piece), error))?;
            Ok(Job {
                key: fleet.job_key(&piece.key()),
                urgency: urgency(batch, piece.piece),
                attempts_max: self.config.workers.attempts_max,
                body,
            })
        };
        let jobs = numbered.map(job).collect::<Result<Vec<_>, Error>>()?;
        Ok(self.project.wait(fleet.queue.push(jobs))?)
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
        let mut pieces = Vec::new();
        for LostResult { key, epoch, path, why } in lost {
            let fleet = self
                .fleet
                .as_mut()
                .filter(|fleet| fleet.again.get(&key).copied().unwrap_or_default() < AGAIN_MAX);
            let Some(fleet) = fleet else {
                let why = format!("{why}, although its piece was made {} times", AGAIN_MAX + 1);
                return Err(Error::Object { doing: "read", name: path, why });
            };
            *fleet.again.entry(key.clone()).or_default() += 1;
            tracing::warn!(object = path, why, "a result cannot be read: its piece is made again");
            let store = &self.project.store;
            self.project.wait(store.reopen_work(&key, fleet.epoch, epoch, why))?;
            pieces.push(key.piece);
        }
        let all = self.assignment(state, batch)?.pieces(self.config.workers.tasks_per_piece);
        self.push(batch, all, &pieces)
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
        let is_dead = |row: &&WorkRow| dead.contains(&fleet.job_key(&row.key));
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
    fn fetch(&self, round: u32, batch: Batch) -> Result<Fetched, Error> {
        let fleet = self.fleet()?;
        let folder = self.project.data.run(&self.run.id).below("rollouts");
        folder.make().map_err(io("make", &folder.path()))?;
        let (mut made, mut lost) = (Vec::new(), Vec::new());
        for (row, delivery) in self.deliveries(round, batch)?.unwrap_or_default() {
            let name = format!("{}-{}.fetched", batch.name(), row.key.piece);
            let to = (&folder, name.as_str());
            if let Err(why) = fleet.objects.fetch(&delivery.path, &delivery.sha256, to)? {
                lost.push(LostResult { key: row.key, epoch: row.epoch, path: delivery.path, why });
                continue;
            }
            let part = Source::below(&folder, &name);
            let records = read_part(part)?.collect::<Result<Vec<RolloutRecord>, _>>()?;
            folder.remove_file(&name).map_err(io("remove", &folder.path().join(&name)))?;
            let said = self.said(&row, &delivery)?;
            made.extend((0u32..).zip(records).map(|(at, record)| EpisodeOutcome {
                fault: said.faults.get(&at).cloned(),
                record,
            }));
        }
        Ok(if lost.is_empty() { Fetched::All(made) } else { Fetched::Unreadable(lost) })
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

    /// Forgets what workers were given up to a round that is over, and removes the
    /// files of results that are part of the lineage by now. A process that ends
    /// before this leaves it to the end of the next round, or to the next start.
    ///
    /// Pieces go before their jobs: a job without its piece is settled for whoever
    /// takes it, and what is pushed again is not of a round that is over.
    pub(super) fn sweep_fleet(&self, round: u32) -> Result<(), Error> {
        let Some(fleet) = &self.fleet else { return Ok(()) };
        let (project, run) = (&self.project, &self.run.id);
        project.wait(project.store.prune_work(run, fleet.epoch, round))?;
        project.wait(fleet.queue.forget(&format!("{run}/")))?;
        sweep(project, &fleet.objects, run)?;
        fleet.objects.sweep_begun(run)
    }
}

/// What came of fetching a batch.
enum Fetched {
    /// Its rollouts, in order.
    All(Vec<EpisodeOutcome>),
    /// Pieces whose result is recorded and cannot be read.
    Unreadable(Vec<LostResult>),
}

/// A result that is recorded and cannot be read.
struct LostResult {
    key: WorkKey,
    /// Of the claim that it came under.
    epoch: u64,
    path: String,
    why: &'static str,
}

/// Removes the objects of results that were taken or discarded. What a worker
/// put there and has not delivered yet stays, as does what is delivered: the
/// claims are read after the objects are listed.
fn sweep(project: &Project, objects: &Objects, run: &RunId) -> Result<(), Error> {
    let listed = objects.of_workers(run)?;
    objects.sweep(&listed, &project.wait(project.store.open_claims(run))?)
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
