use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path, PathBuf};

use gyre_folder::{EntryKind, Folder};
use gyre_types::{Digest, ShardId};
use serde::Deserialize;

use crate::card::{self, Card};
use crate::error::{At, DatasetError, Fault};
use crate::file::{read_schema, write_whole};
use crate::garbage::collect_garbage;
use crate::manifest::{MANIFEST_VERSION, Manifest, ManifestShard, ManifestView, View};
use crate::source::Source;
use crate::view::write_view;

const MANIFEST: &str = "manifest.json";

/// The folder of a run's dataset: `data/train-r0001-<digest>.parquet`, … with
/// accepted rows, `groups/train-r0001-<digest>.parquet`, … with whole groups, a
/// folder for each [`View`], `README.md` and `manifest.json`.
///
/// Whatever its manifest names and whatever links lie in it, nothing outside the
/// folder is read, written or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    folder: Folder,
    root: PathBuf,
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

    /// The folder of the shards of accepted rows.
    pub fn data_dir(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The folder of the shards of accepted rows, to write to.
    pub fn data(&self) -> Folder {
        self.folder.below("data")
    }

    /// The folder of the shards of whole groups, to write to.
    pub fn groups(&self) -> Folder {
        self.folder.below("groups")
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
        for dir in self.folders() {
            dir.make().at(&dir.path(), "create")?;
        }
        Ok(())
    }

    /// The folders of all files that the manifest names.
    pub(crate) fn folders(&self) -> impl Iterator<Item = Folder> {
        let views = View::ALL.map(|view| self.view(view));
        views.into_iter().chain([self.data(), self.groups()])
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
    /// of the views before. They follow from the list of published shards, of either
    /// kind of rows, so a crash between shard and index is healed by calling this
    /// again.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written, or a shard cannot be read that the manifest
    /// did not name before or whose views are missing.
    pub fn write_index(&self, card: &Card, shards: &[ManifestShard]) -> Result<(), DatasetError> {
        let shards = sorted(shards);
        let inside = |shard: &ManifestShard| {
            Path::new(&shard.path).components().all(|part| matches!(part, Component::Normal(_)))
        };
        if let Some(outside) = shards.iter().find(|shard| !inside(shard)) {
            return Err(DatasetError::new(Path::new(&outside.path), "publish", Fault::LeadsOut));
        }
        let known = self.read_manifest().ok();
        let schemas = self.schemas(&shards, known.as_ref())?;
        let mut manifest = Manifest::begun(&card.run, shards, schemas);
        manifest.views = self.write_views(&manifest, known.as_ref())?;
        let (readme, manifest) = index(card, manifest);
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

    /// The schemas of shards: as the manifest has them, since a shard's id follows
    /// from its content, or else as their footers do.
    fn schemas(
        &self,
        shards: &[ManifestShard],
        known: Option<&Manifest>,
    ) -> Result<BTreeMap<ShardId, String>, DatasetError> {
        let schema = |shard: &ManifestShard| {
            let schema = known.and_then(|known| known.schemas.get(&shard.id));
            let schema = match schema {
                Some(known) => known.clone(),
                None => read_schema(self.open(&shard.path))?,
            };
            Ok((shard.id.clone(), schema))
        };
        shards.iter().map(schema).collect()
    }

    /// The views of all shards of accepted rows; those that the manifest names and
    /// that are there are not written again.
    fn write_views(
        &self,
        manifest: &Manifest,
        known: Option<&Manifest>,
    ) -> Result<Vec<ManifestView>, DatasetError> {
        let known = known.into_iter().flat_map(|known| &known.views);
        let known: BTreeMap<_, _> = known.map(|view| ((view.view, &view.shard), view)).collect();
        let mut views = Vec::new();
        for view in View::ALL {
            for shard in manifest.accepted() {
                let there = known.get(&(view, &shard.id)).filter(|known| {
                    let about = self.folder.look_at(&known.path);
                    about.is_ok_and(|about| {
                        about.kind == EntryKind::File && about.bytes == known.bytes
                    })
                });
                views.push(match there {
                    Some(known) => (*known).clone(),
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
    /// their shards. An index of version 1 is not looked into, and of one of version 2
    /// not the card, which another version of Gyre worded.
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
            .flat_map(|view| found.accepted().map(move |shard| (view, shard.id.clone())))
            .collect();
        if found.shards != shards || found.views.iter().map(of).collect::<Vec<_>>() != expected {
            return Ok(false);
        }
        if found.format_version < MANIFEST_VERSION {
            return Ok(true);
        }
        let mut again = Manifest::begun(&card.run, shards, found.schemas.clone());
        again.views.clone_from(&found.views);
        Ok(index(card, again).1 == found)
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

fn sorted(shards: &[ManifestShard]) -> Vec<ManifestShard> {
    let mut shards = shards.to_vec();
    shards.sort_by(|a, b| (a.round, &a.path).cmp(&(b.round, &b.path)));
    shards
}

/// The card of a manifest, and the manifest with the card's digest.
fn index(card: &Card, manifest: Manifest) -> (String, Manifest) {
    let readme = card::render(card, &manifest);
    let card_sha256 = Some(Digest::of(readme.as_bytes()));
    (readme, Manifest { card_sha256, ..manifest })
}
