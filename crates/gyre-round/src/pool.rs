use gyre_types::{RolloutId, TaskId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a round trains on beside its own rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    /// The accepted rollouts of so many rounds, the present one included.
    /// Default 3: older programs are those of a weaker policy.
    pub rounds_max: u32,
    /// Whether the demonstrations of the cold start stay in. Default true.
    pub demonstrations: bool,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { rounds_max: 3, demonstrations: true }
    }
}

/// What one round accepted, whether its candidate was promoted or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundAccepted {
    /// The round.
    pub round: u32,
    /// Its accepted rollouts, ordered.
    pub accepted: Vec<RolloutId>,
}

/// What a round trains on, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingPool {
    /// Tasks whose reference solutions are the demonstrations.
    pub demonstrations: Vec<TaskId>,
    /// Accepted rollouts, oldest round first.
    pub rollouts: Vec<RolloutId>,
}

/// The pool of `round`: the last rounds' accepted rollouts and the demonstrations.
///
/// Rounds after `round` are left out, so that a round that is done again after
/// a crash or a rollback trains on what it trained on before.
pub fn select_pool(
    config: &PoolConfig,
    round: u32,
    history: &[RoundAccepted],
    demonstrations: &[TaskId],
) -> TrainingPool {
    let oldest = u64::from(round) + 1;
    let oldest = oldest.saturating_sub(u64::from(config.rounds_max));
    let mut recent: Vec<_> = history
        .iter()
        .filter(|past| past.round <= round && u64::from(past.round) >= oldest)
        .collect();
    recent.sort_by_key(|past| past.round);
    TrainingPool {
        demonstrations: if config.demonstrations { demonstrations.to_vec() } else { Vec::new() },
        rollouts: recent.into_iter().flat_map(|past| past.accepted.iter().cloned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use gyre_types::Digest;

    use super::*;

    #[test]
    fn the_last_rounds_stay_and_later_ones_do_not_leak_in() {
        let rollout = |round: u32| RolloutId::from_digest(&Digest::of(&round.to_le_bytes()));
        let history: Vec<_> = [5, 1, 4, 2, 3]
            .map(|round| RoundAccepted { round, accepted: vec![rollout(round)] })
            .into();
        let demonstrations = [TaskId::from_digest(&Digest::of(b"demonstration"))];
        let config = PoolConfig::default();

        let pool = select_pool(&config, 4, &history, &demonstrations);
        assert_eq!(pool.rollouts, [rollout(2), rollout(3), rollout(4)]);
        assert_eq!(pool.demonstrations, demonstrations);

        let pool = select_pool(&config, 1, &history, &demonstrations);
        assert_eq!(pool.rollouts, [rollout(1)]);

        let none = PoolConfig { rounds_max: 0, demonstrations: false };
        assert_eq!(select_pool(&none, 4, &history, &demonstrations), TrainingPool::default());
    }
}
