//! Makes a candidate: trains it from the pool, or takes over what a run starts from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gyre_fault::io_point;
use gyre_folder::Folder;
use gyre_lineage::CheckpointRow;
use gyre_round::{RoundEvent, RoundPlan, RoundState};
use gyre_train::{TrainJob, TrainProgress};
use gyre_types::CheckpointId;

use super::pool::PoolRows;
use super::start::{adopt, adopt_named};
use super::trained::Trained;
use crate::checkpoints::{find, weights_of};
use crate::error::Error;
use crate::layout::round_name;
use crate::policy_settings::StartSettings;
use crate::progress::{Observer, working};
use crate::project::io;
use crate::run::attempts::attempter::Attempter;
use crate::run::context::RunContext;
use crate::run::event_log::LogEntry;
use crate::run::publish::publisher::Publisher;
use crate::run::recorded::planned;
use crate::trainers::trainer;
use crate::weights::{Found, Weights};

/// Makes the candidate of a round.
pub(crate) struct CandidateMaker<'a> {
    pub(crate) run: &'a RunContext,
    pub(crate) attempter: &'a Attempter,
    pub(crate) publisher: Publisher<'a>,
    pub(crate) observer: &'a mut dyn Observer,
}

impl CandidateMaker<'_> {
    /// Makes the candidate of a round, and gives its folder its name.
    ///
    /// # Errors
    ///
    /// When the trainer, the disk, the store or the object store fails, and
    /// [`Error::Interrupted`].
    pub(crate) fn train(&mut self, state: &RoundState) -> Result<LogEntry, Error> {
        let (run, plan) = (self.run, planned(state));
        let folder = run.project.data.checkpoints(run.id());
        let name = round_name(plan.round);
        let partial = format!("{name}.partial");
        let dataset = format!("{name}.dataset");
        for left in [&partial, &dataset, &name] {
            clear(&folder, left)?;
        }
        let scratch = folder.below(&partial);
        scratch.make().map_err(io("make", &scratch.path()))?;
        io_point("checkpoint::beginning").map_err(io("make", &scratch.path()))?;
        // Trainers take paths: those which the handles lead to.
        let out = folder.resolve(&partial).map_err(io("make", &scratch.path()))?;
        let trained = match (&plan.champion, &run.config.start) {
            (None, StartSettings { checkpoint: Some(start), .. }) => adopt(start, &scratch, &out),
            (None, StartSettings { model: Some(name), .. }) => {
                adopt_named(name, &run.config.model, &scratch)
            }
            _ => self.train_on_pool(plan, folder.below(&dataset), &out),
        };
        if run.cancel.is_cancelled() {
            clear(&folder, &partial)?;
            return Err(Error::Interrupted);
        }
        let trained = trained?;
        clear(&folder, &dataset)?;
        publish(&folder, &partial, &name)?;
        self.record(plan, &folder, &name, trained)
    }

    /// The event and the row of a candidate that lies in its place.
    fn record(
        &self,
        plan: &RoundPlan,
        folder: &Folder,
        name: &str,
        trained: Trained,
    ) -> Result<LogEntry, Error> {
        let run = self.run;
        let target = folder.resolve(name).map_err(io("read", &folder.path()))?;
        let Trained { report, shards } = trained;
        let digest = report.checkpoint.digest;
        if let Some(objects) = self.publisher.objects()? {
            objects.put_checkpoint(&digest, &target)?;
        }
        let id = CheckpointId::from_digest(&digest);
        let found = Found { folder: target, parent: plan.champion.clone() };
        let weights = Weights::of(found, |id| find(&run.project, run.id(), id))?;
        let row = CheckpointRow {
            id: id.clone(),
            round: plan.round,
            parent: plan.champion.clone(),
            path: run.project.data.relative(&folder.path().join(name)),
            digest,
            policy_digest: self.attempter.policy_digest(&id, &weights)?,
            shards,
            report: report.record,
        };
        let event = RoundEvent::Trained {
            candidate: id,
            digest,
            steps: report.steps.unwrap_or(0),
            tokens: report.tokens.unwrap_or(0),
            loss: report.loss_last.unwrap_or(0.0),
        };
        let mut entry = LogEntry::new(run, event);
        entry.rows.checkpoints.push(row);
        Ok(entry)
    }

    /// Has the configured trainer train on the pool; for the base, on demonstrations.
    /// `dataset` is the folder that a trainer which reads one is given, `out` the empty
    /// folder that takes the checkpoint.
    fn train_on_pool(
        &mut self,
        plan: &RoundPlan,
        dataset: Folder,
        out: &Path,
    ) -> Result<Trained, Error> {
        let run = self.run;
        let nobody = || run.unreadable("the plan", "it has a training, and nobody trains");
        let trainer = trainer(&run.config)?.ok_or_else(nobody)?;
        let rows = PoolRows::of(run, plan, dataset)?;
        let shards = rows.shards();
        let logs = run.project.data.logs(run.id());
        logs.make().map_err(io("make", &logs.path()))?;
        let log = logs.path().join(format!("trainer-{}.log", round_name(plan.round)));
        let parent = parent(run, plan)?.map(|dir| absolute(&dir)).transpose()?;
        let output = absolute(out)?;
        let job = TrainJob {
            rows: Arc::new(rows),
            parent: parent.as_deref(),
            output: &output,
            log: &log,
            round: plan.round,
            seed: plan.seed.derive("training", &[]),
        };
        let (observer, round) = (&mut *self.observer, plan.round);
        let mut progress = |progress: TrainProgress| {
            working(observer, round, "training", progress.step, progress.steps.unwrap_or(0));
        };
        let report = run.wait(trainer.train(job, &mut progress, run.cancel.token()))?;
        Ok(Trained { report, shards })
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(io("find", path))
}

/// The folder of the checkpoint that a training goes on from; none before there is one,
/// and none where the champion is a model that a server has.
fn parent(run: &RunContext, plan: &RoundPlan) -> Result<Option<PathBuf>, Error> {
    let Some(champion) = &plan.champion else { return Ok(None) };
    let weights = weights_of(&run.project, run.id(), champion)?;
    Ok(weights.folder().map(Path::to_owned))
}

/// Removes what lies in a folder under a name, if anything does.
fn clear(folder: &Folder, name: &str) -> Result<(), Error> {
    match folder.remove(name) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(io("remove", &folder.path().join(name))),
    }
}

/// Gives a finished folder its name; its files were synced by their writer.
fn publish(folder: &Folder, partial: &str, name: &str) -> Result<(), Error> {
    let scratch = folder.path().join(partial);
    io_point("checkpoint::trained").map_err(io("rename", &scratch))?;
    folder.rename(partial, name).map_err(io("rename", &scratch))?;
    io_point("checkpoint::renamed").map_err(io("rename", &scratch))?;
    folder.sync().map_err(io("sync", &folder.path()))?;
    io_point("checkpoint::published").map_err(io("sync", &folder.path()))
}
