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
use crate::run::attempts::pipeline::Pipeline;
use crate::run::context::RunContext;
use crate::run::event_log::LogEntry;
use crate::run::fleet::deliveries::delivered_verdicts;
use crate::run::recorded::planned;
use crate::run::tasks::store::TaskStore;

/// Verifies the rollouts of a wave, unless workers or the pipeline judged them already.
///
/// # Errors
///
/// When the wave's part cannot be read, the store fails, or a verifier's fault stops
/// the run.
pub(crate) fn verify(
    run: &RunContext,
    tasks: &mut TaskStore,
    source: &mut VerdictSource<'_>,
    state: &RoundState,
    at: WaveIndex,
) -> Result<LogEntry, Error> {
    let plan = planned(state);
    let (round, batch) = (plan.round, Batch::Wave(at));
    let records = read_records(run, round, &wave_part(at.phase, at.wave))?;
    let set = tasks.set(run, round, Split::Train)?;
    let judge = Judge { run, set: &set };
    let verdicts = verdicts(&judge, source, (round, batch), &records)?;
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

/// Who may have judged rollouts already.
pub(crate) enum VerdictSource<'a> {
    /// Workers, who made them.
    Workers,
    /// This process, as they ended.
    Pipeline(&'a mut Pipeline),
}

/// The verdicts on a batch's rollouts: those of whoever made them, or where there are
/// none, after a crash or of a batch that no worker made, new ones.
///
/// # Errors
///
/// When the store fails, or a verifier's fault stops the run.
pub(crate) fn verdicts(
    judge: &Judge<'_>,
    source: &mut VerdictSource<'_>,
    batch: (u32, Batch),
    records: &[RolloutRecord],
) -> Result<Vec<VerdictRow>, Error> {
    let judged = match source {
        VerdictSource::Workers => {
            let delivered = delivered_verdicts(judge.run, judge, batch, records)?;
            if let Some(verdicts) = &delivered {
                judge.stop_on_fault(records, verdicts)?;
            }
            delivered
        }
        VerdictSource::Pipeline(pipeline) => pipeline.verdicts(judge, records)?,
    };
    judged.map_or_else(|| judge.judge(records), Ok)
}

/// Has the commit that records a batch's verdicts take the batch from the workers:
/// whoever made it, what they deliver from here on is too late.
pub(crate) fn taking(mut entry: LogEntry, round: u32, batch: Batch) -> LogEntry {
    entry.rows.taken = Some((round, batch.name()));
    entry
}
