use std::collections::HashSet;
use std::io;
use std::path::PathBuf;

use gyre_types::Digest;

use crate::error::{At, DatasetError};
use crate::file::{digest_file, read_schema};
use crate::group::GroupRow;
use crate::layout::Layout;
use crate::manifest::{Manifest, ManifestShard, ManifestView};
use crate::published::PublishedRow;
use crate::read::read_rows;
use crate::row::DatasetRow;
use crate::source::Source;
use crate::view::digest_view;

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
        problems.extend(verify_card(layout.open("README.md"), &expected));
    }
    let mut known = HashSet::new();
    for shard in &manifest.shards {
        let problem = verify_shard(layout, &manifest, shard);
        if problem.is_none() {
            for view in manifest.views.iter().filter(|view| view.shard == shard.id) {
                problems.extend(verify_view(layout, view, &shard.path)?);
            }
        }
        problems.extend(problem);
        known.insert(layout.resolve(&shard.path));
    }
    known.extend(manifest.views.iter().map(|view| layout.resolve(&view.path)));
    for path in unnamed(layout, &known)? {
        let detail = format!("{} is in no manifest", path.display());
        problems.push(Problem { code: "file_unnamed", path, detail });
    }
    Ok(problems)
}

fn verify_card(card: Source, expected: &Digest) -> Option<Problem> {
    let path = card.path.clone();
    let problem = |code, detail| Some(Problem { code, path: path.clone(), detail });
    match digest_file(card) {
        Ok((found, _)) if found == *expected => None,
        Ok(_) => {
            problem("card_changed", format!("{} is not the card that was written", path.display()))
        }
        Err(error) => problem("card_unreadable", format!("{}: {error}", path.display())),
    }
}

/// A view must be what its shard gives, whatever the manifest says.
fn verify_view(
    layout: &Layout,
    view: &ManifestView,
    shard: &str,
) -> Result<Option<Problem>, DatasetError> {
    let path = layout.resolve(&view.path);
    let problem = |code, detail: String| Some(Problem { code, path: path.clone(), detail });
    let shown = path.display();
    let found = match digest_file(layout.open(&view.path)) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(problem("view_missing", format!("{shown} is missing")));
        }
        Err(error) => return Ok(problem("view_unreadable", format!("{shown}: {error}"))),
    };
    let given = digest_view(view.view, layout.open(shard))?;
    if found == given && found == (view.sha256, view.bytes) {
        return Ok(None);
    }
    let shard = layout.resolve(shard);
    Ok(problem("view_changed", format!("{shown} is not what {} gives", shard.display())))
}

fn verify_shard(layout: &Layout, manifest: &Manifest, shard: &ManifestShard) -> Option<Problem> {
    let path = layout.resolve(&shard.path);
    let problem = |code, detail: String| Some(Problem { code, path: path.clone(), detail });
    let shown = path.display();
    let (sha256, bytes) = match digest_file(layout.open(&shard.path)) {
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
    if let Some(expected) = manifest.schemas.get(&shard.id) {
        match read_schema(layout.open(&shard.path)) {
            Ok(found) if found == *expected => {}
            Ok(found) => {
                let detail = format!("{shown} holds {found}, the manifest says {expected}");
                return problem("shard_schema", detail);
            }
            Err(error) => return problem("shard_unreadable", error.explain()),
        }
    }
    let rows = match manifest.is_of_groups(shard) {
        true => count_rows::<GroupRow>(layout.open(&shard.path)),
        false => count_rows::<DatasetRow>(layout.open(&shard.path)),
    };
    match rows {
        Ok(rows) if rows == shard.rows => None,
        Ok(rows) => {
            let expected = shard.rows;
            problem("shard_rows", format!("{shown} has {rows} rows, the manifest says {expected}"))
        }
        Err(error) => problem("shard_unreadable", error.explain()),
    }
}

fn count_rows<R: PublishedRow>(shard: Source) -> Result<u64, DatasetError> {
    read_rows::<R>(shard)?.try_fold(0, |rows, row| row.map(|_| rows + 1))
}

fn unnamed(layout: &Layout, known: &HashSet<PathBuf>) -> Result<Vec<PathBuf>, DatasetError> {
    let mut found = Vec::new();
    // A dataset of an earlier version may lack some of them.
    for dir in layout.folders() {
        let path = dir.path();
        let entries = dir.entries().at(&path, "read")?.into_iter();
        found.extend(entries.map(|entry| path.join(entry.name)).filter(|e| !known.contains(e)));
    }
    found.sort();
    Ok(found)
}
