//! Chooses who acts: loads a checkpoint, or has a server serve it.

use std::path::Path;
use std::sync::Arc;

use gyre_folder::Folder;
use gyre_model::{ModelClient, OpenAi, OpenAiConfig, Secret};
use gyre_train::{ServerSlot, Target};
use gyre_types::{CheckpointId, Digest};

use crate::cancel::Cancel;
use crate::engine;
use crate::error::Error;
use crate::host;
use crate::policy_settings::{ModelKind, ModelSettings};
use crate::project::{Project, io};

/// Models of one run: one is loaded at a time, and one server runs.
pub(crate) struct Models {
    settings: ModelSettings,
    /// Where servers leave their logs.
    logs: Folder,
    slot: Option<ServerSlot>,
    loaded: Option<Model>,
}

/// A model, by the checkpoint that it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    checkpoint: CheckpointId,
    pub(crate) client: Arc<dyn ModelClient>,
    pub(crate) episodes_max: usize,
}

impl Models {
    /// Models as configured; nothing is loaded or started yet.
    pub(crate) fn new(settings: &ModelSettings, logs: Folder) -> Self {
        Self { settings: settings.clone(), logs, slot: None, loaded: None }
    }

    /// The model last loaded, where it is of this checkpoint.
    pub(crate) fn loaded(&self, checkpoint: &CheckpointId) -> Option<Model> {
        self.loaded.as_ref().filter(|model| model.checkpoint == *checkpoint).cloned()
    }

    /// Has a checkpoint act: loads it into the embedded engine, or has a server
    /// serve it in the place of the last one.
    pub(crate) fn load(
        &mut self,
        project: &Project,
        checkpoint: &CheckpointId,
        dir: &Path,
        cancel: &Cancel,
    ) -> Result<Model, Error> {
        // The last one goes first: there may be memory for one of them.
        self.loaded = None;
        let client: Arc<dyn ModelClient> = match self.settings.kind {
            ModelKind::Embedded => engine::load(checkpoint, dir)?,
            ModelKind::Openai => {
                let url = self.serve(project, checkpoint, dir, cancel)?;
                Arc::new(self.client(project, checkpoint, url)?)
            }
        };
        let episodes_max = self.settings.episodes_max as usize;
        let model = Model { checkpoint: checkpoint.clone(), client, episodes_max };
        Ok(self.loaded.insert(model).clone())
    }

    /// Digest of what decides the answers of a checkpoint, as a rollout's policy
    /// names it.
    pub(crate) fn policy_digest(
        &self,
        project: &Project,
        checkpoint: &CheckpointId,
        dir: &Path,
    ) -> Result<Digest, Error> {
        match self.settings.kind {
            ModelKind::Embedded => Ok(engine::policy_digest(dir)?),
            ModelKind::Openai => {
                let client = self.client(project, checkpoint, self.settings.server.url.clone())?;
                Ok(client.identity().digest)
            }
        }
    }

    fn serve(
        &mut self,
        project: &Project,
        checkpoint: &CheckpointId,
        dir: &Path,
        cancel: &Cancel,
    ) -> Result<String, Error> {
        let Some(serve) = &self.settings.serve else {
            return Ok(self.settings.server.url.clone());
        };
        let slot = match &mut self.slot {
            Some(slot) => slot,
            none => {
                self.logs.make().map_err(io("make", &self.logs.path()))?;
                let logs = self.logs.path();
                none.insert(ServerSlot::new(serve.clone(), host::host()?, logs))
            }
        };
        let target = Target {
            checkpoint: Some(std::path::absolute(dir).map_err(io("find", dir))?),
            adapter: None,
            name: checkpoint.to_string(),
        };
        let server = project.wait(slot.serve(&target, cancel.token()))?;
        Ok(format!("{}/v1", server.url()))
    }

    fn client(
        &self,
        project: &Project,
        checkpoint: &CheckpointId,
        url: String,
    ) -> Result<OpenAi, Error> {
        let config = &self.settings.server;
        let key = config.api_key_env.as_deref().and_then(host::variable).map(Secret::new);
        let model = config.model.clone().or_else(|| Some(checkpoint.to_string()));
        let config = OpenAiConfig { url, model, ..config.clone() };
        let client = project.wait(OpenAi::connect(config, key))?;
        Ok(client.serving(checkpoint.clone()))
    }
}
