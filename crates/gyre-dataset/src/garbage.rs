use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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
pub fn find_garbage(dir: &Path, known: &HashSet<PathBuf>) -> Result<Vec<PathBuf>, DatasetError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).at(dir, "read"),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.at(dir, "read")?;
        let path = entry.path();
        let is_file = entry.file_type().at(&path, "read")?.is_file();
        let temporary = entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX);
        let unnamed = path.extension().is_some_and(|e| e == "parquet") && !known.contains(&path);
        if is_file && (temporary || unnamed) {
            found.push(path);
        }
    }
    found.sort();
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
pub fn collect_garbage(dir: &Path, known: &HashSet<PathBuf>) -> Result<Vec<PathBuf>, DatasetError> {
    let found = find_garbage(dir, known)?;
    for path in &found {
        gyre_fault::io_point("garbage::removing").at(path, "remove")?;
        fs::remove_file(path).at(path, "remove")?;
        gyre_fault::io_point("garbage::removed").at(path, "remove")?;
    }
    Ok(found)
}
