//! Attempts tasks: loads the model and drives episodes.

use gyre_env::{EpisodeOutcome, EpisodeSettings, EpisodeSpec};
use gyre_folder::Folder;
use gyre_rollout::EpisodeDriver;
use gyre_sandbox::Sandbox;
use gyre_train::ServeError;
use gyre_types::{CheckpointId, Digest};

use crate::cancel::Cancel;
use crate::error::Error;
use crate::models::{Model, Models};
use crate::policy_settings::ModelSettings;
use crate::project::Project;
use crate::weights::Weights;

/// How often an episode is driven again that a fault of the model or the sandbox ended.
pub(crate) const REPEATS_MAX: u32 = 1;

/// Attempts tasks with the models of one run, in one sandbox.
pub(crate) struct Attempter {
    project: Project,
    sandbox: Sandbox,
    models: Models,
}

impl Attempter {
    /// Nothing is loaded or started yet. Servers leave what they print in `logs`.
    pub(crate) fn new(
        project: Project,
        sandbox: Sandbox,
        settings: &ModelSettings,
        logs: Folder,
    ) -> Self {
        Self { project, sandbox, models: Models::new(settings, logs) }
    }

    /// The model of a checkpoint. Unless it was the last one used, `find` is asked
    /// for what it acts from, and it is loaded.
    ///
    /// # Errors
    ///
    /// When the checkpoint cannot be found or loaded, or its server does not start.
    pub(crate) fn model(
        &mut self,
        checkpoint: &CheckpointId,
        find: impl FnOnce() -> Result<Weights, Error>,
        cancel: &Cancel,
    ) -> Result<Model, Error> {
        match self.models.loaded(checkpoint) {
            Some(model) => Ok(model),
            None => self.models.load(&self.project, checkpoint, &find()?, cancel),
        }
    }

    /// Digest of what decides the answers of a checkpoint, as a rollout's policy
    /// names it.
    ///
    /// # Errors
    ///
    /// When the checkpoint cannot be read.
    pub(crate) fn policy_digest(
        &self,
        checkpoint: &CheckpointId,
        weights: &Weights,
    ) -> Result<Digest, Error> {
        self.models.policy_digest(&self.project, checkpoint, weights)
    }

    /// Makes rollouts, in the order of their specs, and at once again those that a fault
    /// ended. A rollout keeps its identity over both.
    ///
    /// # Errors
    ///
    /// When the server that Gyre started for the model ends meanwhile: nothing that was
    /// attempted is worth recording then, since it is attempted again as it was.
    pub(crate) fn attempt(
        &self,
        model: &Model,
        settings: &EpisodeSettings,
        specs: &[EpisodeSpec<'_>],
    ) -> Result<Vec<EpisodeOutcome>, Error> {
        let driver = EpisodeDriver {
            model: &*model.client,
            sandbox: &self.sandbox,
            settings: *settings,
            in_flight_max: model.episodes_max,
            repeats_max: REPEATS_MAX,
        };
        let mut made: Vec<Option<EpisodeOutcome>> = vec![None; specs.len()];
        let driven = driver.run(specs.iter().cloned(), |at, outcome| made[at] = Some(outcome));
        self.project.wait(self.while_served(driven))?;
        // Each episode ends.
        Ok(made.into_iter().flatten().collect())
    }

    /// Waits for episodes, as long as the server lives: against one that is gone, each
    /// would try for minutes to be answered.
    ///
    /// # Errors
    ///
    /// [`ServeError::Died`].
    pub(crate) async fn while_served<T>(
        &self,
        episodes: impl Future<Output = T>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            how = self.models.server_died() => Err(ServeError::Died { how }.into()),
            ended = episodes => Ok(ended),
        }
    }
}
