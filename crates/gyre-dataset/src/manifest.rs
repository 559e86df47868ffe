use std::collections::BTreeMap;

use gyre_types::{Digest, RunId, ShardId};
use serde::{Deserialize, Serialize};

use crate::group;

/// The version of `manifest.json` that this crate writes. It reads version 1 too,
/// which knew neither views nor the card's digest, and version 2, which did not name
/// the schemas of shards: they all were of accepted rows.
pub(crate) const MANIFEST_VERSION: u32 = 3;

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
    /// What each shard's own footer calls its schema, such as `dataset/3`.
    #[serde(default)]
    pub schemas: BTreeMap<ShardId, String>,
    /// The files of its views.
    #[serde(default)]
    pub views: Vec<ManifestView>,
}

impl Manifest {
    /// A manifest without its views and the digest of its card.
    pub(crate) fn begun(
        run: &RunId,
        shards: Vec<ManifestShard>,
        schemas: BTreeMap<ShardId, String>,
    ) -> Self {
        Self {
            format_version: MANIFEST_VERSION,
            run: run.clone(),
            card_sha256: None,
            shards,
            schemas,
            views: Vec::new(),
        }
    }

    /// The shards of accepted rows.
    pub fn accepted(&self) -> impl Iterator<Item = &ManifestShard> {
        self.shards.iter().filter(|shard| !self.is_of_groups(shard))
    }

    /// The shards of whole groups.
    pub fn groups(&self) -> impl Iterator<Item = &ManifestShard> {
        self.shards.iter().filter(|shard| self.is_of_groups(shard))
    }

    pub(crate) fn is_of_groups(&self, shard: &ManifestShard) -> bool {
        self.schemas.get(&shard.id).is_some_and(|schema| schema == group::SCHEMA)
    }

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

/// A view of a dataset: one configuration of its Hugging Face folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// A plain conversation: the task, and the answer in a code fence.
    Sft,
    /// The whole conversation with its tool calls, and the tools.
    SftTools,
    /// The plain conversation in two columns: the task, and the answer.
    PromptCompletion,
}

impl View {
    /// Every view.
    pub const ALL: [Self; 3] = [Self::Sft, Self::SftTools, Self::PromptCompletion];

    /// The name of the configuration, and of the folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sft => "sft",
            Self::SftTools => "sft_tools",
            Self::PromptCompletion => "prompt_completion",
        }
    }
}

/// A file of a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestView {
    /// The view.
    pub view: View,
    /// The shard that it follows from.
    pub shard: ShardId,
    /// Relative to the dataset's folder, with `/` between folders.
    pub path: String,
    /// Of the whole file.
    pub sha256: Digest,
    /// The file's size.
    pub bytes: u64,
    /// Its rows: those of the shard that passed.
    pub rows: u64,
}
