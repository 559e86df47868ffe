//! What a checkpoint consists of.

use gyre_types::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bounds of what a trainer may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointLimits {
    /// Files, those of nested folders included.
    pub files_max: usize,
    /// Bytes of all files together.
    pub bytes_max: u64,
}

/// A checkpoint or adapter that can be served and trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Whether it stands for itself.
    pub kind: CheckpointKind,
    /// Digest over path and SHA-256 of all files, sorted by path.
    pub digest: Digest,
    /// Bytes of all files together.
    pub bytes: u64,
    /// All files, sorted by path.
    pub files: Vec<CheckpointFile>,
    /// Digest of the vocabulary, where a `tokenizer.json` tells it.
    pub vocabulary: Option<Digest>,
}

/// Whether a checkpoint stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointKind {
    /// A Hugging Face checkpoint: config, weights and tokenizer.
    Checkpoint,
    /// A PEFT adapter, which is served on top of the checkpoint that it goes back to.
    Adapter,
    /// A name of a model that a server has; no weights.
    Named,
}

/// One file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointFile {
    /// Its path in the folder, with `/` between names.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: Digest,
}
