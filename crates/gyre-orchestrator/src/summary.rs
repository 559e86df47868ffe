//! What came of a run, in figures.

use std::collections::BTreeMap;

use gyre_round::{
    Cost, Estimate, ModelUsage, PublishedGroups, Rechecked, RejectReason, RoundEvent, VerdictCounts,
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
    /// What people were asked about the candidate, and what they said; none where the
    /// gate had the last word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalSummary>,
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
    /// From its plan to its end, without the time for which it waited for a person.
    pub seconds: f64,
}

/// A person's word on a candidate that passed the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApprovalSummary {
    /// `waiting`, `approved`, `declined`, `expired`, or `withdrawn` where the round was
    /// ended otherwise.
    pub state: &'static str,
    /// When the gate asked, in milliseconds since 1970.
    pub asked_at_ms: i64,
    /// From when on it is too late, in milliseconds since 1970.
    pub expires_at_ms: i64,
    /// When it was answered or expired, in milliseconds since 1970.
    pub answered_at_ms: Option<i64>,
    /// Who answered.
    pub by: Option<String>,
    /// Why, where somebody said so.
    pub why: Option<String>,
}

impl ApprovalSummary {
    /// Takes in one recorded event of a round.
    pub(crate) fn follow(summary: &mut Option<Self>, at_ms: i64, event: &RoundEvent) {
        if let RoundEvent::Decided { approval: Some(request), .. } = event {
            *summary = Some(Self {
                state: "waiting",
                asked_at_ms: at_ms,
                expires_at_ms: request.expires_at_ms(at_ms),
                answered_at_ms: None,
                by: None,
                why: None,
            });
            return;
        }
        let Some(summary) = summary else { return };
        summary.answered_at_ms = Some(at_ms);
        match event {
            RoundEvent::Approved { by } => {
                (summary.state, summary.by) = ("approved", Some(by.clone()));
            }
            RoundEvent::Declined { by, why } => {
                (summary.state, summary.by) = ("declined", Some(by.clone()));
                summary.why.clone_from(why);
            }
            RoundEvent::ApprovalExpired => summary.state = "expired",
            // Nobody is asked about a round that was ended.
            _ => summary.state = "withdrawn",
        }
    }

    /// For how long the run waited, in milliseconds.
    pub(crate) fn waited_ms(&self) -> i64 {
        self.answered_at_ms.map_or(0, |at_ms| at_ms - self.asked_at_ms)
    }
}
