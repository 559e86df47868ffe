use gyre_types::{Identity, JsonError, Seed, TaskId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AlarmConfig, FaultBound, Share};

/// Impossible tasks among a round's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CanaryConfig {
    /// Impossible tasks that the policy attempts in each round. One that is
    /// accepted ends the run. Default 4; 0 turns them off.
    pub per_round: u32,
}

impl Default for CanaryConfig {
    fn default() -> Self {
        Self { per_round: 4 }
    }
}

/// Accepts that are judged again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecheckConfig {
    /// The share of accepts that are judged again in fresh instances: the first
    /// of each round, and each other with this probability. Where verdict, checks
    /// or fuel differ, the rollout is invalid. Default 0.02.
    pub share: Share,
}

impl Default for RecheckConfig {
    fn default() -> Self {
        Self { share: Share::permille(20) }
    }
}

impl RecheckConfig {
    /// What of it decides results.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub fn identity(&self) -> Result<Identity, JsonError> {
        let names = ["share"];
        Identity::of("rechecks", self, &names)
    }
}

/// How a round checks those who judge it, and what it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardPlan {
    /// Impossible tasks.
    pub canaries: CanaryConfig,
    /// Accepts that are judged again.
    pub recheck: RecheckConfig,
    /// When a change of accept rates is told.
    pub alarms: AlarmConfig,
    /// How many rollouts may be lost to faults.
    #[serde(default, skip_serializing_if = "FaultBound::is_default")]
    pub faults: FaultBound,
}

/// What came of judging again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rechecked {
    /// Accepts judged again.
    pub repeated: u32,
    /// Those whose second judgement was another: invalid now.
    pub differed: u32,
}

impl Rechecked {
    /// Whether nothing was judged again.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { repeated: self.repeated + other.repeated, differed: self.differed + other.differed }
    }
}

/// Which of `accepts` are judged again: each by a draw of its own with the share
/// as its probability, and the first of all where `is_first` says that none of
/// the round came before them. Gives positions, in order.
///
/// The draw depends on task and sample alone, so that it is the same after a
/// crash and for the same work in other waves.
pub fn select_rechecks(
    config: &RecheckConfig,
    seed: Seed,
    accepts: &[(&TaskId, u32)],
    is_first: bool,
) -> Vec<usize> {
    let share = config.share.get();
    let is_drawn = |&(task, sample): &(&TaskId, u32)| {
        draw(seed.derive("recheck", &[task_key(task), u64::from(sample)])) < share
    };
    let is_first = is_first && share > 0.0;
    (0..accepts.len()).filter(|&at| (is_first && at == 0) || is_drawn(&accepts[at])).collect()
}

/// A number from 0 up to 1, of 53 bits, so that it is exact.
fn draw(seed: Seed) -> f64 {
    (seed.0 >> 11) as f64 / (1u64 << 53) as f64
}

/// A task as a position of a random stream.
pub(crate) fn task_key(task: &TaskId) -> u64 {
    gyre_types::Digest::of(task.as_str().as_bytes()).to_u64()
}

/// The tasks that impossible ones are made from, `count` of them: each family
/// in turn, so that no verifier goes unwatched, and tasks by seed.
pub fn select_canaries<'a>(
    count: u32,
    seed: Seed,
    tasks: impl IntoIterator<Item = (&'a TaskId, &'a str)>,
) -> Vec<TaskId> {
    let mut families = std::collections::BTreeMap::<&str, Vec<(Seed, &TaskId)>>::new();
    for (task, family) in tasks {
        let own = seed.derive("canary", &[task_key(task)]);
        families.entry(family).or_default().push((own, task));
    }
    for tasks in families.values_mut() {
        tasks.sort_unstable();
    }
    let deepest = families.values().map(Vec::len).max().unwrap_or(0);
    let turns = (0..deepest).flat_map(|at| families.values().filter_map(move |own| own.get(at)));
    turns.take(count as usize).map(|(_, task)| (*task).clone()).collect()
}
