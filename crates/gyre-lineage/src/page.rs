use gyre_types::{CheckpointId, Purpose, Split, TaskId};

use crate::StoreError;

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
    /// Of a task of this family.
    pub family: Option<String>,
    /// Invalid for a reason of this kind, such as `infrastructure`.
    pub reason: Option<String>,
    /// With a score of at least this; what has no score is left out.
    pub score_min: Option<f64>,
    /// With a score of at most this; what has no score is left out.
    pub score_max: Option<f64>,
    /// Of a task that holds this text, in any case of its letters.
    pub text: Option<String>,
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
