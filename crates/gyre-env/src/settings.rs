use gyre_types::{Acting, Sampling};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an episode runs. All of it decides what happens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EpisodeSettings {
    /// Turns, at most. With one turn the policy submits at once.
    pub turns_max: u32,
    /// Tokens sampled over all turns, at most.
    pub tokens_max: u32,
    /// How the first turn draws tokens.
    pub sampling: Sampling,
    /// The temperature of later turns, which repair.
    pub repair_temperature: f32,
    /// How the model acts.
    #[serde(default, skip_serializing_if = "Acting::is_tools")]
    pub acting: Acting,
}

impl EpisodeSettings {
    /// How a turn draws tokens, from 0, after so many were drawn before it.
    pub(crate) fn sampling(&self, turn: u32, tokens_used: u32) -> Sampling {
        let first = self.sampling;
        let temperature = if turn == 0 { first.temperature } else { self.repair_temperature };
        let left = self.tokens_max.saturating_sub(tokens_used);
        Sampling { temperature, tokens_max: first.tokens_max.min(left) }
    }
}
