//! A trainer that is a command.

mod config;
mod folders;
mod progress;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gyre_fault::io_point;
use gyre_folder::Folder;
use gyre_types::{Digest, to_json};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::command::folders::{ReadOnly, check_empty, check_output, measured_bytes};
use crate::command::progress::Progress;
use crate::host::absolute;
use crate::process::{Exit, Process, Program};
use crate::template::{self, TRAINER_PLACEHOLDERS};
use crate::{
    CheckpointLimits, Host, TrainError, TrainJob, TrainProgress, TrainReport, Trainer,
    inspect_checkpoint, sync_checkpoint,
};

pub use config::CommandConfig;

/// How often the output folder is measured. A disk of 2 GB/s takes 1 GB meanwhile.
const MEASURE_EVERY: Duration = Duration::from_millis(500);

/// Starts a program for each training, and believes what it leaves after checking it.
#[derive(Debug)]
pub struct CommandTrainer {
    config: CommandConfig,
    /// `{config}`, absolute or below the project.
    config_file: Option<PathBuf>,
    host: Host,
    identity: Digest,
}

/// Why a trainer is no longer waited for.
enum Outcome {
    Exited(Exit),
    TimedOut,
    TooLarge(u64),
    Cancelled,
}

impl CommandTrainer {
    /// Checks the configuration and reads the trainer's own configuration file once,
    /// for its digest.
    ///
    /// # Errors
    ///
    /// When the command cannot be filled or the file cannot be read.
    pub fn new(config: CommandConfig, host: Host) -> Result<Self, TrainError> {
        template::check(&config.command, TRAINER_PLACEHOLDERS)?;
        if config.config.is_none() && template::uses(&config.command, "config") {
            let why = "the command names {config}, but `config` names no file".to_owned();
            return Err(TrainError::Config(why));
        }
        let config_file = config.config.as_ref().map(|file| host.project.join(file));
        let identity = identity(&config, config_file.as_deref())?;
        Ok(Self { config, config_file, host, identity })
    }

    fn command_line(&self, job: &TrainJob<'_>, dataset: &Path) -> Vec<OsString> {
        let (round, seed) = (job.round.to_string(), job.seed.to_string());
        let path = |path: &Path| Some(absolute(path).into_os_string());
        template::fill(
            &self.config.command,
            &[
                ("dataset", path(dataset)),
                ("parent", job.parent.and_then(path)),
                ("output", path(job.output)),
                ("round", Some(round.into())),
                ("seed", Some(seed.into())),
                ("config", self.config_file.as_deref().and_then(path)),
                ("project", Some(self.host.project().into())),
            ],
        )
    }

    /// Runs the program to its end, and reports its progress meanwhile.
    async fn run(
        &self,
        job: &TrainJob<'_>,
        dataset: &Path,
        progress: &mut Progress<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), TrainError> {
        io_point("trainer::starting").map_err(TrainError::io("start a trainer in", job.output))?;
        let program = Program {
            command: self.command_line(job, dataset),
            env: &self.config.env,
            folder: job.output,
            log: job.log,
            log_bytes_max: self.config.log_bytes_max,
            input: None,
        };
        let (mut process, mut lines) = Process::start(program, &self.host).await?;
        let watched = self.watch(job, &mut process, &mut lines, progress, cancel).await;
        let exit = match watched {
            Ok(Outcome::Exited(exit)) => exit,
            // It would go on filling the disk while it was asked to end.
            Ok(Outcome::TooLarge(_)) => process.stop(Duration::ZERO).await?,
            _ => process.stop(Duration::from_secs(self.config.grace_seconds)).await?,
        };
        let drain = process.drain(exit);
        let rest = async { while progress.receive(&mut lines).await {} };
        tokio::join!(drain, rest);
        io_point("trainer::ended").map_err(TrainError::io("read", job.output))?;
        self.check(job, watched?, process.log_excerpt().await)
    }

    /// Waits until the program ends, or must be stopped.
    async fn watch(
        &self,
        job: &TrainJob<'_>,
        process: &mut Process,
        lines: &mut mpsc::Receiver<Vec<u8>>,
        progress: &mut Progress<'_>,
        cancel: &CancellationToken,
    ) -> Result<Outcome, TrainError> {
        io_point("trainer::started").map_err(TrainError::io("watch a trainer in", job.output))?;
        let mut time_limit =
            std::pin::pin!(sleep(Duration::from_secs(self.config.time_limit_seconds)));
        let mut measure = interval(MEASURE_EVERY);
        measure.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_open = true;
        loop {
            tokio::select! {
                exit = process.wait() => return Ok(Outcome::Exited(exit?)),
                () = cancel.cancelled() => return Ok(Outcome::Cancelled),
                () = &mut time_limit => return Ok(Outcome::TimedOut),
                received = progress.receive(lines), if is_open => is_open = received,
                _ = measure.tick() => {
                    let output = job.output.to_owned();
                    let bytes = blocking(move || measured_bytes(&output)).await?;
                    if bytes > self.config.output_bytes_max {
                        return Ok(Outcome::TooLarge(bytes));
                    }
                }
            }
        }
    }

    /// Whether the training is over as it should be.
    fn check(&self, job: &TrainJob<'_>, outcome: Outcome, log: String) -> Result<(), TrainError> {
        let config = &self.config;
        match outcome {
            Outcome::Exited(exit) if exit.is_success() => Ok(()),
            Outcome::Exited(exit) => Err(TrainError::Failed { how: exit.describe(), log }),
            Outcome::TimedOut => {
                Err(TrainError::TimedOut { seconds: config.time_limit_seconds, log })
            }
            Outcome::TooLarge(bytes) => Err(TrainError::OutputTooLarge {
                folder: job.output.to_owned(),
                written: format!("{bytes} bytes"),
                setting: format!("output_bytes_max = {}", config.output_bytes_max),
            }),
            Outcome::Cancelled => Err(TrainError::Cancelled),
        }
    }
}

#[async_trait]
impl Trainer for CommandTrainer {
    fn identity(&self) -> Digest {
        self.identity
    }

    async fn train(
        &self,
        job: TrainJob<'_>,
        progress: &mut (dyn FnMut(TrainProgress) + Send),
        cancel: &CancellationToken,
    ) -> Result<TrainReport, TrainError> {
        let (rows, output) = (Arc::clone(&job.rows), job.output.to_owned());
        let parent = job.parent.map(Path::to_owned);
        let (dataset, before) = blocking(move || {
            check_empty(&output)?;
            let dataset = rows.folder()?;
            let before = ReadOnly::of(&dataset, parent.as_deref())?;
            Ok((dataset, before))
        })
        .await?;
        let mut progress = Progress::new(progress);
        let ran = self.run(&job, &dataset, &mut progress, cancel).await;
        let limits = CheckpointLimits {
            files_max: self.config.files_max,
            bytes_max: self.config.output_bytes_max,
        };
        let output = job.output.to_owned();
        let checkpoint = blocking(move || {
            // A trainer that fails may have damaged its parent before.
            before.check()?;
            ran?;
            check_output(&output)?;
            let checkpoint = inspect_checkpoint(&output, limits, before.vocabulary)?;
            io_point("trainer::inspected").map_err(TrainError::io("sync", &output))?;
            sync_checkpoint(&output, &checkpoint)?;
            io_point("trainer::synced").map_err(TrainError::io("sync", &output))?;
            Ok(checkpoint)
        })
        .await?;
        let (last, extra) = progress.finish();
        let (steps, tokens, loss_last) = match last {
            Some(last) => (Some(last.step), last.tokens, last.loss),
            None => (None, None, None),
        };
        let record = json!({
            "steps": steps, "tokens": tokens, "loss_last": loss_last,
            "checkpoint": to_json("what a training left", &checkpoint)?, "extra": extra,
        });
        Ok(TrainReport { steps, tokens, loss_last, checkpoint, record })
    }
}

/// What decides a command's results, as far as it is known: its arguments, the content
/// of its configuration file, and the names of its variables.
fn identity(config: &CommandConfig, file: Option<&Path>) -> Result<Digest, TrainError> {
    let content = match file {
        Some(file) => {
            let folder = Folder::new(file.parent().unwrap_or(Path::new("/")));
            let name = file.file_name().unwrap_or_default();
            Some(Digest::of(&folder.read(name).map_err(TrainError::io("read", file))?))
        }
        None => None,
    };
    Ok(Digest::of_json(&("command", &config.command, content, &config.env)))
}

/// Does blocking work on a thread for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TrainError> + Send + 'static,
) -> Result<T, TrainError> {
    match spawn_blocking(work).await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime is shutting down.
        Err(Err(_)) => Err(TrainError::Cancelled),
    }
}
