//! Whether a trainer changed what it may only read.
//!
//! Sizes and times are compared, not contents: this finds a script that saves where
//! it loaded, and costs one `stat` per file. New files, such as locks and
//! caches, are no change.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use gyre_folder::{EntryKind, Folder};

/// Folders below folders that are looked at.
const DEPTH_MAX: usize = 8;

/// The files of a folder as they were.
pub(crate) struct Snapshot {
    root: PathBuf,
    files: BTreeMap<PathBuf, Stamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    inode: u64,
    modified: (i64, i64),
}

impl Snapshot {
    pub(crate) fn of(root: &Path) -> io::Result<Self> {
        if !root.is_dir() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut files = BTreeMap::new();
        look(root, Path::new(""), 0, &mut files)?;
        Ok(Self { root: root.to_owned(), files })
    }

    /// The first file that is no longer as it was.
    pub(crate) fn changed(&self) -> Option<PathBuf> {
        let is_changed = |path: &Path, before: Stamp| stamp(&self.root.join(path)) != Some(before);
        let mut files = self.files.iter();
        files.find(|(path, before)| is_changed(path, **before)).map(|(path, _)| path.clone())
    }
}

fn look(
    root: &Path,
    below: &Path,
    depth: usize,
    files: &mut BTreeMap<PathBuf, Stamp>,
) -> io::Result<()> {
    for entry in Folder::new(root.join(below)).entries()? {
        let path = below.join(&entry.name);
        match entry.kind {
            EntryKind::Folder if depth < DEPTH_MAX => look(root, &path, depth + 1, files)?,
            EntryKind::Folder => {}
            // The folders of Hugging Face's cache hold links to files.
            EntryKind::File | EntryKind::Other => {
                files.extend(stamp(&root.join(&path)).map(|stamp| (path, stamp)));
            }
        }
    }
    Ok(())
}

fn stamp(path: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(path).ok()?;
    let modified = (about.mtime(), about.mtime_nsec());
    Some(Stamp { bytes: about.len(), inode: about.ino(), modified })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_changed_file_is_named_and_a_new_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(folder.path().join("deep/model"), "old").unwrap();
        let before = Snapshot::of(folder.path()).unwrap();
        fs::write(folder.path().join("lock"), "").unwrap();
        assert_eq!(before.changed(), None);
        fs::write(folder.path().join("deep/model"), "longer").unwrap();
        assert_eq!(before.changed(), Some(PathBuf::from("deep/model")));
        fs::remove_dir_all(folder.path().join("deep")).unwrap();
        assert_eq!(before.changed(), Some(PathBuf::from("deep/model")));
    }
}
