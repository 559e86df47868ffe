use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// What is done to the database as a whole.
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Bring the schema up to date (every command does so too when it starts).
    Migrate,
    /// Write all rows of one moment to a file that either database reads.
    Backup {
        /// The file; it must not be there yet.
        file: PathBuf,
    },
    /// Put a backup back into an empty database, and audit what came of it.
    Restore {
        /// The file.
        file: PathBuf,
    },
}

/// What is given up.
#[derive(Debug, Parser)]
pub(crate) struct GcArgs {
    /// Only show what would be taken away.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Give up the weights of rejected candidates, but for so many of each run's newest.
    /// Champions of any time are always kept.
    #[arg(long, value_name = "N")]
    pub(crate) keep_rejected: Option<u32>,
    /// Give up the files of shards that a revocation took out of the dataset.
    #[arg(long)]
    pub(crate) superseded_shards: bool,
}
