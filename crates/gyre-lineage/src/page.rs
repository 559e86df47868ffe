use gyre_types::{CheckpointId, Digest, Purpose, Split, TaskId};

use crate::StoreError;
use crate::database::{Cell, Query};

/// One page of a list, in a stable order.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// At most as many as were asked for.
    pub rows: Vec<T>,
    /// Where the next page starts; none after the last row.
    pub next: Option<Cursor>,
}

/// A place in a list that is ordered by round and id: after the row with both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) round: u32,
    pub(crate) id: String,
}

impl Cursor {
    /// The place after the row of this round and id.
    pub fn after(round: u32, id: &str) -> Self {
        Self { round, id: id.to_owned() }
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.round, self.id)
    }
}

impl std::str::FromStr for Cursor {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text
            .split_once(':')
            .and_then(|(round, id)| Some(Self { round: round.parse().ok()?, id: id.to_owned() }));
        parsed.ok_or_else(|| StoreError::Cursor { text: text.chars().take(80).collect() })
    }
}

/// Rows per page, at most, whatever was asked for.
pub(crate) const PAGE_ROWS_MAX: u32 = 10_000;

/// Cuts the one row too many that a query asked for, and says where to go on.
pub(crate) fn page<T>(
    mut rows: Vec<T>,
    limit: u32,
    place: impl Fn(&T) -> (u32, String),
) -> Page<T> {
    let limit = limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| {
        let (round, id) = place(last);
        Cursor { round, id }
    });
    Page { rows, next }
}

/// Orders by round and id, starts after the cursor, and asks for one row more
/// than the page holds. Gives the page's size.
pub(crate) fn push_page(
    query: &mut Query,
    (round, id): (&str, &str),
    after: Option<&Cursor>,
    limit: u32,
) -> u32 {
    let limit = limit.clamp(1, PAGE_ROWS_MAX);
    if let Some(cursor) = after {
        query.push(&format!(" AND ({round}, {id}) > (")).arg(cursor.round).push(", ");
        query.arg(cursor.id.as_str()).push(")");
    }
    query.push(&format!(" ORDER BY {round}, {id} LIMIT ")).arg(limit + 1);
    limit
}

/// Orders by one column, starts after a value of it, and asks for one row more
/// than the page holds. Gives the page's size.
pub(crate) fn push_after(
    query: &mut Query,
    column: &str,
    after: Option<impl Into<Cell>>,
    limit: u32,
) -> u32 {
    let limit = limit.clamp(1, PAGE_ROWS_MAX);
    if let Some(after) = after {
        query.push(" AND ").push(column).push(" > ").arg(after);
    }
    query.push(" ORDER BY ").push(column).push(" LIMIT ").arg(limit + 1);
    limit
}

/// Restricts a column to some values; to none where there are none.
pub(crate) fn push_among<'v>(
    query: &mut Query,
    column: &str,
    values: impl Iterator<Item = &'v str>,
) {
    query.push(" AND ").push(column).push(" IN (''");
    for value in values {
        query.push(", ").arg(value);
    }
    query.push(")");
}

/// Which tasks to list; all of them by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskFilter {
    /// Used first in this round.
    pub round: Option<u32>,
    /// Of this family.
    pub family: Option<String>,
    /// On this side of the wall.
    pub split: Option<Split>,
    /// Of this difficulty.
    pub difficulty: Option<u32>,
    /// Holding this text, in any case of its letters.
    pub text: Option<String>,
}

/// Which rollouts to list; all of them by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RolloutFilter {
    /// Of this round.
    pub round: Option<u32>,
    /// Made for this.
    pub purpose: Option<Purpose>,
    /// Of this task.
    pub task: Option<TaskId>,
    /// By this checkpoint.
    pub checkpoint: Option<CheckpointId>,
    /// With this newest verdict.
    pub verdict: Option<VerdictFilter>,
    /// At a task of this family.
    pub family: Option<String>,
    /// By this policy: a checkpoint with its sampling settings.
    pub policy: Option<Digest>,
    /// Invalid for a reason of this kind, such as `infrastructure`.
    pub reason: Option<String>,
    /// With a score within these bounds.
    pub score: ScoreBounds,
    /// At a task that holds this text, in any case of its letters.
    pub text: Option<String>,
}

/// Bounds of a score; none by default. Without a score nothing is within any.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ScoreBounds {
    /// This or more.
    pub at_least: Option<f64>,
    /// More than this.
    pub above: Option<f64>,
    /// This or less.
    pub at_most: Option<f64>,
    /// Less than this.
    pub below: Option<f64>,
}

impl ScoreBounds {
    pub(crate) fn comparisons(self) -> impl Iterator<Item = (&'static str, f64)> {
        let all =
            [(">=", self.at_least), (">", self.above), ("<=", self.at_most), ("<", self.below)];
        all.into_iter().filter_map(|(operator, bound)| Some((operator, bound?)))
    }
}

/// A verdict to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictFilter {
    /// Passed.
    Pass,
    /// Failed.
    Fail,
    /// Has no usable verdict.
    Invalid,
    /// Waits for its first verdict.
    Pending,
}
