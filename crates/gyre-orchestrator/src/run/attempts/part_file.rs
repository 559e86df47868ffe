//! The files that rollouts are kept in, one for each batch.

use std::collections::BTreeMap;

use gyre_dataset::{Source, read_part, write_part};
use gyre_env::EpisodeOutcome;
use gyre_lineage::{PartRow, RolloutRow, VerdictRow};
use gyre_types::{PartId, RolloutRecord, Task, TaskId};

use crate::error::Error;
use crate::project::io;
use crate::run::context::RunContext;
use crate::run::tasks::store::missing;
use crate::run::verdicts::judge::fault_verdict;

/// Rollouts that were made and written, ready to be committed.
pub(crate) struct StoredPart {
    pub(crate) part: PartRow,
    pub(crate) rows: Vec<RolloutRow>,
    /// The verdicts of rollouts that a fault of the model or the sandbox ended.
    pub(crate) faulted: Vec<VerdictRow>,
    pub(crate) records: Vec<RolloutRecord>,
}

/// Writes the rollouts of a batch. The file counts once a commit names it.
///
/// # Errors
///
/// When the file cannot be written, or a rollout is of none of `tasks`.
pub(crate) fn store_part(
    run: &RunContext,
    (round, name): (u32, &str),
    tasks: &BTreeMap<TaskId, Task>,
    made: Vec<EpisodeOutcome>,
) -> Result<StoredPart, Error> {
    let folder = run.project.data.rollouts(run.id(), round);
    folder.make().map_err(io("make", &folder.path()))?;
    let faults: Vec<_> = made.iter().map(|m| m.fault.clone()).collect();
    let records: Vec<_> = made.into_iter().map(|m| m.record).collect();
    let file = write_part(&folder, name, &records)?;
    let part = PartRow {
        id: PartId::from_digest(&file.sha256),
        path: run.project.data.relative(&file.path),
        sha256: file.sha256,
        bytes: file.bytes,
        rows: file.rows,
    };
    let row =
        |(at, record): (usize, &RolloutRecord)| RolloutRow::of(record, part.id.clone(), at as u32);
    let rows = records.iter().enumerate().map(row).collect();
    let mut faulted = Vec::new();
    for (record, fault) in records.iter().zip(faults) {
        let Some(fault) = fault else { continue };
        let task = tasks.get(&record.task).ok_or_else(|| missing(run, &record.task))?;
        faulted.push(fault_verdict(&run.harness, task, record, fault));
    }
    Ok(StoredPart { part, rows, faulted, records })
}

/// The records of a batch, read back from its part.
///
/// # Errors
///
/// When the part is missing or cannot be read.
pub(crate) fn read_records(
    run: &RunContext,
    round: u32,
    name: &str,
) -> Result<Vec<RolloutRecord>, Error> {
    let folder = run.project.data.rollouts(run.id(), round);
    let part = Source::below(&folder, format!("{name}.parquet"));
    Ok(read_part(part)?.collect::<Result<_, _>>()?)
}
