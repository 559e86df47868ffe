//! Retention: what may be taken away without anything being missed.
//!
//! Two kinds: files that no transaction names, which are the leavings of a
//! crash, and files that rules give up (`retired` in the lineage), of which the
//! rows stay. A champion, past or present, is never given up, nor anything of a
//! run that is not finished.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use gyre_folder::{EntryKind, Folder};
use gyre_lineage::{GateDecision, RunRow, RunStatus, SealChain};
use gyre_types::{CheckpointId, RunId, StoredPath};

use crate::anchor;
use crate::clock::Clock;
use crate::error::Error;
use crate::inspect;
use crate::project::{Project, io};
use crate::run::garbage::{named_paths, unnamed};
use crate::run::lease::HeldLease;

/// What is given up beside files that nothing names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcRules {
    /// The weights of rejected candidates, but for so many of each run's
    /// newest; all are kept by default.
    pub rejected_kept: Option<u32>,
    /// The files of shards that a revocation took out of the dataset.
    pub superseded_shards: bool,
    /// Only tell what would be taken away.
    pub dry_run: bool,
}

/// Something that is taken away.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GcItem {
    /// Why: `unreferenced`, `rejected_checkpoint` or `superseded_shard`.
    pub why: &'static str,
    /// Whose.
    pub run: RunId,
    /// The file or folder.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// What a collection came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct GcReport {
    /// What was taken away, or would be.
    pub items: Vec<GcItem>,
    /// Runs that were left alone, since they are not finished.
    pub left_alone: Vec<RunId>,
}

/// Collects over all runs, each under its lease.
///
/// A crash leaves a row that tells of a file which is still there: the next
/// collection removes it.
///
/// # Errors
///
/// When the store fails, a file cannot be removed, or another process works on
/// a run.
pub fn collect(project: &Project, rules: GcRules, clock: Clock) -> Result<GcReport, Error> {
    let mut report = GcReport::default();
    for run in project.wait(project.store.runs().collect())? {
        // Its next start removes what its last one left, and may need the rest.
        if run.status == RunStatus::Active {
            report.left_alone.push(run.id);
            continue;
        }
        let _held = match rules.dry_run {
            true => None,
            false => Some(HeldLease::acquire(project, &run.id, clock)?),
        };
        anchor::require(project, &run.id)?;
        let chain = SealChain::Run(run.id.clone());
        if !rules.dry_run {
            anchor::renew(project, &chain)?;
        }
        let given_up = given_up(project, &run, rules)?;
        let items = items(project, &run, &given_up)?;
        if !rules.dry_run {
            let paths = given_up.iter().map(|(_, path)| path.clone()).collect();
            project.wait(project.store.retire(&run.id, paths, clock()))?;
            anchor::renew(project, &chain)?;
            for item in &items {
                project.data.remove(&item.path).map_err(io("remove", &item.path))?;
            }
        }
        report.items.extend(items);
    }
    Ok(report)
}

/// What rules give up of a run: why, and the path in the lineage.
fn given_up(
    project: &Project,
    run: &RunRow,
    rules: GcRules,
) -> Result<Vec<(&'static str, StoredPath)>, Error> {
    let mut given_up = Vec::new();
    if let Some(kept) = rules.rejected_kept {
        let never = needed(project, &run.id)?;
        let mut rejected: Vec<_> = project
            .wait(project.store.checkpoints(&run.id).collect())?
            .into_iter()
            .filter(|row| !never.contains(&row.id))
            .collect();
        rejected.sort_by_key(|row| std::cmp::Reverse(row.round));
        let old = rejected.into_iter().skip(kept as usize);
        given_up.extend(old.map(|row| ("rejected_checkpoint", row.path)));
    }
    if rules.superseded_shards {
        let shards = inspect::shards(project, &run.id)?.into_iter();
        let superseded = shards.filter(|shard| shard.superseded);
        given_up.extend(superseded.map(|shard| ("superseded_shard", shard.path)));
    }
    Ok(given_up)
}

/// Checkpoints that something may ask for: champions of any time, what they
/// descend from, and what a review of a gate says should have been one.
fn needed(project: &Project, run: &RunId) -> Result<BTreeSet<CheckpointId>, Error> {
    let mut needed = BTreeSet::new();
    for promotion in project.wait(project.store.promotions(run).collect())? {
        needed.insert(promotion.champion);
        needed.extend(promotion.previous);
    }
    let reviewed = project.wait(project.store.reviewed_rounds(run))?;
    for gate in project.wait(project.store.gates(run).collect())? {
        needed.insert(gate.champion);
        if gate.decision == GateDecision::Promoted || reviewed.contains(&gate.round) {
            needed.insert(gate.candidate);
        }
    }
    for row in project.wait(project.store.checkpoints(run).collect())? {
        needed.extend(row.parent);
    }
    Ok(needed)
}

/// What is there of all that goes.
fn items(
    project: &Project,
    run: &RunRow,
    given_up: &[(&'static str, StoredPath)],
) -> Result<Vec<GcItem>, Error> {
    let mut items = Vec::new();
    let folder = project.data.folder();
    let mut add = |why, path: PathBuf| {
        let name = path.strip_prefix(project.data.root()).unwrap_or(&path);
        if let Some(bytes) = bytes(&folder, name) {
            items.push(GcItem { why, run: run.id.clone(), bytes, path });
        }
    };
    for (why, path) in given_up {
        let resolved = project.data.resolve(path);
        add(
            *why,
            resolved.map_err(|error| Error::Recorded {
                run: run.id.clone(),
                what: path.to_string(),
                why: error.to_string(),
            })?,
        );
    }
    for path in unreferenced(project, &run.id)? {
        add("unreferenced", path);
    }
    Ok(items)
}

fn unreferenced(project: &Project, run: &RunId) -> Result<Vec<PathBuf>, Error> {
    let known: HashSet<PathBuf> = named_paths(project, run)?;
    let root = project.data.run(run);
    let mut found = Vec::new();
    for kind in ["rollouts", "checkpoints"] {
        found.extend(unnamed(&root.below(kind), &known)?);
    }
    let dataset = project.data.dataset(run);
    // The second is where earlier versions put them.
    let superseded = [project.data.superseded(run), dataset.folder().below("superseded")];
    let published = [dataset.folder().clone(), dataset.data(), dataset.groups()];
    for folder in published.into_iter().chain(superseded) {
        found.extend(gyre_dataset::find_garbage(folder, &known)?);
    }
    Ok(found)
}

/// The size of a file, or of all that is in a folder; none where nothing is there.
/// What links lead to is not counted.
fn bytes(folder: &Folder, name: &Path) -> Option<u64> {
    let parent = folder.below(name.parent().unwrap_or(Path::new("")));
    let entries = parent.entries().unwrap_or_default();
    let entry =
        entries.into_iter().find(|entry| Some(entry.name.as_os_str()) == name.file_name())?;
    Some(match entry.kind {
        EntryKind::Folder => bytes_in(&folder.below(name)),
        EntryKind::File | EntryKind::Other => entry.bytes,
    })
}

fn bytes_in(folder: &Folder) -> u64 {
    let entries = folder.entries().unwrap_or_default().into_iter();
    let size = |entry: gyre_folder::Entry| match entry.kind {
        EntryKind::Folder => bytes_in(&folder.below(&entry.name)),
        EntryKind::File | EntryKind::Other => entry.bytes,
    };
    entries.map(size).sum()
}
