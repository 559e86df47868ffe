//! Grading keys, and how an answer gets its verdict.
//!
//! Verification is planned here, executed by the sandbox, and judged here
//! again: this crate knows no file, clock, environment or guest.
//!
//! What it guarantees:
//!
//! - **An expected value never enters a guest.** A job carries the answer and
//!   the arguments of a case; what must come back stays in the
//!   [`GradingKey`], and [`same`] compares on the host.
//! - **A pass needs one fresh guest for every hidden case.** One shared guest
//!   may only reject (see [`judge_screen`]): it is cheap, and state that an
//!   answer carries from one case to the next can only hurt it there.
//! - **There is no default verdict.** A missing, short or overlong report, a
//!   fault of the sandbox, a key that is not the task's or that holds no case:
//!   each gives [`Verdict::Invalid`](gyre_types::Verdict::Invalid).
//! - **A verdict depends on task and answer alone**: the guests' seeds are
//!   derived from both (see [`judging_seed`]).

mod batch;
mod canary;
mod checks;
mod compare;
pub mod corpus;
mod declare;
mod failure;
mod judge;
mod judging;
mod key;
mod observe;
mod outcome;
mod plain;
mod plan;
mod report;
mod scorecard;
mod submission;
mod verifier;

pub use batch::{judge_batch, judge_cases};
pub use canary::{Canary, impossible};
pub use checks::Checks;
pub use compare::{Mismatch, same};
pub use declare::{
    CheckDeclaration, TextOf, VerifierDeclaration, VerifierKind, default_python_limits,
};
pub use failure::{FailurePlan, judge_failure, plan_failure};
pub use judge::{Screen, ScreenPassed, judge_confirm, judge_screen, judge_unrun};
pub use key::{Comparison, Equality, FloatTolerance, GradingKey, ProgramKey, ToleranceError};
pub use outcome::{
    CASE_BYTES_MAX, CaseOutcome, CaseResult, OUTCOME_BYTES_MAX, Outcome, ProgramOutcome,
};
pub use plan::{ANSWER_BYTES_MAX, judging_seed, plan_confirm, plan_observation, plan_screen};
pub use report::{
    CONTRACT_VERSION, Cost, REPORT_BYTES_MAX, REPORT_CHECKS_MAX, REPORT_DETAIL_BYTES_MAX,
    REPORT_METRICS_MAX, REPORT_NAME_BYTES_MAX, REPORT_WEIGHT_MAX, Report, ReportError,
    judge_report,
};
pub use scorecard::{
    AuditedCase, CaseGroup, CostScore, DeterminismScore, FINDINGS_MAX, Finding, GroupScore,
    MutantScore, Rate, SCORECARD_FORMAT, Scorecard, ScorecardLimits, ScorecardSubject,
};
pub use submission::{ProgramSubmission, Submission, SubmissionKind};
pub use verifier::{
    COMMAND_MS_MAX, ExternalReply, ExternalVerifier, PYTHON_BYTES_MAX, PythonVerifier, Verifier,
    VerifierFault, command_digest,
};

use gyre_types::Digest;

/// What the built-in verifier is called.
pub const VERIFIER_NAME: &str = "gyre:cases";

/// Raised whenever planning or judging could give another verdict.
pub const VERIFIER_VERSION: u32 = 1;

/// Raised whenever [`same`] could say something else.
pub const COMPARISON_VERSION: u32 = 1;

/// The identity of the built-in verifier: its name, its version, and that of
/// its comparison. Stored with every verdict.
pub fn verifier_digest() -> Digest {
    Digest::of_parts([
        b"verifier".as_slice(),
        VERIFIER_NAME.as_bytes(),
        &VERIFIER_VERSION.to_le_bytes(),
        &COMPARISON_VERSION.to_le_bytes(),
    ])
}
