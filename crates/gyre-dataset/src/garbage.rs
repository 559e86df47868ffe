use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{At, DatasetError};
use crate::file::TEMPORARY_PREFIX;

/// Removes from one folder what no transaction named: temporary files, and
/// Parquet files that are not among `known` (paths of the form `dir.join(name)`).
/// Gives what was removed, by name. Other files are left alone, and a folder
/// that does not exist holds no garbage.
///
/// Must not run while a writer works on the folder: the run's lease keeps
/// others away.
///
/// # Errors
///
/// When the folder cannot be read or a file not be removed.
pub fn collect_garbage(dir: &Path, known: &HashSet<PathBuf>) -> Result<Vec<PathBuf>, DatasetError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).at(dir, "read"),
    };
    let mut removed = Vec::new();
    for entry in entries {
        let entry = entry.at(dir, "read")?;
        let path = entry.path();
        let is_file = entry.file_type().at(&path, "read")?.is_file();
        let temporary = entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX);
        let unnamed = path.extension().is_some_and(|e| e == "parquet") && !known.contains(&path);
        if is_file && (temporary || unnamed) {
            gyre_fault::io_point("garbage::removing").at(&path, "remove")?;
            fs::remove_file(&path).at(&path, "remove")?;
            gyre_fault::io_point("garbage::removed").at(&path, "remove")?;
            removed.push(path);
        }
    }
    removed.sort();
    Ok(removed)
}
