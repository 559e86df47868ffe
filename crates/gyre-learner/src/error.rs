use std::io;
use std::path::{Path, PathBuf};

use gyre_types::Digest;

/// What went wrong in training, or with a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearnerError {
    /// A setting that no model can have.
    #[error("learner.{field} must be {must}")]
    Config {
        /// The field.
        field: &'static str,
        /// What it may be.
        must: &'static str,
    },
    /// There is no checkpoint in the folder.
    #[error("no checkpoint in {}: {file} is missing; train it again or restore the folder", dir.display())]
    Missing {
        /// The folder.
        dir: PathBuf,
        /// The file looked for.
        file: &'static str,
    },
    /// A checkpoint's file cannot be read as what it should be.
    #[error("{} is damaged ({what}); restore the file, or train the checkpoint again", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Weights stand beside a tokenizer that they were not trained with.
    #[error(
        "the weights in {} were trained with tokenizer {}, but tokenizer.json is {}; restore the file that belongs to them",
        dir.display(), trained.short(), found.short()
    )]
    TokenizerMismatch {
        /// The checkpoint.
        dir: PathBuf,
        /// The tokenizer of the weights.
        trained: Digest,
        /// The tokenizer beside them.
        found: Digest,
    },
    /// A checkpoint of another shape than the configuration asks for.
    #[error(
        "the checkpoint in {} has {field} {found}, and the configuration asks for {asked}; set it to {found}, or start anew",
        dir.display()
    )]
    ShapeMismatch {
        /// The checkpoint.
        dir: PathBuf,
        /// The field.
        field: &'static str,
        /// What the checkpoint has.
        found: usize,
        /// What the configuration asks for.
        asked: usize,
    },
    /// A checkpoint of a format that this version cannot read.
    #[error("{} has checkpoint format {found}; this version reads {reads}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that can be read.
        reads: u32,
    },
    /// There is nothing to learn from.
    #[error(
        "no example to train on: all {given} are empty, weigh nothing or exceed {context_max} tokens"
    )]
    NoExamples {
        /// Examples given.
        given: usize,
        /// Longest example in tokens.
        context_max: usize,
    },
    /// The loss is no longer a number.
    #[error("training diverged at step {step}: the loss is not a number; lower the learning rate")]
    Diverged {
        /// The step.
        step: u64,
    },
    /// The caller asked to stop.
    #[error("training was stopped")]
    Stopped,
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl LearnerError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn corrupt(path: &Path, what: impl ToString) -> Self {
        Self::Corrupt { path: path.to_owned(), what: what.to_string() }
    }
}
