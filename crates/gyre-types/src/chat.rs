use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{FinishReason, Message, Sampling, Seed, Usage};

/// A tool that a model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolSpec {
    /// Its name: what a call says.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// JSON Schema of its arguments, which are an object.
    pub parameters: serde_json::Value,
}

/// Which tool a model must call in its next turn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// Any of them, or none.
    #[default]
    Auto,
    /// This one. A server may ignore the demand, so the caller still checks.
    Tool(String),
}

/// What a model is asked: the next message of one conversation.
///
/// What an embedded model answers follows from the request alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatRequest {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// Tools that the model may call; none where it answers in text.
    pub tools: Vec<ToolSpec>,
    /// Which of them it must call.
    pub tool_choice: ToolChoice,
    /// How to draw tokens.
    pub sampling: Sampling,
    /// Decides the draws, where the model takes a seed.
    pub seed: Seed,
}

/// The next message of a conversation, as a model gave it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatCompletion {
    /// What it said, with the calls that it made, as it was sampled: a call's
    /// arguments need not be JSON.
    pub message: Message,
    /// Calls of this turn beyond the bound on calls, which `message` does not hold.
    #[serde(default)]
    pub calls_dropped: u32,
    /// What it thought before it said that, where a server tells it apart.
    pub reasoning: Option<String>,
    /// Why sampling ended.
    pub finish: FinishReason,
    /// Tokens of the prompt as the engine read it, where known.
    pub prompt_tokens: Vec<u32>,
    /// Tokens sampled, where known.
    pub tokens: Vec<u32>,
    /// Log-probability of each sampled token, where known; else empty.
    pub logprobs: Vec<f32>,
    /// What it cost, in tokens.
    pub usage: Usage,
    /// The model that answered, by the name that the server gave, and behind `@` the
    /// version of its weights where it tells one.
    pub model: Option<String>,
}

impl ChatCompletion {
    /// A message that ended by itself, of which nothing else is known.
    pub fn of(message: Message) -> Self {
        Self {
            message,
            calls_dropped: 0,
            reasoning: None,
            finish: FinishReason::Stop,
            prompt_tokens: vec![],
            tokens: vec![],
            logprobs: vec![],
            usage: Usage::default(),
            model: None,
        }
    }
}
