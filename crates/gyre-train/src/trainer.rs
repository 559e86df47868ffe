//! The seam that every trainer fills.

use std::path::Path;

use async_trait::async_trait;
use gyre_types::{Digest, Message, Seed};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{Checkpoint, TrainError};

/// One conversation to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainRow {
    /// The conversation, from its first message to its last.
    pub messages: Vec<Message>,
    /// Which messages carry loss: one flag a message.
    pub loss: Vec<bool>,
    /// How much the row counts; 1 is an ordinary row.
    pub weight: f32,
}

/// The rows of a training, read as they are asked for.
pub type TrainRows<'a> = dyn Iterator<Item = Result<TrainRow, TrainError>> + Send + 'a;

/// What a trainer is asked to make.
#[derive(Debug, Clone, Copy)]
pub struct TrainJob<'a> {
    /// A Hugging Face dataset folder with the rows of this training.
    pub dataset: &'a Path,
    /// The Hugging Face checkpoint to start from; none before there is one.
    pub parent: Option<&'a Path>,
    /// An empty folder, which the caller made and removes if training fails.
    pub output: &'a Path,
    /// The file that takes what the trainer prints. It must not lie in `output`.
    pub log: &'a Path,
    /// The round that asks.
    pub round: u32,
    /// Decides what the trainer draws.
    pub seed: Seed,
}

/// How far a training is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainProgress {
    /// Optimizer steps done.
    pub step: u64,
    /// Steps that there will be, where known.
    pub steps: Option<u64>,
    /// Loss of the last step, where known. Not finite when training diverged.
    pub loss: Option<f64>,
    /// Tokens trained on since the beginning, where known.
    pub tokens: Option<u64>,
}

/// What a training left.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainReport {
    /// Optimizer steps done, where the trainer said so.
    pub steps: Option<u64>,
    /// Tokens trained on, where the trainer said so.
    pub tokens: Option<u64>,
    /// Loss of the last step, where the trainer said so.
    pub loss_last: Option<f64>,
    /// What lies in the output folder, read and synced.
    pub checkpoint: Checkpoint,
    /// Other keys of the trainer's last line of progress, as it gave them.
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// Makes a candidate from rows.
#[async_trait]
pub trait Trainer: Send + Sync {
    /// Digests everything of the trainer's configuration that decides its results.
    fn identity(&self) -> Digest;

    /// Trains, and leaves a checkpoint or an adapter in the job's output folder.
    ///
    /// A command reads the job's dataset, an embedded trainer reads `rows`: both hold
    /// the same rows in the same order.
    ///
    /// Cancelling stops the trainer and waits for its end; a check of what it left is
    /// finished first. Dropping the future stops the trainer too, and does not wait.
    ///
    /// What the report names is on the disk: the caller may rename the folder at once.
    /// After an error or a crash, the folder's content means nothing.
    ///
    /// # Errors
    ///
    /// When the trainer fails, exceeds a bound, is cancelled, or leaves something that
    /// cannot be trusted.
    async fn train(
        &self,
        job: TrainJob<'_>,
        rows: &mut TrainRows<'_>,
        progress: &mut (dyn FnMut(TrainProgress) + Send),
        cancel: &CancellationToken,
    ) -> Result<TrainReport, TrainError>;
}
