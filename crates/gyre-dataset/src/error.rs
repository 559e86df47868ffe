use std::io;
use std::path::{Path, PathBuf};

use gyre_folder::LeadsOut;

/// A dataset file that could not be written, read or understood.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct DatasetError {
    /// The file or folder.
    pub path: PathBuf,
    /// What was tried: `write`, `read`, ….
    pub action: &'static str,
    /// What is wrong, and what to do.
    #[source]
    pub fault: Fault,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No space is left. Nothing half-written stays.
    #[error("no space is left; free some and run again")]
    DiskFull(#[source] io::Error),
    /// The system forbids it.
    #[error(
        "permission denied or read-only; make the folder writable or choose another data folder"
    )]
    Denied(#[source] io::Error),
    /// There is no such file.
    #[error("no such file or folder")]
    Missing(#[source] io::Error),
    /// The path, or a symbolic link on it, leads out of the folder that it is of.
    #[error("its path, or a symbolic link on it, leads out of its folder; remove the link")]
    LeadsOut,
    /// The system failed in another way.
    #[error("the file system failed")]
    Io(#[source] io::Error),
    /// The file is truncated, or no Parquet at all.
    #[error("the file is truncated or damaged ({0}); `gyre audit` tells what depends on it")]
    Damaged(String),
    /// The file is Parquet of another kind or version.
    #[error(
        "the file holds {found}, this gyre reads {known}; use the gyre that wrote it, or a newer one"
    )]
    Schema {
        /// What its metadata says.
        found: String,
        /// What was expected.
        known: String,
    },
    /// The file reads back differently from what was written.
    #[error("what was written does not read back ({0}); check the disk")]
    Readback(String),
    /// A row may not be written.
    #[error("the row of {rollout} is refused: {reason}")]
    Row {
        /// Its rollout.
        rollout: String,
        /// Why.
        reason: String,
    },
    /// There is no such row.
    #[error("it has no row {0}")]
    NoSuchRow(u32),
}

impl DatasetError {
    /// The error with its causes, in one line, for findings.
    pub(crate) fn explain(&self) -> String {
        match &self.fault {
            Fault::DiskFull(cause)
            | Fault::Denied(cause)
            | Fault::Missing(cause)
            | Fault::Io(cause) => {
                format!("{self}: {}: {cause}", self.fault)
            }
            fault => format!("{self}: {fault}"),
        }
    }

    pub(crate) fn new(path: &Path, action: &'static str, fault: Fault) -> Self {
        Self { path: path.to_owned(), action, fault }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            _ if LeadsOut::is_told_by(&error) => Self::LeadsOut,
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::DiskFull(error),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied(error)
            }
            io::ErrorKind::NotFound => Self::Missing(error),
            _ => Self::Io(error),
        }
    }
}

impl From<parquet::errors::ParquetError> for Fault {
    /// Parquet wraps the errors of the files below it; they must come out
    /// again, or a full disk would read as a damaged file.
    fn from(error: parquet::errors::ParquetError) -> Self {
        match error {
            parquet::errors::ParquetError::External(cause) => match cause.downcast::<io::Error>() {
                Ok(error) => (*error).into(),
                Err(cause) => Self::Damaged(cause.to_string()),
            },
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<arrow_schema::ArrowError> for Fault {
    fn from(error: arrow_schema::ArrowError) -> Self {
        match error {
            arrow_schema::ArrowError::IoError(_, error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// Adds the path and the action to a fault.
pub(crate) trait At<T> {
    fn at(self, path: &Path, action: &'static str) -> Result<T, DatasetError>;
}

impl<T, E: Into<Fault>> At<T> for Result<T, E> {
    fn at(self, path: &Path, action: &'static str) -> Result<T, DatasetError> {
        self.map_err(|fault| DatasetError::new(path, action, fault.into()))
    }
}
