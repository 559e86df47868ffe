//! When rounds are due: ticks of a cron expression in a time zone, and what
//! becomes of those that nobody saw.
//!
//! Time is an argument: an instant is a number of milliseconds since 1970.

use std::str::FromStr as _;

use chrono::DateTime;
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stop::{RoundBudget, StopRules};

/// Bytes of a schedule's name, at most.
pub const SCHEDULE_NAME_BYTES_MAX: usize = 64;

/// Ticks that one look decides on, at most. What is left is decided by the next.
pub const TICKS_PER_LOOK: usize = 1_000;

/// A tick that nobody decided on for so long was missed: long enough for a
/// service that restarts, or a machine that pauses.
const LATE_MS: i64 = 60_000;

/// Rounds of a campaign, at set times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// What it is called: 1 to 64 of `a-z`, `0-9` and `-`.
    pub name: String,
    /// When: five fields (minute, hour, day of the month, month, day of the
    /// week), or six with seconds in front, such as `30 2 * * *`.
    pub cron: String,
    /// The time zone that the expression is read in, by its IANA name.
    #[serde(default = "default_time_zone")]
    pub time_zone: String,
    /// The configuration of the campaign that it drives, relative to the folder
    /// of the file that names it; that file's own without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// What a round may cost.
    #[serde(default)]
    pub budget: RoundBudget,
    /// When the schedule ends by itself.
    #[serde(default)]
    pub stop: StopRules,
    /// What becomes of ticks that no service was there for.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// What becomes of a tick whose predecessor is not done.
    #[serde(default)]
    pub overlap: Overlap,
}

/// What becomes of ticks that no service was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// They are recorded as missed.
    Skip,
    /// The last of them runs late; the others are recorded as missed.
    #[default]
    Once,
    /// All of them run late.
    All,
}

/// What becomes of a tick whose predecessor is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is recorded as refused.
    #[default]
    Refuse,
    /// It waits for its turn.
    Queue,
}

fn default_time_zone() -> String {
    "UTC".to_owned()
}

/// A schedule that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// It is called by what cannot be a name.
    #[error("the name {0:?} is refused: use 1 to 64 of a-z, 0-9 and -")]
    Name(String),
    /// No cron expression.
    #[error("the cron expression {cron:?} is refused: {why}")]
    Cron {
        /// What was given.
        cron: String,
        /// What is wrong.
        why: String,
    },
    /// No time zone.
    #[error("there is no time zone {0:?}; use an IANA name, such as Europe/Berlin or UTC")]
    TimeZone(String),
    /// A budget or rule that nothing could meet.
    #[error("`{key}` is 0: leave it out, or give it 1 or more")]
    Zero {
        /// The key.
        key: &'static str,
    },
}

impl ScheduleConfig {
    /// Checks everything that can be checked without a file.
    ///
    /// # Errors
    ///
    /// What is wrong with it first.
    pub fn check(&self) -> Result<(), ScheduleError> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let length = 1..=SCHEDULE_NAME_BYTES_MAX;
        if !length.contains(&self.name.len()) || !self.name.chars().all(fits) {
            return Err(ScheduleError::Name(self.name.clone()));
        }
        self.timetable()?;
        match self.budget.zero().or_else(|| self.stop.zero()) {
            Some(key) => Err(ScheduleError::Zero { key }),
            None => Ok(()),
        }
    }

    /// When it ticks.
    ///
    /// # Errors
    ///
    /// When the expression or the time zone is none.
    pub fn timetable(&self) -> Result<Timetable, ScheduleError> {
        Timetable::parse(&self.cron, &self.time_zone)
    }
}

/// The ticks of a cron expression in a time zone.
///
/// Where clocks are turned forward, an expression that names its minute and
/// hour ticks once, right after the gap; where they are turned back, it ticks at
/// the first of the two. One with a wildcard among them follows the clock:
/// nothing in the gap, and both of the hours that come twice.
#[derive(Debug, Clone)]
pub struct Timetable {
    cron: Cron,
    zone: Tz,
}

impl Timetable {
    /// Reads an expression of five fields, or six with seconds in front.
    ///
    /// # Errors
    ///
    /// When the expression or the time zone is none.
    pub fn parse(cron: &str, time_zone: &str) -> Result<Self, ScheduleError> {
        let zone =
            Tz::from_str(time_zone).map_err(|_| ScheduleError::TimeZone(time_zone.to_owned()))?;
        let parser =
            CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let refused = |why: String| ScheduleError::Cron { cron: cron.to_owned(), why };
        let parsed = parser.parse(cron).map_err(|error| refused(error.to_string()))?;
        Ok(Self { cron: parsed, zone })
    }

    /// The first tick after an instant; none where there is none for years.
    pub fn next_after(&self, after_ms: i64) -> Option<i64> {
        let after = DateTime::from_timestamp_millis(after_ms)?.with_timezone(&self.zone);
        let next = self.cron.find_next_occurrence(&after, false).ok()?;
        Some(next.timestamp_millis())
    }

    /// The ticks after one instant and not after another, in order: the first
    /// `limit` of them.
    pub fn ticks(&self, after_ms: i64, until_ms: i64, limit: usize) -> Vec<i64> {
        let mut ticks = Vec::new();
        let mut at = after_ms;
        while ticks.len() < limit {
            match self.next_after(at) {
                // Always later, so that this ends whatever the library gives.
                Some(next) if next > at && next <= until_ms => ticks.push(next),
                _ => break,
            }
            at = ticks.last().copied().unwrap_or(until_ms);
        }
        ticks
    }
}

/// What becomes of the ticks that have passed since somebody looked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// Those to run, in order.
    pub run: Vec<i64>,
    /// Those that are given up, in order.
    pub missed: Vec<i64>,
}

/// Divides ticks, in order, into those to run and those missed. A tick of the
/// last minute is not late, and runs whatever the policy. `more` says that
/// others have passed after these.
pub fn due(catch_up: CatchUp, ticks: &[i64], more: bool, now_ms: i64) -> Due {
    let first_on_time = ticks.partition_point(|tick| now_ms.saturating_sub(*tick) > LATE_MS);
    let (late, on_time) = ticks.split_at(first_on_time);
    let given_up = match catch_up {
        CatchUp::Skip => late.len(),
        // A later tick stands for those that were late.
        CatchUp::Once if more || !on_time.is_empty() => late.len(),
        CatchUp::Once => late.len().saturating_sub(1),
        CatchUp::All => 0,
    };
    Due { run: ticks[given_up..].to_vec(), missed: ticks[..given_up].to_vec() }
}
