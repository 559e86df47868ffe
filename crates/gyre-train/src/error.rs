//! What can go wrong, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use gyre_types::JsonError;

use crate::TemplateError;

/// Why there is no candidate.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The configuration cannot be used.
    #[error("the trainer's configuration: {0}")]
    Config(String),
    /// The command names a placeholder that cannot be filled.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The output folder is not an empty folder.
    #[error("{} is not empty; a trainer gets a folder of its own", .folder.display())]
    OutputNotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// The trainer could not be started or watched.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The trainer said that it failed, or was killed.
    #[error("the trainer {how}; {log}")]
    Failed {
        /// Its exit code or the signal that ended it.
        how: String,
        /// Its last lines, and where the rest is.
        log: String,
    },
    /// The trainer did not finish in time.
    #[error(
        "the trainer was stopped after {seconds} s, its time limit; raise time_limit_seconds or \
         train on less; {log}"
    )]
    TimedOut {
        /// The limit.
        seconds: u64,
        /// Its last lines, and where the rest is.
        log: String,
    },
    /// The trainer wrote more than it may.
    #[error(
        "the trainer was stopped because it wrote {written} to {}; raise {setting} or keep \
         fewer intermediate checkpoints", .folder.display()
    )]
    OutputTooLarge {
        /// The output folder.
        folder: PathBuf,
        /// How much, with its unit.
        written: String,
        /// The setting that bounds it, with its value.
        setting: String,
    },
    /// The trainer changed something that it may only read.
    #[error(
        "the trainer changed {} of the {what}, which it may only read; restore it and make the \
         trainer write to {{output}} alone", .path.display()
    )]
    Changed {
        /// "parent" or "dataset".
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// What the trainer left cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The caller cancelled the training.
    #[error("training was cancelled")]
    Cancelled,
    /// The rows of the job could not be read, by the error of whoever gave them.
    #[error("the rows to train on cannot be read")]
    Rows(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The checkpoint to start from is missing, damaged, or does not fit the trainer.
    #[error(transparent)]
    Parent(Box<dyn std::error::Error + Send + Sync>),
    /// A trainer in this process failed, by an error of its own.
    #[error(transparent)]
    Embedded(Box<dyn std::error::Error + Send + Sync>),
    /// What is to be recorded of the training cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The system failed.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl TrainError {
    /// An [`Io`](Self::Io) of what was tried on a file or folder.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

/// What is wrong with a checkpoint or adapter.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Neither a checkpoint nor an adapter lies in the folder.
    #[error(
        "{} holds no checkpoint: leave config.json and model.safetensors (or shards and \
         model.safetensors.index.json), or adapter_config.json and adapter_model.safetensors, \
         directly in the folder that {{output}} names", .folder.display()
    )]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// A file, or what it says, cannot be used.
    #[error("{} {why}", .path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do, as the end of a sentence.
        why: String,
    },
    /// The system failed.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl CheckpointError {
    pub(crate) fn refused(path: PathBuf, why: impl Into<String>) -> Self {
        Self::Refused { path, why: why.into() }
    }

    pub(crate) fn io(action: &'static str, path: PathBuf) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path, source }
    }
}

/// Why an external program could not be started or watched.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The configuration passes on a variable that is not set.
    #[error("{name} is listed under env but is not set; set it, or remove it from the list")]
    NotSet {
        /// The variable.
        name: String,
    },
    /// The file that takes what the program prints cannot be made.
    #[error("cannot write the log {}", .path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The supervisor cannot be started.
    #[error("cannot start the supervisor {}", .path.display())]
    Start {
        /// The program that supervises.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system does not tell how the program ended.
    #[error("cannot wait for the program")]
    Wait(#[source] io::Error),
    /// The system does not tell which program this is.
    #[error("cannot find this program, which must be started once more as the supervisor")]
    OwnPath(#[source] io::Error),
}

/// Why a server does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration cannot be used.
    #[error("the server's configuration: {0}")]
    Config(String),
    /// The command names a placeholder that cannot be filled.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The server could not be started or watched.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It ended before it was ready.
    #[error("the server {how} before it was ready; {log}")]
    Ended {
        /// Its exit code or the signal that ended it.
        how: String,
        /// Its last lines, and where the rest is.
        log: String,
    },
    /// It ended while it was used.
    #[error("{how}")]
    Died {
        /// What ended it, with its last lines, and where the rest is.
        how: String,
    },
    /// It does not answer.
    #[error(
        "the server did not answer {url} with 200 within {seconds} s ({last}); raise \
         ready_seconds, or correct `ready`; {log}"
    )]
    NotReady {
        /// What was asked for.
        url: String,
        /// How long.
        seconds: u64,
        /// What the last attempt gave.
        last: String,
        /// Its last lines, and where the rest is.
        log: String,
    },
    /// No free port was found.
    #[error("cannot find a free port on 127.0.0.1")]
    Port(#[source] io::Error),
    /// The hook that tells a server of a new checkpoint failed.
    #[error("the update hook {how}; {log}")]
    Hook {
        /// Its exit code, the signal that ended it, or its time limit.
        how: String,
        /// Its last lines, and where the rest is.
        log: String,
    },
    /// The caller cancelled.
    #[error("starting the server was cancelled")]
    Cancelled,
}

/// Why a promotion's hook did not take the promotion.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The command names a placeholder that cannot be filled.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// It could not be started or watched.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It said that it failed, was killed, or did not end in time.
    #[error("the promotion hook {how}; {log}")]
    Failed {
        /// Its exit code, the signal that ended it, or its time limit.
        how: String,
        /// Its last lines, and where the rest is.
        log: String,
    },
    /// The caller cancelled.
    #[error("the promotion hook was cancelled")]
    Cancelled,
}
