use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Answer, CheckpointId, Digest, FinishReason, Message, RolloutId, Sampling, Seed, Split, TaskId,
    Usage,
};

/// What a rollout was made for.
pub type Purpose = Split;

/// The policy that acted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRef {
    /// The checkpoint, where the policy has one.
    pub checkpoint: Option<CheckpointId>,
    /// Digest of everything that decides its answers: weights, tokenizer,
    /// template, engine version.
    pub digest: Digest,
}

/// How a model acts in an environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Acting {
    /// By calls of the environment's tools. A message without a call submits its text.
    #[default]
    Tools,
    /// In text, with its program in a fenced block: no tools are declared. A program
    /// is run on the visible examples, and what they gave is told by the user; the
    /// last turn's is submitted.
    Text,
}

impl Acting {
    /// Every way.
    pub const ALL: [Self; 2] = [Self::Tools, Self::Text];

    /// `tools` or `text`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Text => "text",
        }
    }

    /// Whether it is [`Acting::Tools`], which is not written down.
    pub fn is_tools(&self) -> bool {
        *self == Self::Tools
    }
}

/// Why an episode ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The policy submitted an answer.
    Submitted,
    /// The turn budget was used up; the last program counts as the answer.
    TurnsExhausted,
    /// The token budget was used up; the last program counts as the answer.
    TokensExhausted,
    /// The infrastructure failed: the verdict can only be invalid.
    Faulted,
}

impl StopReason {
    /// Every reason.
    pub const ALL: [Self; 4] =
        [Self::Submitted, Self::TurnsExhausted, Self::TokensExhausted, Self::Faulted];

    /// The name used in tables and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::TurnsExhausted => "turns_exhausted",
            Self::TokensExhausted => "tokens_exhausted",
            Self::Faulted => "faulted",
        }
    }
}

/// One turn: what the policy said and what the environment answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnRecord {
    /// Tokens of the prompt that this turn answered, as the engine read it, where
    /// known. Records before `part/3` hold those of the first turn alone.
    pub prompt_tokens: Vec<u32>,
    /// Tokens sampled in this turn, where known.
    pub tokens: Vec<u32>,
    /// Their log-probabilities, where known.
    pub logprobs: Vec<f32>,
    /// Why sampling ended.
    pub finish: FinishReason,
    /// What the model thought before it spoke, where a server tells it apart.
    pub reasoning: Option<String>,
    /// Tokens that the turn cost, as the engine counted them.
    pub usage: Usage,
    /// The model that answered, by the name that its server gave, and behind `@` the
    /// version of its weights where it tells one.
    pub model: Option<String>,
    /// Fuel that the agent's guest burnt.
    pub fuel: u64,
    /// The hash chain after this turn.
    pub chain: Digest,
}

/// One finished attempt, before any verdict.
///
/// Holds all that a replay needs beside the task and the checkpoint, and
/// nothing of the grading key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutRecord {
    /// Its identity; a retry keeps it.
    pub id: RolloutId,
    /// The round, from 0 (the base).
    pub round: u32,
    /// What it was made for.
    pub purpose: Purpose,
    /// The task.
    pub task: TaskId,
    /// Which of the group's rollouts it is.
    pub sample: u32,
    /// The seed of its sampling and of its guest.
    pub seed: Seed,
    /// How the first turn's tokens were drawn.
    pub sampling: Sampling,
    /// Turns allowed.
    pub turns_max: u32,
    /// Tokens allowed over all turns; nothing in a record of `part/1`, which did
    /// not hold it.
    #[serde(default)]
    pub tokens_max: Option<u32>,
    /// Temperature of later turns, which repair; nothing in a record of `part/1`.
    #[serde(default)]
    pub repair_temperature: Option<f32>,
    /// How the policy acted.
    #[serde(default, skip_serializing_if = "Acting::is_tools")]
    pub acting: Acting,
    /// The policy that acted.
    pub policy: PolicyRef,
    /// The sandbox that it ran in.
    pub sandbox_digest: Digest,
    /// The whole conversation.
    pub messages: Vec<Message>,
    /// One record a turn.
    pub turns: Vec<TurnRecord>,
    /// What it left to be graded.
    pub answer: Answer,
    /// Why the episode ended.
    pub stop: StopReason,
    /// Fuel burnt by the agent's guest.
    pub fuel: u64,
    /// The hash chain over all steps: equal chains mean equal rollouts, byte for byte.
    pub chain: Digest,
}

impl RolloutRecord {
    /// Tokens of the first prompt, where known.
    pub fn prompt_tokens(&self) -> &[u32] {
        self.turns.first().map_or(&[], |turn| &turn.prompt_tokens)
    }

    /// The models that answered, by the names that their server gave, each time that
    /// another one did. A server that Gyre has serve a checkpoint answers by the
    /// checkpoint's name, so these are the versions of the policy.
    pub fn answered_by(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.turns.iter().filter_map(|turn| turn.model.as_deref()) {
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Whether more than one version of the policy made it: what it shows is of none.
    pub fn spans_versions(&self) -> bool {
        self.answered_by().len() > 1
    }

    /// Tokens sampled over all turns, as the engine counted them where they are not
    /// known.
    pub fn tokens_sampled(&self) -> u64 {
        let sampled = |turn: &TurnRecord| match turn.tokens.len() as u64 {
            0 => turn.usage.completion,
            known => known,
        };
        self.turns.iter().map(sampled).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_says_which_versions_made_it() {
        let turn = |model: Option<&str>| TurnRecord {
            prompt_tokens: vec![],
            tokens: vec![],
            logprobs: vec![],
            finish: FinishReason::Stop,
            reasoning: None,
            usage: Usage::default(),
            model: model.map(str::to_owned),
            fuel: 0,
            chain: Digest::of(b""),
        };
        let record = |models: &[Option<&str>]| RolloutRecord {
            id: RolloutId::from_digest(&Digest::of(b"rollout")),
            round: 1,
            purpose: Split::Train,
            task: TaskId::from_digest(&Digest::of(b"task")),
            sample: 0,
            seed: Seed(1),
            sampling: Sampling { temperature: 1.0, tokens_max: 8 },
            turns_max: 4,
            tokens_max: None,
            repair_temperature: None,
            acting: Acting::Tools,
            policy: PolicyRef { checkpoint: None, digest: Digest::of(b"policy") },
            sandbox_digest: Digest::of(b"sandbox"),
            messages: vec![],
            turns: models.iter().map(|model| turn(*model)).collect(),
            answer: Answer::Program(String::new()),
            stop: StopReason::Submitted,
            fuel: 0,
            chain: Digest::of(b""),
        };
        let cases: [(&[Option<&str>], &[&str]); 4] = [
            // The embedded model has no server, and a turn of the environment no model.
            (&[None, None], &[]),
            (&[Some("v1"), Some("v1"), None], &["v1"]),
            (&[Some("v1"), None, Some("v2")], &["v1", "v2"]),
            (&[Some("v1"), Some("v2"), Some("v1")], &["v1", "v2", "v1"]),
        ];
        for (models, names) in cases {
            let record = record(models);
            assert_eq!(record.answered_by(), names);
            assert_eq!(record.spans_versions(), names.len() > 1);
        }
    }
}
