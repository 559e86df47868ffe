//! What a training learns from: demonstrations, and the shards of the last rounds.

use std::path::{Path, PathBuf};

use gyre_dataset::{Layout, read_shard};
use gyre_folder::Folder;
use gyre_lineage::{RunRow, ShardKind, ShardRow};
use gyre_round::RoundPlan;
use gyre_tasks::AdmittedTask;
use gyre_train::{TrainError, TrainRow, TrainRowReader, TrainRows};
use gyre_types::{Message, Role, ShardId, Split};

use crate::error::Error;
use crate::inspect;
use crate::policy_settings::TrainerSettings;
use crate::project::{Project, io};
use crate::run::context::RunContext;
use crate::run::publish::index::published;
use crate::run::tasks::store::load_admitted;

/// The rows of a round's training, each kind in a stable order.
pub(crate) struct PoolRows {
    project: Project,
    run: RunRow,
    demonstrations: Vec<AdmittedTask>,
    shards: Vec<ShardRow>,
    /// Where a trainer that reads a folder finds the shards.
    dataset: Folder,
}

impl PoolRows {
    /// The shards of the last rounds, as the pool's bound has it, behind demonstrations
    /// where the pool has any. `dataset` takes the shards if a trainer wants a folder.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub(crate) fn of(run: &RunContext, plan: &RoundPlan, dataset: Folder) -> Result<Self, Error> {
        let demonstrations = match run.config.pool.demonstrations || plan.round == 0 {
            true => load_admitted(run, 0, Split::Train)?.into_values().collect(),
            false => vec![],
        };
        // What a program reads of them is its own business: it may have learnt from all.
        let kinds: &[ShardKind] = match run.config.trainer {
            TrainerSettings::Embedded | TrainerSettings::None => &[ShardKind::Accepted],
            TrainerSettings::Command(_) => &[ShardKind::Accepted, ShardKind::Groups],
        };
        let oldest = (plan.round + 1).saturating_sub(run.config.pool.rounds_max);
        let mut shards = inspect::shards(&run.project, run.id())?;
        let is_given = |shard: &ShardRow| kinds.iter().any(|kind| shard.is_current(*kind));
        shards.retain(|shard| is_given(shard) && (oldest..=plan.round).contains(&shard.round));
        let (project, run) = (run.project.clone(), run.row.clone());
        Ok(Self { project, run, demonstrations, shards, dataset })
    }

    /// The shards, in order.
    pub(crate) fn shards(&self) -> Vec<ShardId> {
        self.shards.iter().map(|shard| shard.id.clone()).collect()
    }

    /// A dataset folder with the shards.
    fn link(&self) -> Result<PathBuf, Error> {
        let layout = Layout::new(self.dataset.clone());
        layout.create()?;
        let own = self.project.data.dataset(&self.run.id);
        for shard in &self.shards {
            let name = Path::new(shard.path.as_text()).file_name().unwrap_or_default();
            let (from, to) = match shard.kind {
                ShardKind::Accepted => (own.data(), layout.data()),
                ShardKind::Groups => (own.groups(), layout.groups()),
            };
            from.link(name, &to, name).map_err(io("link", &to.path().join(name)))?;
        }
        let (card, shards) = published(&self.project, &self.run, self.shards.clone());
        layout.write_index(&card, &shards)?;
        std::path::absolute(layout.root()).map_err(io("find", layout.root()))
    }
}

impl TrainRows for PoolRows {
    fn folder(&self) -> Result<PathBuf, TrainError> {
        self.link().map_err(unreadable)
    }

    fn read(&self) -> Result<TrainRowReader<'_>, TrainError> {
        let demonstration = |admitted: &AdmittedTask| {
            let (_, key) = admitted.program();
            Ok(row(admitted.task.instruction().to_owned(), key.reference.clone()))
        };
        let of_shard = |shard: &ShardRow| {
            let (rows, failed) = match read_shard(self.project.data.open(&shard.path)) {
                Ok(rows) => (Some(rows), None),
                Err(error) => (None, Some(Err(error))),
            };
            failed.into_iter().chain(rows.into_iter().flatten()).map(|read| {
                let read = read.map_err(|error| unreadable(error.into()))?;
                Ok(row(read.prompt, read.completion))
            })
        };
        let demonstrations = self.demonstrations.iter().map(demonstration);
        let accepted = self.shards.iter().filter(|shard| shard.kind == ShardKind::Accepted);
        Ok(Box::new(demonstrations.chain(accepted.flat_map(of_shard))))
    }
}

/// A request and its answer, which alone carries loss.
fn row(prompt: String, answer: String) -> TrainRow {
    let message = |role, content| Message { role, content, tool_calls: vec![], tool_call_id: None };
    let messages = vec![message(Role::User, prompt), message(Role::Assistant, answer)];
    TrainRow { messages, loss: vec![false, true], weight: 1.0 }
}

/// Hands an error of this crate through the seam of trainers; the conversion into
/// [`Error`] takes it out again.
fn unreadable(error: Error) -> TrainError {
    TrainError::Rows(Box::new(error))
}
