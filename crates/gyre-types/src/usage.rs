use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tokens that a completion cost, as the engine counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt: u64,
    /// Of these, tokens that the engine had cached.
    pub cached: u64,
    /// Tokens sampled, those of reasoning included.
    pub completion: u64,
}
