//! What is served.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::host::absolute;
use crate::{Host, template};

/// What is to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The checkpoint's folder; none where the command names its own.
    pub checkpoint: Option<PathBuf>,
    /// The adapter's folder, on top of the checkpoint.
    pub adapter: Option<PathBuf>,
    /// The name under which requests ask for it.
    pub name: String,
}

impl Target {
    /// A command with this target's values.
    pub(crate) fn fill(&self, command: &[String], port: Option<u16>, host: &Host) -> Vec<OsString> {
        let path = |path: &PathBuf| absolute(path).into_os_string();
        template::fill(
            command,
            &[
                ("checkpoint", self.checkpoint.as_ref().map(path)),
                ("adapter", self.adapter.as_ref().map(path)),
                ("port", port.map(|port| port.to_string().into())),
                ("name", Some(self.name.clone().into())),
                ("project", Some(host.project().into())),
            ],
        )
    }
}
