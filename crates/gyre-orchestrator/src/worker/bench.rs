//! What a worker has at hand of one run.

use std::sync::Arc;

use gyre_dataset::write_part;
use gyre_lineage::{Delivery, RunRow};
use gyre_types::{CheckpointId, RunId, to_json};

use super::Inner;
use crate::config::{OnFault, RunConfig};
use crate::error::Error;
use crate::local_policy::EmbeddedPolicy;
use crate::objects::{Objects, piece_name};
use crate::progress::Silent;
use crate::project::io;
use crate::runner::{Piece, Runner, Said, TaskSet, fingerprint};
use crate::workshop::Workshop;

/// The parts of a run, as its driver has them, and what was loaded last.
pub(super) struct Bench {
    run: RunRow,
    config: RunConfig,
    workshop: Workshop,
    objects: Objects,
    tasks: Option<TaskSet>,
    policy: Option<Arc<EmbeddedPolicy>>,
}

impl Bench {
    /// Loads the parts of a run, which must be those that its driver has.
    pub(super) fn open(worker: &Inner, run: &RunId) -> Result<Self, Error> {
        let project = &worker.project;
        let run = project.run(Some(run))?;
        let mut config = project.config_of(&run)?;
        // Whether a fault stops the run is for its driver to say.
        config.verifiers.on_fault = OnFault::Continue;
        let workshop = Workshop::with_sandbox(&config, Some(project), worker.sandbox.clone())?;
        let ours = fingerprint(&config, &workshop)?;
        if ours != run.fingerprint {
            let refused = || Error::WorkerRefused {
                what: "task family, verifier or engine",
                ours: ours.short(),
                run: run.id.clone(),
                asked: run.fingerprint.short(),
                hint: "the folder of task families must be the same on every host",
            };
            worker.refuse(refused());
            return Err(refused());
        }
        let objects = worker.objects(&run.id)?;
        Ok(Self { run, config, workshop, objects, tasks: None, policy: None })
    }

    /// Makes a piece's rollouts, judges them and puts their file in the store.
    pub(super) fn make(
        &mut self,
        piece: &Piece,
        epoch: u64,
        worker: &Inner,
    ) -> Result<Delivery, Error> {
        let policy = self.policy(&piece.assignment.checkpoint, worker)?;
        let mut silent = Silent;
        let parts = (self.workshop.clone(), self.config.clone(), self.run.clone());
        let cancel = worker.cancel.clone();
        let mut runner =
            Runner::lend(worker.project.clone(), parts, worker.clock, cancel, &mut silent);
        runner.tasks = self.tasks.take();
        let made = runner.make_piece(&piece.assignment, &policy);
        self.tasks = runner.tasks.take();
        let (records, said): (_, Said) = made?;

        let folder = worker.project.data.cache("pieces");
        folder.make().map_err(io("make", &folder.path()))?;
        let key = piece.key();
        let name = format!("{}-{}-{}-{}-{epoch}", key.run, key.round, key.batch, key.piece);
        let file = write_part(&folder, &name, &records)?;
        let path = piece_name(&key, epoch);
        let name = format!("{name}.parquet");
        let bytes = folder.read(&name).map_err(io("read", &file.path))?;
        self.objects.put(&path, bytes)?;
        folder.remove_file(&name).map_err(io("remove", &file.path))?;
        Ok(Delivery {
            path,
            sha256: file.sha256,
            bytes: file.bytes,
            rows: file.rows,
            result: to_json("the verdicts of a piece", &said)?,
        })
    }

    /// The policy of a checkpoint, fetched from the store where this machine
    /// does not have it.
    fn policy(&mut self, id: &CheckpointId, worker: &Inner) -> Result<Arc<EmbeddedPolicy>, Error> {
        if let Some(policy) = self.policy.as_ref().filter(|policy| policy.checkpoint() == id) {
            return Ok(policy.clone());
        }
        let project = &worker.project;
        let row = project.wait(project.store.checkpoint(&self.run.id, id))?;
        let row = row.ok_or_else(|| Error::NotFound {
            what: "checkpoint",
            id: id.to_string(),
            hint: "`gyre rounds` lists the checkpoints".to_owned(),
        })?;
        let cache = project.data.cache("checkpoints");
        let dir = self.objects.checkpoint(&row.digest, &cache)?;
        let model = gyre_learner::LocalPolicy::load(&dir)?;
        let policy = Arc::new(EmbeddedPolicy::new(id.clone(), model));
        self.policy = Some(policy.clone());
        Ok(policy)
    }
}
