//! Whether a person has the last word on a candidate that the gate promotes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TimeSpan;

/// Who has the last word on a candidate that passed the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// The gate: the candidate becomes champion at once.
    #[default]
    Automatic,
    /// A person: the candidate waits for `gyre promote`, and the run with it.
    Manual,
}

impl Approval {
    pub(crate) fn is_automatic(&self) -> bool {
        *self == Self::Automatic
    }
}

/// What a gate asks of people, recorded with its decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRequest {
    /// How long the candidate waits before the champion stays.
    pub expires_after: TimeSpan,
}

impl ApprovalRequest {
    /// When it expires. Both times are in milliseconds since 1970; `asked_at_ms` is
    /// the recorded time of the gate's decision.
    pub fn expires_at_ms(self, asked_at_ms: i64) -> i64 {
        self.expires_after.after_ms(asked_at_ms)
    }

    /// Whether it is too late for an answer at `now_ms`. It follows from recorded times
    /// and the caller's clock alone, so that every process comes to the same answer.
    pub fn is_expired(self, asked_at_ms: i64, now_ms: i64) -> bool {
        now_ms >= self.expires_at_ms(asked_at_ms)
    }
}

/// How long a candidate waits by default.
pub(crate) const EXPIRES_DEFAULT: TimeSpan = TimeSpan::days(7);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde takes")]
pub(crate) fn is_default_expiry(span: &TimeSpan) -> bool {
    *span == EXPIRES_DEFAULT
}
