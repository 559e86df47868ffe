//! Episodes: a policy acts on a task, turn by turn, in a sandbox.
//!
//! The policy calls two tools: `run_examples` executes its program on the
//! visible examples and tells what they gave, `submit` ends the episode.
//! Nothing here knows a grading key: this crate does not depend on the one that
//! defines it, so no feedback can tell of hidden cases.
//!
//! Rollouts run in waves, so that a policy sees all turns of a wave as one
//! batch.
//! What a rollout does depends on its request alone: never on the wave that it
//! happens to be in.

mod chain;
mod episode;
mod examples;
mod policy;
mod recorded;
mod tools;
mod trace;

pub use episode::{
    EpisodeError, EpisodeSettings, RolledOut, RolloutRequest, first_message, run_wave,
};
pub use policy::{Policy, PolicyError, TurnRequest};
pub use recorded::RecordedPolicy;
pub use tools::{RUN_EXAMPLES, SUBMIT, last_examples_passed, tool_call, tools_json};
pub use trace::MESSAGES;
