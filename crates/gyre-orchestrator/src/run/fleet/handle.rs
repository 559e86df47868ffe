//! The workers of a run, as its driver has them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use gyre_lineage::{FleetRow, WorkKey};
use gyre_queue::{Pulse, Queue};
use gyre_types::RunId;

use super::piece::{VERSION, queue_location, queue_name};
use crate::error::Error;
use crate::objects::Objects;
use crate::project::Project;
use crate::run::context::RunContext;

/// The workers of a run, as its driver has them. They are told that they are no
/// longer wanted when it is dropped.
pub(crate) struct Fleet {
    project: Project,
    run: RunId,
    pub(super) epoch: u64,
    pub(super) queue: Arc<dyn Queue>,
    pub(crate) objects: Objects,
    /// Batches that this driver offered.
    pub(super) offered: HashSet<(u32, String)>,
    /// How often this driver gave a piece out again whose result it could not read.
    pub(super) again: BTreeMap<WorkKey, u32>,
}

impl Fleet {
    /// Tells workers that they are wanted, under the lease of `epoch`.
    ///
    /// # Errors
    ///
    /// When the queue, the store or the object store fails.
    pub(crate) fn open(run: &RunContext, epoch: u64) -> Result<Self, Error> {
        let project = run.project.clone();
        let store = run.config.workers.store.as_deref();
        let objects = Objects::open(store, &project.data, project.runtime())?;
        let sandbox = run.harness.sandbox.digest();
        let location = queue_location(project.store.resolved_url());
        let name = queue_name(&sandbox);
        let opening = gyre_queue::open(&location, &name, Pulse::default());
        let queue = project.wait(opening)?;
        let id = run.id().clone();
        let asked =
            FleetRow { run: id.clone(), version: VERSION.to_owned(), sandbox_digest: sandbox };
        project.wait(project.store.open_fleet(&asked, epoch))?;
        sweep(&project, &objects, &id)?;
        let (offered, again) = (HashSet::new(), BTreeMap::new());
        Ok(Self { project, run: id, epoch, queue, objects, offered, again })
    }

    /// The key of a piece's newest job in the queue, which knows each key once.
    pub(super) fn job_key(&self, key: &WorkKey) -> String {
        let WorkKey { run, round, batch, piece } = key;
        let first = format!("{run}/{round}/{batch}/{piece}/{}", self.epoch);
        match self.again.get(key) {
            None => first,
            Some(times) => format!("{first}/again-{times}"),
        }
    }

    /// Forgets what workers were given up to a round that is over, and removes the
    /// files of results that are part of the lineage by now. A process that ends
    /// before this leaves it to the end of the next round, or to the next start.
    ///
    /// Pieces go before their jobs: a job without its piece is settled for whoever
    /// takes it, and what is pushed again is not of a round that is over.
    ///
    /// # Errors
    ///
    /// When the store, the queue or the object store fails.
    pub(crate) fn sweep(&self, round: u32) -> Result<(), Error> {
        let (project, run) = (&self.project, &self.run);
        project.wait(project.store.prune_work(run, self.epoch, round))?;
        project.wait(self.queue.forget(&format!("{run}/")))?;
        sweep(project, &self.objects, run)?;
        self.objects.sweep_begun(run)
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

/// Removes the objects of results that were taken or discarded. What a worker
/// put there and has not delivered yet stays, as does what is delivered: the
/// claims are read after the objects are listed.
fn sweep(project: &Project, objects: &Objects, run: &RunId) -> Result<(), Error> {
    let listed = objects.of_workers(run)?;
    objects.sweep(&listed, &project.wait(project.store.open_claims(run))?)
}
