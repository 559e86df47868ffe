//! Exit codes and error messages: what was wrong, where, and what to do.

use std::io::ErrorKind;
use std::process::ExitCode;

use gyre_dataset::{DatasetError, Fault};
use gyre_learner::LearnerError;
use gyre_lineage::StoreError;
use gyre_orchestrator::{ConfigError, Error};
use gyre_sandbox::SandboxError;
use gyre_server::ServeError;
use gyre_train::TrainError;

use crate::printable::printable;

/// Shown below `gyre --help`. The table is part of the interface: programs rely on it.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done                              20  database unreachable or refused
  1  unexpected failure                21  database of a newer Gyre
  2  wrong usage                       22  run held by another process
  10 configuration: unknown key        30  checkpoint missing or damaged
  11 configuration: wrong type         40  no space left
  12 configuration: value out of bounds 41 folder or file not writable
  13 configuration: file unreadable    42  file missing or damaged
  14 nothing to resume                 50  compiled guest's cache unusable
  15 run was begun with other parts    51  sandbox failed
  19 budget spent before a champion
  60 unknown id                        52  compiled guest was damaged, made again
  61 task or family refused            70  audit found something
  62 judged: not every answer passed   71  replay differs
  63 verifier refused or revoked       72  verifier not to be believed: run ended
  64 verifier gave no verdict          130 stopped by Ctrl-C
  65 address to serve on is not free   23  backup unusable, or target not empty
  66 no service answers
  24 worker refused: other parts       25  a piece of work failed on every attempt
  43 workers' object store failed        31  trainer failed
  32 model or its server failed          16  run waits for approval
  17 nothing waits for that approval     18  promotion not handed over";

/// A command's own failure, with its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) const RESTORE_REFUSED: u8 = 23;
    pub(crate) const WRONG_USAGE: u8 = 2;
    pub(crate) const CACHE_DAMAGED: u8 = 52;
    pub(crate) const CHECKPOINT_DAMAGED: u8 = 30;
    pub(crate) const TRAINER_FAILED: u8 = 31;
    pub(crate) const MODEL_FAILED: u8 = 32;
    pub(crate) const SANDBOX_FAILED: u8 = 51;
    pub(crate) const BUDGET_SPENT: u8 = 19;
    pub(crate) const AWAITING_APPROVAL: u8 = 16;
    pub(crate) const NOT_AWAITED: u8 = 17;
    pub(crate) const NOT_HANDED_OVER: u8 = 18;
    pub(crate) const TASK_REFUSED: u8 = 61;
    pub(crate) const NOT_PASSED: u8 = 62;
    pub(crate) const VERIFIER_REFUSED: u8 = 63;
    pub(crate) const VERIFIER_FAULT: u8 = 64;
    pub(crate) const AUDIT_FOUND: u8 = 70;
    pub(crate) const REPLAY_DIFFERS: u8 = 71;
    pub(crate) const NO_SERVICE: u8 = 66;
    pub(crate) const UNTRUSTED: u8 = 72;
    pub(crate) const UNKNOWN_ID: u8 = 60;

    pub(crate) fn error(code: u8, message: impl Into<String>) -> anyhow::Error {
        Self { code, message: message.into() }.into()
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Prints an error with its causes and gives its exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(tell(error))
}

/// The same, where nobody returns.
#[expect(clippy::print_stderr, reason = "the binary's one place for error messages")]
pub(crate) fn tell(error: &anyhow::Error) -> u8 {
    let code = code(error);
    let mut causes = error.chain().map(ToString::to_string);
    let mut shown = causes.next().unwrap_or_default();
    for cause in causes {
        if !shown.contains(&cause) {
            shown.push_str(": ");
            shown.push_str(&cause);
        }
    }
    // What failed for want of space says where; what to do is the same everywhere.
    if code == 40 && !shown.contains("free some space") {
        shown.push_str("; free some space and try again (`gyre run --resume` goes on with a run)");
    }
    let shown = printable(&shown);
    // A run that was stopped or waits has not failed.
    if code == 130 || code == Failure::AWAITING_APPROVAL {
        eprintln!("{shown}");
    } else {
        eprintln!("error: {shown}");
    }
    code
}

fn code(error: &anyhow::Error) -> u8 {
    if error.chain().any(is_full) {
        return 40;
    }
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.code;
    }
    if let Some(error) = error.downcast_ref::<ServeError>() {
        return serve_code(error);
    }
    match error.downcast_ref::<Error>() {
        Some(error) => code_of(error),
        None => error.downcast_ref::<StoreError>().map_or(1, store_code),
    }
}

/// A full disk, wherever in the causes it shows.
fn is_full(cause: &(dyn std::error::Error + 'static)) -> bool {
    let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(io, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
        || matches!(cause.downcast_ref(), Some(StoreError::DiskFull { .. }))
}

fn code_of(error: &Error) -> u8 {
    match error {
        Error::Config(error) => config_code(error),
        Error::Store(error) => store_code(error),
        Error::Dataset(error) => dataset_code(error),
        Error::Embedded(error) => learner_code(error),
        Error::Sandbox(error) => sandbox_code(error),
        Error::Train(error) => train_code(error),
        Error::Checkpoint(_) => Failure::TRAINER_FAILED,
        Error::Serve(_) | Error::Process(_) | Error::Model(_) => Failure::MODEL_FAILED,
        Error::Tasks(_) | Error::TooFewTasks { .. } => Failure::TASK_REFUSED,
        Error::Io { source, .. } => io_code(source),
        Error::VerifierUnusable { .. } | Error::VerifierRefused { .. } => Failure::VERIFIER_REFUSED,
        Error::VerifierFault { .. } => Failure::VERIFIER_FAULT,
        Error::NotFound { .. } => Failure::UNKNOWN_ID,
        Error::NothingToResume { .. } => 14,
        Error::PartsChanged { .. } | Error::StaleChampion { .. } => 15,
        Error::Illegal { .. } | Error::Recorded { .. } | Error::RecordLost { .. } => {
            Failure::AUDIT_FOUND
        }
        Error::CheckpointChanged { .. } => Failure::CHECKPOINT_DAMAGED,
        Error::VerifierRevoked { .. } | Error::CannotRevoke { .. } => Failure::VERIFIER_REFUSED,
        Error::Untrusted { .. } => Failure::UNTRUSTED,
        Error::TooManyFaults { is_model: true, .. } => Failure::MODEL_FAILED,
        Error::TooManyFaults { .. } => Failure::SANDBOX_FAILED,
        Error::BudgetSpent { .. } => Failure::BUDGET_SPENT,
        Error::AwaitingApproval { .. } => Failure::AWAITING_APPROVAL,
        Error::NotAwaited { .. } | Error::ApprovalExpired { .. } => Failure::NOT_AWAITED,
        Error::Interrupted => 130,
        Error::Queue(_) => 20,
        Error::WorkerRefused { .. } => 24,
        Error::DeadWork { .. } => 25,
        Error::Object { .. } => 43,
        Error::Json(_) => 1,
    }
}

fn serve_code(error: &ServeError) -> u8 {
    match error {
        ServeError::TokenRequired { .. } => 12,
        ServeError::Listen { .. } | ServeError::Failed(_) => 65,
    }
}

fn config_code(error: &ConfigError) -> u8 {
    match error {
        ConfigError::Unreadable { .. } => 13,
        ConfigError::UnknownKey { .. } => 10,
        ConfigError::Malformed { .. } => 11,
        ConfigError::OutOfBounds { .. } => 12,
    }
}

fn store_code(error: &StoreError) -> u8 {
    match error {
        StoreError::DiskFull { .. } => 40,
        StoreError::Unwritable { .. } => 41,
        StoreError::NewerSchema { .. } => 21,
        StoreError::Held { .. } | StoreError::Fenced { .. } | StoreError::TickLost { .. } => 22,
        StoreError::UnknownRun { .. } | StoreError::UnknownSchedule { .. } => Failure::UNKNOWN_ID,
        StoreError::Revoked { .. } => Failure::VERIFIER_REFUSED,
        StoreError::Query { .. } | StoreError::Cursor { .. } => Failure::WRONG_USAGE,
        StoreError::Corrupt { .. } | StoreError::Row { .. } => Failure::AUDIT_FOUND,
        _ => 20,
    }
}

fn dataset_code(error: &DatasetError) -> u8 {
    match error.fault {
        Fault::DiskFull(_) => 40,
        Fault::Denied(_) => 41,
        _ => 42,
    }
}

fn learner_code(error: &LearnerError) -> u8 {
    match std::error::Error::source(error).and_then(|s| s.downcast_ref::<std::io::Error>()) {
        Some(io) if io.kind() != ErrorKind::NotFound => io_code(io),
        _ => 30,
    }
}

fn train_code(error: &TrainError) -> u8 {
    match error {
        TrainError::Parent(_) => Failure::CHECKPOINT_DAMAGED,
        TrainError::Io { source, .. } => io_code(source),
        _ => Failure::TRAINER_FAILED,
    }
}

fn sandbox_code(error: &SandboxError) -> u8 {
    match error {
        SandboxError::CacheUnusable { .. } => 50,
        _ => Failure::SANDBOX_FAILED,
    }
}

fn io_code(error: &std::io::Error) -> u8 {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => 40,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotADirectory => {
            41
        }
        _ => 42,
    }
}
