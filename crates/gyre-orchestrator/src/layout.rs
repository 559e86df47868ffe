//! Where things lie in a data folder.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use gyre_dataset::Source;
use gyre_types::{Digest, RunId, Split, StoredPath};

/// The data folder: everything that Gyre keeps, beside the database.
///
/// ```text
/// lineage.db                          SQLite, unless another database is named
/// queue.db                            jobs for workers, beside it
/// verifiers/<digest>.wasm             registered verifiers; `.json` for Python
/// store/                              where files pass to and from workers
/// cache/                              what a worker fetched
/// datasets/<run>/                     the published dataset
/// runs/<run>/superseded/              shards that a revocation took out of it
/// runs/<run>/rollouts/round-0001/…    every rollout, in Parquet
/// runs/<run>/checkpoints/round-0001/  the candidate of the round
/// ```
///
/// Paths in the lineage are relative to the folder, so it can be moved, and are
/// opened below a handle of it: whatever the database says, nothing outside is
/// read. A symbolic link inside that leads out is refused as well.
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
        let opened = self.handle()?.open(path.as_text());
        opened.map(cap_std::fs::File::into_std).map_err(led_out)
    }

    /// Where a file or folder lies that the lineage names, all links followed;
    /// where it would lie if it is not there.
    ///
    /// # Errors
    ///
    /// As [`DataDir::open_file`].
    pub fn resolve(&self, path: &StoredPath) -> io::Result<PathBuf> {
        match self.handle()?.canonicalize(path.as_text()) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.place(path).ok_or_else(leads_out)
            }
            resolved => resolved.map(|path| self.root.join(path)).map_err(led_out),
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

    /// The folder as a handle, below which alone it opens.
    fn handle(&self) -> io::Result<Dir> {
        Dir::open_ambient_dir(&self.root, ambient_authority())
    }

    /// The file of a registered verifier, by its digest: `wasm`, or `json` for
    /// a Python program with its limits.
    pub fn verifier(&self, digest: &Digest, extension: &str) -> PathBuf {
        self.root.join("verifiers").join(format!("{digest}.{extension}"))
    }

    /// A run's folder.
    pub fn run(&self, run: &RunId) -> PathBuf {
        self.root.join("runs").join(run.as_str())
    }

    /// A run's published dataset. Its folder has the run's name, since loaders
    /// keep what they read under the names of folders; one that an earlier
    /// version began stays where it is.
    pub fn dataset(&self, run: &RunId) -> PathBuf {
        let before = self.run(run).join("dataset");
        if before.is_dir() { before } else { self.root.join("datasets").join(run.as_str()) }
    }

    /// The shards that a revocation took out of a run's dataset: evidence, which
    /// nobody publishes by handing on the dataset's folder.
    pub fn superseded(&self, run: &RunId) -> PathBuf {
        self.run(run).join("superseded")
    }

    /// The folder of a round's rollouts.
    pub fn rollouts(&self, run: &RunId, round: u32) -> PathBuf {
        self.run(run).join("rollouts").join(round_name(round))
    }

    /// The checkpoint folder of a round's candidate.
    pub fn checkpoint(&self, run: &RunId, round: u32) -> PathBuf {
        self.run(run).join("checkpoints").join(round_name(round))
    }

    /// The text by which the lineage names a file of this folder.
    pub fn relative(&self, path: &Path) -> StoredPath {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        StoredPath::new(relative.to_string_lossy())
    }
}

/// Tells what the handle refused from what the system did.
fn led_out(error: io::Error) -> io::Error {
    let is_refusal = error.kind() == ErrorKind::PermissionDenied && error.raw_os_error().is_none();
    if is_refusal { leads_out() } else { error }
}

fn leads_out() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "its path leads out of the data folder")
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
