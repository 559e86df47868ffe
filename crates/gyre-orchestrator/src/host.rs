//! What of the machine's environment is read: by programs that the user configured,
//! and for the cache.

use std::path::PathBuf;

use gyre_train::{Host, SupervisorProgram};

use crate::error::Error;

/// The machine, for trainers and servers.
#[expect(
    clippy::disallowed_methods,
    reason = "programs that the user configured see the listed variables of the user's own"
)]
pub(crate) fn host() -> Result<Host, Error> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    Ok(Host {
        project: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        environment: std::env::vars_os().filter_map(text).collect(),
        supervisor: SupervisorProgram::this_program()?,
    })
}

/// A variable that the configuration names, such as a key's.
#[expect(clippy::disallowed_methods, reason = "the configuration names it")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where compiled guests are kept when the configuration names no folder.
#[expect(
    clippy::disallowed_methods,
    reason = "the user's cache folder is named by the environment"
)]
pub fn default_cache_dir() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    from("XDG_CACHE_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("gyre")
}
