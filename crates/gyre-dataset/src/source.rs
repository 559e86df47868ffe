use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use gyre_folder::Folder;

/// A file to read: by its path, or opened by somebody who may decide where it is
/// allowed to lie.
#[derive(Debug)]
pub struct Source {
    /// What errors call it.
    pub(crate) path: PathBuf,
    opened: Option<io::Result<File>>,
}

impl Source {
    /// A file that was opened, or why it was not; errors call it `path`.
    pub fn opened(path: impl Into<PathBuf>, file: io::Result<File>) -> Self {
        Self { path: path.into(), opened: Some(file) }
    }

    /// A file of a folder, below which it must lie.
    pub fn below(folder: &Folder, name: impl AsRef<Path>) -> Self {
        let name = name.as_ref();
        Self::opened(folder.path().join(name), folder.open(name))
    }

    pub(crate) fn open(self) -> io::Result<File> {
        self.opened.unwrap_or_else(|| File::open(&self.path))
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Self { path: path.to_owned(), opened: None }
    }
}

impl From<&PathBuf> for Source {
    fn from(path: &PathBuf) -> Self {
        path.as_path().into()
    }
}
