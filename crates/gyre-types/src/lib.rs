//! The words every other crate of Gyre speaks.
//!
//! Typed ids, digests, seeds, limits with units, tasks, trajectories, sandbox
//! jobs and verdicts: plain data, no I/O, no clock, no async, no ambient
//! randomness.
//! A grading key is deliberately *not* here: it lives in `gyre-verify`, so that
//! the crates that talk to an agent or write a training row cannot name one.

mod answer;
mod chat;
mod digest;
mod environment;
mod failure;
mod id;
mod identity;
mod interface;
mod json;
mod limits;
mod message;
mod reasoning;
mod rollout;
mod sandbox;
mod seed;
mod stored_path;
mod task;
mod text;
mod usage;
mod value;
mod verdict;

pub use answer::{Answer, AnswerRef};
pub use chat::{ChatCompletion, ChatRequest, ToolChoice, ToolSpec};
pub use digest::{Digest, DigestParseError, canonical_json};
pub use environment::{Case, EnvironmentSpec, ProgramSpec};
pub use failure::FailureKind;
pub use id::{CheckpointId, IdError, PartId, RolloutId, RunId, ShardId, TaskId};
pub use identity::Identity;
pub use interface::Interface;
pub use json::{JsonError, StoredError, from_stored, is_of_first_version, to_json, to_stored};
pub use limits::{Limits, WorkspaceLimits};
pub use message::{FinishReason, Message, Role, Sampling, ToolCall};
pub use reasoning::{SplitText, split_reasoning};
pub use rollout::{Acting, PolicyRef, Purpose, RolloutRecord, StopReason, TurnRecord};
pub use sandbox::{
    Executor, GuestException, GuestOutcome, SandboxJob, SandboxReport, Step, StepReport,
};
pub use seed::Seed;
pub use stored_path::StoredPath;
pub use task::{Composition, Split, Task, instruction};
pub use usage::Usage;
pub use value::{Value, ValueError, ValueLimits};
pub use verdict::{CheckResult, InvalidReason, Judgement, Score, ScoreError, Verdict};
