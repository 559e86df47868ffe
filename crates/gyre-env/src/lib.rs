//! What an episode is, without a model, a sandbox or a clock.
//!
//! An [`Episode`] is a state machine between two parties that somebody else
//! asks: it says what it [`Need`]s, and is told by an [`Event`] what came of it.
//! What it records is enough to replay it without the model.
//!
//! There is one kind of environment so far, [`program`]: the agent writes a
//! program, may run it on visible examples, and submits it.
//! [`EnvironmentSpec`](gyre_types::EnvironmentSpec) names the kinds, and
//! `environment.rs` alone tells them apart while an episode runs.
//! Nothing here knows a grading key: this crate does not depend on the one that
//! defines it, so no observation can tell of hidden cases.

mod act;
mod chain;
mod environment;
mod episode;
mod observation;
pub mod program;
mod settings;
mod stored;

pub use environment::{opening_messages, own_tools, tools_json};
pub use episode::{Episode, EpisodeOutcome, EpisodeSpec, Event, Need};
pub use observation::{ExamplesReport, Observation, Refusal};
pub use settings::EpisodeSettings;
pub use stored::{TaskDocument, TaskV1, task_from_stored, task_to_stored};
