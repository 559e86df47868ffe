//! Removes what no transaction names: the leavings of a crash.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use gyre_dataset::Layout;
use gyre_lineage::{RunRow, RunStatus, StoreError};
use gyre_types::RunId;

use super::curate::write_index;
use super::lease::HeldLease;
use super::{Clock, Runner};
use crate::error::Error;
use crate::project::{Project, io};

/// Puts right what a crash left of every unfinished run that no process drives:
/// leases of the dead are taken and given back, and files that no transaction
/// names are removed. Gives the runs. What a crash in the midst of it leaves is
/// put right by the next.
pub(crate) fn reconcile(project: &Project, clock: Clock) -> Result<Vec<RunId>, Error> {
    let mut reconciled = Vec::new();
    for run in project.wait(project.store.runs().collect())? {
        if run.status != RunStatus::Active {
            continue;
        }
        match HeldLease::acquire(project, &run.id, clock) {
            Ok(_held) => collect(project, &run)?,
            // Somebody drives it, and put it right at that one's start.
            Err(Error::Store(StoreError::Held { .. })) => continue,
            Err(error) => return Err(error),
        }
        reconciled.push(run.id);
    }
    Ok(reconciled)
}

impl Runner<'_> {
    /// Runs under the lease, before anything is written: whatever of this run
    /// is on disk and not in the lineage was never committed.
    pub(super) fn collect_garbage(&self) -> Result<(), Error> {
        collect(&self.project, &self.run)
    }
}

fn collect(project: &Project, run: &RunRow) -> Result<(), Error> {
    let root = project.data.run(&run.id);
    let known = named_paths(project, &run.id)?;
    for kind in ["rollouts", "checkpoints"] {
        sweep(&root.join(kind), &known)?;
    }
    let dataset = Layout::new(&project.data.dataset(&run.id));
    gyre_dataset::collect_garbage(dataset.root(), &known)?;
    gyre_dataset::collect_garbage(&dataset.data_dir(), &known)?;
    for superseded in [project.data.superseded(&run.id), dataset.root().join("superseded")] {
        gyre_dataset::collect_garbage(&superseded, &known)?;
    }
    write_index(project, run)
}

/// All files and folders of a run that the lineage names, but for those given up.
pub(crate) fn named_paths(project: &Project, run: &RunId) -> Result<HashSet<PathBuf>, Error> {
    let mut known = HashSet::new();
    let mut parts = project.store.parts(run);
    while let Some(parts) = project.wait(parts.next())? {
        known.extend(parts.iter().filter_map(|part| project.data.place(&part.path)));
    }
    let shards = crate::inspect::shards(project, run)?;
    known.extend(shards.iter().filter_map(|shard| project.data.place(&shard.path)));
    let checkpoints = project.wait(project.store.checkpoints(run).collect())?;
    known.extend(checkpoints.iter().filter_map(|row| project.data.place(&row.path)));
    for path in project.wait(project.store.retired(run))? {
        project.data.place(&path).map(|place| known.remove(&place));
    }
    Ok(known)
}

/// Removes everything below `folder` that is neither known nor leads to
/// something known.
fn sweep(folder: &Path, known: &HashSet<PathBuf>) -> Result<(), Error> {
    for path in unnamed(folder, known)? {
        tracing::info!(path = %path.display(), "removing what no transaction names");
        gyre_fault::io_point("garbage::removing").map_err(io("remove", &path))?;
        remove(&path)?;
        gyre_fault::io_point("garbage::removed").map_err(io("remove", &path))?;
    }
    Ok(())
}

/// Removes a file or a folder.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(io("remove", path))
}

/// Everything below `folder` that is neither known nor leads to something known.
pub(crate) fn unnamed(folder: &Path, known: &HashSet<PathBuf>) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io("list", folder))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(io("list", folder))?.path();
        if known.contains(&path) {
            continue;
        }
        if known.iter().any(|named| named.starts_with(&path)) {
            found.extend(unnamed(&path, known)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
