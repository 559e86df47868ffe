//! The index of a published dataset: card and manifest.

use gyre_dataset::{Card, ManifestShard, Problem};
use gyre_lineage::{RunRow, ShardRow};

use crate::error::Error;
use crate::inspect;
use crate::project::Project;

/// Writes manifest and card from what the lineage names. They hold nothing
/// of their own, so a crash before this is healed by the next start.
pub(crate) fn write_index(project: &Project, run: &RunRow) -> Result<(), Error> {
    let shards = inspect::shards(project, &run.id)?;
    if shards.is_empty() {
        return Ok(());
    }
    let (card, shards) = published(project, run, shards);
    Ok(project.data.dataset(&run.id).write_index(&card, &shards)?)
}

/// Compares the published folder with what the lineage names: every file, and
/// the card and the manifest themselves.
pub(crate) fn verify_published(project: &Project, run: &RunRow) -> Result<Vec<Problem>, Error> {
    let layout = project.data.dataset(&run.id);
    let mut problems = gyre_dataset::verify_dataset(&layout)?;
    let (card, shards) = published(project, run, inspect::shards(project, &run.id)?);
    // What cannot be read is among the problems already.
    if let Ok(false) = layout.index_is_of(&card, &shards) {
        let path = layout.root().join("manifest.json");
        let detail = format!("{} is not what the lineage names", path.display());
        problems.push(Problem { code: "index_differs", path, detail });
    }
    Ok(problems)
}

/// The card and the shards that are published now, of those given.
pub(crate) fn published(
    project: &Project,
    run: &RunRow,
    shards: Vec<ShardRow>,
) -> (Card, Vec<ManifestShard>) {
    let dataset = project.data.dataset(&run.id);
    let shard = |shard: ShardRow| ManifestShard {
        path: match project.data.place(&shard.path) {
            Some(place) => relative_to(dataset.root(), &place),
            None => shard.path.to_string(),
        },
        id: shard.id,
        sha256: shard.sha256,
        bytes: shard.bytes,
        rows: u64::from(shard.rows),
        round: shard.round,
    };
    let current = shards.into_iter().filter(|shard| !shard.superseded).map(shard);
    let card = Card {
        run: run.id.clone(),
        seed: run.seed,
        fingerprint: run.fingerprint,
        license: "other".to_owned(),
    };
    (card, current.collect())
}

fn relative_to(folder: &std::path::Path, path: &std::path::Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned()
}
