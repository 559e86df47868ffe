//! Writes the rows of a round into a shard.

use std::collections::{BTreeMap, HashMap};

use gyre_dataset::{DatasetRow, DatasetWriter, RowSource};
use gyre_lineage::{ShardRow, ShardRowRef, VerdictRow};
use gyre_types::{Judgement, RolloutId, RolloutRecord, Task, TaskId};

use super::selection::Selection;
use crate::error::Error;
use crate::run::context::RunContext;
use crate::run::recorded::rollout_records;

/// Rows that are made and held at a time: what a shard takes of memory, however
/// many rows a round has.
const ROWS_AT_A_TIME: usize = 1_000;

/// Puts the shard of a selection on disk. It counts once a commit names it.
///
/// # Errors
///
/// When something recorded is missing, or the file cannot be written.
pub(crate) fn write_shard(
    run: &RunContext,
    round: u32,
    selection: &Selection,
) -> Result<(ShardRow, Vec<ShardRowRef>), Error> {
    let layout = run.project.data.dataset(run.id());
    layout.create()?;
    let mut writer = DatasetWriter::new(layout.data(), round);
    for accepted in selection.chosen.accepted.chunks(ROWS_AT_A_TIME) {
        for row in dataset_rows(run, accepted, &selection.tasks)? {
            writer.push(row)?;
        }
    }
    let file = writer.seal()?.publish()?;
    let shard = ShardRow {
        id: file.id,
        round,
        path: run.project.data.relative(&file.path),
        sha256: file.sha256,
        bytes: file.bytes,
        rows: file.rollouts.len() as u32,
        superseded: false,
    };
    let row_of = |(at, rollout): (usize, RolloutId)| ShardRowRef {
        shard: shard.id.clone(),
        row: at as u32,
        rollout,
    };
    let rows = file.rollouts.into_iter().enumerate().map(row_of).collect();
    Ok((shard, rows))
}

/// The rows of some accepted rollouts, in order. Rollouts are accepted by task,
/// and waves are of tasks in order: those side by side lie in few parts.
fn dataset_rows(
    run: &RunContext,
    accepted: &[RolloutId],
    tasks: &BTreeMap<TaskId, Task>,
) -> Result<Vec<DatasetRow>, Error> {
    let found = run.wait(run.store().rollouts_among(run.id(), accepted))?;
    let parts = found.iter().map(|row| &row.rollout.part);
    let mut records = rollout_records(run, parts, &accepted.iter().collect())?;
    let mut verdicts: HashMap<_, _> =
        found.into_iter().filter_map(|row| Some((row.rollout.id, row.verdict?))).collect();
    let tools = gyre_env::program::tools::specs_json();
    let row = |id: &RolloutId| {
        let missing = |what: &str| run.unreadable(id.to_string(), what);
        let record = records.remove(id).ok_or_else(|| missing("its body is missing"))?;
        let verdict = verdicts.remove(id).ok_or_else(|| missing("its verdict is missing"))?;
        let task = tasks.get(&record.task).ok_or_else(|| missing("its task is missing"))?;
        Ok(dataset_row(&record, task, &verdict, &tools))
    };
    accepted.iter().map(row).collect()
}

fn dataset_row(
    record: &RolloutRecord,
    task: &Task,
    verdict: &VerdictRow,
    tools: &str,
) -> DatasetRow {
    let judgement = Judgement {
        verdict: verdict.verdict.clone(),
        checks: verdict.checks.clone(),
        fuel: verdict.fuel,
        guests: verdict.guests,
    };
    // The binary verdict is the reward; per-check scores stand beside it.
    let reward = if judgement.verdict.is_pass() { 1.0 } else { 0.0 };
    DatasetRow::of(RowSource {
        record,
        task,
        judgement: &judgement,
        verifier_digest: verdict.verifier_digest,
        reward,
        tools,
    })
}
