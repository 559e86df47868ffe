use gyre_train::TrainReport;
use gyre_types::ShardId;

/// A candidate's files, and what they were made from.
pub(crate) struct Trained {
    /// What the trainer left, and all that it said.
    pub(crate) report: TrainReport,
    /// The shards that it learned from.
    pub(crate) shards: Vec<ShardId>,
}
