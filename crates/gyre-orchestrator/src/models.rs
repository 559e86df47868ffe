//! Chooses who acts: loads a checkpoint, or has a server serve it.

mod updates;

use std::path::Path;
use std::sync::Arc;

use gyre_folder::Folder;
use gyre_model::{
    ModelClient, ModelError, ModelErrorKind, ModelIdentity, OpenAi, OpenAiConfig, Recorded,
    RecordedCompletion, Secret,
};
use gyre_train::{ServeError, ServerSlot, Target, UpdateConfig};
use gyre_types::{
    ChatCompletion, CheckpointId, Digest, FinishReason, Message, Role, RolloutRecord, TurnRecord,
};

use crate::cancel::Cancel;
use crate::engine;
use crate::error::Error;
use crate::host;
use crate::policy_settings::{ModelKind, ModelSettings};
use crate::project::{Project, io};
use crate::weights::Weights;
use updates::Updates;

/// Models of one run: one is loaded at a time, and one server runs.
pub(crate) struct Models {
    settings: ModelSettings,
    /// Where servers leave their logs.
    logs: Folder,
    slot: Option<ServerSlot>,
    updates: Updates,
    loaded: Option<Model>,
}

/// A model, by the checkpoint that it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    checkpoint: CheckpointId,
    pub(crate) client: Arc<dyn ModelClient>,
    pub(crate) episodes_max: usize,
}

impl Model {
    /// Answers one rollout's turns as they were answered, whoever the model was: no
    /// server gives the same answers a second time for sure.
    pub(crate) fn recorded(checkpoint: &CheckpointId, record: &RolloutRecord) -> Self {
        let said = record.messages.iter().filter(|message| message.role == Role::Assistant);
        let completion = |(turn, message): (&TurnRecord, &Message)| ChatCompletion {
            reasoning: turn.reasoning.clone(),
            finish: turn.finish,
            prompt_tokens: turn.prompt_tokens.clone(),
            tokens: turn.tokens.clone(),
            logprobs: turn.logprobs.clone(),
            usage: turn.usage,
            model: turn.model.clone(),
            ..ChatCompletion::of(message.clone())
        };
        // The environment's own turns are asked of no model.
        let is_models = |(turn, _): &(&TurnRecord, &Message)| turn.finish != FinishReason::Rule;
        let completions = record.turns.iter().zip(said).filter(is_models).map(completion);
        let completions = completions
            .map(|completion| RecordedCompletion { request: None, completion })
            .collect();
        let identity = ModelIdentity {
            name: checkpoint.to_string(),
            checkpoint: record.policy.checkpoint.clone(),
            digest: record.policy.digest,
        };
        let client = Arc::new(Recorded::new(identity, completions));
        Self { checkpoint: checkpoint.clone(), client, episodes_max: 1 }
    }
}

impl Models {
    /// Models as configured; nothing is loaded or started yet.
    pub(crate) fn new(settings: &ModelSettings, logs: Folder) -> Self {
        let settings = settings.clone();
        Self { settings, logs, slot: None, updates: Updates::default(), loaded: None }
    }

    /// The model last loaded, where it is of this checkpoint, and its server lives.
    pub(crate) fn loaded(&self, checkpoint: &CheckpointId) -> Option<Model> {
        let is_served = self.slot.as_ref().is_none_or(ServerSlot::is_serving);
        let is_asked_for = |model: &&Model| model.checkpoint == *checkpoint && is_served;
        self.loaded.as_ref().filter(is_asked_for).cloned()
    }

    /// Waits until the server has ended by itself, and says how. It waits for ever
    /// where Gyre started none.
    pub(crate) async fn server_died(&self) -> String {
        match &self.slot {
            Some(slot) => slot.died().await,
            None => std::future::pending().await,
        }
    }

    /// Has a checkpoint act: loads it into the embedded engine, or has a server
    /// serve it in the place of the last one.
    pub(crate) fn load(
        &mut self,
        project: &Project,
        checkpoint: &CheckpointId,
        weights: &Weights,
        cancel: &Cancel,
    ) -> Result<Model, Error> {
        // The last one goes first: there may be memory for one of them.
        self.loaded = None;
        let client: Arc<dyn ModelClient> = match self.settings.kind {
            ModelKind::Embedded => engine::load(checkpoint, weights.whole()?)?,
            ModelKind::Openai => Arc::new(self.served(project, checkpoint, weights, cancel)?),
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
        weights: &Weights,
    ) -> Result<Digest, Error> {
        match self.settings.kind {
            ModelKind::Embedded => Ok(engine::policy_digest(weights.whole()?)?),
            ModelKind::Openai => {
                let url = self.settings.server.url.clone();
                Ok(self.client(project, checkpoint, weights, url)?.identity().digest)
            }
        }
    }

    /// A client of the server, which serves what is asked for.
    fn served(
        &mut self,
        project: &Project,
        checkpoint: &CheckpointId,
        weights: &Weights,
        cancel: &Cancel,
    ) -> Result<OpenAi, Error> {
        let target = self.target(checkpoint, weights)?;
        let url = self.start(project, &target, cancel)?;
        let client = self.client(project, checkpoint, weights, url)?;
        match self.settings.update.clone() {
            Some(update) => {
                self.logs.make().map_err(io("make", &self.logs.path()))?;
                let log = self.logs.path().join("update.log");
                self.updates.update(project, &update, &client, &target, &log, cancel)?;
                project.wait(client.require_serving())?;
            }
            None => self.require_serving(project, &client)?,
        }
        Ok(client)
    }

    /// Makes sure that a server which was not told to change serves what is asked for.
    ///
    /// A fault that may pass is left to the rollouts: each tells of it, and a round that
    /// has too many of them ends. A server that nobody can reach, however often it was
    /// tried, has none to lose.
    fn require_serving(&self, project: &Project, client: &OpenAi) -> Result<(), Error> {
        let is_there = |error: &ModelError| !matches!(error.kind, ModelErrorKind::Connect { .. });
        let checked = project.wait(async {
            tokio::select! {
                biased;
                how = self.server_died() => Err(ServeError::Died { how }),
                checked = client.require_serving() => Ok(checked),
            }
        })?;
        match checked {
            Err(error) if error.retry().is_some() && is_there(&error) => {
                tracing::warn!(%error, model = client.model(), "the server does not answer yet");
                Ok(())
            }
            checked => Ok(checked?),
        }
    }

    /// What the server is to serve.
    fn target(&self, checkpoint: &CheckpointId, weights: &Weights) -> Result<Target, Error> {
        let absolute = |dir: &Path| std::path::absolute(dir).map_err(io("find", dir));
        let (whole, adapter) = match weights {
            Weights::Whole(folder) => (Some(folder.as_path()), None),
            Weights::Adapter { folder, base } => {
                let base = base.as_ref().and_then(|base| base.folder.as_deref());
                (base, Some(folder.as_path()))
            }
            Weights::Named(_) => (None, None),
        };
        Ok(Target {
            checkpoint: whole.map(absolute).transpose()?,
            adapter: adapter.map(absolute).transpose()?,
            name: self.name(checkpoint, weights),
        })
    }

    /// What requests call the model.
    fn name(&self, checkpoint: &CheckpointId, weights: &Weights) -> String {
        let has_own_name = self.settings.update.as_ref().is_some_and(UpdateConfig::loads_adapters);
        match (weights, &self.settings.server.model) {
            (Weights::Named(named), _) => named.model.clone(),
            // Each adapter is loaded under a name of its own, beside the base.
            (Weights::Adapter { .. }, _) if has_own_name => checkpoint.to_string(),
            (_, Some(name)) => name.clone(),
            (_, None) => checkpoint.to_string(),
        }
    }

    /// Where the server listens, once it is started if it is Gyre's to start.
    fn start(
        &mut self,
        project: &Project,
        target: &Target,
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
        let server = project.wait(slot.serve(target, cancel.token()))?;
        Ok(format!("{}/v1", server.url()))
    }

    fn client(
        &self,
        project: &Project,
        checkpoint: &CheckpointId,
        weights: &Weights,
        url: String,
    ) -> Result<OpenAi, Error> {
        let model = Some(self.name(checkpoint, weights));
        let config = OpenAiConfig { url, model, ..self.settings.server.clone() };
        let client = connect(project, config)?.serving(checkpoint.clone());
        Ok(match weights {
            Weights::Adapter { base: Some(base), .. } => client.on_top_of(base.checkpoint.clone()),
            _ => client,
        })
    }
}

/// A client of a server, with the key that the configuration names.
pub(crate) fn connect(project: &Project, config: OpenAiConfig) -> Result<OpenAi, Error> {
    let key = config.api_key_env.as_deref().and_then(host::variable).map(Secret::new);
    Ok(project.wait(OpenAi::connect(config, key))?)
}
