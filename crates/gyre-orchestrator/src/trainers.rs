//! Chooses who trains.

use gyre_train::{CommandTrainer, Trainer};

use crate::config::RunConfig;
use crate::engine;
use crate::error::Error;
use crate::host;
use crate::policy_settings::TrainerSettings;

/// The trainer that a configuration asks for, if it asks for one.
///
/// # Errors
///
/// When a program's command or its configuration file cannot be used.
pub(crate) fn trainer(config: &RunConfig) -> Result<Option<Box<dyn Trainer>>, Error> {
    Ok(match &config.trainer {
        TrainerSettings::Embedded => Some(engine::trainer(&config.learner)),
        TrainerSettings::Command(command) => {
            Some(Box::new(CommandTrainer::new(command.clone(), host::host()?)?))
        }
        TrainerSettings::None => None,
    })
}
