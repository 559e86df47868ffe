//! The configuration of a trainer that is a command.

use std::path::PathBuf;

use gyre_types::{Identity, JsonError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::template;

/// `[trainer] kind = "command"`: a program that trains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
    /// The program and its arguments. Placeholders are `{dataset}`, `{parent}`,
    /// `{output}`, `{round}`, `{seed}`, `{config}` and `{project}`. While there is no
    /// parent, arguments that name `{parent}` are left out.
    #[serde(deserialize_with = "template::trainer_command")]
    pub command: Vec<String>,
    /// The trainer's own configuration file: what `{config}` stands for. A relative
    /// path starts at the folder of Gyre's configuration.
    #[serde(default)]
    pub config: Option<PathBuf>,
    /// Names of variables that the trainer gets beside the usual ones. A change of a
    /// value, such as a token's, does not make it another trainer.
    #[serde(default)]
    pub env: Vec<String>,
    /// Seconds after which it is stopped. Default: six hours.
    #[serde(default = "default_time_limit_seconds")]
    pub time_limit_seconds: u64,
    /// Seconds between SIGTERM and SIGKILL. Default: 30.
    #[serde(default = "default_grace_seconds")]
    pub grace_seconds: u64,
    /// Bytes that it may leave in its output folder. Default: 64 GiB.
    #[serde(default = "default_output_bytes_max")]
    pub output_bytes_max: u64,
    /// Files that it may leave there. Default: 10,000.
    #[serde(default = "default_files_max")]
    pub files_max: usize,
    /// Bytes of its log; what it prints beyond them is discarded. Default: 64 MiB.
    #[serde(default = "default_log_bytes_max")]
    pub log_bytes_max: u64,
}

impl CommandConfig {
    /// What of it a run keeps from its first round to its last: its part of the run's
    /// fingerprint, bounds included.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub fn identity(&self) -> Result<Identity, JsonError> {
        let names = [
            "command",
            "config",
            "env",
            "time_limit_seconds",
            "grace_seconds",
            "output_bytes_max",
            "files_max",
            "log_bytes_max",
        ];
        Identity::of("a trainer", self, &names)
    }
}

fn default_time_limit_seconds() -> u64 {
    6 * 60 * 60
}

fn default_grace_seconds() -> u64 {
    30
}

fn default_output_bytes_max() -> u64 {
    64 << 30
}

fn default_files_max() -> usize {
    10_000
}

fn default_log_bytes_max() -> u64 {
    64 << 20
}
