use std::collections::BTreeMap;

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
    /// How often a row of a rare level stands in the pool, at most: a level is
    /// repeated until it is as frequent as the most frequent one. Default 8: the
    /// first answers to a new level are few, and drown otherwise.
    pub repeats_max: u32,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { rounds_max: 3, demonstrations: true, repeats_max: 8 }
    }
}

impl PoolConfig {
    /// How often each row stands in the pool, given the level of every row.
    pub fn repeats<L: Ord>(&self, levels: &[L]) -> Vec<u32> {
        let mut counts: BTreeMap<&L, usize> = BTreeMap::new();
        for level in levels {
            *counts.entry(level).or_default() += 1;
        }
        let most = counts.values().copied().max().unwrap_or_default();
        let repeats = |level: &L| {
            let full = u32::try_from(most / counts[level]).unwrap_or(u32::MAX);
            full.clamp(1, self.repeats_max.max(1))
        };
        levels.iter().map(repeats).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeats(repeats_max: u32, levels: &[u32]) -> Vec<u32> {
        PoolConfig { repeats_max, ..PoolConfig::default() }.repeats(levels)
    }

    #[test]
    fn rare_levels_are_repeated_up_to_the_most_frequent_one() {
        let levels = [1, 1, 1, 1, 1, 2, 2, 3];
        assert_eq!(repeats(8, &levels), [1, 1, 1, 1, 1, 2, 2, 5]);
        assert_eq!(repeats(3, &levels), [1, 1, 1, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn without_repeats_every_row_stands_once() {
        assert_eq!(repeats(1, &[1, 1, 2]), [1, 1, 1]);
        assert_eq!(repeats(0, &[1, 1, 2]), [1, 1, 1]);
        assert_eq!(repeats(8, &[]), [0; 0]);
    }
}
