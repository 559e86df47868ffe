//! Who makes a run's rollouts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who makes a run's rollouts and judges them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerSettings {
    /// Whether the process that drives the run makes them itself, or `gyre
    /// worker` processes do.
    pub mode: WorkerMode,
    /// Tasks whose rollouts a worker takes at a time.
    pub tasks_per_piece: u32,
    /// How often a piece may fail before the run stops.
    pub attempts_max: u32,
    /// Where files pass between driver and workers, and what is published lies
    /// too: the whole path of a folder, or `s3://BUCKET/PREFIX`.
    /// By default the folder `store` of the data folder.
    pub store: Option<String>,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self { mode: WorkerMode::Local, tasks_per_piece: 25, attempts_max: 5, store: None }
    }
}

impl WorkerSettings {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Which processes make rollouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerMode {
    /// The one that drives the run.
    #[default]
    Local,
    /// Workers, which take pieces of work from a queue in the same database.
    Queue,
}
