use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a round trains on beside its own rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    /// The accepted rollouts of so many rounds, the present one included.
    /// Default 8: new answers are few, and weights that are half new need them all.
    pub rounds_max: u32,
    /// Whether the demonstrations of the cold start stay in. Default true.
    pub demonstrations: bool,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { rounds_max: 8, demonstrations: true }
    }
}
