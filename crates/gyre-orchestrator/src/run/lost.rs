//! Ends a round that lost too many rollouts to faults.

use std::collections::BTreeMap;

use gyre_lineage::VerdictRow;
use gyre_round::{LostRollouts, RoundEvent, RoundState, step};
use gyre_types::{InvalidReason, Verdict};

use super::budget::give_up;
use super::context::RunContext;
use super::event_log::LogEntry;
use crate::error::Error;

/// What most of the lost rollouts were lost to.
struct Commonest {
    kind: String,
    detail: String,
    rollouts: u64,
}

/// The end of a round that has lost too many rollouts; none where it may go on.
///
/// # Errors
///
/// When the store fails.
pub(crate) fn lost_too_many(
    run: &RunContext,
    state: &RoundState,
) -> Result<Option<LogEntry>, Error> {
    let (Some(lost), Some(plan)) = (state.lost_rollouts(), &state.plan) else {
        return Ok(None);
    };
    let reasons = run.wait(run.store().invalid_reasons(run.id()))?.into_iter();
    let of_round = reasons.filter(|reason| reason.round == plan.round);
    let faults = of_round.filter(|reason| InvalidReason::is_kind_of_fault(&reason.kind));
    let commonest = faults.max_by_key(|reason| reason.rollouts).map(|reason| Commonest {
        kind: reason.kind,
        detail: reason.detail,
        rollouts: reason.rollouts,
    });
    let cause = why(&lost, commonest.as_ref());
    give_up(run, state, RoundEvent::Failed { cause, ends_run: false }).map(Some)
}

/// Stops where the round that a run begins with lost too many rollouts: without a
/// champion there is nothing to go on with. Nothing of it is recorded, so that the
/// next start evaluates again.
///
/// # Errors
///
/// [`Error::TooManyFaults`].
pub(crate) fn require_base(
    run: &RunContext,
    state: &RoundState,
    entry: &LogEntry,
) -> Result<(), Error> {
    let Some(plan) = state.plan.as_ref().filter(|_| state.is_base()) else { return Ok(()) };
    let (next, _) = step(state, &entry.event).map_err(|source| run.illegal(plan.round, source))?;
    let Some(lost) = next.lost_rollouts() else { return Ok(()) };
    let commonest = commonest(&entry.rows.verdicts);
    Err(Error::TooManyFaults {
        run: run.id().clone(),
        round: plan.round,
        why: why(&lost, commonest.as_ref()),
        is_model: commonest.is_some_and(|reason| reason.kind == InvalidReason::MODEL),
    })
}

fn why(lost: &LostRollouts, commonest: Option<&Commonest>) -> String {
    let Some(Commonest { kind, detail, rollouts }) = commonest else { return lost.to_string() };
    format!("{lost}; the most common reason ({rollouts} of them) is {kind}: {detail}")
}

/// The most common fault among verdicts.
fn commonest(verdicts: &[VerdictRow]) -> Option<Commonest> {
    let mut counts = BTreeMap::<(&str, &str), u64>::new();
    for row in verdicts {
        if let Verdict::Invalid { reason } = &row.verdict
            && reason.is_fault()
        {
            *counts.entry((reason.kind(), reason.detail())).or_default() += 1;
        }
    }
    let ((kind, detail), rollouts) = counts.into_iter().max_by_key(|(_, rollouts)| *rollouts)?;
    Some(Commonest { kind: kind.to_owned(), detail: detail.to_owned(), rollouts })
}
