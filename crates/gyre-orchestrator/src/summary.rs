//! What came of a run, in figures.

use std::collections::BTreeMap;

use gyre_round::{
    Cost, Estimate, ModelUsage, PublishedGroups, Rechecked, RejectReason, VerdictCounts,
};
use gyre_types::{CheckpointId, RunId, Seed};
use serde::Serialize;

/// What came of a run. Headline figures come from the test part of the
/// held-out tasks, which no decision sees.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// Its seed.
    pub seed: Seed,
    /// How rows were chosen: `verified`, unless the run is an ablation.
    pub curation: gyre_round::CurationMode,
    /// The cold start: the first champion.
    pub base: RoundSummary,
    /// The round that made the last champion.
    pub champion: RoundSummary,
    /// The champion's gain over the base on the same tasks, with its paired 95% interval.
    pub gain: Estimate,
    /// The champion's pass@1 in units of the base's; none where the base solved nothing.
    pub factor: Option<f64>,
    /// The rounds after the cold start.
    pub rounds: Vec<RoundSummary>,
    /// What the model's server was asked for over all of them; none of the embedded
    /// model.
    pub usage: Option<ModelUsage>,
    /// What that cost; none without prices.
    pub cost: Option<Cost>,
    /// The budget that ended it before its last round, if one did.
    pub ended_by: Option<String>,
    /// From the first event to the last, without the time between a stop and a resume.
    pub seconds: f64,
}

/// One level of the test part.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct Level {
    /// Share solved of those that have a verdict.
    pub pass_at_1: f64,
    /// Tasks solved.
    pub passed: u32,
    /// Tasks that have a verdict.
    pub tasks: u32,
    /// Tasks without one: never counted as failed.
    pub invalid: u32,
}

/// What came of a round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoundSummary {
    /// The round; 0 is the cold start.
    pub round: u32,
    /// How it ended.
    pub stage: String,
    /// Its candidate; none where the round has none.
    pub checkpoint: Option<CheckpointId>,
    /// Why it failed, where it did.
    pub cause: Option<String>,
    /// Share of test tasks that the candidate solves greedily at the first
    /// attempt, of those that have a verdict; none where it was not evaluated.
    pub pass_at_1: Option<f64>,
    /// The 95% Wilson interval of that share.
    pub interval: Option<[f64; 2]>,
    /// Test tasks that have a verdict.
    pub tasks: u32,
    /// The same by family and level.
    pub levels: BTreeMap<String, Level>,
    /// Whether the candidate became champion.
    pub promoted: bool,
    /// Why not.
    pub reasons: Vec<RejectReason>,
    /// Verdicts of its training rollouts.
    pub verdicts: VerdictCounts,
    /// Rollouts without a verdict, held-out ones included, by kind of reason.
    pub invalid: BTreeMap<String, u32>,
    /// Accepts that were judged again.
    pub rechecked: Rechecked,
    /// Verdicts of impossible tasks.
    pub canaries: VerdictCounts,
    /// What was noticed of the verifiers.
    pub alarms: Vec<String>,
    /// Rollouts sampled for training.
    pub rollouts: u32,
    /// Tokens sampled for training.
    pub tokens: u64,
    /// Rows published.
    pub rows: u32,
    /// Whole groups published beside them; none where they were not.
    pub groups: Option<PublishedGroups>,
    /// What the model's server was asked for, held-out tasks included; none of the
    /// embedded model.
    pub usage: Option<ModelUsage>,
    /// What that cost; none without prices.
    pub cost: Option<Cost>,
    /// From its plan to its end.
    pub seconds: f64,
}
