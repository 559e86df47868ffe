use gyre_types::{Identity, JsonError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a round trains on beside its own rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    /// The accepted rollouts of so many rounds, the present one included.
    /// Default 4: what was learned first is easy by then, and takes up steps that
    /// new answers need.
    pub rounds_max: u32,
    /// Whether the demonstrations of the cold start stay in. Default true.
    pub demonstrations: bool,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { rounds_max: 4, demonstrations: true }
    }
}

impl PoolConfig {
    /// What of it decides results.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub fn identity(&self) -> Result<Identity, JsonError> {
        let names = ["rounds_max", "demonstrations"];
        Identity::of("a pool", self, &names)
    }
}
