//! Jobs for workers in many processes: a thin seam over an existing queue engine.
//!
//! The engine is apalis: heartbeats, retries, priorities and dead letters are
//! its own, over tables of its own in a database that Gyre's lineage shares
//! nothing with but the server. [`Queue`] is all that the rest of Gyre knows of
//! it, so that another engine can take its place.
//!
//! Invariants:
//! - A job is at least once, never exactly once: whoever works on one must be
//!   able to bear that another did so too.
//! - A job whose key is in the queue is not put there again.
//! - What a queue holds can be made again: nothing is recorded here alone.
//! - It holds what is outstanding, not what was: whoever pushed jobs has them
//!   forgotten once they are settled.
//!
//! Nothing outside this crate names apalis.

mod error;
mod job;
mod postgres;
mod sqlite;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use error::QueueError;
pub use job::{Handler, Job, JobError, Working};

/// Ends when a worker is to take no more jobs.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a queue of jobs must do.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Puts jobs in. One whose key is there already stays as it is.
    ///
    /// # Errors
    ///
    /// When the database fails; some of the jobs may be in then.
    async fn push(&self, jobs: Vec<Job>) -> Result<(), QueueError>;

    /// Takes jobs, the most urgent first and `concurrency` of them at a time,
    /// until `stop` ends; then waits for those that it has.
    ///
    /// # Errors
    ///
    /// When the database fails. Jobs that were being worked on are given to
    /// others once this worker's heartbeat is missed; `worker` must be another
    /// name when it is called again.
    async fn work(
        &self,
        worker: &str,
        concurrency: usize,
        handler: Handler,
        stop: Stop,
    ) -> Result<(), QueueError>;

    /// Jobs that failed for as often as they may: nobody takes them any more.
    ///
    /// # Errors
    ///
    /// When the database fails.
    async fn dead(&self) -> Result<Vec<Job>, QueueError>;

    /// Removes the jobs whose key begins with `prefix` and that nobody takes any
    /// more: those that are done, and those that are dead. A job that is waited
    /// for or worked on stays. One that is pushed again after this is a new job.
    ///
    /// # Errors
    ///
    /// When the database fails.
    async fn forget(&self, prefix: &str) -> Result<u64, QueueError>;
}

/// Where a queue is kept.
#[derive(Clone)]
pub enum Location {
    /// A file of its own, for workers on one host.
    Sqlite(PathBuf),
    /// A server; the tables lie in a schema of the engine's own.
    Postgres {
        /// With its password.
        url: String,
        /// Without it.
        shown: String,
    },
}

/// How it is noticed that a worker is gone. All workers of a queue must have
/// the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// How often a worker says that it lives; at least a second.
    pub every: Duration,
    /// How many of that may be missed before its jobs are given to others.
    pub missed_max: u32,
}

impl Default for Pulse {
    /// Every second, and three may be missed: a job is with another within five.
    fn default() -> Self {
        Self { every: Duration::from_secs(1), missed_max: 3 }
    }
}

/// How often a worker without a job looks for one.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Opens a queue by its name, and makes its tables where there are none.
///
/// # Errors
///
/// When the database cannot be reached, opened or migrated.
pub async fn open(
    location: &Location,
    name: &str,
    pulse: Pulse,
) -> Result<Arc<dyn Queue>, QueueError> {
    Ok(match location {
        Location::Sqlite(path) => Arc::new(sqlite::SqliteQueue::open(path, name, pulse).await?),
        Location::Postgres { url, shown } => {
            Arc::new(postgres::PostgresQueue::open(url, shown, name, pulse).await?)
        }
    })
}

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "Location({})", path.display()),
            Self::Postgres { shown, .. } => write!(f, "Location({shown})"),
        }
    }
}
