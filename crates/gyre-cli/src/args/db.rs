use std::path::PathBuf;

use clap::Subcommand;

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
