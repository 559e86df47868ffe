//! Has a server that somebody else runs serve something else.

use std::collections::VecDeque;
use std::path::Path;

use gyre_model::OpenAi;
use gyre_train::{CheckpointError, Target, UpdateConfig};

use crate::cancel::Cancel;
use crate::error::Error;
use crate::host;
use crate::project::Project;

/// Adapters that a server keeps: the champion's and the candidate's.
const ADAPTERS_KEPT: usize = 2;

/// What a server was told to load, by this process.
#[derive(Default)]
pub(super) struct Updates {
    /// Names of adapters, the one that was used last at the end.
    adapters: VecDeque<String>,
}

impl Updates {
    /// Has the server of `client` serve a target.
    ///
    /// # Errors
    ///
    /// When the hook fails, the server refuses the adapter, or the target is none.
    pub(super) fn update(
        &mut self,
        project: &Project,
        update: &UpdateConfig,
        client: &OpenAi,
        target: &Target,
        log: &Path,
        cancel: &Cancel,
    ) -> Result<(), Error> {
        match update {
            UpdateConfig::Hook(hook) => {
                let host = host::host()?;
                Ok(project.wait(hook.run(&host, target, log, cancel.token()))?)
            }
            UpdateConfig::VllmLora | UpdateConfig::SglangLora => match &target.adapter {
                Some(adapter) => self.load(project, client, &target.name, adapter),
                None => match &target.checkpoint {
                    // The base stands beside its adapters.
                    None => Ok(()),
                    Some(folder) => Err(whole_weights(folder)),
                },
            },
        }
    }

    fn load(
        &mut self,
        project: &Project,
        client: &OpenAi,
        name: &str,
        folder: &Path,
    ) -> Result<(), Error> {
        project.wait(client.load_adapter(name, folder))?;
        self.adapters.retain(|loaded| loaded != name);
        self.adapters.push_back(name.to_owned());
        while self.adapters.len() > ADAPTERS_KEPT {
            let Some(oldest) = self.adapters.pop_front() else { break };
            // Nothing asks for it any more; that it stays costs memory and no result.
            if let Err(error) = project.wait(client.unload_adapter(&oldest)) {
                tracing::warn!(%error, adapter = oldest, "the server keeps an adapter");
            }
        }
        Ok(())
    }
}

fn whole_weights(folder: &Path) -> Error {
    let why = "is a whole checkpoint, and `model.update` loads adapters alone; have the trainer \
               leave an adapter, or let `model.serve` serve each checkpoint";
    CheckpointError::Refused { path: folder.to_owned(), why: why.to_owned() }.into()
}
