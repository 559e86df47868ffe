//! What is recorded of a round: append-only, in order, never changed.

use std::collections::BTreeMap;

use gyre_types::{CheckpointId, Digest, ShardId, Split};
use serde::{Deserialize, Serialize};

use crate::{ApprovalRequest, BudgetScope, Decision, ModelUsage, Rechecked, RoundPlan};

/// One thing that happened in a round, after it is durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum RoundEvent {
    /// The plan was fixed. Every later choice follows from it.
    Planned {
        /// The plan.
        plan: Box<RoundPlan>,
    },
    /// The round's tasks were generated and admitted.
    TasksGenerated {
        /// Tasks admitted, by side of the split.
        admitted: BTreeMap<Split, u32>,
        /// Proposals refused, by reason code.
        refused: BTreeMap<String, u32>,
        /// Digest of the admitted tasks' ids, in order.
        tasks_digest: Digest,
    },
    /// A phase of rollouts was opened: its tasks, and so its waves, are fixed.
    PhaseOpened {
        /// The phase, from 0.
        phase: u32,
        /// Rollouts planned in it.
        rollouts: u32,
        /// Waves that they are made in.
        waves: u32,
    },
    /// A wave's rollouts were sampled and stored.
    WaveRolledOut {
        /// The wave.
        at: WaveIndex,
        /// Rollouts stored.
        rollouts: u32,
        /// Tokens sampled.
        tokens: u64,
        /// Fuel burnt by the agents' guests.
        fuel: u64,
        /// Rollouts that a fault of the model's server or the sandbox ended.
        #[serde(default, skip_serializing_if = "is_zero")]
        faulted: u32,
        /// What a model's server was asked for; nothing of the embedded model.
        #[serde(default, skip_serializing_if = "ModelUsage::is_none")]
        usage: ModelUsage,
    },
    /// A wave's rollouts were judged.
    WaveVerified {
        /// The wave.
        at: WaveIndex,
        /// What was found.
        counts: VerdictCounts,
        /// Accepts that were judged again.
        #[serde(default, skip_serializing_if = "Rechecked::is_none")]
        rechecked: Rechecked,
        /// Rollouts that could not be judged because the sandbox failed. Those that
        /// were lost before are counted where they were sampled.
        #[serde(default, skip_serializing_if = "is_zero")]
        faulted: u32,
    },
    /// Those who judge were checked: impossible tasks were refused, and what was
    /// noticed of accept rates does not end the run.
    Checked {
        /// Verdicts of the impossible tasks.
        canaries: VerdictCounts,
        /// Alarms of the round.
        alarms: u32,
        /// What a model's server was asked for; nothing of the embedded model.
        #[serde(default, skip_serializing_if = "ModelUsage::is_none")]
        usage: ModelUsage,
    },
    /// The rows to train on were chosen and published.
    Curated {
        /// Rows published.
        rows: u32,
        /// The shard that holds them; none where no row was accepted.
        shard: Option<ShardId>,
        /// How many candidates fell at each step, by name.
        funnel: BTreeMap<String, u32>,
        /// The whole groups that were published beside them, if they were.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        groups: Option<PublishedGroups>,
    },
    /// A candidate was trained.
    Trained {
        /// The candidate.
        candidate: CheckpointId,
        /// Digest of the candidate's files.
        digest: Digest,
        /// Optimiser steps.
        steps: u64,
        /// Tokens trained on.
        tokens: u64,
        /// Loss of the last step, in nats per token.
        loss: f64,
    },
    /// The candidate was evaluated on one part of the held-out tasks.
    Evaluated {
        /// Which part.
        part: Split,
        /// What was found.
        counts: VerdictCounts,
        /// Accepts that were judged again.
        #[serde(default, skip_serializing_if = "Rechecked::is_none")]
        rechecked: Rechecked,
        /// Rollouts that were lost to a fault of the model's server or the sandbox.
        #[serde(default, skip_serializing_if = "is_zero")]
        faulted: u32,
        /// What a model's server was asked for; nothing of the embedded model.
        #[serde(default, skip_serializing_if = "ModelUsage::is_none")]
        usage: ModelUsage,
    },
    /// The gate decided.
    Decided {
        /// What it decided.
        decision: Decision,
        /// Digest of the gate's record; none at the cold start.
        gate: Option<Digest>,
        /// What is asked of people before the candidate becomes champion; nothing
        /// where the gate has the last word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<ApprovalRequest>,
    },
    /// A person approved the candidate, which is champion from here on.
    Approved {
        /// Who.
        by: String,
    },
    /// A person declined the candidate; the champion stays.
    Declined {
        /// Who.
        by: String,
        /// Why, if they said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Nobody answered in time; the champion stays.
    ApprovalExpired,
    /// The round cannot go on; the champion stays.
    Failed {
        /// Why, for people.
        cause: String,
        /// Whether the run ends with it: who judges is not to be believed.
        #[serde(default, skip_serializing_if = "is_false")]
        ends_run: bool,
    },
    /// A budget for what models are asked is spent; the champion stays.
    BudgetSpent {
        /// Over what it holds: the run ends with that of the run.
        scope: BudgetScope,
        /// Which bound, for people.
        cause: String,
    },
    /// Someone ended the round; the champion stays.
    Cancelled,
}

impl RoundEvent {
    /// The event's name, as stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Planned { .. } => "planned",
            Self::TasksGenerated { .. } => "tasks_generated",
            Self::PhaseOpened { .. } => "phase_opened",
            Self::WaveRolledOut { .. } => "wave_rolled_out",
            Self::WaveVerified { .. } => "wave_verified",
            Self::Checked { .. } => "checked",
            Self::Curated { .. } => "curated",
            Self::Trained { .. } => "trained",
            Self::Evaluated { .. } => "evaluated",
            Self::Decided { .. } => "decided",
            Self::Approved { .. } => "approved",
            Self::Declined { .. } => "declined",
            Self::ApprovalExpired => "approval_expired",
            Self::Failed { .. } => "failed",
            Self::BudgetSpent { .. } => "budget_spent",
            Self::Cancelled => "cancelled",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The attempts at a round's tasks that passed or failed, in one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedGroups {
    /// The shard.
    pub shard: ShardId,
    /// Tasks with an attempt in it.
    pub groups: u32,
    /// Attempts in it.
    pub attempts: u32,
    /// Attempts without a verdict, which have no reward and are left out.
    pub invalid: u32,
}

/// Which wave of which phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaveIndex {
    /// The phase, from 0.
    pub phase: u32,
    /// The wave in its phase, from 0.
    pub wave: u32,
}

/// Verdicts by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictCounts {
    /// Passed.
    pub passed: u32,
    /// Failed.
    pub failed: u32,
    /// Invalid.
    pub invalid: u32,
}

impl VerdictCounts {
    /// All of them.
    pub fn total(self) -> u32 {
        self.passed + self.failed + self.invalid
    }

    /// The share that passed of those that have a verdict; none where none has.
    pub fn pass_rate(self) -> Option<f64> {
        let judged = self.passed + self.failed;
        (judged > 0).then(|| f64::from(self.passed) / f64::from(judged))
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            invalid: self.invalid + other.invalid,
        }
    }
}
