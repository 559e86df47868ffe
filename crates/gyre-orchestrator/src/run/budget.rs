//! What a scheduled round may cost: looked at between its steps.

use gyre_round::{BudgetLimit, RoundEvent, RoundState, Spent, Stage};

use super::context::RunContext;
use super::event_log::LogEntry;

/// Says which limit what was spent is over, if any; it adds the time itself.
pub(crate) type RoundLimit = Box<dyn Fn(Spent) -> Option<BudgetLimit> + Send>;

/// The limit that the round is over. Rows are counted when they are about
/// to be published, and a round that is over nothing then is not stopped
/// for them later.
pub(crate) fn over_budget(limit: Option<&RoundLimit>, state: &RoundState) -> Option<BudgetLimit> {
    let limit = limit?;
    if state.is_base() || state.stage == Stage::Unplanned {
        return None;
    }
    limit(Spent { tokens: state.tokens, ..Spent::default() })
}

/// Ends a round that would publish more rows than it may: nothing of it is
/// recorded, so its file is garbage.
pub(crate) fn within_budget(
    run: &RunContext,
    limit: Option<&RoundLimit>,
    state: &RoundState,
    entry: LogEntry,
) -> LogEntry {
    let (Some(limit), RoundEvent::Curated { rows, .. }) = (limit, &entry.event) else {
        return entry;
    };
    let spent = Spent { tokens: state.tokens, rows: u64::from(*rows), ..Spent::default() };
    match limit(spent).filter(|_| !state.is_base()) {
        Some(over) => give_up(run, over),
        None => entry,
    }
}

/// Ends a round that is over a limit.
pub(crate) fn give_up(run: &RunContext, over: BudgetLimit) -> LogEntry {
    LogEntry::new(run, RoundEvent::Failed { cause: over.to_string(), ends_run: false })
}
