//! Removes what no transaction names: the leavings of a crash.

use std::collections::HashSet;
use std::path::PathBuf;

use gyre_folder::{EntryKind, Folder};
use gyre_lineage::{RunRow, RunStatus, StoreError};
use gyre_types::RunId;

use super::lease::HeldLease;
use super::publish::index::write_index;
use crate::anchor;
use crate::champion;
use crate::clock::Clock;
use crate::error::Error;
use crate::inspect;
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
            Ok(_held) => match collect(project, &run) {
                // Nothing of it is touched until somebody has looked at it.
                Err(error @ Error::RecordLost { .. }) => {
                    tracing::error!(%error, "the run is left as it is");
                    continue;
                }
                collected => collected?,
            },
            // Somebody drives it, and put it right at that one's start.
            Err(Error::Store(StoreError::Held { .. })) => continue,
            Err(error) => return Err(error),
        }
        reconciled.push(run.id);
    }
    Ok(reconciled)
}

/// Removes what no transaction names of a run. Needs the lease, before anything is
/// written: whatever of this run is on disk and not in the lineage was never committed.
///
/// # Errors
///
/// When the store fails, a file cannot be removed, and [`Error::RecordLost`].
pub(crate) fn collect(project: &Project, run: &RunRow) -> Result<(), Error> {
    // What a lost part of the lineage named is no garbage.
    anchor::require(project, &run.id)?;
    let root = project.data.run(&run.id);
    let known = named_paths(project, &run.id)?;
    for kind in ["rollouts", "checkpoints"] {
        sweep(project, &root.below(kind), &known)?;
    }
    let dataset = project.data.dataset(&run.id);
    gyre_dataset::collect_garbage(dataset.folder(), &known)?;
    gyre_dataset::collect_garbage(dataset.data(), &known)?;
    gyre_dataset::collect_garbage(dataset.groups(), &known)?;
    for superseded in [project.data.superseded(&run.id), dataset.folder().below("superseded")] {
        gyre_dataset::collect_garbage(superseded, &known)?;
    }
    // It follows from what transactions name, as the index does.
    champion::renew_link(project, &run.id)?;
    write_index(project, run)
}

/// All files and folders of a run that the lineage names, but for those given up.
pub(crate) fn named_paths(project: &Project, run: &RunId) -> Result<HashSet<PathBuf>, Error> {
    let mut known = HashSet::new();
    let mut parts = project.store.parts(run);
    while let Some(parts) = project.wait(parts.next())? {
        known.extend(parts.iter().filter_map(|part| project.data.place(&part.path)));
    }
    let shards = inspect::shards(project, run)?;
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
fn sweep(project: &Project, folder: &Folder, known: &HashSet<PathBuf>) -> Result<(), Error> {
    for path in unnamed(folder, known)? {
        tracing::info!(path = %path.display(), "removing what no transaction names");
        gyre_fault::io_point("garbage::removing").map_err(io("remove", &path))?;
        project.data.remove(&path).map_err(io("remove", &path))?;
        gyre_fault::io_point("garbage::removed").map_err(io("remove", &path))?;
    }
    Ok(())
}

/// Everything below `folder` that is neither known nor leads to something known.
/// Symbolic links are listed themselves and never followed.
pub(crate) fn unnamed(folder: &Folder, known: &HashSet<PathBuf>) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in folder.entries().map_err(io("list", &folder.path()))? {
        let path = folder.path().join(&entry.name);
        if known.contains(&path) {
            continue;
        }
        let leads_to_known = known.iter().any(|named| named.starts_with(&path));
        if leads_to_known && entry.kind == EntryKind::Folder {
            found.extend(unnamed(&folder.below(&entry.name), known)?);
        } else if !leads_to_known {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::layout::DataDir;

    /// What is named may lie behind a link that leads out: nothing there is ours.
    #[test]
    fn nothing_is_looked_for_behind_a_link() {
        let above = tempfile::tempdir().unwrap();
        let data = DataDir::new(above.path().join("data"));
        let rollouts = data.run(&"run-1".parse().unwrap()).below("rollouts");
        rollouts.below("round-0002").make().unwrap();
        rollouts.write("round-0002/named.parquet", b"").unwrap();
        rollouts.write("round-0002/stray.parquet", b"").unwrap();
        let others = above.path().join("others");
        fs::create_dir(&others).unwrap();
        fs::write(others.join("theirs"), "theirs").unwrap();
        symlink(&others, rollouts.path().join("round-0001")).unwrap();
        symlink(&others, rollouts.path().join("round-0009")).unwrap();

        let at = |path: &str| rollouts.path().join(path);
        let known = ["round-0001/named.parquet", "round-0002/named.parquet"].map(at).into();
        let found = unnamed(&rollouts, &known).unwrap();
        assert_eq!(found, ["round-0002/stray.parquet", "round-0009"].map(at));
        found.iter().for_each(|path| data.remove(path).unwrap());
        assert_eq!(unnamed(&rollouts, &known).unwrap(), [""; 0].map(PathBuf::from));
        assert_eq!(fs::read_to_string(others.join("theirs")).unwrap(), "theirs");
    }
}
