//! Where things lie in a data folder.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use gyre_dataset::{Layout, Source};
use gyre_folder::{EntryKind, Folder, LeadsOut};
use gyre_lineage::SealChain;
use gyre_types::{RunId, Split, StoredPath};

/// The data folder: everything that Gyre keeps, beside the database.
///
/// ```text
/// lineage.db                          SQLite, unless another database is named
/// queue.db                            jobs for workers, beside it
/// verifiers/<digest>.wasm             registered verifiers; `.json` for Python
/// verifiers/seal.json                 the last seal of their registry
/// store/                              where files pass to and from workers
/// cache/                              what a worker fetched
/// datasets/<run>/                     the published dataset
/// runs/<run>/seal.json                the last seal of what the run recorded
/// runs/<run>/superseded/              shards that a revocation took out of it
/// runs/<run>/rollouts/round-0001/…    every rollout, in Parquet
/// runs/<run>/checkpoints/round-0001/  the candidate of the round
/// runs/<run>/champion                 a link to the present champion's folder
/// runs/<run>/logs/                    what trainers, servers and hooks printed
/// ```
///
/// Paths in the lineage are relative to the folder, so it can be moved. All that is
/// read, written and removed is so below a handle of it: whatever the database says
/// and whatever links lie in it, nothing outside is touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// The data folder at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The embedded database.
    pub fn sqlite(&self) -> PathBuf {
        self.root.join("lineage.db")
    }

    /// Opens a file that the lineage names. One that cannot be opened, or whose
    /// path leads out of the folder, fails when it is read.
    pub fn open(&self, path: &StoredPath) -> Source {
        Source::opened(self.shown(path), self.open_file(path))
    }

    /// Opens a file that the lineage names.
    ///
    /// # Errors
    ///
    /// When it is not there or cannot be opened, and with
    /// [`ErrorKind::InvalidData`] where its path, or a symbolic link on it, leads
    /// out of the folder.
    pub fn open_file(&self, path: &StoredPath) -> io::Result<File> {
        self.folder().open(path.as_text())
    }

    /// Where a file or folder lies that the lineage names, all links followed;
    /// where it would lie if it is not there.
    ///
    /// # Errors
    ///
    /// As [`DataDir::open_file`].
    pub fn resolve(&self, path: &StoredPath) -> io::Result<PathBuf> {
        match self.folder().resolve(path.as_text()) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.place(path).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, LeadsOut))
            }
            resolved => resolved,
        }
    }

    /// The path of what the lineage names, to compare with those of files that
    /// were found in the folder; none where it leads out of it.
    pub fn place(&self, path: &StoredPath) -> Option<PathBuf> {
        let relative = Path::new(path.as_text());
        let is_plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        is_plain.then(|| self.root.join(relative))
    }

    /// The path of what the lineage names, for people.
    pub fn shown(&self, path: &StoredPath) -> String {
        format!("{}/{path}", self.root.display())
    }

    /// The folder as a handle, below which alone is opened, made and removed.
    pub fn folder(&self) -> Folder {
        Folder::new(&self.root)
    }

    /// Removes a file, a link or a whole folder that was found in the folder.
    ///
    /// # Errors
    ///
    /// When it cannot be removed, or does not lie in the folder.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.folder().remove(path.strip_prefix(&self.root).unwrap_or(path))
    }

    /// The registered verifiers.
    pub(crate) fn verifiers(&self) -> Folder {
        self.folder().below("verifiers")
    }

    /// The folder of all runs' folders.
    pub(crate) fn runs(&self) -> Folder {
        self.folder().below("runs")
    }

    /// A run's folder.
    pub(crate) fn run(&self, run: &RunId) -> Folder {
        self.runs().below(run.as_str())
    }

    /// The folder of the file that names the last seal of a chain.
    pub(crate) fn anchor(&self, chain: &SealChain) -> Folder {
        match chain {
            SealChain::Run(run) => self.run(run),
            SealChain::Registry => self.verifiers(),
        }
    }

    /// What a worker fetched, or has not handed on yet.
    pub(crate) fn cache(&self, kind: &str) -> Folder {
        self.folder().below("cache").below(kind)
    }

    /// A run's published dataset. Its folder has the run's name, since loaders
    /// keep what they read under the names of folders; one that an earlier
    /// version began stays where it is.
    pub fn dataset(&self, run: &RunId) -> Layout {
        let before = self.run(run).look_at("dataset");
        Layout::new(match before.is_ok_and(|before| before.kind == EntryKind::Folder) {
            true => self.run(run).below("dataset"),
            false => self.folder().below("datasets").below(run.as_str()),
        })
    }

    /// The shards that a revocation took out of a run's dataset: evidence, which
    /// nobody publishes by handing on the dataset's folder.
    pub(crate) fn superseded(&self, run: &RunId) -> Folder {
        self.run(run).below("superseded")
    }

    /// The folder of a round's rollouts.
    pub(crate) fn rollouts(&self, run: &RunId, round: u32) -> Folder {
        self.run(run).below("rollouts").below(round_name(round))
    }

    /// What trainers and servers of a run printed.
    pub(crate) fn logs(&self, run: &RunId) -> Folder {
        self.run(run).below("logs")
    }

    /// The folder with a checkpoint's folder for each round's candidate.
    pub(crate) fn checkpoints(&self, run: &RunId) -> Folder {
        self.run(run).below("checkpoints")
    }

    /// The text by which the lineage names a file of this folder.
    pub fn relative(&self, path: &Path) -> StoredPath {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        StoredPath::new(relative.to_string_lossy())
    }
}

/// `round-0001`.
pub(crate) fn round_name(round: u32) -> String {
    format!("round-{round:04}")
}

/// The name of a wave's part, without its extension.
pub(crate) fn wave_part(phase: u32, wave: u32) -> String {
    format!("phase-{phase}-wave-{wave:04}")
}

/// The name of an evaluation's part, without its extension.
pub(crate) fn evaluation_part(part: Split) -> String {
    format!("evaluation-{part}")
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_outside_the_folder_is_opened() {
        let above = tempfile::tempdir().unwrap();
        let data = DataDir::new(above.path().join("data"));
        std::fs::create_dir_all(data.root().join("runs/inner")).unwrap();
        std::fs::write(above.path().join("secret"), "secret").unwrap();
        std::fs::write(data.root().join("runs/inner/own"), "own").unwrap();
        symlink("../../../secret", data.root().join("runs/inner/link")).unwrap();
        symlink(above.path(), data.root().join("runs/out")).unwrap();
        symlink("inner", data.root().join("runs/in")).unwrap();

        let absolute = above.path().join("secret").display().to_string();
        let outside = [
            "../secret",
            "../../../../../../../../etc/passwd",
            "runs/../../secret",
            "runs/inner/link",
            "runs/out/secret",
            absolute.as_str(),
        ];
        for path in outside.map(StoredPath::new) {
            let refused = data.open_file(&path).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidData, "{path}: {refused}");
            let refused = data.resolve(&path).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidData, "{path}: {refused}");
            assert!(gyre_dataset::read_shard(data.open(&path)).is_err(), "{path}");
        }
        // A link that stays inside is followed.
        let mut text = String::new();
        let mut opened = data.open_file(&StoredPath::new("runs/in/own")).unwrap();
        opened.read_to_string(&mut text).unwrap();
        assert_eq!(text, "own");
        let resolved = data.resolve(&StoredPath::new("runs/in/own")).unwrap();
        assert_eq!(resolved, data.root().join("runs/inner/own"));
        // What is not there is named, and what would lie outside is not.
        let missing = StoredPath::new("runs/inner/none");
        assert_eq!(data.resolve(&missing).unwrap(), data.root().join("runs/inner/none"));
        assert_eq!(data.open_file(&missing).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(data.resolve(&StoredPath::new("../none")).is_err());
        assert_eq!(data.place(&StoredPath::new("runs/../../secret")), None);
    }
}
