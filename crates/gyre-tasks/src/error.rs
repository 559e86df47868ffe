use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

/// Why tasks cannot be had at all: the family, the request or the machine is
/// at fault. A single task that is no good is a [`Refusal`] instead.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A file or folder cannot be read or written.
    #[error("cannot {action} {path}", path = path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file does not say what it must.
    #[error("{path} is not valid: {detail}", path = path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        detail: String,
    },
    /// There is no such family.
    #[error("no family {name:?} in {folder}; there are: {known}", folder = folder.display())]
    UnknownFamily {
        /// The name that was asked for.
        name: String,
        /// Where families are.
        folder: PathBuf,
        /// The names that exist.
        known: String,
    },
    /// Whoever keeps the tasks cannot say which there are.
    #[error("cannot tell which tasks there are already: {why}")]
    Known {
        /// Why.
        why: String,
    },
    /// A request that the family cannot meet.
    #[error("family {family}: {detail}")]
    Request {
        /// The family.
        family: String,
        /// What is wrong with the request.
        detail: String,
    },
    /// The generator cannot even be loaded.
    #[error("the generator of family {family} cannot be loaded: {detail}")]
    Generator {
        /// The family.
        family: String,
        /// What its guest said.
        detail: String,
    },
    /// The sandbox failed: an infrastructure fault, worth another try.
    #[error("the sandbox failed: {detail}")]
    Sandbox {
        /// What it said.
        detail: String,
    },
}

impl TaskError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn invalid(path: impl Into<PathBuf>, detail: impl fmt::Display) -> Self {
        Self::Invalid { path: path.into(), detail: detail.to_string() }
    }
}

/// Why a generated task was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Its composition is on another side of the split. Not a fault.
    OtherSplit,
    /// The generator itself declined, with a code of its own. Not a fault.
    Declined(String),
    /// The generator raised.
    GeneratorRaised,
    /// The generator's guest died.
    GeneratorDied,
    /// What the generator gave is not of the contract's form.
    Schema,
    /// The same task is there already. Not a fault.
    Duplicate,
    /// A program that does nothing passes: it returns `None`, its first
    /// argument, or always the same value.
    Trivial,
    /// A table of the visible examples passes.
    VisibleOnly,
    /// The reference solution does not give what the task expects.
    ReferenceFails,
    /// A failure case passes.
    FailurePasses,
    /// Generated twice from the same request, it differed.
    Nondeterministic,
    /// The test of an imported problem asks for more than that results equal
    /// the recorded ones.
    TestForm,
    /// The family's own verifier gave no verdict on one of its programs.
    VerifierFault,
}

impl Reason {
    /// The stable code, such as `reference_fails`.
    pub fn code(&self) -> String {
        match self {
            Self::OtherSplit => "other_split".to_owned(),
            Self::Declined(code) => format!("declined/{code}"),
            Self::GeneratorRaised => "generator_raised".to_owned(),
            Self::GeneratorDied => "generator_died".to_owned(),
            Self::Schema => "schema".to_owned(),
            Self::Duplicate => "duplicate".to_owned(),
            Self::Trivial => "trivial".to_owned(),
            Self::VisibleOnly => "visible_only".to_owned(),
            Self::ReferenceFails => "reference_fails".to_owned(),
            Self::FailurePasses => "failure_passes".to_owned(),
            Self::Nondeterministic => "nondeterministic".to_owned(),
            Self::TestForm => "test_form".to_owned(),
            Self::VerifierFault => "verifier_fault".to_owned(),
        }
    }

    /// Whether it means that the family is at fault, rather than that chance
    /// made a task nobody needs.
    pub fn is_fault(&self) -> bool {
        match self {
            Self::OtherSplit
            | Self::Declined(_)
            | Self::Duplicate
            | Self::Trivial
            | Self::VisibleOnly => false,
            Self::GeneratorRaised
            | Self::GeneratorDied
            | Self::Schema
            | Self::ReferenceFails
            | Self::FailurePasses
            | Self::Nondeterministic
            | Self::TestForm
            | Self::VerifierFault => true,
        }
    }
}

impl Serialize for Reason {
    /// Writes the code, so that a reason may be the key of a JSON object.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.code())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code())
    }
}

/// A task that was not admitted, and why. Tells of hidden cases: it stays on
/// the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Refusal {
    /// The gate that it did not pass.
    pub reason: Reason,
    /// What was seen there.
    pub detail: String,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}
