//! A command that runs after a promotion.

use std::ffi::OsString;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::host::absolute;
use crate::process::{Ended, Program, run_to_end};
use crate::template::{self, HOOK_PLACEHOLDERS};
use crate::{HookError, Host};

/// `[promotion.hook]`: a command that is run for each new champion, with a document
/// that describes the promotion as its standard input. Its success is exit code 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromotionHookConfig {
    /// The program and its arguments. Placeholders are `{run}`, `{round}`,
    /// `{checkpoint}` (the new champion's folder), `{champion}` (the link that always
    /// leads to the present champion's folder), `{dataset}` and `{project}`. Arguments
    /// that name `{checkpoint}` or `{champion}` are left out where the champion is a
    /// name on a server and no folder.
    #[serde(deserialize_with = "template::hook_command")]
    pub command: Vec<String>,
    /// Names of variables that it gets beside the usual ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Seconds after which it is stopped, which counts as a failure. Default: 120.
    #[serde(default = "default_time_limit_seconds")]
    pub time_limit_seconds: u64,
}

fn default_time_limit_seconds() -> u64 {
    120
}

/// A hook prints little; this bounds one that does not.
const LOG_BYTES_MAX: u64 = 8 << 20;

/// What a hook's placeholders stand for.
#[derive(Debug, Clone)]
pub struct HookValues<'a> {
    /// `{run}`.
    pub run: &'a str,
    /// `{round}`.
    pub round: u32,
    /// `{checkpoint}`; none where the champion is no folder.
    pub checkpoint: Option<&'a Path>,
    /// `{champion}`; none where the champion is no folder.
    pub champion: Option<&'a Path>,
    /// `{dataset}`: the published dataset's folder, which is missing while nothing is
    /// published.
    pub dataset: &'a Path,
}

impl PromotionHookConfig {
    /// Runs the hook to its end, in the project's folder. `document` is the file that it
    /// reads as its standard input, and `log` takes what it prints.
    ///
    /// # Errors
    ///
    /// When it cannot be started, fails, or does not end in time, and
    /// [`HookError::Cancelled`].
    pub async fn run(
        &self,
        host: &Host,
        values: &HookValues<'_>,
        (document, log): (&Path, &Path),
        cancel: &CancellationToken,
    ) -> Result<(), HookError> {
        template::check(&self.command, HOOK_PLACEHOLDERS)?;
        let path = |path: Option<&Path>| path.map(|path| absolute(path).into_os_string());
        let round = OsString::from(values.round.to_string());
        let command = template::fill(
            &self.command,
            &[
                ("run", Some(values.run.into())),
                ("round", Some(round)),
                ("checkpoint", path(values.checkpoint)),
                ("champion", path(values.champion)),
                ("dataset", path(Some(values.dataset))),
                ("project", Some(host.project().into())),
            ],
        );
        let program = Program {
            command,
            env: &self.env,
            folder: &host.project(),
            log,
            log_bytes_max: LOG_BYTES_MAX,
            input: Some(&absolute(document)),
        };
        match run_to_end(program, host, self.time_limit_seconds, cancel).await? {
            Ended::Done => Ok(()),
            Ended::Failed { how, log } => Err(HookError::Failed { how, log }),
            Ended::Cancelled => Err(HookError::Cancelled),
        }
    }
}
