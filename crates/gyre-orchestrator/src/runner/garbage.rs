//! Removes what no transaction names: the leavings of a crash.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use gyre_dataset::Layout;
use gyre_types::PartId;

use super::Runner;
use crate::error::Error;
use crate::project::io;

const PAGE: u32 = 5_000;

impl Runner<'_> {
    /// Runs under the lease, before anything is written: whatever of this run
    /// is on disk and not in the lineage was never committed.
    pub(super) fn collect_garbage(&self) -> Result<(), Error> {
        let root = self.project.data.run(&self.run.id);
        let known = self.named_paths()?;
        for kind in ["rollouts", "checkpoints"] {
            sweep(&root.join(kind), &known)?;
        }
        let dataset = Layout::new(&self.project.data.dataset(&self.run.id));
        gyre_dataset::collect_garbage(dataset.root(), &known)?;
        gyre_dataset::collect_garbage(&dataset.data_dir(), &known)?;
        gyre_dataset::collect_garbage(&dataset.root().join("superseded"), &known)?;
        self.write_index()
    }

    fn named_paths(&self) -> Result<HashSet<PathBuf>, Error> {
        let (project, run) = (&self.project, &self.run.id);
        let mut known = HashSet::new();
        let mut after: Option<PartId> = None;
        loop {
            let page = project.wait(project.store.parts(run, after.as_ref(), PAGE))?;
            known.extend(page.iter().map(|part| project.data.file(&part.path)));
            match page.last() {
                Some(last) => after = Some(last.id.clone()),
                None => break,
            }
        }
        let shards = crate::inspect::shards(project, run)?;
        known.extend(shards.iter().map(|shard| project.data.file(&shard.path)));
        let checkpoints = project.wait(project.store.checkpoints(run, None, PAGE))?;
        known.extend(checkpoints.rows.iter().map(|row| project.data.file(&row.path)));
        Ok(known)
    }
}

/// Removes everything below `folder` that is neither known nor leads to
/// something known.
fn sweep(folder: &Path, known: &HashSet<PathBuf>) -> Result<(), Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(io("list", folder))?,
    };
    for entry in entries {
        let path = entry.map_err(io("list", folder))?.path();
        if known.contains(&path) {
            continue;
        }
        let leads_on = known.iter().any(|named| named.starts_with(&path));
        if leads_on {
            sweep(&path, known)?;
        } else if path.is_dir() {
            tracing::info!(path = %path.display(), "removing what no transaction names");
            fs::remove_dir_all(&path).map_err(io("remove", &path))?;
        } else {
            tracing::info!(path = %path.display(), "removing what no transaction names");
            fs::remove_file(&path).map_err(io("remove", &path))?;
        }
    }
    Ok(())
}
