//! Which model is evaluated, and how it is made to act.

use std::path::{Path, PathBuf};

use gyre_model::OpenAiConfig;
use gyre_train::{NamedModel, Served, digest_checkpoint};
use gyre_types::{CheckpointId, RunId};

use crate::checkpoints::weights_of;
use crate::config::{ConfigError, RunConfig};
use crate::error::Error;
use crate::models::connect;
use crate::policy_settings::{ModelKind, ModelSettings, check_loads};
use crate::project::Project;
use crate::weights::{Found, Weights};

/// A model to evaluate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The folder of a checkpoint, or of an adapter on the checkpoint that the
    /// configuration begins with. It acts as `[model]` says.
    Folder(PathBuf),
    /// A checkpoint of a run. It acts as that run's models do.
    Recorded {
        /// The run.
        run: RunId,
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// A model that a server has.
    Named {
        /// Its name; without one, the only model that the server lists.
        model: Option<String>,
        /// The server's base address, instead of the configured one.
        url: Option<String>,
        /// The variable that holds the server's key, instead of the configured one.
        api_key_env: Option<String>,
    },
}

/// A model that was found.
pub(super) struct FoundSubject {
    pub(super) name: String,
    /// What it is asked for by.
    pub(super) checkpoint: CheckpointId,
    /// The same, where it is the digest of a model's files.
    pub(super) recorded: Option<CheckpointId>,
    pub(super) weights: Weights,
    pub(super) settings: ModelSettings,
}

impl Subject {
    /// Finds the model.
    ///
    /// # Errors
    ///
    /// When its files cannot be read, the server does not say what it serves, or the
    /// configuration has no way to make it act.
    pub(super) fn find(
        &self,
        project: &Project,
        config: &RunConfig,
    ) -> Result<FoundSubject, Error> {
        match self {
            Self::Folder(folder) => of_folder(folder, config),
            Self::Recorded { run, checkpoint } => of_run(project, run, checkpoint, config),
            Self::Named { model, url, api_key_env } => {
                let mut settings = config.model.clone();
                if let Some(url) = url {
                    // Somebody else runs it, and it stays as it is.
                    (settings.serve, settings.update) = (None, None);
                    settings.server.url.clone_from(url);
                }
                if api_key_env.is_some() {
                    settings.server.api_key_env.clone_from(api_key_env);
                }
                settings.kind = ModelKind::Openai;
                of_server(project, model.clone(), settings)
            }
        }
    }
}

fn of_folder(folder: &Path, config: &RunConfig) -> Result<FoundSubject, Error> {
    check_loads(&config.model).map_err(|(key, why)| ConfigError::OutOfBounds {
        path: PathBuf::from("of the evaluation"),
        key,
        why,
    })?;
    let digest = digest_checkpoint(folder)?;
    let checkpoint = CheckpointId::from_digest(&digest);
    let base = config.start.checkpoint.as_deref().filter(|start| *start != folder);
    let below = base.map(|base| Ok::<_, Error>((base, id_of(base)?))).transpose()?;
    let found =
        Found { folder: folder.to_owned(), parent: below.as_ref().map(|(_, id)| id.clone()) };
    let weights = Weights::of(found, |id| {
        let base = below.as_ref().filter(|(_, base)| base == id).map(|(base, _)| *base);
        let folder = base.unwrap_or(folder).to_owned();
        Ok(Found { folder, parent: None })
    })?;
    Ok(FoundSubject {
        name: folder.display().to_string(),
        recorded: Some(checkpoint.clone()),
        checkpoint,
        weights,
        settings: config.model.clone(),
    })
}

fn id_of(folder: &Path) -> Result<CheckpointId, Error> {
    Ok(CheckpointId::from_digest(&digest_checkpoint(folder)?))
}

fn of_run(
    project: &Project,
    run: &RunId,
    checkpoint: &CheckpointId,
    config: &RunConfig,
) -> Result<FoundSubject, Error> {
    let of_run = project.config_of(&project.run(Some(run))?)?;
    let weights = weights_of(project, run, checkpoint)?;
    // How it acts is asked of all models alike.
    let settings = ModelSettings { acting: config.model.acting, ..of_run.model };
    Ok(FoundSubject {
        name: format!("{checkpoint} of {run}"),
        checkpoint: checkpoint.clone(),
        recorded: weights.folder().map(|_| checkpoint.clone()),
        weights,
        settings,
    })
}

fn of_server(
    project: &Project,
    model: Option<String>,
    settings: ModelSettings,
) -> Result<FoundSubject, Error> {
    let asked = model.or_else(|| settings.server.model.clone());
    let client = connect(project, OpenAiConfig { model: asked, ..settings.server.clone() })?;
    let served = match &settings.serve {
        Some(serve) => Served::By(serve.command.clone()),
        None => Served::At(client.origin().to_owned()),
    };
    let named = NamedModel { model: client.model().to_owned(), served };
    let checkpoint = CheckpointId::from_digest(&named.digest());
    let name = match &named.served {
        Served::At(origin) => format!("{} at {origin}", named.model),
        Served::By(_) => named.model.clone(),
    };
    Ok(FoundSubject { name, checkpoint, recorded: None, weights: Weights::Named(named), settings })
}
