//! What a scheduled round may cost, and when a schedule ends by itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one round of a schedule may cost. A round that is over it ends, with
/// what was verified until then kept; the champion stays. The cold start has no
/// budget: without it there is no campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RoundBudget {
    /// Tokens sampled for training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Seconds of processor time, over all processes of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    /// Seconds that a service worked on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_seconds: Option<u64>,
    /// Rows published; a round that would publish more publishes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// When a schedule ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StopRules {
    /// So many candidates in a row were rejected. Rounds that failed before
    /// their candidate reached the gate do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejections_in_a_row: Option<u32>,
    /// The champion's pass rate on the gate part did not rise over so many
    /// rounds. Rounds that failed count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_gain_rounds: Option<u32>,
    /// So many rounds in a row failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures_in_a_row: Option<u32>,
}

/// What a round has cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Tokens sampled for training.
    pub tokens: u64,
    /// Milliseconds of processor time.
    pub cpu_ms: u64,
    /// Milliseconds that a service worked on it.
    pub wall_ms: u64,
    /// Rows published, or about to be.
    pub rows: u64,
}

/// A limit that was reached or passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetLimit {
    /// Whose budget, such as `the round's budget`.
    pub of: &'static str,
    /// What was allowed, with its unit.
    pub allowed: String,
    /// What was spent, in the same unit.
    pub spent: String,
}

impl std::fmt::Display for BudgetLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { of, allowed, spent } = self;
        write!(f, "{of} of {allowed} is spent ({spent})")
    }
}

impl RoundBudget {
    /// The first limit that was passed; exactly all of a budget may be spent.
    pub fn exceeded(&self, spent: &Spent) -> Option<BudgetLimit> {
        let limits = [
            ("tokens", self.tokens, spent.tokens),
            ("seconds of processor time", self.cpu_seconds, spent.cpu_ms.div_ceil(1_000)),
            ("seconds", self.wall_seconds, spent.wall_ms.div_ceil(1_000)),
            ("rows", self.rows, spent.rows),
        ];
        limits.into_iter().find_map(|(what, allowed, spent)| {
            let allowed = allowed.filter(|allowed| spent > *allowed)?;
            let (allowed, spent) = (format!("{allowed} {what}"), spent.to_string());
            Some(BudgetLimit { of: "the budget", allowed, spent })
        })
    }

    pub(crate) fn zero(&self) -> Option<&'static str> {
        let limits = [
            ("budget.tokens", self.tokens),
            ("budget.cpu_seconds", self.cpu_seconds),
            ("budget.wall_seconds", self.wall_seconds),
            ("budget.rows", self.rows),
        ];
        limits.into_iter().find(|(_, limit)| *limit == Some(0)).map(|(key, _)| key)
    }
}

/// How a round ended, as far as stop rules ask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RoundOutcome {
    /// The candidate became champion.
    Promoted {
        /// The new champion's pass rate on the gate part.
        rate: f64,
    },
    /// The champion stays.
    Rejected {
        /// The champion's pass rate on the gate part.
        rate: f64,
    },
    /// Its rows were published, and nothing was to be decided.
    Collected,
    /// It came to no decision.
    Failed,
}

/// Why a schedule ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// So many candidates in a row were rejected.
    Rejections(u32),
    /// The champion did not get better over so many rounds.
    NoGain(u32),
    /// So many rounds in a row failed.
    Failures(u32),
}

impl std::fmt::Display for StopReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rejections(n) => write!(f, "{n} rejections in a row"),
            Self::NoGain(n) => write!(f, "no gain over {n} rounds"),
            Self::Failures(n) => write!(f, "{n} failed rounds in a row"),
        }
    }
}

impl StopRules {
    pub(crate) fn zero(&self) -> Option<&'static str> {
        let rules = [
            ("stop.rejections_in_a_row", self.rejections_in_a_row),
            ("stop.no_gain_rounds", self.no_gain_rounds),
            ("stop.failures_in_a_row", self.failures_in_a_row),
        ];
        rules.into_iter().find(|(_, rule)| *rule == Some(0)).map(|(key, _)| key)
    }
}

/// Whether a schedule ends after these rounds, in order.
pub fn must_stop(rules: &StopRules, rounds: &[RoundOutcome]) -> Option<StopReason> {
    let undecided =
        |round: &RoundOutcome| matches!(round, RoundOutcome::Failed | RoundOutcome::Collected);
    let decided = rounds.iter().rev().filter(|round| !undecided(round));
    let rejected = decided.take_while(|round| matches!(round, RoundOutcome::Rejected { .. }));
    let failed = rounds.iter().rev().take_while(|round| matches!(round, RoundOutcome::Failed));
    let (rejected, failed) = (rejected.count(), failed.count());
    let reached = |rule: Option<u32>, count: usize| rule.filter(|n| count >= *n as usize);
    let rejections = reached(rules.rejections_in_a_row, rejected).map(StopReason::Rejections);
    let failures = || reached(rules.failures_in_a_row, failed).map(StopReason::Failures);
    let no_gain = || {
        let rounds_max = rules.no_gain_rounds?;
        (rounds_without_gain(rounds) >= rounds_max as usize)
            .then_some(StopReason::NoGain(rounds_max))
    };
    rejections.or_else(failures).or_else(no_gain)
}

/// Rounds since the last that made the champion better than ever before. A
/// rejection tells what the champion had before it, and is no gain.
fn rounds_without_gain(rounds: &[RoundOutcome]) -> usize {
    let mut best: Option<f64> = None;
    let mut since = 0;
    for round in rounds {
        // A round without a candidate could make nothing better.
        since += usize::from(*round != RoundOutcome::Collected);
        match *round {
            RoundOutcome::Promoted { rate } if best.is_none_or(|best| rate > best) => {
                (best, since) = (Some(rate), 0);
            }
            RoundOutcome::Rejected { rate } => {
                best = Some(best.map_or(rate, |best| best.max(rate)));
            }
            RoundOutcome::Promoted { .. } | RoundOutcome::Collected | RoundOutcome::Failed => {}
        }
    }
    since
}
