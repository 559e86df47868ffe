//! The configuration of a server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ServeError;
use crate::template::{self, SERVER_PLACEHOLDERS};

/// `[model.serve]`: a program that serves a model on 127.0.0.1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServeConfig {
    /// The program and its arguments. Placeholders are `{checkpoint}`, `{adapter}`,
    /// `{port}`, `{name}` and `{project}`. Arguments that name a checkpoint or an
    /// adapter that there is not are left out.
    #[serde(deserialize_with = "template::server_command")]
    pub command: Vec<String>,
    /// Names of variables that it gets beside the usual ones.
    #[serde(default)]
    pub env: Vec<String>,
    /// The path that answers GET with 200 once the server is ready. Default: `/health`.
    #[serde(default = "default_ready")]
    pub ready: String,
    /// Seconds that it may take until then. Default: 600.
    #[serde(default = "default_ready_seconds")]
    pub ready_seconds: u64,
    /// Seconds between SIGTERM and SIGKILL. Default: 10.
    #[serde(default = "default_grace_seconds")]
    pub grace_seconds: u64,
    /// Whether the next server is started before the last one is stopped. The memory
    /// must hold both then; in return a next one that fails leaves the last one
    /// serving. Default: false.
    #[serde(default)]
    pub overlap: bool,
    /// Bytes of its log; what it prints beyond them is discarded. Default: 64 MiB.
    #[serde(default = "default_log_bytes_max")]
    pub log_bytes_max: u64,
}

fn default_ready() -> String {
    "/health".to_owned()
}

fn default_ready_seconds() -> u64 {
    600
}

fn default_grace_seconds() -> u64 {
    10
}

fn default_log_bytes_max() -> u64 {
    64 << 20
}

impl ServeConfig {
    /// Checks what reading the configuration cannot.
    pub(super) fn check(&self) -> Result<(), ServeError> {
        template::check(&self.command, SERVER_PLACEHOLDERS)?;
        if !template::uses(&self.command, "port") {
            let why =
                "the command does not name {port}, on which the server must listen".to_owned();
            return Err(ServeError::Config(why));
        }
        let is_path =
            self.ready.starts_with('/') && self.ready.bytes().all(|b| b.is_ascii_graphic());
        if !is_path {
            let why = format!("ready = {:?} is not a path such as /health", self.ready);
            return Err(ServeError::Config(why));
        }
        Ok(())
    }
}
