use std::collections::HashSet;
use std::path::PathBuf;

use gyre_folder::{EntryKind, Folder};

use crate::error::{At, DatasetError};
use crate::file::TEMPORARY_PREFIX;

/// Finds in one folder what no transaction named: temporary files, and Parquet
/// files that are not among `known` (paths of the form `dir.join(name)`), by
/// name. Other files are left alone, and a folder that does not exist holds no
/// garbage.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn find_garbage(
    dir: impl Into<Folder>,
    known: &HashSet<PathBuf>,
) -> Result<Vec<PathBuf>, DatasetError> {
    let (dir, mut found) = (dir.into(), Vec::new());
    for entry in dir.entries().at(&dir.path(), "read")? {
        let path = dir.path().join(&entry.name);
        let temporary = entry.name.to_string_lossy().starts_with(TEMPORARY_PREFIX);
        let unnamed = path.extension().is_some_and(|e| e == "parquet") && !known.contains(&path);
        if entry.kind == EntryKind::File && (temporary || unnamed) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Removes what [`find_garbage`] finds, and gives it.
///
/// Must not run while a writer works on the folder: the run's lease keeps
/// others away.
///
/// # Errors
///
/// When the folder cannot be read or a file not be removed.
pub fn collect_garbage(
    dir: impl Into<Folder>,
    known: &HashSet<PathBuf>,
) -> Result<Vec<PathBuf>, DatasetError> {
    let dir = dir.into();
    let found = find_garbage(&dir, known)?;
    for path in &found {
        gyre_fault::io_point("garbage::removing").at(path, "remove")?;
        dir.remove_file(path.file_name().unwrap_or_default()).at(path, "remove")?;
        gyre_fault::io_point("garbage::removed").at(path, "remove")?;
    }
    Ok(found)
}
