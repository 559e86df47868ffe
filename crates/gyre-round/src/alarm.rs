//! Does a verifier say yes much more, or much less, often than a round ago?

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Interval, Share, exact_interval};

/// When a change of a verifier's accept rate is told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlarmConfig {
    /// The change from one round to the next that learning may explain, in
    /// shares of the cell's tasks. Default 0.3.
    pub change_max: Share,
    /// The probability that a campaign in which no rate ever changes by more
    /// raises a false alarm. Default 0.01.
    pub alpha_total: Share,
    /// Whether an alarm ends the run before the round publishes anything.
    /// Default false: it is recorded and shown.
    pub stop: bool,
}

impl Default for AlarmConfig {
    fn default() -> Self {
        Self { change_max: Share::permille(300), alpha_total: Share::permille(10), stop: false }
    }
}

/// What a verifier said of one cell in one round. Tasks count once each, so
/// that they are independent, and those without a verdict not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptCount {
    /// Accepted.
    pub accepted: u64,
    /// Judged.
    pub judged: u64,
}

impl AcceptCount {
    /// Counts one more verdict.
    pub fn add(&mut self, accepted: bool) {
        self.accepted += u64::from(accepted);
        self.judged += 1;
    }

    fn rate(self) -> f64 {
        self.accepted as f64 / self.judged.max(1) as f64
    }
}

/// A rate that changed by more than learning and chance explain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateAlarm {
    /// The cell, such as `compose level 3` or `compose skill sum`.
    pub cell: String,
    /// The round before.
    pub before: AcceptCount,
    /// Where the rate before lies, on each side with the level's probability.
    pub before_interval: Interval,
    /// This round.
    pub now: AcceptCount,
    /// Where the rate lies now.
    pub now_interval: Interval,
    /// The change that is allowed for.
    pub change_max: f64,
    /// The level of this cell's test on one side.
    pub alpha: f64,
}

impl std::fmt::Display for RateAlarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let AcceptCount { accepted, judged } = self.before;
        write!(
            f,
            "{}: {accepted} of {judged} tasks accepted in the round before ({:.0}%), now {} of {} \
             ({:.0}%): more than {:.0} points of learning and chance explain",
            self.cell,
            100.0 * self.before.rate(),
            self.now.accepted,
            self.now.judged,
            100.0 * self.now.rate(),
            100.0 * self.change_max,
        )
    }
}

/// Compares two rounds, cell by cell, both ways.
///
/// `comparison` counts from 1: the r-th has `6 / (pi r)^2` of the budget, and
/// its cells share that evenly. A cell alarms where the exact bounds of its two
/// rates, each at a quarter of its share, lie further apart than `change_max`:
/// then either the change is real or one of two bounds failed.
pub fn rate_alarms(
    config: &AlarmConfig,
    comparison: u32,
    before: &BTreeMap<String, AcceptCount>,
    now: &BTreeMap<String, AcceptCount>,
) -> Vec<RateAlarm> {
    let both = || now.iter().filter_map(|(cell, now)| Some((cell, *before.get(cell)?, *now)));
    let cells = both().count().max(1) as f64;
    let place = std::f64::consts::PI * f64::from(comparison.max(1));
    let alpha = config.alpha_total.get() * 6.0 / (place * place) / cells / 4.0;
    let alarm = |(cell, before, now): (&String, AcceptCount, AcceptCount)| {
        let before_interval = exact_interval(before.accepted, before.judged, alpha);
        let now_interval = exact_interval(now.accepted, now.judged, alpha);
        let rise = now_interval.low - before_interval.high;
        let fall = before_interval.low - now_interval.high;
        let change_max = config.change_max.get();
        (alpha > 0.0 && rise.max(fall) > change_max).then(|| RateAlarm {
            cell: cell.clone(),
            before,
            before_interval,
            now,
            now_interval,
            change_max,
            alpha,
        })
    };
    both().filter_map(alarm).collect()
}
