//! The embedded policy and its trainer.
//!
//! A small causal transformer of the Llama architecture that learns, on a few
//! processor cores, to write short programs; its checkpoints are ordinary
//! Hugging Face directories, so that other tools load what Gyre trains.
//!
//! What holds here:
//!
//! - The same configuration, seed and examples give the same checkpoint, bit
//!   for bit, on one machine, whatever else runs on it and however many threads
//!   it has.
//! - A sample depends on its own request and the checkpoint: never on what else
//!   is in the batch, on its order, or on threads (`matmul.rs` says why).
//! - Weights are bound to their tokenizer; beside another one they are refused.
//! - No clock, and no randomness that is not derived from a seed.
//!
//! The arithmetic is written out over flat slices; why, and what it is checked
//! against, is in `docs/adr/0002-embedded-policy.md`.

mod adam;
mod backward;
mod checkpoint;
mod config;
mod decode;
mod engine;
mod error;
mod forward;
mod lookup;
mod matmul;
mod model;
mod muon;
mod ops;
mod policy;
mod random;
#[cfg(test)]
mod reference;
mod tokenizer;
mod train;
mod trainer;

pub use config::{LearnerConfig, Positions, Schedule};
pub use engine::Engine;
pub use error::LearnerError;
pub use policy::{LocalPolicy, Sample, SampleRequest};
pub use tokenizer::Tokenizer;
pub use train::{Example, OnStep, TrainProgress, TrainReport, cold_start, train_round};
pub use trainer::EmbeddedTrainer;

/// Changes whenever the same checkpoint may answer, or the same examples may
/// train, differently.
pub const ENGINE_VERSION: u32 = 2;
