//! A data folder and its lineage: what every command opens first.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gyre_lineage::{DatabaseUrl, RunRow, Store};
use gyre_types::RunId;
use tokio::runtime::Handle;

use crate::config::RunConfig;
use crate::error::Error;
use crate::layout::DataDir;
use crate::stored;

/// A data folder and its lineage, opened.
///
/// The rest of this crate is synchronous: it computes. Calls into the store
/// are bridged here, so they must not be made from an async task.
#[derive(Debug, Clone)]
pub struct Project {
    /// The folder.
    pub data: DataDir,
    /// The lineage.
    pub store: Store,
    runtime: Handle,
}

impl Project {
    /// Opens a data folder, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made or the database cannot be opened.
    pub fn open(
        data_dir: impl Into<PathBuf>,
        database: Option<&DatabaseUrl>,
        runtime: Handle,
    ) -> Result<Self, Error> {
        let data = DataDir::new(data_dir);
        std::fs::create_dir_all(data.root()).map_err(io("make the data folder", data.root()))?;
        let embedded = DatabaseUrl::Sqlite(data.sqlite());
        let store = runtime.block_on(Store::open(database.unwrap_or(&embedded)))?;
        Ok(Self { data, store, runtime })
    }

    /// Waits for the store.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Waits for a while.
    pub(crate) fn pause(&self, time: Duration) {
        // Made inside the runtime: a timer has to find it.
        self.wait(async { tokio::time::sleep(time).await });
    }

    /// The runtime that store calls run on.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// A run by id, or the newest one.
    ///
    /// # Errors
    ///
    /// When there is none, or the store fails.
    pub fn run(&self, id: Option<&RunId>) -> Result<RunRow, Error> {
        let hint = "`gyre status` lists the runs, `gyre run` starts one".to_owned();
        match id {
            Some(id) => self.wait(self.store.run(id))?.ok_or_else(|| Error::NotFound {
                what: "run",
                id: id.to_string(),
                hint,
            }),
            None => self.wait(self.store.latest_run(None))?.ok_or_else(|| Error::NotFound {
                what: "run",
                id: "latest".to_owned(),
                hint,
            }),
        }
    }

    /// The configuration that a run was begun with.
    ///
    /// # Errors
    ///
    /// When another version of Gyre wrote it in a form that this one cannot read.
    pub fn config_of(&self, run: &RunRow) -> Result<RunConfig, Error> {
        stored::read_config(run)
    }
}

/// Makes an [`Error::Io`] of an I/O error.
pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { doing, path, source }
}
