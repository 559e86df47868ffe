//! Which files there are.

use std::io::Read as _;
use std::path::Path;

use gyre_folder::{EntryKind, Folder};

use super::contents::CheckpointLimits;
use crate::CheckpointError;

/// Folders below folders. Intermediate checkpoints of common trainers need two.
const DEPTH_MAX: usize = 8;

/// A file of JSON larger than this is no configuration and no tokenizer.
const JSON_BYTES_MAX: u64 = 128 << 20;

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its path below the root, with `/` between names.
    pub(super) path: String,
    pub(super) bytes: u64,
}

/// All files of a folder and those below, sorted by path.
pub(super) fn list(
    root: &Folder,
    limits: CheckpointLimits,
) -> Result<Vec<Listed>, CheckpointError> {
    let mut files = Vec::new();
    let mut folders = vec![(root.clone(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        let path = folder.path();
        for entry in folder.entries().map_err(CheckpointError::io("list", path.clone()))? {
            let refused = |why: &str| CheckpointError::refused(path.join(&entry.name), why);
            let Some(name) = entry.name.to_str() else {
                return Err(refused("has a name that is not UTF-8; rename it"));
            };
            let below = format!("{prefix}{name}");
            match entry.kind {
                EntryKind::File => files.push(Listed { path: below, bytes: entry.bytes }),
                EntryKind::Folder if depth == DEPTH_MAX => {
                    return Err(refused("lies too deep; a checkpoint has few levels of folders"));
                }
                EntryKind::Folder => {
                    folders.push((folder.below(name), format!("{below}/"), depth + 1));
                }
                EntryKind::Other => {
                    return Err(refused(
                        "is a link or a special file; leave regular files and folders alone",
                    ));
                }
            }
            if files.len() + folders.len() > limits.files_max {
                let (root, most) = (root.path(), limits.files_max);
                let why = format!(
                    "holds more than {most} files; leave only the final checkpoint, or raise \
                     files_max"
                );
                return Err(CheckpointError::refused(root, why));
            }
        }
    }
    check_bytes(root, &files, limits.bytes_max)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn check_bytes(root: &Folder, files: &[Listed], bytes_max: u64) -> Result<(), CheckpointError> {
    let bytes = files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.bytes));
    if bytes <= bytes_max {
        return Ok(());
    }
    let why = format!(
        "holds {bytes} bytes, more than output_bytes_max = {bytes_max}; leave only the final \
         checkpoint, or raise the bound"
    );
    Err(CheckpointError::refused(root.path(), why))
}

/// A file of JSON; `None` where it is not there.
pub(super) fn read_json(
    folder: &Path,
    name: &str,
) -> Result<Option<serde_json::Value>, CheckpointError> {
    let path = || folder.join(name);
    let file = match Folder::new(folder).open(name) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(CheckpointError::io("open", path()))?,
    };
    let mut text = Vec::new();
    let read = file.take(JSON_BYTES_MAX + 1).read_to_end(&mut text);
    read.map_err(CheckpointError::io("read", path()))?;
    if text.len() as u64 > JSON_BYTES_MAX {
        let why = format!("is larger than {JSON_BYTES_MAX} bytes");
        return Err(CheckpointError::refused(path(), why));
    }
    let json = serde_json::from_slice(&text);
    json.map(Some).map_err(|error| {
        CheckpointError::refused(
            path(),
            format!("is not JSON ({error}); the trainer wrote it wrongly or in part"),
        )
    })
}
