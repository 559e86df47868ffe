//! Task families: folders that generate tasks, and what a task must show
//! before anyone attempts it.
//!
//! A family's generator runs in the sandbox; this crate plans its jobs and
//! judges their reports, and the caller executes them. Reading a family's
//! folder is all the I/O that is done here, apart from the writers of new
//! folders ([`scaffold`], [`Import::write`]).
//!
//! What it guarantees:
//!
//! - **A task depends on its request alone** (family, seed, difficulty, split,
//!   options), not on which other requests are in the batch; only exact
//!   duplicates are decided among the tasks of a call.
//! - **The split comes first**: it is read off the composition's digest before
//!   the task is generated (see [`split_of`]).
//! - **Nothing is admitted on trust**: the reference passes in a fresh guest,
//!   every failure case and every trivial program fails, and a share is
//!   generated twice. A task that is refused has a [`Reason`].

mod admit;
mod admit_judged;
mod admitted;
mod attempt;
mod check;
mod contract;
mod error;
mod family;
mod gates;
mod generate;
mod guest;
mod humaneval;
mod manifest;
mod scaffold;
mod static_tasks;
mod task_file;

pub use admitted::{
    ATTEMPTS_MAX, AdmissionReport, AdmittedTask, KnownTasks, TaskRequest, split_of, task_digest,
};
pub use check::{CheckPlan, CheckReport, LevelReport, check_family};
pub use error::{Reason, Refusal, TaskError};
pub use family::{Family, FamilySource, FamilySummary, load_all};
pub use generate::{Generation, generate_tasks};
pub use humaneval::{Import, import_humaneval};
pub use manifest::{Difficulty, FamilyManifest};
pub use scaffold::scaffold;
pub use static_tasks::StaticTask;
pub use task_file::{TASK_FILE_FORMAT, TaskFile, WrittenVerifier};
