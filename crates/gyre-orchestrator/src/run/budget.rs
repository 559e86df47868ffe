//! What a round and a run may cost: looked at between steps.

use gyre_lineage::VerdictRow;
use gyre_round::{
    Action, BudgetLimit, BudgetScope, ModelUsage, RoundEvent, RoundState, Spent, Stage,
};
use gyre_types::{InvalidReason, Judgement, Split, Verdict};

use super::context::RunContext;
use super::event_log::LogEntry;
use super::recorded::{each_rollout, planned};
use super::tasks::store::{load_tasks, missing};
use crate::error::Error;

/// Says which limit what was spent is over, if any; it adds the time itself.
pub(crate) type RoundLimit = Box<dyn Fn(Spent) -> Option<BudgetLimit> + Send>;

/// The limit that the round is over. Rows are counted when they are about
/// to be published, and a round that is over nothing then is not stopped
/// for them later.
pub(crate) fn over_budget(limit: Option<&RoundLimit>, state: &RoundState) -> Option<BudgetLimit> {
    let limit = limit?;
    // Waiting for a person costs nothing.
    let is_free = matches!(state.stage, Stage::Unplanned | Stage::AwaitingApproval);
    if state.is_base() || is_free {
        return None;
    }
    limit(Spent { tokens: state.tokens, ..Spent::default() })
}

/// The event that ends a round, and perhaps its run, before an action that would ask
/// the model: a budget for what it is asked is spent. `before` is what the rounds
/// before asked.
pub(crate) fn model_budget_spent(
    run: &RunContext,
    state: &RoundState,
    action: Action,
    before: ModelUsage,
) -> Option<RoundEvent> {
    let asks = matches!(
        action,
        Action::GenerateTasks | Action::OpenPhase(_) | Action::RollOut(_) | Action::Evaluate(_)
    );
    let of_run = Some((BudgetScope::Run, before.plus(state.usage)));
    // Without the cold start there is no run: it has no budget of its own.
    let of_round = (!state.is_base()).then_some((BudgetScope::Round, state.usage));
    let spent = |(scope, usage): (BudgetScope, ModelUsage)| {
        let cost = run.config.model.cost(&usage);
        let limit = run.config.budget.of(scope).reached(scope, &usage, cost.as_ref())?;
        Some(RoundEvent::BudgetSpent { scope, cause: limit.to_string() })
    };
    [of_run, of_round].into_iter().flatten().filter(|_| asks).find_map(spent)
}

/// Ends a round that would publish more rows than it may: nothing of it is
/// recorded, so its file is garbage.
///
/// # Errors
///
/// As [`give_up`].
pub(crate) fn within_budget(
    run: &RunContext,
    limit: Option<&RoundLimit>,
    state: &RoundState,
    entry: LogEntry,
) -> Result<LogEntry, Error> {
    let (Some(limit), RoundEvent::Curated { rows, .. }) = (limit, &entry.event) else {
        return Ok(entry);
    };
    let spent = Spent { tokens: state.tokens, rows: u64::from(*rows), ..Spent::default() };
    match limit(spent).filter(|_| !state.is_base()) {
        Some(over) => give_up(run, state, failed(&over)),
        None => Ok(entry),
    }
}

/// The event of a round that is over the limit of its schedule.
pub(crate) fn failed(over: &BudgetLimit) -> RoundEvent {
    RoundEvent::Failed { cause: over.to_string(), ends_run: false }
}

/// Ends a round before its last step. Attempts that wait for a verdict are invalid
/// from then on: nobody will judge them, and no round that is over leaves one open.
///
/// # Errors
///
/// When the store fails, or a task is missing.
pub(crate) fn give_up(
    run: &RunContext,
    state: &RoundState,
    event: RoundEvent,
) -> Result<LogEntry, Error> {
    let why = match &event {
        RoundEvent::Failed { cause, .. } | RoundEvent::BudgetSpent { cause, .. } => cause.as_str(),
        event => event.kind(),
    };
    let verdicts = match state.rolled_out == state.verified {
        true => vec![],
        false => unjudged(run, planned(state).round, &format!("not judged: {why}"))?,
    };
    let mut entry = LogEntry::new(run, event);
    entry.rows.verdicts = verdicts;
    Ok(entry)
}

fn unjudged(run: &RunContext, round: u32, detail: &str) -> Result<Vec<VerdictRow>, Error> {
    let tasks = load_tasks(run, round, Split::Train)?;
    let mut open = Vec::new();
    each_rollout(run, round, |row| {
        if row.verdict.is_none() {
            open.push((row.rollout.id, row.rollout.task));
        }
    })?;
    let verdict = |(rollout, task)| {
        let task = tasks.get(&task).ok_or_else(|| missing(run, &task))?;
        let reason = InvalidReason::Infrastructure { detail: detail.to_owned() };
        let verdict = Verdict::Invalid { reason };
        let judgement = Judgement { verdict, checks: vec![], fuel: 0, guests: 0 };
        let harness = &run.harness;
        let verifier = harness.verifier_digest(&task.family);
        Ok(VerdictRow::of(rollout, judgement, verifier, harness.sandbox.digest()))
    };
    open.into_iter().map(verdict).collect()
}
