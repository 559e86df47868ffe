//! Verifies the rollouts of a wave.

use gyre_lineage::VerdictRow;
use gyre_round::{RoundEvent, RoundState, WaveIndex};
use gyre_types::{RolloutRecord, Split};

use super::judge::{Judge, count, count_faults};
use super::recheck::recheck;
use crate::error::Error;
use crate::layout::wave_part;
use crate::run::attempts::assignment::Batch;
use crate::run::attempts::part_file::read_records;
use crate::run::context::RunContext;
use crate::run::event_log::LogEntry;
use crate::run::fleet::deliveries::delivered_verdicts;
use crate::run::recorded::planned;
use crate::run::tasks::store::TaskStore;

/// Verifies the rollouts of a wave. `has_workers` says whether workers may have
/// judged them already.
///
/// # Errors
///
/// When the wave's part cannot be read, the store fails, or a verifier's fault stops
/// the run.
pub(crate) fn verify(
    run: &RunContext,
    tasks: &mut TaskStore,
    has_workers: bool,
    state: &RoundState,
    at: WaveIndex,
) -> Result<LogEntry, Error> {
    let plan = planned(state);
    let (round, batch) = (plan.round, Batch::Wave(at));
    let records = read_records(run, round, &wave_part(at.phase, at.wave))?;
    let set = tasks.set(run, round, Split::Train)?;
    let judge = Judge { run, set: &set };
    let verdicts = verdicts(&judge, has_workers, (round, batch), &records)?;
    let is_first = state.counts.passed == 0 && state.rechecked.is_none();
    let recheck = recheck(&judge, plan, &records, &verdicts, is_first)?;
    let counts = recheck.correct(count(&records, &verdicts));
    let rechecked = recheck.rechecked;
    let faulted = count_faults(&verdicts);
    let event = RoundEvent::WaveVerified { at, counts, rechecked, faulted };
    let mut entry = LogEntry::new(run, event);
    entry.rows.verdicts = verdicts;
    entry.rows.verdicts.extend(recheck.corrections);
    entry.rows.alarms = recheck.alarms;
    Ok(taking(entry, round, batch))
}

/// The verdicts on a batch's rollouts: those of the workers who made them, or our own.
///
/// # Errors
///
/// When the store fails, or a verifier's fault stops the run.
pub(crate) fn verdicts(
    judge: &Judge<'_>,
    has_workers: bool,
    batch: (u32, Batch),
    records: &[RolloutRecord],
) -> Result<Vec<VerdictRow>, Error> {
    let delivered =
        if has_workers { delivered_verdicts(judge.run, judge, batch, records)? } else { None };
    match delivered {
        Some(verdicts) => {
            judge.stop_on_fault(records, &verdicts)?;
            Ok(verdicts)
        }
        None => judge.judge(records),
    }
}

/// Has the commit that records a batch's verdicts take the batch from the workers:
/// whoever made it, what they deliver from here on is too late.
pub(crate) fn taking(mut entry: LogEntry, round: u32, batch: Batch) -> LogEntry {
    entry.rows.taken = Some((round, batch.name()));
    entry
}
