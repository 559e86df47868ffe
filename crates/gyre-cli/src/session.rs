//! What the commands share: the opened project, logs, Ctrl-C.

use std::path::Path;

use anyhow::Context;
use gyre_lineage::DatabaseUrl;
use gyre_orchestrator::{Cancel, Judging, Project, RunConfig, default_cache_dir};
use tokio::runtime::Runtime;

use crate::args::Global;
use crate::exit::Failure;

/// `configs/quickstart.toml`, so that the binary runs from any folder.
pub(crate) const QUICKSTART: &str = include_str!("../../../configs/quickstart.toml");

/// Makes the runtime that the store's calls run on.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the async runtime")
}

/// Opens the data folder and its lineage. `configured` is the database that a
/// configuration names; the command line comes first.
pub(crate) fn open_project(
    global: &Global,
    runtime: &Runtime,
    configured: Option<&str>,
) -> anyhow::Result<Project> {
    let url = global.database.as_deref().or(configured);
    let url = url
        .map(str::parse::<DatabaseUrl>)
        .transpose()
        .map_err(|error| Failure::error(20, error.to_string()))?;
    Ok(Project::open(&global.data_dir, url.as_ref(), runtime.handle().clone())?)
}

/// Opens a data folder that must exist: commands that only read make none.
pub(crate) fn open_existing(global: &Global, runtime: &Runtime) -> anyhow::Result<Project> {
    if global.database.is_none() && !global.data_dir.join("lineage.db").is_file() {
        let dir = global.data_dir.display();
        let message = format!(
            "there is no data in {dir}; `gyre run` makes some, `--data-dir` names another folder"
        );
        return Err(Failure::error(Failure::UNKNOWN_ID, message));
    }
    open_project(global, runtime, None)
}

/// What verifiers are made ready with, outside a run: the registry of the data
/// folder, where there is one.
pub(crate) fn judging(
    global: &Global,
    runtime: &Runtime,
    allow_commands: bool,
) -> anyhow::Result<Judging> {
    let is_there = global.database.is_some() || global.data_dir.join("lineage.db").is_file();
    let registry = if is_there { Some(open_project(global, runtime, None)?) } else { None };
    Ok(Judging { registry, cache_dir: default_cache_dir(), allow_commands })
}

/// Reads a configuration file, or the built-in one.
pub(crate) fn read_config(path: Option<&Path>) -> Result<RunConfig, gyre_orchestrator::Error> {
    Ok(match path {
        Some(path) => RunConfig::read(path)?,
        None => RunConfig::parse(QUICKSTART, Path::new("configs/quickstart.toml"))?,
    })
}

/// The first Ctrl-C or SIGTERM asks to stop cleanly, a second Ctrl-C ends the
/// process at once (and loses nothing that was recorded).
#[expect(clippy::disallowed_methods, reason = "asked for twice; what was recorded is safe")]
pub(crate) fn stop_on_signal(runtime: &Runtime, cancel: &Cancel) {
    use tokio::signal::unix::{SignalKind, signal};
    let cancel = cancel.clone();
    runtime.spawn(async move {
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        } else if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        cancel.cancel();
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
}
