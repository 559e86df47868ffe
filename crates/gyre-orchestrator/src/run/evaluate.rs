//! Measures a candidate on held-out tasks.

use gyre_round::{RoundEvent, RoundState};
use gyre_types::Split;

use super::attempts::assignment::Batch;
use super::attempts::sample::Sampler;
use super::event_log::LogEntry;
use super::recorded::planned;
use super::verdicts::judge::{Judge, count, count_faults};
use super::verdicts::recheck::recheck;
use super::verdicts::verify::{VerdictSource, taking, verdicts};
use crate::error::Error;
use crate::progress::working;

/// Has a candidate act once, greedily, at every task of a part. Rollouts and verdicts
/// become durable in one commit.
///
/// # Errors
///
/// When model, workers, store or disk fail, and [`Error::Interrupted`].
pub(crate) fn evaluate(
    sampler: &mut Sampler<'_>,
    state: &RoundState,
    part: Split,
) -> Result<LogEntry, Error> {
    let (run, plan) = (sampler.run, planned(state));
    let (round, batch) = (plan.round, Batch::HeldOut(part));
    let what =
        if part == Split::Gate { "evaluating for the gate" } else { "evaluating for the report" };
    let set = sampler.tasks.set(run, 0, part)?;
    working(sampler.observer, round, what, 0, set.tasks.len() as u64);
    let stored = sampler.sample(state, batch)?;
    let judge = Judge { run, set: &set };
    let mut source = match sampler.fleet {
        Some(_) => VerdictSource::Workers,
        None => VerdictSource::Pipeline(sampler.pipeline),
    };
    let verdicts = verdicts(&judge, &mut source, (round, batch), &stored.records)?;
    let recheck = recheck(&judge, plan, &stored.records, &verdicts, true)?;
    let counts = recheck.correct(count(&stored.records, &verdicts));
    let rechecked = recheck.rechecked;
    let faulted = stored.faulted.len() as u32 + count_faults(&verdicts);
    let usage = run.usage(&stored.records);
    let event = RoundEvent::Evaluated { part, counts, rechecked, faulted, usage };
    let mut entry = LogEntry::new(run, event);
    entry.rows.rollout_parts.push(stored.part);
    entry.rows.rollouts = stored.rows;
    entry.rows.verdicts = verdicts;
    entry.rows.verdicts.extend(stored.faulted);
    entry.rows.verdicts.extend(recheck.corrections);
    entry.rows.alarms = recheck.alarms;
    Ok(taking(entry, round, batch))
}
