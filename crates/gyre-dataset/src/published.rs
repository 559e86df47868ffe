//! What shards of every kind of row have in common.

use arrow_array::RecordBatch;
use gyre_types::{RolloutId, Score, Split, TaskId, Verdict};
use serde::Serialize;

use crate::decimals::nine_decimals;
use crate::error::Fault;
use crate::file::Form;

/// A row of a shard: [`crate::DatasetRow`] or [`crate::GroupRow`]. The trait is not
/// exported, since its methods name the crate that reads Parquet.
pub trait PublishedRow: Serialize + Sized {
    /// What is fixed of the files that hold such rows; its schema is the newest.
    const FORM: Form;

    /// The schemas that can be read.
    const READABLE: &'static [&'static str];

    /// The rollout that the row is of.
    fn rollout_id(&self) -> &RolloutId;

    /// Why the row may not be published, if it may not.
    fn objection(&self) -> Option<String>;

    /// Rows as columns.
    ///
    /// # Errors
    ///
    /// When the columns contradict each other.
    fn encode(rows: &[Self]) -> Result<RecordBatch, Fault>;

    /// Columns as rows.
    ///
    /// # Errors
    ///
    /// When a column is missing, of another type, or holds what it may not hold.
    fn decode(batch: &RecordBatch) -> Result<Vec<Self>, Fault>;
}

/// What no row of any kind may be: of a held-out task, without a verdict, or with a
/// reward that is no number.
pub(crate) fn objection(
    task: &TaskId,
    split: Split,
    verdict: &Verdict,
    reward: f64,
) -> Option<String> {
    if split.is_held_out() {
        return Some(format!("{task} is a held-out task ({split})"));
    }
    if let Verdict::Invalid { reason } = verdict {
        return Some(format!("it has no verdict ({reason})"));
    }
    (!reward.is_finite()).then(|| format!("its reward is {reward}"))
}

/// A verdict with its score as rows hold it.
pub(crate) fn rounded(verdict: &Verdict) -> Verdict {
    match verdict {
        Verdict::Fail { score } => {
            let rounded = Score::new(nine_decimals(score.get()));
            Verdict::Fail { score: rounded.unwrap_or(*score) }
        }
        other => other.clone(),
    }
}

/// Reads a verdict from its name and its score.
pub(crate) fn read_verdict(name: &str, score: f64) -> Result<Verdict, Fault> {
    let score = Score::new(score).map_err(|error| Fault::Damaged(error.to_string()))?;
    match name {
        "pass" => Ok(Verdict::Pass),
        "fail" => Ok(Verdict::Fail { score }),
        _ => Err(Fault::Damaged(format!("{name:?} is no verdict of a published row"))),
    }
}
