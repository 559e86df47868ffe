//! What a worker has at hand of one run.

use gyre_dataset::write_part;
use gyre_lineage::{Delivery, RunRow};
use gyre_types::{CheckpointId, RunId, to_json};

use super::Inner;
use crate::cancel::Cancel;
use crate::config::{OnFault, RunConfig};
use crate::error::Error;
use crate::models::{Model, Models};
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
    models: Models,
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
        let models = Models::new(&config.model, project.data.logs(&run.id));
        Ok(Self { run, config, workshop, objects, tasks: None, models })
    }

    /// Makes a piece's rollouts, judges them and puts their file in the store.
    pub(super) fn make(
        &mut self,
        piece: &Piece,
        epoch: u64,
        worker: &Inner,
    ) -> Result<Delivery, Error> {
        let model = self.model(&piece.assignment.checkpoint, worker)?;
        let mut silent = Silent;
        let parts = (self.workshop.clone(), self.config.clone(), self.run.clone());
        let cancel = worker.cancel.clone();
        let mut runner =
            Runner::lend(worker.project.clone(), parts, worker.clock, cancel, &mut silent);
        runner.tasks = self.tasks.take();
        let made = runner.make_piece(&piece.assignment, &model);
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

    /// The model of a checkpoint, fetched from the store where this machine
    /// does not have it.
    fn model(&mut self, id: &CheckpointId, worker: &Inner) -> Result<Model, Error> {
        if let Some(model) = self.models.loaded(id) {
            return Ok(model);
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
        self.models.load(project, id, &dir, &Cancel::default())
    }
}
