use std::fs;
use std::path::{Path, PathBuf};

use gyre_types::{Digest, RunId, ShardId};
use serde::{Deserialize, Serialize};

use crate::card::{self, Card};
use crate::error::{At, DatasetError, Fault};
use crate::file::write_whole;

/// The version of `manifest.json` that this crate writes and reads.
const MANIFEST_VERSION: u32 = 1;

/// The folder of a run's dataset: `data/train-round-0001.parquet`, …,
/// `README.md` and `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

/// What a dataset consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format.
    pub format_version: u32,
    /// The run that made it.
    pub run: RunId,
    /// Its shards, by round.
    pub shards: Vec<ManifestShard>,
}

/// A shard of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestShard {
    /// Derived from `sha256`.
    pub id: ShardId,
    /// Relative to the dataset's folder, with `/` between folders.
    pub path: String,
    /// Of the whole file.
    pub sha256: Digest,
    /// The file's size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// The round whose rows it holds.
    pub round: u32,
}

impl Layout {
    /// The dataset in this folder; nothing is touched yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the shards.
    pub fn data_dir(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Makes the folders.
    ///
    /// # Errors
    ///
    /// When the file system does not let it.
    pub fn create(&self) -> Result<(), DatasetError> {
        fs::create_dir_all(self.data_dir()).at(&self.data_dir(), "create")
    }

    /// Where the shard of a round lies. Later rounds never change it.
    pub fn shard_path(&self, round: u32) -> PathBuf {
        self.data_dir().join(Self::shard_name(round))
    }

    /// The name of the shard of a round, below the folder of the shards.
    pub fn shard_name(round: u32) -> String {
        format!("train-round-{round:04}.parquet")
    }

    /// Where a path of the manifest lies.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(crate) fn manifest_path(&self) -> PathBuf {
        self.root.join("manifest.json")
    }

    /// Writes the card and the manifest anew, each at once. They follow from
    /// the list of published shards, so a crash between shard and index is
    /// healed by calling this again.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn write_index(&self, card: &Card, shards: &[ManifestShard]) -> Result<(), DatasetError> {
        let mut shards = shards.to_vec();
        shards.sort_by(|a, b| (a.round, &a.path).cmp(&(b.round, &b.path)));
        let readme = card::render(card, &shards);
        write_whole(&self.root.join("README.md"), readme.as_bytes())?;
        let run = card.run.clone();
        let manifest = Manifest { format_version: MANIFEST_VERSION, run, shards };
        let path = self.manifest_path();
        let damaged = |error: serde_json::Error| Fault::Damaged(error.to_string());
        let mut json =
            serde_json::to_string_pretty(&manifest).map_err(damaged).at(&path, "write")?;
        json.push('\n');
        write_whole(&path, json.as_bytes())
    }

    /// Reads the manifest.
    ///
    /// # Errors
    ///
    /// When it is missing, damaged or of another version.
    pub fn read_manifest(&self) -> Result<Manifest, DatasetError> {
        /// Read first, so that a newer format is called newer and not damaged.
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let path = self.manifest_path();
        let text = fs::read_to_string(&path).at(&path, "read")?;
        let damaged = |error: serde_json::Error| Fault::Damaged(error.to_string());
        let version: Version = serde_json::from_str(&text).map_err(damaged).at(&path, "read")?;
        if version.format_version != MANIFEST_VERSION {
            let fault = Fault::Schema {
                found: format!("manifest version {}", version.format_version),
                known: format!("manifest version {MANIFEST_VERSION}"),
            };
            return Err(DatasetError::new(&path, "read", fault));
        }
        serde_json::from_str(&text).map_err(damaged).at(&path, "read")
    }
}
