//! How a running server gets a new checkpoint, where Gyre does not replace it.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::process::{Ended, Program, run_to_end};
use crate::template::{self, SERVER_PLACEHOLDERS};
use crate::{Host, ServeError, Target};

/// `[model.update]`: what is done when another checkpoint is to be served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum UpdateConfig {
    /// A command is run.
    Hook(HookConfig),
    /// vLLM loads the adapter. The server needs `--enable-lora` and
    /// `VLLM_ALLOW_RUNTIME_LORA_UPDATING=True`.
    VllmLora,
    /// SGLang loads the adapter. The server needs `--enable-lora`.
    SglangLora,
}

/// A command that makes a server serve something else. Its success is exit code 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookConfig {
    /// The program and its arguments, with the placeholders of a server's command
    /// except `{port}`.
    #[serde(deserialize_with = "template::server_command")]
    pub command: Vec<String>,
    /// Names of variables that it gets beside the usual ones.
    #[serde(default)]
    pub env: Vec<String>,
    /// Seconds after which it is stopped. Default: 600.
    #[serde(default = "default_time_limit_seconds")]
    pub time_limit_seconds: u64,
}

fn default_time_limit_seconds() -> u64 {
    600
}

/// A hook prints little; this bounds one that does not.
const LOG_BYTES_MAX: u64 = 8 << 20;

impl UpdateConfig {
    /// Whether it loads adapters beside a base that stays, and no whole checkpoints.
    pub fn loads_adapters(&self) -> bool {
        match self {
            Self::Hook(_) => false,
            Self::VllmLora | Self::SglangLora => true,
        }
    }

    /// Checks what reading the configuration cannot.
    ///
    /// # Errors
    ///
    /// When a hook names the port of a server that is not Gyre's.
    pub fn check(&self) -> Result<(), ServeError> {
        match self {
            Self::Hook(hook) => hook.check(),
            Self::VllmLora | Self::SglangLora => Ok(()),
        }
    }
}

impl HookConfig {
    fn check(&self) -> Result<(), ServeError> {
        template::check(&self.command, SERVER_PLACEHOLDERS)?;
        if template::uses(&self.command, "port") {
            let why = "an update hook cannot name {port}: its server is not Gyre's".to_owned();
            return Err(ServeError::Config(why));
        }
        Ok(())
    }

    /// Runs the hook for a target.
    ///
    /// # Errors
    ///
    /// When it cannot be started, fails, or does not end in time.
    pub async fn run(
        &self,
        host: &Host,
        target: &Target,
        log: &Path,
        cancel: &CancellationToken,
    ) -> Result<(), ServeError> {
        self.check()?;
        let program = Program {
            command: target.fill(&self.command, None, host),
            env: &self.env,
            folder: &host.project(),
            log,
            log_bytes_max: LOG_BYTES_MAX,
            input: None,
        };
        match run_to_end(program, host, self.time_limit_seconds, cancel).await? {
            Ended::Done => Ok(()),
            Ended::Failed { how, log } => Err(ServeError::Hook { how, log }),
            Ended::Cancelled => Err(ServeError::Cancelled),
        }
    }
}
