//! The folders of a training: what the trainer may only read, and what it writes.

use std::io;
use std::path::Path;

use gyre_folder::{EntryKind, Folder};
use gyre_types::Digest;

use crate::snapshot::Snapshot;
use crate::{CheckpointError, TrainError, vocabulary};

/// Folders below the output that are measured. What lies deeper is refused later.
const DEPTH_MAX: usize = 16;

/// What a trainer reads, as it was before it ran.
pub(super) struct ReadOnly {
    folders: Vec<(&'static str, Snapshot)>,
    /// Digest of the parent's vocabulary, where it is known.
    pub(super) vocabulary: Option<Digest>,
}

impl ReadOnly {
    pub(super) fn of(dataset: &Path, parent: Option<&Path>) -> Result<Self, TrainError> {
        let look = |folder: &Path| Snapshot::of(folder).map_err(TrainError::io("list", folder));
        let mut folders = vec![("dataset", look(dataset)?)];
        let mut known = None;
        if let Some(parent) = parent {
            folders.push(("parent", look(parent)?));
            known = vocabulary(parent)?;
        }
        Ok(Self { folders, vocabulary: known })
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        for (what, snapshot) in &self.folders {
            if let Some(path) = snapshot.changed() {
                return Err(TrainError::Changed { what, path });
            }
        }
        Ok(())
    }
}

/// Checks that nothing lies in the output folder before the training.
pub(super) fn check_empty(output: &Path) -> Result<(), TrainError> {
    let entries = Folder::new(output).entries().map_err(TrainError::io("list", output))?;
    match entries.is_empty() {
        true => Ok(()),
        false => Err(TrainError::OutputNotEmpty { folder: output.to_owned() }),
    }
}

/// Checks that the output folder is still a folder after the training: a link in its
/// place would lead to files that others may change.
pub(super) fn check_output(output: &Path) -> Result<(), TrainError> {
    let about = std::fs::symlink_metadata(output).map_err(TrainError::io("look at", output))?;
    if about.is_dir() {
        return Ok(());
    }
    let why = "is a link; the trainer must leave the folder that it was given";
    Err(CheckpointError::refused(output.to_owned(), why).into())
}

/// Bytes of all files of the output folder.
pub(super) fn measured_bytes(output: &Path) -> Result<u64, TrainError> {
    bytes_below(&Folder::new(output), 0).map_err(TrainError::io("list", output))
}

/// What disappears meanwhile, as temporary files do, counts as nothing.
fn bytes_below(folder: &Folder, depth: usize) -> io::Result<u64> {
    let mut bytes = 0u64;
    for entry in folder.entries()? {
        bytes += match entry.kind {
            EntryKind::File => entry.bytes,
            EntryKind::Folder if depth < DEPTH_MAX => {
                bytes_below(&folder.below(&entry.name), depth + 1).unwrap_or(0)
            }
            EntryKind::Folder | EntryKind::Other => 0,
        };
    }
    Ok(bytes)
}
