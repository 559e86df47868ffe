//! What promotions are handed over to, and where each hand-over stands.

use gyre_lineage::{HandoverRow, RunRow};
use gyre_orchestrator::{Cancel, Project, deliver_run, inspect, standing};
use serde_json::{Value, json};

use crate::args::{Global, HandoversArgs};
use crate::clock::now_ms;
use crate::exit::Failure;
use crate::{output, session};

/// Lists the hand-overs of a run; with `--deliver`, makes those that are outstanding.
pub(crate) fn handovers(global: &Global, args: &HandoversArgs) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let run = project.run(args.run.as_ref())?;
    if args.deliver {
        let cancel = Cancel::default();
        session::stop_on_signal(&runtime, &cancel);
        deliver(&project, &run, args, &cancel)?;
    }
    let rows = inspect::handovers(&project, &run.id)?;
    list(global, &run, &rows)?;
    let failed = rows.iter().filter(|row| !row.is_delivered()).count();
    if args.deliver && failed > 0 {
        let message = format!("{failed} of {} hand-overs are not delivered", rows.len());
        return Err(Failure::error(Failure::NOT_HANDED_OVER, message));
    }
    Ok(())
}

fn deliver(
    project: &Project,
    run: &RunRow,
    args: &HandoversArgs,
    cancel: &Cancel,
) -> anyhow::Result<()> {
    let other = match &args.config {
        Some(file) => Some(session::read_config(Some(file))?.promotion),
        None => None,
    };
    let mut tell =
        |row: &HandoverRow| tracing::info!(round = row.handover.round, "{}", standing(row));
    Ok(deliver_run(project, &run.id, other.as_ref(), (now_ms, cancel), &mut tell)?)
}

fn list(global: &Global, run: &RunRow, rows: &[HandoverRow]) -> anyhow::Result<()> {
    if global.json {
        return output::json_pretty(&rows.iter().map(as_json).collect::<Vec<_>>());
    }
    let mut table =
        output::table(["round", "target", "champion", "state", "attempts", "last", "detail"]);
    for row in rows {
        let last = row.last.as_ref();
        table.add_row([
            row.handover.round.to_string(),
            row.handover.target.clone(),
            row.handover.champion.to_string(),
            state(row).to_owned(),
            row.attempts.to_string(),
            last.map_or("-".to_owned(), |last| output::time(last.at_ms)),
            last.map_or(String::new(), |last| output::visible(&last.detail)),
        ]);
    }
    let none = format!(
        "{} has no hand-overs: its configuration has neither `[promotion.hook]` nor \
         `[promotion.webhook]`",
        run.id
    );
    output::print_or(&table, &none);
    Ok(())
}

/// `delivered` or `pending`.
pub(crate) fn state(row: &HandoverRow) -> &'static str {
    if row.is_delivered() { "delivered" } else { "pending" }
}

/// A hand-over as JSON.
pub(crate) fn as_json(row: &HandoverRow) -> Value {
    json!({
        "run": row.run, "round": row.handover.round, "target": row.handover.target,
        "champion": row.handover.champion, "state": state(row), "attempts": row.attempts,
        "at_ms": row.at_ms, "last_at_ms": row.last.as_ref().map(|last| last.at_ms),
        "last_detail": row.last.as_ref().map(|last| &last.detail),
    })
}
