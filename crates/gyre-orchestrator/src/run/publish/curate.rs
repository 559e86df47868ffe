//! Publishes the rows that a round trains on.

use std::collections::BTreeMap;

use gyre_round::{Curated, RoundEvent, RoundState};

use super::groups::write_groups;
use super::selection::select;
use super::shard::{WrittenShard, write_shard};
use crate::error::Error;
use crate::run::context::RunContext;
use crate::run::event_log::LogEntry;
use crate::run::recorded::planned;

/// Chooses the rows of a round and writes them, and its whole groups beside them. A
/// round without a row fails, unless it is the base, or nothing would be trained on them.
///
/// # Errors
///
/// When something recorded is missing, or the shard cannot be written.
pub(crate) fn curate_round(run: &RunContext, state: &RoundState) -> Result<LogEntry, Error> {
    let plan = planned(state);
    let selection = select(run, plan)?;
    let chosen = &selection.chosen;
    let event =
        |rows, shard, groups| RoundEvent::Curated { rows, shard, funnel: funnel(chosen), groups };
    if chosen.accepted.is_empty() {
        let cause = "no rollout was accepted".to_owned();
        return Ok(LogEntry::new(
            run,
            match state.is_base() || state.collects_only() {
                true => event(0, None, None),
                false => RoundEvent::Failed { cause, ends_run: false },
            },
        ));
    }
    let accepted = write_shard(run, plan.round, &selection)?;
    let groups = match plan.curation.groups {
        true => write_groups(run, plan.round, &selection.tasks)?,
        false => None,
    };
    let (groups, told) = groups.unzip();
    let event = event(accepted.shard.rows, Some(accepted.shard.id.clone()), told);
    let mut entry = LogEntry::new(run, event);
    for WrittenShard { shard, rows } in std::iter::once(accepted).chain(groups) {
        entry.rows.shards.push(shard);
        entry.rows.shard_rows.extend(rows);
    }
    Ok(entry)
}

fn funnel(chosen: &Curated) -> BTreeMap<String, u32> {
    let funnel = &chosen.funnel;
    let rejected =
        funnel.rejected.iter().map(|(reason, n)| (reason.as_str().to_owned(), *n as u32));
    rejected
        .chain([
            ("candidates".to_owned(), funnel.candidates as u32),
            ("accepted".to_owned(), funnel.accepted as u32),
        ])
        .collect()
}
