//! What one call of a verifier may use, and what came of it.

use serde::{Deserialize, Serialize};

use super::inspect::ComponentProblem;
use crate::SandboxError;

/// A byte of a text takes at most six in JSON; names and numbers take less
/// than what they took in memory.
const JSON_GROWTH_MAX: u64 = 8;

/// What one call of a verifier may use. Counted, never timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifierLimits {
    /// Fuel, instantiation included; a second of work is some 10e9.
    pub fuel_max: u64,
    /// Linear memories together, in bytes.
    pub memory_bytes_max: u64,
    /// Elements of tables together.
    pub table_elements_max: u64,
    /// What is copied out as the report, in bytes.
    pub report_bytes_max: usize,
}

impl Default for VerifierLimits {
    /// About a second of work, 256 MiB, 2^18 elements, 1 MiB of report.
    fn default() -> Self {
        Self {
            fuel_max: 10_000_000_000,
            memory_bytes_max: 256 << 20,
            table_elements_max: 1 << 18,
            report_bytes_max: 1 << 20,
        }
    }
}

/// Why a component was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// It is no verifier. Everything that is known to be wrong is listed.
    #[error("not a verifier of this version of Gyre: {}", list(problems))]
    Refused {
        /// What it lacks or wrongly has, at least one.
        problems: Vec<ComponentProblem>,
    },
    /// The infrastructure failed; nothing is said of the component.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// What a verifier did wrong in one call. Whatever it judged has no verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierFault {
    /// It did not come to an end.
    #[error("the verifier used up its {fuel_max} units of fuel: it loops, or does too much")]
    FuelExhausted {
        /// The bound.
        fuel_max: u64,
    },
    /// It asked for more memory than it may have.
    #[error("the verifier asked for more than its {bytes_max} bytes of memory")]
    MemoryExceeded {
        /// The bound, in bytes.
        bytes_max: u64,
    },
    /// It asked for more table elements than it may have.
    #[error("the verifier asked for more than its {elements_max} elements of tables")]
    TablesExceeded {
        /// The bound.
        elements_max: u64,
    },
    /// It trapped: a panic, an unreachable instruction, a stack overflow.
    #[error("the verifier trapped: {message}")]
    Trapped {
        /// The engine's own words.
        message: String,
    },
    /// Its report is too large to be copied out.
    #[error("the verifier's report takes more than the {bytes_max} bytes that it may have")]
    ReportTooLarge {
        /// The bound, in bytes.
        bytes_max: usize,
    },
    /// What it gave back is no report: bad pointers or texts, NaN, a name twice.
    #[error("the verifier's report is malformed: {detail}")]
    Malformed {
        /// What is wrong.
        detail: String,
    },
    /// It said itself that it cannot judge this.
    #[error("the verifier gave an error instead of a report: {message}")]
    Declined {
        /// Its own words, cut to a bounded length.
        message: String,
    },
}

/// What one call of a verifier came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The report as JSON, still to be judged, or what the verifier did wrong.
    pub report: Result<String, VerifierFault>,
    /// Fuel burnt.
    pub fuel: u64,
    /// Largest size of its memories together, in bytes.
    pub memory_bytes_peak: u64,
}

impl Verification {
    /// A report that a worker hands over in spite of its bound is none. Writing
    /// it as JSON may have made it longer than what was copied out.
    pub(crate) fn bounded(mut self, bytes_max: u64) -> Self {
        let room = bytes_max.saturating_mul(JSON_GROWTH_MAX);
        if self.report.as_ref().is_ok_and(|report| report.len() as u64 > room) {
            let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
            self.report = Err(VerifierFault::ReportTooLarge { bytes_max });
        }
        self
    }
}

/// What came of starting it once, so that what cannot work is known before it
/// is relied upon.
pub(crate) type Rehearsal = Result<(), ComponentProblem>;

fn list(problems: &[ComponentProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

pub(super) fn refused(problem: ComponentProblem) -> ComponentError {
    ComponentError::Refused { problems: vec![problem] }
}
