use std::collections::BTreeMap;
use std::fmt;

use gyre_types::{Digest, TaskId, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Confidence, GateConfig, GateHistory, Interval, PairTable, paired_interval, wilson};

/// The version of [`GateRecord`]'s form.
pub const GATE_RECORD_VERSION: u32 = 1;

/// How one policy did on one held-out task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Verified.
    Pass,
    /// Refuted.
    Fail,
    /// No verdict could be given.
    Invalid,
    /// Never attempted.
    Missing,
}

impl Outcome {
    fn is_known(self) -> bool {
        matches!(self, Self::Pass | Self::Fail)
    }
}

impl From<&Verdict> for Outcome {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Fail { .. } => Self::Fail,
            Verdict::Invalid { .. } => Self::Invalid,
        }
    }
}

impl From<Option<&Verdict>> for Outcome {
    fn from(verdict: Option<&Verdict>) -> Self {
        verdict.map_or(Self::Missing, Self::from)
    }
}

/// One held-out task, answered by both policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairedOutcome {
    /// The task.
    pub task: TaskId,
    /// Its family.
    pub family: String,
    /// Its level within the family.
    pub difficulty: u32,
    /// What the champion did.
    pub champion: Outcome,
    /// What the candidate did.
    pub candidate: Outcome,
}

impl PairedOutcome {
    /// Whether champion and candidate passed, where what is not known counts as
    /// a pass of the champion and as a fail of the candidate.
    fn passes(&self) -> (bool, bool) {
        (self.champion != Outcome::Fail, self.candidate == Outcome::Pass)
    }
}

/// Who stands against whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contest {
    /// The round of the candidate.
    pub round: u32,
    /// The champion's policy digest.
    pub champion: Digest,
    /// The candidate's policy digest.
    pub candidate: Digest,
    /// The gates before this one.
    pub history: GateHistory,
}

/// A figure with its 95% interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Its interval.
    pub interval: Interval,
}

impl Estimate {
    /// A proportion with Wilson's interval; 0 of nothing is 0.
    pub fn proportion(successes: u64, n: u64) -> Self {
        let value = if n == 0 { 0.0 } else { successes as f64 / n as f64 };
        Self { value, interval: wilson(successes, n, Confidence::P95) }
    }

    /// The gain of a table with the paired interval of Agresti and Min.
    pub fn gain(table: &PairTable) -> Self {
        let difference = table.wins as f64 - table.losses as f64;
        let value = if table.n == 0 { 0.0 } else { difference / table.n as f64 };
        Self { value, interval: paired_interval(table, Confidence::P95) }
    }
}

/// Champion and candidate over one set of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Breakdown {
    /// The counts.
    pub table: PairTable,
    /// The champion's pass@1.
    pub champion: Estimate,
    /// The candidate's pass@1.
    pub candidate: Estimate,
    /// The difference, candidate minus champion.
    pub gain: Estimate,
}

impl Breakdown {
    /// The figures of a table.
    pub fn of(table: PairTable) -> Self {
        Self {
            champion: Estimate::proportion(table.losses + table.both, table.n),
            candidate: Estimate::proportion(table.wins + table.both, table.n),
            gain: Estimate::gain(&table),
            table,
        }
    }
}

/// One level of one family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelBreakdown {
    /// The family.
    pub family: String,
    /// The level.
    pub difficulty: u32,
    /// Its figures.
    pub breakdown: Breakdown,
}

/// Outcomes that nothing is known of; each counts against the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unknown {
    /// Of the champion, invalid or missing.
    pub champion: u64,
    /// Of the candidate, invalid or missing.
    pub candidate: u64,
}

impl Unknown {
    pub(super) fn count(pairs: &[&PairedOutcome]) -> Self {
        let unknown = |of: fn(&PairedOutcome) -> Outcome| {
            pairs.iter().filter(|pair| !of(pair).is_known()).count() as u64
        };
        Self { champion: unknown(|pair| pair.champion), candidate: unknown(|pair| pair.candidate) }
    }

    /// Of both.
    pub fn total(&self) -> u64 {
        self.champion + self.candidate
    }
}

/// What the gate decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "decision", rename_all = "snake_case", deny_unknown_fields)]
pub enum Decision {
    /// The candidate becomes the champion.
    Promote,
    /// The champion stays.
    Reject {
        /// Every reason that holds, at least one.
        reasons: Vec<RejectReason>,
    },
}

impl Decision {
    /// Whether the candidate becomes the champion.
    pub fn is_promotion(&self) -> bool {
        matches!(self, Self::Promote)
    }
}

/// Why a candidate was not promoted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "reason", rename_all = "snake_case", deny_unknown_fields)]
pub enum RejectReason {
    /// Champion and candidate are one.
    IdenticalCheckpoint,
    /// A task stands twice among the pairs, which would count its evidence twice.
    RepeatedTask {
        /// The task.
        task: TaskId,
    },
    /// Too few outcomes are known.
    TooManyUnknown {
        /// Outcomes that are invalid or missing.
        unknown: u64,
        /// All outcomes.
        outcomes: u64,
    },
    /// Equal models would show such a gain too often.
    NotSignificant {
        /// How often.
        p_value: f64,
        /// How often is allowed at this gate.
        alpha: f64,
    },
    /// The gain is too small to be worth a new champion.
    BelowMargin {
        /// The gain in pass@1.
        gain: f64,
        /// The gain asked for.
        margin: f64,
    },
    /// One family may have fallen by more than is allowed.
    FamilyInferior {
        /// The family.
        family: String,
        /// The low end of its gain.
        gain_low: f64,
        /// The fall allowed.
        margin: f64,
    },
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdenticalCheckpoint => f.write_str("the candidate is the champion itself"),
            Self::RepeatedTask { task } => write!(f, "{task} stands twice among the pairs"),
            Self::TooManyUnknown { unknown, outcomes } => {
                write!(f, "{unknown} of {outcomes} outcomes are invalid or missing")
            }
            Self::NotSignificant { p_value, alpha } => {
                write!(f, "not significant: p = {p_value:.4}, level {alpha:.4}")
            }
            Self::BelowMargin { gain, margin } => {
                let (gain, margin) = (100.0 * gain, 100.0 * margin);
                write!(f, "a gain of {gain:+.1} points is below the margin of {margin:.1}")
            }
            Self::FamilyInferior { family, gain_low, margin } => {
                let (low, margin) = (100.0 * gain_low, 100.0 * margin);
                write!(f, "{family} may have changed by {low:+.1} points (allowed: -{margin:.1})")
            }
        }
    }
}

/// One decision of the gate, with all that it rests on. Immutable once stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateRecord {
    /// The version of this form.
    pub version: u32,
    /// The round of the candidate.
    pub round: u32,
    /// The champion's policy digest.
    pub champion: Digest,
    /// The candidate's policy digest.
    pub candidate: Digest,
    /// The gates before this one, which decide `alpha`.
    pub history: GateHistory,
    /// The rules in force.
    pub config: GateConfig,
    /// What was decided.
    pub decision: Decision,
    /// One-sided exact McNemar.
    pub p_value: f64,
    /// The level of this gate.
    pub alpha: f64,
    /// The figures over all tasks.
    pub overall: Breakdown,
    /// Outcomes that nothing is known of.
    pub unknown: Unknown,
    /// Tasks that the champion passed and the candidate did not.
    pub flips_lost: Vec<TaskId>,
    /// The figures by family.
    pub per_family: BTreeMap<String, Breakdown>,
    /// The figures by family and level.
    pub per_difficulty: Vec<LevelBreakdown>,
    /// Digest of the pairs, sorted by task, as canonical JSON.
    pub pairs_digest: Digest,
}

impl GateRecord {
    /// Whether the candidate becomes the champion.
    pub fn is_promotion(&self) -> bool {
        self.decision.is_promotion()
    }
}

impl PairTable {
    pub(super) fn count(pairs: &[&PairedOutcome]) -> Self {
        let mut table = Self { n: pairs.len() as u64, ..Self::default() };
        for pair in pairs {
            *match pair.passes() {
                (false, true) => &mut table.wins,
                (true, false) => &mut table.losses,
                (true, true) => &mut table.both,
                (false, false) => &mut table.neither,
            } += 1;
        }
        table
    }
}

impl GateHistory {
    /// The history with one more gate.
    ///
    /// A candidate that is the champion itself was not tested and costs nothing.
    #[must_use]
    pub fn after(self, record: &GateRecord) -> Self {
        match &record.decision {
            Decision::Promote => Self { promoted: self.promoted.saturating_add(1), ..self },
            Decision::Reject { reasons }
                if reasons.contains(&RejectReason::IdenticalCheckpoint) =>
            {
                self
            }
            Decision::Reject { .. } => Self { rejected: self.rejected.saturating_add(1), ..self },
        }
    }
}
