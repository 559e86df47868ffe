use gyre_types::ShardId;
use serde_json::Value;

/// What a training did, whoever trained.
pub(crate) struct Trained {
    pub(crate) steps: u64,
    pub(crate) tokens: u64,
    pub(crate) loss: f64,
    /// The trainer's whole report.
    pub(crate) report: Value,
    /// The shards that it learned from.
    pub(crate) shards: Vec<ShardId>,
}
