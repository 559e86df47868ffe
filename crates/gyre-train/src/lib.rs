//! Who makes a candidate from rows, and the programs that serve what was made.
//!
//! [`Trainer`] is the seam: a job names rows, a parent and an output folder, a report
//! says what was left there. [`CommandTrainer`] fills it with a program that somebody
//! else wrote (TRL, mlx-lm, Axolotl, a script), and `gyre-learner` with the embedded
//! model's trainer. [`Server`] starts a model
//! server the same way, waits until it answers, and stops it.
//!
//! Invariants:
//! - Nothing that was started here outlives the process that started it, also when
//!   that process is killed: a [supervisor](run_as_supervisor) stands between them.
//! - What a trainer left is believed only after every file of it was read once:
//!   form, finite weights, vocabulary, digest. Weights are never held whole in memory.
//! - Output, log, time and the number of files are bounded, whatever a program does.
//! - A program sees the variables that [`Host`] lists or its configuration names,
//!   and no others. This crate reads no environment of its own.

mod checkpoint;
mod command;
mod error;
mod hook;
mod host;
mod process;
mod serve;
mod snapshot;
mod template;
mod trainer;
mod update;

pub use checkpoint::{
    Checkpoint, CheckpointFile, CheckpointKind, CheckpointLimits, NamedModel, Served,
    checkpoint_kind, digest_checkpoint, inspect_checkpoint, sync_checkpoint, vocabulary,
};
pub use command::{CommandConfig, CommandTrainer};
pub use error::{CheckpointError, HookError, ProcessError, ServeError, TrainError};
pub use hook::{HookValues, PromotionHookConfig};
pub use host::{Host, PASSED_ON};
pub use process::supervisor::{SUPERVISOR_ARGUMENT, SupervisorProgram, run_as_supervisor};
pub use serve::{ServeConfig, Server, ServerSlot, Target};
pub use template::{HOOK_PLACEHOLDERS, SERVER_PLACEHOLDERS, TRAINER_PLACEHOLDERS, TemplateError};
pub use trainer::{
    TrainJob, TrainProgress, TrainReport, TrainRow, TrainRowReader, TrainRows, Trainer,
};
pub use update::{HookConfig, UpdateConfig};
