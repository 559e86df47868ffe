//! The embedded model's trainer behind the seam that all trainers fill.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use gyre_train::{
    CheckpointLimits, TrainError, TrainJob, TrainRow, TrainRows, Trainer, inspect_checkpoint,
};
use gyre_types::{Digest, Message, Role, Seed, to_json};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::train::{Example, TrainProgress, TrainReport, cold_start, train_round};
use crate::{ENGINE_VERSION, LearnerConfig, LearnerError};

/// Steps that were done and not reported yet, at most. Training waits beyond them.
const STEPS_QUEUED: usize = 64;

/// What a checkpoint of the embedded model may hold: it has seven files.
const LIMITS: CheckpointLimits = CheckpointLimits { files_max: 64, bytes_max: u64::MAX };

/// Trains the embedded model, on threads of this process.
///
/// Without a parent it learns a tokenizer and a model ([`cold_start`]), with one it
/// trains that on ([`train_round`]). It learns from the first message of the user and
/// from the last message with loss, and prints nothing.
#[derive(Debug, Clone)]
pub struct EmbeddedTrainer {
    config: LearnerConfig,
}

impl EmbeddedTrainer {
    /// A trainer with these settings, which are checked when it trains.
    pub fn new(config: LearnerConfig) -> Self {
        Self { config }
    }
}

#[async_trait]
impl Trainer for EmbeddedTrainer {
    fn identity(&self) -> Digest {
        Digest::of_json(&("embedded", ENGINE_VERSION, &self.config))
    }

    async fn train(
        &self,
        job: TrainJob<'_>,
        progress: &mut (dyn FnMut(gyre_train::TrainProgress) + Send),
        cancel: &CancellationToken,
    ) -> Result<gyre_train::TrainReport, TrainError> {
        let (steps, mut steps_done) = mpsc::channel(STEPS_QUEUED);
        let training = Training {
            config: self.config.clone(),
            rows: Arc::clone(&job.rows),
            parent: job.parent.map(PathBuf::from),
            output: job.output.to_owned(),
            seed: job.seed,
            cancel: cancel.clone(),
            steps,
        };
        let trained = spawn_blocking(move || training.run());
        while let Some(step) = steps_done.recv().await {
            progress(gyre_train::TrainProgress {
                step: step.step,
                steps: Some(step.steps),
                loss: Some(f64::from(step.loss)),
                tokens: None,
            });
        }
        match trained.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(trained) => trained,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime is shutting down.
            Err(Err(_)) => Err(TrainError::Cancelled),
        }
    }
}

/// One training, as the thread that does it holds it.
struct Training {
    config: LearnerConfig,
    rows: Arc<dyn TrainRows>,
    parent: Option<PathBuf>,
    output: PathBuf,
    seed: Seed,
    cancel: CancellationToken,
    /// Nobody listens to it any more once the training was given up.
    steps: mpsc::Sender<TrainProgress>,
}

impl Training {
    fn run(self) -> Result<gyre_train::TrainReport, TrainError> {
        let examples = self.examples()?;
        let report = self.train(&examples).map_err(failed)?;
        let checkpoint = inspect_checkpoint(&self.output, LIMITS, None)?;
        Ok(gyre_train::TrainReport {
            steps: Some(report.steps),
            tokens: Some(report.tokens),
            loss_last: Some(f64::from(report.loss_last)),
            checkpoint,
            record: to_json("the report of a training", &report)?,
        })
    }

    /// All examples: the tokenizer is learned from them together, and each is seen
    /// many times.
    fn examples(&self) -> Result<Vec<Example>, TrainError> {
        let mut examples = Vec::new();
        for row in self.rows.read()? {
            if self.is_given_up() {
                return Err(TrainError::Cancelled);
            }
            examples.push(example(&row?));
        }
        Ok(examples)
    }

    fn train(&self, examples: &[Example]) -> Result<TrainReport, LearnerError> {
        let mut on_step = |step| {
            let is_heard = self.steps.blocking_send(step).is_ok();
            match is_heard && !self.is_given_up() {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        let (config, seed, output) = (&self.config, self.seed, self.output.as_path());
        match &self.parent {
            None => cold_start(config, seed, examples, output, &mut on_step),
            Some(parent) => train_round(config, parent, seed, examples, output, &mut on_step),
        }
    }

    fn is_given_up(&self) -> bool {
        self.cancel.is_cancelled() || self.steps.is_closed()
    }
}

/// What the embedded model learns from a conversation. A row in which nothing carries
/// loss becomes an empty example, which the training counts and leaves out.
fn example(row: &TrainRow) -> Example {
    let asked = row.messages.iter().find(|message| message.role == Role::User);
    let mut with_loss = row.messages.iter().zip(&row.loss).filter(|(_, has_loss)| **has_loss);
    Example {
        prompt: asked.map(|message| message.content.clone()).unwrap_or_default(),
        answer: with_loss.next_back().map(|(message, _)| answer(message)).unwrap_or_default(),
        weight: row.weight,
    }
}

/// The text of an answer; where the message has none, the first text among the
/// arguments of its first call.
fn answer(message: &Message) -> String {
    let Some(call) = message.tool_calls.first().filter(|_| message.content.is_empty()) else {
        return message.content.clone();
    };
    let arguments = serde_json::from_str::<Map<String, Value>>(&call.arguments);
    let texts = arguments.iter().flatten().filter_map(|(_, argument)| argument.as_str());
    texts.map(str::to_owned).next().unwrap_or_default()
}

/// The learner's error as one of the seam.
fn failed(error: LearnerError) -> TrainError {
    match error {
        LearnerError::Io { action, path, source } => TrainError::Io { action, path, source },
        LearnerError::Stopped => TrainError::Cancelled,
        LearnerError::Missing { .. }
        | LearnerError::Corrupt { .. }
        | LearnerError::TokenizerMismatch { .. }
        | LearnerError::ShapeMismatch { .. }
        | LearnerError::Format { .. } => TrainError::Parent(Box::new(error)),
        LearnerError::Config { .. }
        | LearnerError::NoExamples { .. }
        | LearnerError::Diverged { .. } => TrainError::Embedded(Box::new(error)),
    }
}
