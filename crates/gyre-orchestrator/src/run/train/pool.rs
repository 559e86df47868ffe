//! What a training learns from: demonstrations, and the shards of the last rounds.

use std::path::{Path, PathBuf};

use gyre_dataset::{Card, Layout, ManifestShard, read_shard};
use gyre_folder::Folder;
use gyre_lineage::ShardRow;
use gyre_round::RoundPlan;
use gyre_types::Split;

use crate::engine::Example;
use crate::error::Error;
use crate::inspect;
use crate::project::io;
use crate::run::context::RunContext;
use crate::run::publish::index::published;
use crate::run::tasks::store::load_admitted;

/// The shards of the last rounds, as the pool's bound has it, in order.
///
/// # Errors
///
/// When the store fails.
pub(crate) fn pool_shards(run: &RunContext, plan: &RoundPlan) -> Result<Vec<ShardRow>, Error> {
    let oldest = (plan.round + 1).saturating_sub(run.config.pool.rounds_max);
    let mut shards = inspect::shards(&run.project, run.id())?;
    shards.retain(|shard| !shard.superseded && (oldest..=plan.round).contains(&shard.round));
    Ok(shards)
}

/// Demonstrations, then the rows of the pool's shards, each in stable order.
///
/// # Errors
///
/// When the store fails, or a shard cannot be read.
pub(crate) fn examples(
    run: &RunContext,
    plan: &RoundPlan,
    shards: &[ShardRow],
) -> Result<Vec<Example>, Error> {
    let mut examples = Vec::new();
    if run.config.pool.demonstrations || plan.round == 0 {
        let demonstrations = load_admitted(run, 0, Split::Train)?.into_values();
        examples.extend(demonstrations.map(|a| example(a.task.instruction, a.key.reference)));
    }
    for shard in shards {
        for row in read_shard(run.project.data.open(&shard.path))? {
            let row = row?;
            examples.push(example(row.prompt, row.completion));
        }
    }
    Ok(examples)
}

fn example(prompt: String, answer: String) -> Example {
    Example { prompt, answer, weight: 1.0 }
}

/// A dataset folder with the pool's shards, for a trainer that reads one.
///
/// # Errors
///
/// When a file cannot be linked or written.
pub(crate) fn pool_folder(
    run: &RunContext,
    folder: &Folder,
    shards: Vec<ShardRow>,
) -> Result<PathBuf, Error> {
    let layout = Layout::new(folder.clone());
    layout.create()?;
    let own = run.project.data.dataset(run.id());
    let (card, shards): (Card, Vec<ManifestShard>) = published(&run.project, &run.row, shards);
    for shard in &shards {
        let name = Path::new(&shard.path).file_name().unwrap_or_default();
        let place = layout.data().path().join(name);
        own.data().link(name, &layout.data(), name).map_err(io("link", &place))?;
    }
    layout.write_index(&card, &shards)?;
    std::path::absolute(layout.root()).map_err(io("find", layout.root()))
}
