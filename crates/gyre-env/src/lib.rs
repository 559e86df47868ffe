//! What an episode is, without a model, a sandbox or a clock.
//!
//! An [`Episode`] is a state machine between two parties that somebody else
//! asks: it says what it [`Need`]s, and is told by an [`Event`] what came of it.
//! What it records is enough to replay it without the model.
//!
//! There is one kind of environment so far, [`program`]: the agent writes a
//! program, may run it on visible examples, and submits it.
//! Nothing here knows a grading key: this crate does not depend on the one that
//! defines it, so no observation can tell of hidden cases.

mod chain;
mod episode;
pub mod program;
mod settings;

pub use episode::{Episode, EpisodeOutcome, EpisodeSpec, Event, Need, first_message};
pub use settings::EpisodeSettings;
