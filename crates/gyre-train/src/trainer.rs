//! The seam that every trainer fills.

use std::path::{Path, PathBuf};
use std::sync::Arc;

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

/// Rows that are read one by one, in their order.
pub type TrainRowReader<'a> = Box<dyn Iterator<Item = Result<TrainRow, TrainError>> + Send + 'a>;

/// The rows of a training. Whoever gives the job implements it; each trainer takes the
/// form that it needs, and the other is never made.
///
/// Both methods may block the thread while they read and write files.
pub trait TrainRows: Send + Sync {
    /// The published rows as a Hugging Face dataset folder, by its absolute path. The
    /// folder is made by the first call and stays until the training is over.
    ///
    /// # Errors
    ///
    /// [`TrainError::Rows`] where the folder cannot be made.
    fn folder(&self) -> Result<PathBuf, TrainError>;

    /// The rows themselves: demonstrations first, if there are any, then those that
    /// [`folder`](Self::folder) holds, in the same order. Demonstrations are no
    /// rollouts, so they are never published, and no folder holds them.
    ///
    /// # Errors
    ///
    /// [`TrainError::Rows`] where nothing can be read. Each row may fail too.
    fn read(&self) -> Result<TrainRowReader<'_>, TrainError>;
}

/// What a trainer is asked to make.
#[derive(Clone)]
pub struct TrainJob<'a> {
    /// The rows to learn from.
    pub rows: Arc<dyn TrainRows>,
    /// The Hugging Face checkpoint to start from; none before there is one.
    pub parent: Option<&'a Path>,
    /// An empty folder, which the caller made and removes if training fails.
    pub output: &'a Path,
    /// The file that takes what the trainer prints, if it prints anything. Its folder
    /// is there, and is not `output`.
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
    /// All that is recorded of the training: a JSON object whose keys depend on the
    /// trainer.
    pub record: serde_json::Value,
}

/// Makes a candidate from rows.
#[async_trait]
pub trait Trainer: Send + Sync {
    /// Digests everything of the trainer's configuration that decides its results.
    fn identity(&self) -> Digest;

    /// Trains, and leaves a checkpoint or an adapter in the job's output folder.
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
        progress: &mut (dyn FnMut(TrainProgress) + Send),
        cancel: &CancellationToken,
    ) -> Result<TrainReport, TrainError>;
}
