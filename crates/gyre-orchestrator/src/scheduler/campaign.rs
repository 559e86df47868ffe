//! Reads the campaigns that schedules name.

use std::path::Path;

use gyre_round::ScheduleConfig;

use super::Schedule;
use crate::config::{ConfigError, RunConfig};

impl Schedule {
    /// The schedules of a configuration, each with its campaign. `file` is where
    /// the configuration was read from: campaigns are named relative to it.
    ///
    /// # Errors
    ///
    /// When a campaign's configuration is refused, or is an ablation.
    pub fn of(config: &RunConfig, file: &Path) -> Result<Vec<Self>, ConfigError> {
        config.schedules.iter().map(|schedule| Self::one(config, schedule, file)).collect()
    }

    fn one(
        config: &RunConfig,
        schedule: &ScheduleConfig,
        file: &Path,
    ) -> Result<Self, ConfigError> {
        let refused = |why: String| ConfigError::OutOfBounds {
            path: file.to_owned(),
            key: "schedules",
            why: format!("has {:?}: {why}", schedule.name),
        };
        let mut campaign = match &schedule.campaign {
            None => config.clone(),
            Some(path) => RunConfig::read(&file.parent().unwrap_or(Path::new("")).join(path))?,
        };
        campaign.schedules.clear();
        if !campaign.ablation.is_empty() {
            let why = "its campaign is an ablation, which is several runs; use `gyre run` for it";
            return Err(refused(why.to_owned()));
        }
        let timetable = schedule.timetable().map_err(|error| refused(error.to_string()))?;
        Ok(Self { config: schedule.clone(), campaign, timetable })
    }
}
