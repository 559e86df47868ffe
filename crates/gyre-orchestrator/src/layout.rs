//! Where things lie in a data folder.

use std::path::{Path, PathBuf};

use gyre_types::{Digest, RunId, Split};

/// The data folder: everything that Gyre keeps, beside the database.
///
/// ```text
/// lineage.db                          SQLite, unless another database is named
/// verifiers/<digest>.wasm             registered verifiers
/// runs/<run>/dataset/                 the published dataset
/// runs/<run>/rollouts/round-0001/…    every rollout, in Parquet
/// runs/<run>/checkpoints/round-0001/  the candidate of the round
/// ```
///
/// Paths in the lineage are relative to the folder, so it can be moved.
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

    /// A file that the lineage names.
    pub fn file(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
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

    /// A run's published dataset.
    pub fn dataset(&self, run: &RunId) -> PathBuf {
        self.run(run).join("dataset")
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
    pub fn relative(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        relative.to_string_lossy().into_owned()
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
