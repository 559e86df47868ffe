//! Finds the folders of recorded checkpoints, and checks them.

use std::path::Path;

use gyre_lineage::CheckpointRow;
use gyre_train::digest_checkpoint;
use gyre_types::{CheckpointId, Digest, RunId};

use crate::error::Error;
use crate::project::Project;
use crate::weights::{Found, Weights};

/// What a recorded checkpoint acts from.
///
/// # Errors
///
/// As [`find`], for the checkpoint and those below an adapter.
pub(crate) fn weights_of(
    project: &Project,
    run: &RunId,
    id: &CheckpointId,
) -> Result<Weights, Error> {
    let find = |id: &CheckpointId| find(project, run, id);
    Weights::of(find(id)?, find)
}

/// A recorded checkpoint, whose files are what was recorded: nothing acts, trains or is
/// replayed by other weights or another optimiser's state under the recorded name.
///
/// # Errors
///
/// [`Error::CheckpointChanged`] where a file was changed, added or taken away.
pub(crate) fn find(project: &Project, run: &RunId, id: &CheckpointId) -> Result<Found, Error> {
    let row = checkpoint_row(project, run, id)?;
    let dir = project.data.resolve(&row.path).map_err(|error| Error::Recorded {
        run: run.clone(),
        what: id.to_string(),
        why: error.to_string(),
    })?;
    check_checkpoint(&dir, id, &row.digest)?;
    Ok(Found { folder: dir, parent: row.parent })
}

/// The row of a checkpoint.
///
/// # Errors
///
/// When there is none, or the store fails.
pub(crate) fn checkpoint_row(
    project: &Project,
    run: &RunId,
    id: &CheckpointId,
) -> Result<CheckpointRow, Error> {
    let row = project.wait(project.store.checkpoint(run, id))?;
    row.ok_or_else(|| Error::NotFound {
        what: "checkpoint",
        id: id.to_string(),
        hint: "`gyre rounds` lists the checkpoints".to_owned(),
    })
}

/// Refuses a checkpoint's folder that does not hold what was recorded.
fn check_checkpoint(dir: &Path, id: &CheckpointId, recorded: &Digest) -> Result<(), Error> {
    let found = digest_checkpoint(dir)?;
    if found == *recorded {
        return Ok(());
    }
    Err(Error::CheckpointChanged {
        checkpoint: id.clone(),
        dir: dir.to_owned(),
        recorded: recorded.short(),
        found: found.short(),
    })
}
