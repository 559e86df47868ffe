//! Takes in what workers delivered.

use gyre_dataset::{Source, read_part};
use gyre_env::EpisodeOutcome;
use gyre_lineage::{Delivery, VerdictRow, WorkKey, WorkRow};
use gyre_types::{Judgement, RolloutRecord, StopReason};

use super::handle::Fleet;
use super::piece::Reply;
use crate::error::Error;
use crate::project::io;
use crate::run::attempts::assignment::Batch;
use crate::run::context::RunContext;
use crate::run::verdicts::judge::Judge;

/// What came of fetching a batch.
pub(super) enum Fetched {
    /// Its rollouts, in order.
    All(Vec<EpisodeOutcome>),
    /// Pieces whose result is recorded and cannot be read.
    Unreadable(Vec<LostResult>),
}

/// A result that is recorded and cannot be read.
pub(super) struct LostResult {
    pub(super) key: WorkKey,
    /// Of the claim under which it was delivered.
    pub(super) epoch: u64,
    pub(super) path: String,
    pub(super) why: &'static str,
}

/// Fetches a batch's rollouts from the object store.
pub(super) fn fetch(
    run: &RunContext,
    fleet: &Fleet,
    round: u32,
    batch: Batch,
) -> Result<Fetched, Error> {
    let folder = run.project.data.run(run.id()).below("rollouts");
    folder.make().map_err(io("make", &folder.path()))?;
    let (mut made, mut lost) = (Vec::new(), Vec::new());
    for (row, delivery) in deliveries(run, round, batch)?.unwrap_or_default() {
        let name = format!("{}-{}.fetched", batch.name(), row.key.piece);
        let to = (&folder, name.as_str());
        if let Err(why) = fleet.objects.fetch(&delivery.path, &delivery.sha256, to)? {
            lost.push(LostResult { key: row.key, epoch: row.epoch, path: delivery.path, why });
            continue;
        }
        let part = Source::below(&folder, &name);
        let records = read_part(part)?.collect::<Result<Vec<RolloutRecord>, _>>()?;
        folder.remove_file(&name).map_err(io("remove", &folder.path().join(&name)))?;
        let reply = reply(run, &row, &delivery)?;
        let outcome = |(at, record)| EpisodeOutcome { fault: reply.fault(at), record };
        made.extend((0u32..).zip(records).map(outcome));
    }
    Ok(if lost.is_empty() { Fetched::All(made) } else { Fetched::Unreadable(lost) })
}

/// The verdicts of workers on a batch's rollouts; none where they did not make it.
///
/// # Errors
///
/// When the store fails, or the verdicts are not those of the rollouts.
pub(crate) fn delivered_verdicts(
    run: &RunContext,
    judge: &Judge<'_>,
    (round, batch): (u32, Batch),
    records: &[RolloutRecord],
) -> Result<Option<Vec<VerdictRow>>, Error> {
    let Some(deliveries) = deliveries(run, round, batch)? else { return Ok(None) };
    let mut judgements = Vec::new();
    for (row, delivery) in &deliveries {
        judgements.extend(reply(run, row, delivery)?.judgements);
    }
    let open: Vec<_> = records.iter().filter(|r| r.stop != StopReason::Faulted).collect();
    if open.len() != judgements.len() {
        let what = format!("the workers' verdicts on {}", batch.name());
        let why = format!("{} verdicts for {} rollouts", judgements.len(), open.len());
        return Err(run.unreadable(what, why));
    }
    let row = |(record, judgement): (&&RolloutRecord, Judgement)| judge.row(record, judgement);
    open.iter().zip(judgements).map(row).collect::<Result<_, _>>().map(Some)
}

/// The results of a batch, piece by piece; none unless all are there.
fn deliveries(
    run: &RunContext,
    round: u32,
    batch: Batch,
) -> Result<Option<Vec<(WorkRow, Delivery)>>, Error> {
    let rows = run.wait(run.store().work(run.id(), round, &batch.name()))?;
    let delivered = |row: WorkRow| row.delivery.clone().map(|delivery| (row, delivery));
    let is_offered = !rows.is_empty();
    Ok(rows.into_iter().map(delivered).collect::<Option<Vec<_>>>().filter(|_| is_offered))
}

fn reply(run: &RunContext, row: &WorkRow, delivery: &Delivery) -> Result<Reply, Error> {
    serde_json::from_value(delivery.result.clone()).map_err(|error| {
        let what = format!("the reply of {} to piece {}", row.worker, row.key.piece);
        run.unreadable(what, error)
    })
}
