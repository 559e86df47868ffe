//! What is said to a worker and what it answers: plain data, so that a worker
//! can be a thread today and a process tomorrow.

use gyre_types::{Limits, SandboxJob, SandboxReport, Seed, Step, StepReport};
use serde::{Deserialize, Serialize};

use crate::SandboxError;

/// What a session is started with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionSpec {
    /// Seeds the guest's randomness.
    pub seed: Seed,
    /// What the guest may use; what is counted is counted per step.
    pub limits: Limits,
}

/// What a session used, all steps together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Steps that were begun.
    pub steps: u32,
    /// Fuel burnt.
    pub fuel: u64,
    /// Largest size of the guest's linear memory, in bytes.
    pub memory_bytes_peak: u64,
}

/// Names a session to the worker that holds it.
pub(crate) type SessionKey = u64;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Execute(SandboxJob),
    Start(SessionKey, SessionSpec),
    Step(SessionKey, Step),
    End(SessionKey),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    Executed(SandboxReport),
    Started,
    Stepped(StepReport),
    Ended(Usage),
    Failed(Fault),
}

/// An infrastructure fault, as a worker reports it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Fault {
    Engine { message: String },
    SessionDead,
    TooManySessions { live_max: u32 },
    MemoryLimitTooSmall { given: u64, needed: u64 },
    Panicked,
}

impl From<Fault> for SandboxError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Engine { message } => Self::Engine { doing: "running a guest", message },
            Fault::SessionDead => Self::SessionDead,
            Fault::TooManySessions { live_max } => Self::TooManySessions { live_max },
            Fault::MemoryLimitTooSmall { given, needed } => {
                Self::MemoryLimitTooSmall { given, needed }
            }
            Fault::Panicked => Self::WorkerLost,
        }
    }
}
