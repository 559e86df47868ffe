//! The plan of a round: made once, stored first, never changed.

use std::collections::BTreeMap;

use gyre_types::{CheckpointId, Digest, Seed};
use serde::{Deserialize, Serialize};

use crate::{
    CurationConfig, CurriculumState, GateConfig, GateHistory, GuardPlan, SkillWeights, TaskSlot,
};

/// Everything that a round will do, chosen before anything runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundPlan {
    /// The version of its form.
    #[serde(default)]
    pub version: PlanVersion,
    /// The round; 0 is the cold start, which has no champion and no gate.
    pub round: u32,
    /// The seed that every stream of the round derives from.
    pub seed: Seed,
    /// Digest of the run's settings, seed, families, sandbox and verifier.
    pub fingerprint: Digest,
    /// The champion when the plan was made. A plan whose champion is no longer
    /// current is refused.
    pub champion: Option<CheckpointId>,
    /// The sandbox that runs every guest of the round.
    pub sandbox: Digest,
    /// The verifier that judges every rollout of the round, but for those of
    /// families with one of their own.
    pub verifier: Digest,
    /// The verifiers of families with one of their own, by the family's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub verifiers: BTreeMap<String, Digest>,
    /// Digest of each family's files, by name.
    pub families: BTreeMap<String, Digest>,
    /// Training tasks to generate.
    pub slots: Vec<TaskSlot>,
    /// What was known of the policy's pass rates when the slots were chosen.
    pub curriculum: CurriculumState,
    /// How much each skill is practised in the slots that are weighted, by family.
    pub skill_weights: BTreeMap<String, SkillWeights>,
    /// Phases of rollouts, in order; none at the cold start.
    pub phases: Vec<PhasePlan>,
    /// How rows are chosen.
    pub curation: CurationConfig,
    /// The gate's rule; none at the cold start, whose candidate is the first champion,
    /// and none where nothing is trained.
    pub gate: Option<GatePlan>,
    /// How the round checks those who judge it; none in plans that were made
    /// before there were such checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guards: Option<GuardPlan>,
    /// Whether the round is over once its rows are published: nothing is trained, and
    /// no gate is asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub collects_only: bool,
}

/// The version of a stored plan's form: there is one, and another is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct PlanVersion;

impl PlanVersion {
    const NUMBER: u32 = 1;
}

impl From<PlanVersion> for u32 {
    fn from(_: PlanVersion) -> Self {
        PlanVersion::NUMBER
    }
}

impl TryFrom<u32> for PlanVersion {
    type Error = String;

    fn try_from(found: u32) -> Result<Self, Self::Error> {
        let known = Self::NUMBER;
        match found == known {
            true => Ok(Self),
            false => Err(format!(
                "the plan is of version {found}, this gyre reads version {known}; use a newer gyre"
            )),
        }
    }
}

/// The gate's rule for one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatePlan {
    /// The rule.
    pub config: GateConfig,
    /// The gates that the run went through before.
    pub history: GateHistory,
}

/// One phase of rollouts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhasePlan {
    /// Which of the round's tasks it attempts.
    pub tasks: PhaseTasks,
    /// Rollouts per task.
    pub samples: u32,
    /// Temperature of the first turn.
    pub temperature: f32,
}

/// Which tasks a phase attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseTasks {
    /// Every task of the round.
    All,
    /// Tasks that no earlier phase solved.
    Unsolved,
}

impl RoundPlan {
    /// Digest of the plan.
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }
}
