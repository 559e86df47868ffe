//! What `gyre worker` takes.

use clap::{Parser, Subcommand, ValueEnum};
use gyre_orchestrator::WorkerMode;

#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct WorkerArgs {
    #[command(subcommand)]
    pub(crate) command: Option<WorkerCommand>,
    /// Pieces of work at a time.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) concurrency: u32,
    /// Where files pass between driver and workers (a folder, or s3://BUCKET/PREFIX), where it
    /// is not what the run's configuration says.
    #[arg(long, value_name = "STORE")]
    pub(crate) store: Option<String>,
    /// Guest processes; 0 is one for each core.
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1024))]
    pub(crate) guests: u32,
    /// Seconds between two signs of life. All workers of a database must have the same: one whose
    /// signs are missed three times loses its work to others.
    #[arg(long, default_value_t = 1, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) heartbeat: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    /// List the workers of the database, and when each was last heard of.
    Ls,
}

/// Who makes a run's rollouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WorkersArg {
    /// The process that drives the run.
    Local,
    /// `gyre worker` processes.
    Queue,
}

impl From<WorkersArg> for WorkerMode {
    fn from(who: WorkersArg) -> Self {
        match who {
            WorkersArg::Local => Self::Local,
            WorkersArg::Queue => Self::Queue,
        }
    }
}
