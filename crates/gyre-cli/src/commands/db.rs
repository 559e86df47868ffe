use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use gyre_lineage::{BackupSummary, DatabaseUrl, StoreError};
use gyre_orchestrator::Error;
use serde_json::json;

use crate::args::{AuditArgs, DbCommand, Global};
use crate::clock::now_ms;
use crate::exit::Failure;
use crate::{output, session};

/// Does what was asked for to the database as a whole.
pub(crate) fn db(global: &Global, command: DbCommand) -> anyhow::Result<()> {
    match command {
        DbCommand::Migrate => migrate(global),
        DbCommand::Backup { file } => backup(global, &file),
        DbCommand::Restore { file } => restore(global, &file),
    }
}

fn migrate(global: &Global) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_project(global, &runtime, None)?;
    let version = project.wait(project.store.schema_version())?;
    match project.wait(project.store.confine_queries()) {
        // The schema stands; only `gyre query` waits for somebody who may make roles.
        Err(error @ StoreError::Unconfined { .. }) => {
            tracing::warn!(why = %error, "`gyre query` is not set up");
        }
        done => done?,
    }
    if global.json {
        return output::json(&json!({ "schema_version": version }));
    }
    output::line(format!("{} has schema version {version}", project.store.url()));
    Ok(())
}

/// The file appears under its name once it is whole.
fn backup(global: &Global, file: &Path) -> anyhow::Result<()> {
    if file.exists() {
        let message = format!("{} is there already; choose another name", file.display());
        return Err(Failure::error(Failure::WRONG_USAGE, message));
    }
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = file.with_file_name(name);
    let written =
        write_whole(&partial, file, |out| Ok(project.wait(project.store.backup(out, now_ms()))?));
    if written.is_err() {
        // What is left of it is of no use; the error says what went wrong.
        let _ = fs::remove_file(&partial);
    }
    report(global, "backed up", file, &written?)
}

fn write_whole(
    partial: &Path,
    file: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> anyhow::Result<BackupSummary>,
) -> anyhow::Result<BackupSummary> {
    let mut out = BufWriter::new(create_private(partial).map_err(io("write", partial))?);
    let summary = write(&mut out)?;
    let done = out.into_inner().map_err(|error| io("write", partial)(error.into_error()))?;
    done.sync_all().map_err(io("write", partial))?;
    fs::rename(partial, file).map_err(io("write", file))?;
    Ok(summary)
}

/// Grading keys are in it, so it is for its owner's eyes.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn restore(global: &Global, file: &Path) -> anyhow::Result<()> {
    let mut input = File::open(file).map_err(io("read", file))?;
    let runtime = session::runtime()?;
    let url = match &global.database {
        Some(url) => url.parse().map_err(|error| {
            let error: gyre_lineage::DatabaseUrlError = error;
            Failure::error(20, error.to_string())
        })?,
        None => {
            fs::create_dir_all(&global.data_dir).map_err(io("make", &global.data_dir))?;
            DatabaseUrl::Sqlite(global.data_dir.join("lineage.db"))
        }
    };
    let summary = runtime.block_on(gyre_lineage::restore(&url, &mut input));
    let summary = summary.map_err(|error| match error {
        error @ (StoreError::NotEmpty { .. } | StoreError::BackupUnusable { .. }) => {
            Failure::error(Failure::RESTORE_REFUSED, error.to_string())
        }
        error => error.into(),
    })?;
    report(global, "put back", file, &summary)?;
    // The files that name each run's last seal may be of a later time than the backup.
    let all = AuditArgs { run: None, renew_anchors: true };
    super::audit::audit(global, &all)
}

fn report(global: &Global, done: &str, file: &Path, summary: &BackupSummary) -> anyhow::Result<()> {
    if global.json {
        return output::json(&json!({ "file": file, "backup": summary }));
    }
    let rows: u64 = summary.rows.values().sum();
    output::line(format!(
        "{done}: {}, {} rows of {} tables at {}, schema version {}",
        file.display(),
        output::count(rows),
        summary.rows.len(),
        output::time(summary.created_at_ms),
        summary.schema_version
    ));
    Ok(())
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> anyhow::Error {
    let path = path.to_owned();
    move |source| Error::Io { doing, path, source }.into()
}
