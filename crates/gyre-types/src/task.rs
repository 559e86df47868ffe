use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, EnvironmentSpec, Limits, Message, Role, Seed, TaskId, ToolSpec};

/// What an agent is asked to do: everything that may be shown to it. Hidden
/// cases and the reference are in the grading key, on the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Derived from `digest`.
    pub id: TaskId,
    /// Digest of messages, tools, environment, limits and key: not of seed,
    /// split or difficulty, so equal tasks have equal ids.
    pub digest: Digest,
    /// The family that generated it.
    pub family: String,
    /// That family's version.
    pub family_version: u32,
    /// The seed that it was generated from.
    pub seed: Seed,
    /// The difficulty asked for, in the family's own levels.
    pub difficulty: u32,
    /// The skills it is composed of, in order.
    pub composition: Composition,
    /// Finer cells that the curriculum weighs, such as `keep_odd/phrasing1`.
    pub skills: Vec<String>,
    /// Which side it is on; decided from `composition` before generation.
    pub split: Split,
    /// What opens the conversation.
    pub messages: Vec<Message>,
    /// The tools that are offered to the agent.
    pub tools: Vec<ToolSpec>,
    /// What the agent acts in.
    pub environment: EnvironmentSpec,
    /// What a guest that runs an answer may use.
    pub limits: Limits,
    /// Digest of the grading key.
    pub key_digest: Digest,
}

impl Task {
    /// The task in words: the first message of a user, empty where there is none.
    pub fn instruction(&self) -> &str {
        instruction(&self.messages)
    }
}

/// The task in words, of the messages that open its conversation.
pub fn instruction(messages: &[Message]) -> &str {
    let told = messages.iter().find(|message| message.role == Role::User);
    told.map_or("", |message| &message.content)
}

/// The ordered skills of a task. Tasks of one composition are all on one side
/// of the split.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Composition(pub Vec<String>);

impl Composition {
    /// A stable digest of family and composition, which decides the split.
    pub fn digest(&self, family: &str) -> Digest {
        let skills = self.0.iter().map(String::as_bytes);
        Digest::of_parts([b"composition".as_slice(), family.as_bytes()].into_iter().chain(skills))
    }
}

impl fmt::Display for Composition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" > "))
    }
}

/// Which side of the held-out wall a task is on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// May be trained on.
    Train,
    /// Held out; the gate's decisions may see it.
    Gate,
    /// Held out; only reports may see it.
    Test,
}

impl Split {
    /// `train`, `gate` or `test`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Gate => "gate",
            Self::Test => "test",
        }
    }

    /// Whether training must never see it.
    pub fn is_held_out(self) -> bool {
        self != Self::Train
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Train, Self::Gate, Self::Test]
            .into_iter()
            .find(|split| split.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not a split (train, gate or test)"))
    }
}
