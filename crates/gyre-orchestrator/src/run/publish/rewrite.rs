//! Writes shards anew whose rows a revocation touched.

use std::path::{Path, PathBuf};

use gyre_lineage::{Commit, CorrectionStep, RevocationRow, ShardKind, ShardRewrite, ShardRow};
use gyre_round::RoundPlan;
use gyre_types::{Split, StoredPath};

use super::groups::write_groups;
use super::selection::select;
use super::shard::{WrittenShard, write_shard};
use crate::error::Error;
use crate::project::io;
use crate::run::context::RunContext;
use crate::run::recorded::recorded_state;
use crate::run::tasks::store::load_tasks;

/// A shard that is to be replaced.
pub(crate) struct Rewrite {
    /// What takes it out of the dataset, and puts its successor in.
    pub(crate) rows: Commit,
    /// The shard's file, which is removed once commit and index say so.
    pub(crate) replaced: PathBuf,
}

/// Chooses the rows of a shard anew, as its round would have chosen them by the
/// verdicts of today. Nothing is to be done where every row is what it was.
///
/// # Errors
///
/// When something recorded is missing, or a file cannot be written.
pub(crate) fn rewrite_shard(
    run: &RunContext,
    revocation: &RevocationRow,
    old: ShardRow,
) -> Result<Option<Rewrite>, Error> {
    let state = recorded_state(run, old.round)?;
    let Some(plan) = state.plan else {
        return Err(run.unreadable(old.id.to_string(), "its round has no plan"));
    };
    let successor = successor(run, &plan, old.kind)?;
    if successor.as_ref().is_some_and(|written| written.shard.id == old.id) {
        return Ok(None);
    }
    let resolved = run.project.data.resolve(&old.path);
    let file = resolved.map_err(|error| run.unreadable(old.id.to_string(), error))?;
    let moved_to = set_aside(run, &old.path, &file)?;
    gyre_fault::io_point("revoke::set_aside").map_err(io("set aside", &file))?;
    let mut rows = run.no_rows();
    let mut rewrite = ShardRewrite { shard: old.id, moved_to, successor: None };
    if let Some(WrittenShard { shard, rows: shard_rows }) = successor {
        rewrite.successor = Some(shard.id.clone());
        rows.shards.push(shard);
        rows.shard_rows = shard_rows;
    }
    let mut step = CorrectionStep::new(revocation.ordinal);
    step.rewrites.push(rewrite);
    rows.correction = Some(step);
    Ok(Some(Rewrite { rows, replaced: file }))
}

/// What a round publishes of a kind by the verdicts of today; nothing where no row is
/// left.
fn successor(
    run: &RunContext,
    plan: &RoundPlan,
    kind: ShardKind,
) -> Result<Option<WrittenShard>, Error> {
    match kind {
        ShardKind::Accepted => {
            let selection = select(run, plan)?;
            match selection.chosen.accepted.is_empty() {
                true => Ok(None),
                false => write_shard(run, plan.round, &selection).map(Some),
            }
        }
        ShardKind::Groups => {
            let tasks = load_tasks(run, plan.round, Split::Train)?;
            let groups = write_groups(run, plan.round, &tasks)?;
            Ok(groups.map(|(written, _)| written))
        }
    }
}

/// Removes the file of a shard that was replaced, once commit and index say so.
///
/// # Errors
///
/// When the file cannot be removed.
pub(crate) fn remove_replaced(run: &RunContext, file: &Path) -> Result<(), Error> {
    gyre_fault::io_point("revoke::indexed").map_err(io("remove", file))?;
    run.project.data.remove(file).map_err(io("remove", file))
}

/// Gives a shard's file its second name, outside the folder that is
/// published. The first one is taken away once the lineage knows.
fn set_aside(run: &RunContext, shard: &StoredPath, file: &Path) -> Result<StoredPath, Error> {
    let data = run.project.data.folder();
    let folder = run.project.data.superseded(run.id());
    folder.make().map_err(io("make", &folder.path()))?;
    let name = file.file_name().unwrap_or_default();
    match data.link(shard.as_text(), &folder, name) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        // A file system without such links.
        Err(_) => {
            let bytes = data.read(shard.as_text()).map_err(io("copy", file))?;
            folder.write(name, &bytes).map_err(io("copy", file))?;
        }
        Ok(()) => {}
    }
    folder.sync().map_err(io("sync", &folder.path()))?;
    Ok(run.project.data.relative(&folder.path().join(name)))
}
