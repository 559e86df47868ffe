//! Makes a candidate: trains it from the pool, or takes over what a run starts from.

use std::ops::ControlFlow;
use std::path::Path;

use gyre_dataset::{Card, Layout, ManifestShard, read_shard};
use gyre_fault::io_point;
use gyre_folder::{EntryKind, Folder};
use gyre_learner::{Example, TrainProgress, cold_start, train_round};
use gyre_lineage::{CheckpointRow, ShardRow};
use gyre_round::{RoundEvent, RoundPlan, RoundState};
use gyre_train::{
    CheckpointLimits, CommandConfig, CommandTrainer, TrainJob, Trainer, inspect_checkpoint,
};
use gyre_types::{CheckpointId, ShardId, Split, to_json};
use serde_json::{Value, json};

use super::curate::published;
use super::generate::planned;
use super::{Done, Runner};
use crate::error::Error;
use crate::host;
use crate::layout::round_name;
use crate::policy_settings::TrainerSettings;
use crate::project::io;

/// What a training did, whoever trained.
struct Trained {
    steps: u64,
    tokens: u64,
    loss: f64,
    /// All that the trainer said of it.
    report: Value,
    /// The shards that it learned from.
    shards: Vec<ShardId>,
}

impl Runner<'_> {
    pub(super) fn train(&mut self, state: &RoundState) -> Result<Done, Error> {
        let plan = planned(state);
        let folder = self.project.data.checkpoints(&self.run.id);
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
        let trained = match (&plan.champion, self.config.start.checkpoint.clone()) {
            (None, Some(start)) => adopt(&start, &scratch, &out),
            _ => match self.config.trainer.clone() {
                TrainerSettings::Embedded => self.train_embedded(plan, &out),
                TrainerSettings::Command(command) => {
                    self.train_by_command(plan, command, &folder.below(&dataset), &out)
                }
            },
        };
        if self.cancel.is_cancelled() {
            clear(&folder, &partial)?;
            return Err(Error::Interrupted);
        }
        let trained = trained?;
        clear(&folder, &dataset)?;
        publish(&folder, &partial, &name)?;

        let target = folder.resolve(&name).map_err(io("read", &folder.path()))?;
        let digest = gyre_train::digest_checkpoint(&target)?;
        if let Some(objects) = self.objects()? {
            objects.put_checkpoint(&digest, &target)?;
        }
        let id = CheckpointId::from_digest(&digest);
        let row = CheckpointRow {
            id: id.clone(),
            round: plan.round,
            parent: plan.champion.clone(),
            path: self.project.data.relative(&folder.path().join(&name)),
            digest,
            policy_digest: self.models.policy_digest(&self.project, &id, &target)?,
            shards: trained.shards,
            report: trained.report,
        };
        let event = RoundEvent::Trained {
            candidate: id,
            digest,
            steps: trained.steps,
            tokens: trained.tokens,
            loss: trained.loss,
        };
        let mut done = Done { event, rows: self.empty_commit() };
        done.rows.checkpoints.push(row);
        Ok(done)
    }

    /// Trains the embedded model on the pool, or, for the base, on demonstrations.
    fn train_embedded(&mut self, plan: &RoundPlan, out: &Path) -> Result<Trained, Error> {
        let (examples, shards) = self.examples(plan)?;
        let seed = plan.seed.derive("training", &[]);
        let parent = self.parent(plan)?;
        let cancel = self.cancel.clone();
        let learner = self.config.learner.clone();
        let (observer, round) = (&mut *self.observer, plan.round);
        let mut progress = |progress: TrainProgress| {
            let (what, done, total) = ("training", progress.step, progress.steps);
            observer.observe(&crate::Progress::Working { round, what, done, total });
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let report = match parent {
            None => cold_start(&learner, seed, &examples, out, &mut progress),
            Some(dir) => train_round(&learner, &dir, seed, &examples, out, &mut progress),
        }?;
        Ok(Trained {
            steps: report.steps,
            tokens: report.tokens,
            loss: f64::from(report.loss_last),
            report: to_json("the report of a training", &report)?,
            shards,
        })
    }

    /// Has a program train on the published rows of the pool.
    fn train_by_command(
        &mut self,
        plan: &RoundPlan,
        command: CommandConfig,
        dataset: &Folder,
        out: &Path,
    ) -> Result<Trained, Error> {
        let trainer = CommandTrainer::new(command, host::host()?)?;
        let shards = self.pool_shards(plan)?;
        let ids = shards.iter().map(|shard| shard.id.clone()).collect();
        let dataset = self.pool_folder(dataset, shards)?;
        let logs = self.project.data.logs(&self.run.id);
        logs.make().map_err(io("make", &logs.path()))?;
        let log = logs.path().join(format!("trainer-{}.log", round_name(plan.round)));
        let parent = self.parent(plan)?;
        let parent = match parent {
            Some(dir) => Some(std::path::absolute(&dir).map_err(io("find", &dir))?),
            None => None,
        };
        let output = std::path::absolute(out).map_err(io("find", out))?;
        let job = TrainJob {
            dataset: &dataset,
            parent: parent.as_deref(),
            output: &output,
            log: &log,
            round: plan.round,
            seed: plan.seed.derive("training", &[]),
        };
        let cancel = self.cancel.clone();
        let (observer, round) = (&mut *self.observer, plan.round);
        let mut progress = |progress: gyre_train::TrainProgress| {
            let (what, done, total) = ("training", progress.step, progress.steps.unwrap_or(0));
            observer.observe(&crate::Progress::Working { round, what, done, total });
        };
        let mut no_rows = std::iter::empty();
        let trained = trainer.train(job, &mut no_rows, &mut progress, cancel.token());
        let report = self.project.wait(trained)?;
        let (steps, tokens) = (report.steps.unwrap_or(0), report.tokens.unwrap_or(0));
        Ok(Trained {
            steps,
            tokens,
            loss: report.loss_last.unwrap_or(0.0),
            report: json!({
                "steps": report.steps, "tokens": report.tokens, "loss_last": report.loss_last,
                "checkpoint": to_json("what a training left", &report.checkpoint)?,
                "extra": report.extra,
            }),
            shards: ids,
        })
    }

    /// The folder of the checkpoint that a training goes on from.
    fn parent(&self, plan: &RoundPlan) -> Result<Option<std::path::PathBuf>, Error> {
        let dir = |champion| crate::replay::checkpoint_dir(&self.project, &self.run.id, champion);
        plan.champion.as_ref().map(dir).transpose()
    }

    /// The shards of the last rounds, as the pool's bound has it, in order.
    fn pool_shards(&self, plan: &RoundPlan) -> Result<Vec<ShardRow>, Error> {
        let oldest = (plan.round + 1).saturating_sub(self.config.pool.rounds_max);
        let mut shards = crate::inspect::shards(&self.project, &self.run.id)?;
        shards.retain(|shard| !shard.superseded && (oldest..=plan.round).contains(&shard.round));
        Ok(shards)
    }

    /// Demonstrations, then the rows of the pool's shards, each in stable order.
    fn examples(&self, plan: &RoundPlan) -> Result<(Vec<Example>, Vec<ShardId>), Error> {
        let mut examples = Vec::new();
        if self.config.pool.demonstrations || plan.round == 0 {
            let demonstrations = self.load_admitted(0, Split::Train)?.into_values();
            examples.extend(demonstrations.map(|a| example(a.task.instruction, a.key.reference)));
        }
        let shards = self.pool_shards(plan)?;
        for shard in &shards {
            for row in read_shard(self.project.data.open(&shard.path))? {
                let row = row?;
                examples.push(example(row.prompt, row.completion));
            }
        }
        Ok((examples, shards.into_iter().map(|shard| shard.id).collect()))
    }

    /// A dataset folder with the pool's shards, for a trainer that reads one.
    fn pool_folder(
        &self,
        folder: &Folder,
        shards: Vec<ShardRow>,
    ) -> Result<std::path::PathBuf, Error> {
        let layout = Layout::new(folder.clone());
        layout.create()?;
        let own = self.project.data.dataset(&self.run.id);
        let (card, shards): (Card, Vec<ManifestShard>) =
            published(&self.project, &self.run, shards);
        for shard in &shards {
            let name = Path::new(&shard.path).file_name().unwrap_or_default();
            let place = layout.data().path().join(name);
            own.data().link(name, &layout.data(), name).map_err(io("link", &place))?;
        }
        layout.write_index(&card, &shards)?;
        std::path::absolute(layout.root()).map_err(io("find", layout.root()))
    }
}

/// Takes over the checkpoint that a run starts from: its files are copied, and
/// checked as what a trainer leaves is.
fn adopt(start: &Path, scratch: &Folder, out: &Path) -> Result<Trained, Error> {
    copy(&Folder::new(start), scratch)?;
    let limits = CheckpointLimits { files_max: 10_000, bytes_max: u64::MAX };
    let checkpoint = inspect_checkpoint(out, limits, None)?;
    gyre_train::sync_checkpoint(out, &checkpoint)?;
    Ok(Trained {
        steps: 0,
        tokens: 0,
        loss: 0.0,
        report: json!({ "checkpoint": to_json("a checkpoint", &checkpoint)? }),
        shards: vec![],
    })
}

/// Copies the files of a folder and of those below it.
fn copy(from: &Folder, to: &Folder) -> Result<(), Error> {
    for entry in from.entries().map_err(io("list", &from.path()))? {
        let path = from.path().join(&entry.name);
        match entry.kind {
            EntryKind::Folder => {
                let below = to.below(&entry.name);
                below.make().map_err(io("make", &below.path()))?;
                copy(&from.below(&entry.name), &below)?;
            }
            _ => {
                let mut read = from.open(&entry.name).map_err(io("read", &path))?;
                let mut write = to.create(&entry.name).map_err(io("write", &to.path()))?;
                std::io::copy(&mut read, &mut write).map_err(io("copy", &path))?;
            }
        }
    }
    Ok(())
}

fn example(prompt: String, answer: String) -> Example {
    Example { prompt, answer, weight: 1.0 }
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
