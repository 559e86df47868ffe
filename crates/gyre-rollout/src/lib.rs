//! Drives episodes: asks the model and the sandbox for what each one needs.
//!
//! A bounded number of episodes is in flight, each on its own: whichever of model
//! and sandbox is slower, the other is kept busy, and a fault ends the episode
//! that it struck and no other.
//! What an episode does depends on its [`EpisodeSpec`](gyre_env::EpisodeSpec), its
//! settings and the model's answers alone: never on what else is in flight.

mod drive;
mod scripted;
mod trace;

pub use drive::EpisodeDriver;
pub use scripted::ScriptedModel;
pub use trace::MESSAGES;
