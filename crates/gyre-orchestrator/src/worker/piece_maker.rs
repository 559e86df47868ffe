//! Makes pieces of work of one run: what a worker keeps of it.

use std::collections::BTreeMap;

use gyre_dataset::write_part;
use gyre_lineage::{Delivery, VerdictRow};
use gyre_sandbox::Sandbox;
use gyre_types::{CheckpointId, Judgement, RolloutRecord, RunId, TaskId, to_json};

use crate::cancel::Cancel;
use crate::checkpoints::checkpoint_row;
use crate::clock::Clock;
use crate::config::OnFault;
use crate::error::Error;
use crate::harness::Harness;
use crate::identity::fingerprint;
use crate::models::Model;
use crate::objects::{Objects, piece_name};
use crate::project::{Project, io};
use crate::run::attempts::assignment::Assignment;
use crate::run::attempts::attempter::Attempter;
use crate::run::context::RunContext;
use crate::run::fleet::piece::{Piece, Reply};
use crate::run::tasks::store::TaskStore;
use crate::run::verdicts::judge::Judge;
use crate::weights::{Found, Weights};

/// Makes and judges rollouts of one run, and can commit nothing: it has no lease and
/// no event log.
pub(super) struct PieceMaker {
    run: RunContext,
    objects: Objects,
    tasks: TaskStore,
    attempter: Attempter,
}

impl PieceMaker {
    /// Loads the components of a run, which must be those that its driver has. `store`
    /// names the object store, where it is not the one that the run's configuration
    /// names.
    ///
    /// # Errors
    ///
    /// [`Error::WorkerRefused`] where they are others, or when a store fails.
    pub(super) fn open(
        project: Project,
        sandbox: Sandbox,
        (clock, cancel): (Clock, Cancel),
        store: Option<&str>,
        run: &RunId,
    ) -> Result<Self, Error> {
        let row = project.run(Some(run))?;
        let mut config = project.config_of(&row)?;
        // Whether a fault stops the run is for its driver to say.
        config.verifiers.on_fault = OnFault::Continue;
        let harness = Harness::with_sandbox(&config, Some(&project), sandbox.clone())?;
        let ours = fingerprint(&config, &harness)?;
        if ours != row.fingerprint {
            return Err(Error::WorkerRefused {
                what: "task family, verifier or engine",
                ours: ours.short(),
                run: row.id,
                asked: row.fingerprint.short(),
                hint: "the folder of task families must be the same on every host",
            });
        }
        let store = store.or(config.workers.store.as_deref());
        let objects = Objects::open(store, &project.data, project.runtime())?;
        let logs = project.data.logs(&row.id);
        let attempter = Attempter::new(project.clone(), sandbox, &config.model, logs);
        let run = RunContext { project, harness, config, row, clock, cancel };
        Ok(Self { run, objects, tasks: TaskStore::default(), attempter })
    }

    /// Makes a piece's rollouts, judges them and puts their file in the store.
    ///
    /// # Errors
    ///
    /// When the model, the store or the disk fails.
    pub(super) fn make(&mut self, piece: &Piece, epoch: u64) -> Result<Delivery, Error> {
        let model = self.model(&piece.assignment.checkpoint)?;
        let (records, reply) = self.attempt(&piece.assignment, &model)?;
        let folder = self.run.project.data.cache("pieces");
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
            result: to_json("the verdicts of a piece", &reply)?,
        })
    }

    /// Makes and judges the rollouts of a piece.
    fn attempt(
        &mut self,
        assignment: &Assignment,
        model: &Model,
    ) -> Result<(Vec<RolloutRecord>, Reply), Error> {
        let run = &self.run;
        let set = self.tasks.set(run, assignment.tasks_round(), assignment.purpose)?;
        let of_piece = |id| Some((TaskId::clone(id), set.tasks.get(id)?.task.clone()));
        let tasks: BTreeMap<_, _> = assignment.tasks.iter().filter_map(of_piece).collect();
        let episodes = assignment.episodes(run, &tasks)?;
        let settings = assignment.mode.settings(&run.config);
        let made = self.attempter.attempt(model, &settings, &episodes)?;
        let reply = Reply::of(&made);
        let records: Vec<_> = made.into_iter().map(|made| made.record).collect();
        let judgement = |row: VerdictRow| Judgement {
            verdict: row.verdict,
            checks: row.checks,
            fuel: row.fuel,
            guests: row.guests,
        };
        let verdicts = Judge { run, set: &set }.judge(&records)?;
        let judgements = verdicts.into_iter().map(judgement).collect();
        Ok((records, Reply { judgements, ..reply }))
    }

    /// The model of a checkpoint, fetched from the store where this machine
    /// does not have it.
    fn model(&mut self, id: &CheckpointId) -> Result<Model, Error> {
        let (run, objects) = (&self.run, &self.objects);
        let find = |id: &CheckpointId| -> Result<Found, Error> {
            let row = checkpoint_row(&run.project, run.id(), id)?;
            let cache = run.project.data.cache("checkpoints");
            let folder = objects.checkpoint(&row.digest, &cache)?;
            Ok(Found { folder, parent: row.parent })
        };
        let weights = || Weights::of(find(id)?, find);
        // What was begun is ended: a worker that is asked to stop delivers what it has.
        self.attempter.model(id, weights, &Cancel::default())
    }
}
