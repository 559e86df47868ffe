use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path, PathBuf};

use gyre_folder::{EntryKind, Folder};
use gyre_types::{Digest, RunId, ShardId};
use serde::{Deserialize, Serialize};

use crate::card::{self, Card};
use crate::error::{At, DatasetError, Fault};
use crate::file::write_whole;
use crate::garbage::collect_garbage;
use crate::source::Source;
use crate::view::{ManifestView, View, write_view};

/// The version of `manifest.json` that this crate writes. It reads version 1 too,
/// which knew neither views nor the card's digest.
const MANIFEST_VERSION: u32 = 2;

const MANIFEST: &str = "manifest.json";

/// The folder of a run's dataset: `data/train-r0001-<digest>.parquet`, …, a
/// folder for each [`View`], `README.md` and `manifest.json`.
///
/// Whatever its manifest names and whatever links lie in it, nothing outside the
/// folder is read, written or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    folder: Folder,
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
    /// Of `README.md`.
    #[serde(default)]
    pub card_sha256: Option<Digest>,
    /// Its shards, by round.
    pub shards: Vec<ManifestShard>,
    /// The files of its views.
    #[serde(default)]
    pub views: Vec<ManifestView>,
}

impl Manifest {
    /// All files but the card and the manifest: path, digest, size.
    pub fn files(&self) -> impl Iterator<Item = (&str, Digest, u64)> {
        let shards = self.shards.iter().map(|shard| (&shard.path, shard.sha256, shard.bytes));
        let views = self.views.iter().map(|view| (&view.path, view.sha256, view.bytes));
        shards.chain(views).map(|(path, sha256, bytes)| (path.as_str(), sha256, bytes))
    }
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
    pub fn new(folder: impl Into<Folder>) -> Self {
        let folder = folder.into();
        Self { root: folder.path(), folder }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the shards.
    pub fn data_dir(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The folder of the shards, to write to.
    pub fn data(&self) -> Folder {
        self.folder.below("data")
    }

    /// The dataset's folder, to read from and to write to.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The folder of a view.
    pub(crate) fn view(&self, view: View) -> Folder {
        self.folder.below(view.name())
    }

    /// Makes the folders.
    ///
    /// # Errors
    ///
    /// When the file system does not let it.
    pub fn create(&self) -> Result<(), DatasetError> {
        for dir in View::ALL.map(|view| self.view(view)).into_iter().chain([self.data()]) {
            dir.make().at(&dir.path(), "create")?;
        }
        Ok(())
    }

    /// A file of the dataset, by its path in the manifest. One that cannot be
    /// opened, or whose path leads out of the folder, fails when it is read.
    pub fn open(&self, path: &str) -> Source {
        Source::below(&self.folder, path)
    }

    /// The bytes of a file of the dataset, to hand them on; only if they are those
    /// of this digest, where one is recorded.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, leads out of the folder, or was changed.
    pub fn read(&self, path: &str, sha256: Option<&Digest>) -> Result<Vec<u8>, DatasetError> {
        let place = self.resolve(path);
        let bytes = self.folder.read(path).at(&place, "read")?;
        if sha256.is_some_and(|sha256| Digest::of(&bytes) != *sha256) {
            let fault = Fault::Damaged("its SHA-256 is not the recorded one".to_owned());
            return Err(DatasetError::new(&place, "publish", fault));
        }
        Ok(bytes)
    }

    /// Where a path of the manifest lies, to name it.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(crate) fn manifest_path(&self) -> PathBuf {
        self.root.join(MANIFEST)
    }

    /// Writes the card and the manifest anew, each at once, and what is missing
    /// of the views before. They follow from the list of published shards, so a
    /// crash between shard and index is healed by calling this again.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written, or a shard not be read whose views are
    /// missing.
    pub fn write_index(&self, card: &Card, shards: &[ManifestShard]) -> Result<(), DatasetError> {
        let shards = sorted(shards);
        let inside = |shard: &ManifestShard| {
            Path::new(&shard.path).components().all(|part| matches!(part, Component::Normal(_)))
        };
        if let Some(outside) = shards.iter().find(|shard| !inside(shard)) {
            return Err(DatasetError::new(Path::new(&outside.path), "publish", Fault::LeadsOut));
        }
        let views = self.write_views(&shards)?;
        let (readme, manifest) = index(card, shards, views);
        write_whole(&self.folder, "README.md", readme.as_bytes())?;
        let path = self.manifest_path();
        let damaged = |error: serde_json::Error| Fault::Damaged(error.to_string());
        let mut json =
            serde_json::to_string_pretty(&manifest).map_err(damaged).at(&path, "write")?;
        json.push('\n');
        write_whole(&self.folder, MANIFEST, json.as_bytes())?;
        let named: HashSet<_> =
            manifest.views.iter().map(|view| self.resolve(&view.path)).collect();
        for view in View::ALL {
            collect_garbage(self.view(view), &named)?;
        }
        Ok(())
    }

    /// The views of all shards; those that the manifest names and that are there
    /// are not written again.
    fn write_views(&self, shards: &[ManifestShard]) -> Result<Vec<ManifestView>, DatasetError> {
        let known = self.read_manifest().map(|manifest| manifest.views).unwrap_or_default();
        let known: BTreeMap<_, _> =
            known.into_iter().map(|view| ((view.view, view.shard.clone()), view)).collect();
        let mut views = Vec::new();
        for view in View::ALL {
            for shard in shards {
                let there = known.get(&(view, shard.id.clone())).filter(|known| {
                    let about = self.folder.look_at(&known.path);
                    about.is_ok_and(|about| {
                        about.kind == EntryKind::File && about.bytes == known.bytes
                    })
                });
                views.push(match there {
                    Some(known) => known.clone(),
                    None => {
                        let dir = self.view(view);
                        dir.make().at(&dir.path(), "create")?;
                        write_view(&dir, view, self.open(&shard.path), shard)?
                    }
                });
            }
        }
        Ok(views)
    }

    /// Whether the card and the manifest are those of these shards. The views
    /// are taken from the manifest: [`crate::verify_dataset`] compares them with
    /// their shards. An index of version 1 is not looked into.
    ///
    /// # Errors
    ///
    /// When the manifest cannot be read.
    pub fn index_is_of(&self, card: &Card, shards: &[ManifestShard]) -> Result<bool, DatasetError> {
        let found = self.read_manifest()?;
        if found.format_version == 1 {
            return Ok(true);
        }
        let shards = sorted(shards);
        let of = |view: &ManifestView| (view.view, view.shard.clone());
        let expected: Vec<_> = View::ALL
            .into_iter()
            .flat_map(|view| shards.iter().map(move |shard| (view, shard.id.clone())))
            .collect();
        if found.views.iter().map(of).collect::<Vec<_>>() != expected {
            return Ok(false);
        }
        Ok(index(card, shards, found.views.clone()).1 == found)
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
        let text = self.folder.read_to_string(MANIFEST).at(&path, "read")?;
        let damaged = |error: serde_json::Error| Fault::Damaged(error.to_string());
        let version: Version = serde_json::from_str(&text).map_err(damaged).at(&path, "read")?;
        if !(1..=MANIFEST_VERSION).contains(&version.format_version) {
            let fault = Fault::Schema {
                found: format!("manifest version {}", version.format_version),
                known: format!("manifest version {MANIFEST_VERSION}"),
            };
            return Err(DatasetError::new(&path, "read", fault));
        }
        serde_json::from_str(&text).map_err(damaged).at(&path, "read")
    }
}

/// The name of a file with rows of a round, by its content. Loaders keep what
/// they read under the names of files: equal names with other content would give
/// the old rows.
pub(crate) fn content_name(round: u32, sha256: &Digest) -> String {
    format!("train-r{round:04}-{}.parquet", &sha256.to_hex()[..16])
}

fn sorted(shards: &[ManifestShard]) -> Vec<ManifestShard> {
    let mut shards = shards.to_vec();
    shards.sort_by(|a, b| (a.round, &a.path).cmp(&(b.round, &b.path)));
    shards
}

fn index(card: &Card, shards: Vec<ManifestShard>, views: Vec<ManifestView>) -> (String, Manifest) {
    let readme = card::render(card, &shards, &views);
    let manifest = Manifest {
        format_version: MANIFEST_VERSION,
        run: card.run.clone(),
        card_sha256: Some(Digest::of(readme.as_bytes())),
        shards,
        views,
    };
    (readme, manifest)
}
