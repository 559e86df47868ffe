//! The embedded model and its trainer: the one file that names their crate.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use gyre_learner::{Engine, LocalPolicy, TrainProgress, cold_start, train_round};
use gyre_model::ModelClient;
use gyre_types::{CheckpointId, Digest, Seed};

pub(crate) use gyre_learner::LearnerConfig;
pub use gyre_learner::LearnerError as EmbeddedError;

/// Version of the embedded model's arithmetic: its part of a run's fingerprint.
pub(crate) const VERSION: u32 = gyre_learner::ENGINE_VERSION;

/// Something to learn from: a prompt and its answer.
pub(crate) type Example = gyre_learner::Example;

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

/// What a training of the embedded model is given.
pub(crate) struct EmbeddedJob<'a> {
    pub(crate) settings: &'a LearnerConfig,
    /// The checkpoint's folder to go on from; a cold start has none.
    pub(crate) parent: Option<&'a Path>,
    /// The empty folder that takes the checkpoint.
    pub(crate) output: &'a Path,
    pub(crate) seed: Seed,
    /// In the order in which they are learned from.
    pub(crate) rows: &'a [Example],
}

/// What a training of the embedded model did.
pub(crate) type EmbeddedReport = gyre_learner::TrainReport;

/// Trains the embedded model. `progress` is told the steps done and the steps in
/// all, and says whether to go on.
///
/// # Errors
///
/// When the training fails or is stopped.
pub(crate) fn train(
    job: &EmbeddedJob<'_>,
    mut progress: impl FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<EmbeddedReport, EmbeddedError> {
    let EmbeddedJob { settings, parent, output, seed, rows } = *job;
    let mut progress = |at: TrainProgress| progress(at.step, at.steps);
    match parent {
        None => cold_start(settings, seed, rows, output, &mut progress),
        Some(dir) => train_round(settings, dir, seed, rows, output, &mut progress),
    }
}
