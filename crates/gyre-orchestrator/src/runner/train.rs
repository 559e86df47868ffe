//! Trains a candidate from the pool.

use std::ops::ControlFlow;
use std::path::Path;

use gyre_dataset::read_shard;
use gyre_fault::io_point;
use gyre_folder::Folder;
use gyre_learner::{
    Checkpoint, Example, LocalPolicy, TrainProgress, TrainReport, cold_start, train_round,
};
use gyre_lineage::CheckpointRow;
use gyre_round::{RoundEvent, RoundPlan, RoundState};
use gyre_types::{CheckpointId, ShardId, Split, to_json};

use super::generate::planned;
use super::{Done, Runner};
use crate::error::Error;
use crate::layout::round_name;
use crate::project::io;

/// What a candidate learns from, and which shards that was.
struct Pool {
    examples: Vec<Example>,
    shards: Vec<ShardId>,
}

impl Runner<'_> {
    pub(super) fn train(&mut self, state: &RoundState) -> Result<Done, Error> {
        let plan = planned(state);
        let pool = self.pool(plan)?;
        let folder = self.project.data.checkpoints(&self.run.id);
        let name = round_name(plan.round);
        let partial = format!("{name}.partial");
        clear(&folder, &partial)?;
        clear(&folder, &name)?;
        let scratch = folder.below(&partial);
        scratch.make().map_err(io("make", &scratch.path()))?;
        io_point("checkpoint::beginning").map_err(io("make", &scratch.path()))?;
        // The trainer takes a path: that which the handle leads to.
        let out = folder.resolve(&partial).map_err(io("make", &scratch.path()))?;
        let trained = self.run_trainer(plan, &pool, &out);
        if self.cancel.is_cancelled() {
            clear(&folder, &partial)?;
            return Err(Error::Interrupted);
        }
        let report = trained?;
        publish(&folder, &partial, &name)?;

        let target = folder.resolve(&name).map_err(io("read", &folder.path()))?;
        let digest = Checkpoint::digest(&target)?;
        if let Some(objects) = self.objects()? {
            objects.put_checkpoint(&digest, &target)?;
        }
        let id = CheckpointId::from_digest(&digest);
        let policy = LocalPolicy::load(&target)?;
        let row = CheckpointRow {
            id: id.clone(),
            round: plan.round,
            parent: plan.champion.clone(),
            path: self.project.data.relative(&folder.path().join(&name)),
            digest,
            policy_digest: policy.digest(),
            shards: pool.shards,
            report: to_json("the report of a training", &report)?,
        };
        let event = RoundEvent::Trained {
            candidate: id,
            digest,
            steps: report.steps,
            tokens: report.tokens,
            loss: f64::from(report.loss_last),
        };
        let mut done = Done { event, rows: self.empty_commit() };
        done.rows.checkpoints.push(row);
        Ok(done)
    }

    fn run_trainer(
        &mut self,
        plan: &RoundPlan,
        pool: &Pool,
        scratch: &Path,
    ) -> Result<TrainReport, Error> {
        let seed = plan.seed.derive("training", &[]);
        let parent = match &plan.champion {
            Some(champion) => {
                Some(crate::replay::checkpoint_dir(&self.project, &self.run.id, champion)?)
            }
            None => None,
        };
        let cancel = self.cancel.clone();
        let learner = self.config.learner.clone();
        let (observer, round) = (&mut *self.observer, plan.round);
        let mut progress = |progress: TrainProgress| {
            let (what, done, total) = ("training", progress.step, progress.steps);
            observer.observe(&crate::Progress::Working { round, what, done, total });
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let trained = match parent {
            None => cold_start(&learner, seed, &pool.examples, scratch, &mut progress),
            Some(dir) => train_round(&learner, &dir, seed, &pool.examples, scratch, &mut progress),
        };
        Ok(trained?)
    }

    /// Demonstrations, then the rows of the last rounds, each in stable order.
    fn pool(&self, plan: &RoundPlan) -> Result<Pool, Error> {
        let config = &self.config.pool;
        let mut examples = Vec::new();
        if config.demonstrations || plan.round == 0 {
            let demonstrations = self.load_admitted(0, Split::Train)?.into_values();
            examples.extend(demonstrations.map(|a| example(a.task.instruction, a.key.reference)));
        }
        let oldest = (plan.round + 1).saturating_sub(config.rounds_max);
        let mut shards = Vec::new();
        for shard in crate::inspect::shards(&self.project, &self.run.id)? {
            if shard.superseded || !(oldest..=plan.round).contains(&shard.round) {
                continue;
            }
            for row in read_shard(self.project.data.open(&shard.path))? {
                let row = row?;
                examples.push(example(row.prompt, row.completion));
            }
            shards.push(shard.id);
        }
        Ok(Pool { examples, shards })
    }
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
