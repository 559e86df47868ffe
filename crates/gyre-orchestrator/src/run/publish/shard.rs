//! Writes the rows of a round into a shard.

use std::collections::{BTreeMap, HashMap};

use gyre_dataset::{DatasetError, DatasetRow, DatasetWriter, PublishedShard, RowSource};
use gyre_lineage::{ShardKind, ShardRow, ShardRowRef, VerdictRow};
use gyre_types::{Judgement, RolloutId, Task, TaskId};

use super::selection::Selection;
use crate::error::Error;
use crate::run::context::RunContext;
use crate::run::recorded::rollout_records;

/// Rows that are made and held at a time: what a shard takes of memory, however
/// many rows a round has.
const ROWS_AT_A_TIME: usize = 1_000;

/// A shard that lies on disk, and what its rows came from.
pub(crate) struct WrittenShard {
    pub(crate) shard: ShardRow,
    pub(crate) rows: Vec<ShardRowRef>,
}

impl WrittenShard {
    /// A shard as the lineage is to name it.
    pub(crate) fn of(run: &RunContext, round: u32, kind: ShardKind, file: PublishedShard) -> Self {
        let shard = ShardRow {
            id: file.id,
            round,
            path: run.project.data.relative(&file.path),
            sha256: file.sha256,
            bytes: file.bytes,
            rows: file.rollouts.len() as u32,
            superseded: false,
            kind,
        };
        let row_of = |(at, rollout): (usize, RolloutId)| ShardRowRef {
            shard: shard.id.clone(),
            row: at as u32,
            rollout,
        };
        let rows = file.rollouts.into_iter().enumerate().map(row_of).collect();
        Self { shard, rows }
    }
}

/// Puts the shard of a selection on disk. It counts once a commit names it.
///
/// # Errors
///
/// When something recorded is missing, or the file cannot be written.
pub(crate) fn write_shard(
    run: &RunContext,
    round: u32,
    selection: &Selection,
) -> Result<WrittenShard, Error> {
    let layout = run.project.data.dataset(run.id());
    layout.create()?;
    let mut writer = DatasetWriter::new(layout.data(), round);
    let accepted = &selection.chosen.accepted;
    each_row(run, accepted, &selection.tasks, |source| writer.push(DatasetRow::of(source)))?;
    let file = writer.seal()?.publish()?;
    Ok(WrittenShard::of(run, round, ShardKind::Accepted, file))
}

/// Gives what the rows of some rollouts are made from to `push`, in order and so many
/// at a time. Rollouts come by task, and waves are of tasks in order: those side by
/// side lie in few parts.
///
/// # Errors
///
/// When something recorded is missing, or `push` fails.
pub(crate) fn each_row(
    run: &RunContext,
    rollouts: &[RolloutId],
    tasks: &BTreeMap<TaskId, Task>,
    mut push: impl FnMut(RowSource<'_>) -> Result<(), DatasetError>,
) -> Result<(), Error> {
    for rollouts in rollouts.chunks(ROWS_AT_A_TIME) {
        let found = run.wait(run.store().rollouts_among(run.id(), rollouts))?;
        let parts = found.iter().map(|row| &row.rollout.part);
        let mut records = rollout_records(run, parts, &rollouts.iter().collect())?;
        let mut verdicts: HashMap<_, _> =
            found.into_iter().filter_map(|row| Some((row.rollout.id, row.verdict?))).collect();
        for id in rollouts {
            let missing = |what: &str| run.unreadable(id.to_string(), what);
            let record = records.remove(id).ok_or_else(|| missing("its body is missing"))?;
            let verdict = verdicts.remove(id).ok_or_else(|| missing("its verdict is missing"))?;
            let task = tasks.get(&record.task).ok_or_else(|| missing("its task is missing"))?;
            let (verifier_digest, judgement) = (verdict.verifier_digest, judgement(verdict));
            // The binary verdict is the reward; per-check scores stand beside it.
            let reward = if judgement.verdict.is_pass() { 1.0 } else { 0.0 };
            push(RowSource {
                record: &record,
                task,
                judgement: &judgement,
                verifier_digest,
                reward,
                tools: &gyre_env::tools_json(&task.tools),
            })?;
        }
    }
    Ok(())
}

fn judgement(row: VerdictRow) -> Judgement {
    let VerdictRow { verdict, checks, fuel, guests, .. } = row;
    Judgement { verdict, checks, fuel, guests }
}
