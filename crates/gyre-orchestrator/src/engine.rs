//! The embedded model and its trainer: the one file that names their crate.

use std::path::Path;
use std::sync::Arc;

use gyre_learner::{EmbeddedTrainer, Engine, LocalPolicy};
use gyre_model::ModelClient;
use gyre_train::Trainer;
use gyre_types::{CheckpointId, Digest};

pub(crate) use gyre_learner::LearnerConfig;
pub use gyre_learner::LearnerError as EmbeddedError;

/// Version of the embedded model's arithmetic: its part of a run's fingerprint.
pub(crate) const VERSION: u32 = gyre_learner::ENGINE_VERSION;

/// Loads a checkpoint into the embedded model.
pub(crate) fn load(
    checkpoint: &CheckpointId,
    dir: &Path,
) -> Result<Arc<dyn ModelClient>, EmbeddedError> {
    Ok(Arc::new(Engine::start(checkpoint.clone(), LocalPolicy::load(dir)?)))
}

/// Digest of what decides the answers of a checkpoint.
pub(crate) fn policy_digest(dir: &Path) -> Result<Digest, EmbeddedError> {
    Ok(LocalPolicy::load(dir)?.digest())
}

/// Says what of the settings is out of its bounds.
pub(crate) fn check(settings: &LearnerConfig) -> Result<(), String> {
    match settings.check() {
        Err(EmbeddedError::Config { field, must }) => {
            Err(format!("has a `{field}` that must be {must}"))
        }
        _ => Ok(()),
    }
}

/// The trainer of the embedded model.
pub(crate) fn trainer(settings: &LearnerConfig) -> Box<dyn Trainer> {
    Box::new(EmbeddedTrainer::new(settings.clone()))
}
