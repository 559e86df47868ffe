use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gyre_types::Digest;

use crate::error::DatasetError;
use crate::file::digest_file;
use crate::layout::{Layout, ManifestShard};
use crate::read::read_shard;
use crate::view::{ManifestView, View, digest_view};

/// Something that is wrong with a dataset's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// A stable name, such as `shard_changed`.
    pub code: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong, for people.
    pub detail: String,
}

/// Compares a dataset's files with its manifest: sizes, digests, every row.
/// Gives what is wrong, in the order of the manifest.
///
/// # Errors
///
/// When the folder itself cannot be read: a damaged file is a finding, not an
/// error.
pub fn verify_dataset(layout: &Layout) -> Result<Vec<Problem>, DatasetError> {
    let mut problems = Vec::new();
    let manifest = match layout.read_manifest() {
        Ok(manifest) => manifest,
        Err(error) => {
            let path = error.path.clone();
            let detail = error.explain();
            return Ok(vec![Problem { code: "manifest_unreadable", path, detail }]);
        }
    };
    if let Some(expected) = manifest.card_sha256 {
        problems.extend(verify_card(&layout.root().join("README.md"), &expected));
    }
    let mut known = HashSet::new();
    for shard in &manifest.shards {
        let path = layout.resolve(&shard.path);
        let problem = verify_shard(&path, shard);
        if problem.is_none() {
            for view in manifest.views.iter().filter(|view| view.shard == shard.id) {
                problems.extend(verify_view(&layout.resolve(&view.path), view, &path)?);
            }
        }
        problems.extend(problem);
        known.insert(path);
    }
    known.extend(manifest.views.iter().map(|view| layout.resolve(&view.path)));
    for path in unnamed(layout, &known)? {
        let detail = format!("{} is in no manifest", path.display());
        problems.push(Problem { code: "file_unnamed", path, detail });
    }
    Ok(problems)
}

fn verify_card(path: &Path, expected: &Digest) -> Option<Problem> {
    let problem = |code, detail| Some(Problem { code, path: path.to_owned(), detail });
    match digest_file(path) {
        Ok((found, _)) if found == *expected => None,
        Ok(_) => {
            problem("card_changed", format!("{} is not the card that was written", path.display()))
        }
        Err(error) => problem("card_unreadable", format!("{}: {error}", path.display())),
    }
}

/// A view must be what its shard gives, whatever the manifest says.
fn verify_view(
    path: &Path,
    view: &ManifestView,
    shard: &Path,
) -> Result<Option<Problem>, DatasetError> {
    let problem = |code, detail: String| Some(Problem { code, path: path.to_owned(), detail });
    let shown = path.display();
    let found = match digest_file(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(problem("view_missing", format!("{shown} is missing")));
        }
        Err(error) => return Ok(problem("view_unreadable", format!("{shown}: {error}"))),
    };
    if found == digest_view(view.view, shard)? && found == (view.sha256, view.bytes) {
        return Ok(None);
    }
    Ok(problem("view_changed", format!("{shown} is not what {} gives", shard.display())))
}

fn verify_shard(path: &Path, shard: &ManifestShard) -> Option<Problem> {
    let problem = |code, detail: String| Some(Problem { code, path: path.to_owned(), detail });
    let shown = path.display();
    let (sha256, bytes) = match digest_file(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return problem("shard_missing", format!("{shown} is missing"));
        }
        Err(error) => return problem("shard_unreadable", format!("{shown}: {error}")),
    };
    if bytes != shard.bytes {
        let expected = shard.bytes;
        let detail = format!("{shown} has {bytes} bytes, the manifest says {expected}");
        return problem("shard_truncated", detail);
    }
    if sha256 != shard.sha256 {
        let expected = shard.sha256;
        let detail = format!("{shown} has SHA-256 {sha256}, the manifest says {expected}");
        return problem("shard_changed", detail);
    }
    match count_rows(path) {
        Ok(rows) if rows == shard.rows => None,
        Ok(rows) => {
            let expected = shard.rows;
            problem("shard_rows", format!("{shown} has {rows} rows, the manifest says {expected}"))
        }
        Err(error) => problem("shard_unreadable", error.explain()),
    }
}

fn count_rows(path: &Path) -> Result<u64, DatasetError> {
    read_shard(path)?.try_fold(0, |rows, row| row.map(|_| rows + 1))
}

fn unnamed(layout: &Layout, known: &HashSet<PathBuf>) -> Result<Vec<PathBuf>, DatasetError> {
    use crate::error::At;
    let mut found = Vec::new();
    for dir in View::ALL.map(|view| layout.view_dir(view)).into_iter().chain([layout.data_dir()]) {
        let entries = match fs::read_dir(&dir) {
            // A dataset of version 1 has no views.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.at(&dir, "read")?,
        };
        for entry in entries {
            let path = entry.at(&dir, "read")?.path();
            if !known.contains(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
