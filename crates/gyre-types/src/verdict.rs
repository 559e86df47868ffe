use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a verifier says of a rollout. There is no default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "snake_case", deny_unknown_fields)]
pub enum Verdict {
    /// Every check agreed.
    Pass,
    /// At least one check disagreed.
    Fail {
        /// The weighted share of checks that agreed, below 1.
        score: Score,
    },
    /// Nothing can be said: the fault is ours or the verifier's. Counted,
    /// shown, never trained on, never a zero.
    Invalid {
        /// Why.
        reason: InvalidReason,
    },
}

impl Verdict {
    /// Whether this is [`Verdict::Pass`].
    pub fn is_pass(&self) -> bool {
        matches!(self, Self::Pass)
    }

    /// Whether this is [`Verdict::Invalid`].
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::Invalid { .. })
    }

    /// The score: 1 for a pass, none for an invalid rollout.
    pub fn score(&self) -> Option<Score> {
        match self {
            Self::Pass => Some(Score::ONE),
            Self::Fail { score } => Some(*score),
            Self::Invalid { .. } => None,
        }
    }

    /// `pass`, `fail` or `invalid`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail { .. } => "fail",
            Self::Invalid { .. } => "invalid",
        }
    }
}

/// Why a rollout has no verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum InvalidReason {
    /// The sandbox, a worker or the machine failed.
    ///
    /// Until there was [`InvalidReason::Model`], the model's server too.
    Infrastructure {
        /// What failed.
        detail: String,
    },
    /// The model gave no completion: its server failed, refused, or cannot be reached.
    Model {
        /// What happened, with the server's origin.
        detail: String,
    },
    /// The verifier raised, hung, or gave something that is no report.
    Verifier {
        /// What it did.
        detail: String,
    },
    /// Two executions of the same check disagreed.
    Nondeterministic {
        /// Which check.
        detail: String,
    },
    /// The task or the verifier was revoked, and nothing judges in its place.
    Revoked {
        /// Which, and why.
        detail: String,
    },
}

impl InvalidReason {
    /// The kind of [`InvalidReason::Infrastructure`].
    pub const INFRASTRUCTURE: &str = "infrastructure";
    /// The kind of [`InvalidReason::Model`].
    pub const MODEL: &str = "model";
    /// What [`kind`](Self::kind) gives, for all reasons.
    pub const KINDS: &[&str] =
        &[Self::INFRASTRUCTURE, Self::MODEL, "verifier", "nondeterministic", "revoked"];

    /// `infrastructure`, `model`, `verifier`, `nondeterministic` or `revoked`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Infrastructure { .. } => Self::INFRASTRUCTURE,
            Self::Model { .. } => Self::MODEL,
            Self::Verifier { .. } => "verifier",
            Self::Nondeterministic { .. } => "nondeterministic",
            Self::Revoked { .. } => "revoked",
        }
    }

    /// Whether neither the answer nor the verifier is to blame: the rollout was lost
    /// to a fault of the model's server or of this side.
    pub fn is_fault(&self) -> bool {
        Self::is_kind_of_fault(self.kind())
    }

    /// Whether reasons of this kind are [faults](Self::is_fault).
    pub fn is_kind_of_fault(kind: &str) -> bool {
        matches!(kind, Self::INFRASTRUCTURE | Self::MODEL)
    }

    /// What happened.
    pub fn detail(&self) -> &str {
        match self {
            Self::Infrastructure { detail }
            | Self::Model { detail }
            | Self::Verifier { detail }
            | Self::Nondeterministic { detail }
            | Self::Revoked { detail } => detail,
        }
    }
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind(), self.detail())
    }
}

/// A finite number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
pub struct Score(f64);

/// A number that is no score.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is not a score: scores are finite and lie from 0 to 1")]
pub struct ScoreError(pub f64);

impl Score {
    /// Nothing agreed.
    pub const ZERO: Self = Self(0.0);
    /// Everything agreed.
    pub const ONE: Self = Self(1.0);

    /// Checks a number.
    ///
    /// # Errors
    ///
    /// When it is NaN, infinite, below 0 or above 1.
    pub fn new(value: f64) -> Result<Self, ScoreError> {
        // A sum of nothing is -0.0, which databases keep or drop as they like: adding
        // 0.0 makes it plain.
        if (0.0..=1.0).contains(&value) { Ok(Self(value + 0.0)) } else { Err(ScoreError(value)) }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Score {
    type Error = ScoreError;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        Self::new(value)
    }
}

impl From<Score> for f64 {
    fn from(score: Score) -> Self {
        score.0
    }
}

/// One named check of a verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// Its name, such as `hidden[3]`.
    pub name: String,
    /// Whether it agreed.
    pub passed: bool,
    /// Its share in the score, above 0.
    pub weight: f64,
    /// What was seen, for people. Stays on the host: it may tell of hidden cases.
    pub detail: String,
}

/// A verdict with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// What is said.
    pub verdict: Verdict,
    /// The checks that it rests on, in the key's order.
    pub checks: Vec<CheckResult>,
    /// Fuel burnt by the guests that ran for it.
    pub fuel: u64,
    /// Guests started for it.
    pub guests: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_stored_by_its_kind_and_older_ones_are_read() {
        let detail = || "down".to_owned();
        let reasons = [
            InvalidReason::Infrastructure { detail: detail() },
            InvalidReason::Model { detail: detail() },
            InvalidReason::Verifier { detail: detail() },
            InvalidReason::Nondeterministic { detail: detail() },
            InvalidReason::Revoked { detail: detail() },
        ];
        assert_eq!(reasons.each_ref().map(InvalidReason::kind), *InvalidReason::KINDS);
        for (reason, is_fault) in reasons.into_iter().zip([true, true, false, false, false]) {
            let stored = format!(r#"{{"kind":"{}","detail":"down"}}"#, reason.kind());
            assert_eq!(serde_json::to_string(&reason).unwrap(), stored);
            assert_eq!(serde_json::from_str::<InvalidReason>(&stored).unwrap(), reason);
            assert_eq!(reason.is_fault(), is_fault, "{reason}");
        }
    }

    #[test]
    fn a_score_of_nothing_has_no_sign() {
        let nothing = Score::new(std::iter::empty::<f64>().sum()).map(Score::get);
        assert_eq!(nothing.map(f64::to_bits), Ok(0.0_f64.to_bits()));
        assert_eq!(Score::new(-0.1), Err(ScoreError(-0.1)));
    }
}
