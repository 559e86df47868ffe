use gyre_lineage::{ScheduleRow, TickRow};
use gyre_orchestrator::scheduler::{
    CampaignRounds, Happened, Schedule, Scheduler, keep_handing_over, next_tick, resume, spec,
};
use gyre_orchestrator::{Cancel, Project};
use serde_json::json;

use crate::args::{Global, ScheduleCommand};
use crate::clock::now_ms;
use crate::live::View;
use crate::printable::printable;
use crate::{output, session};

/// Keeps the schedules until `cancel`, in this thread, and hands promotions over; without
/// schedules the latter alone.
pub(crate) fn keep(
    global: &Global,
    project: Project,
    schedules: Vec<Schedule>,
    cancel: Cancel,
) -> anyhow::Result<()> {
    let json = global.json;
    if schedules.is_empty() {
        keep_handing_over(&project, (now_ms, &cancel), &|happened| tell(json, happened));
        return Ok(());
    }
    let scheduler = Scheduler::open(project, schedules, "serve", now_ms, cancel)?;
    let mut view = View::choose(global.json);
    scheduler
        .serve(&mut CampaignRounds { observer: &mut view }, &|happened| tell(json, happened))?;
    view.finish();
    Ok(())
}

/// Tells what the service did: an object with `--json`, a line otherwise.
fn tell(json: bool, happened: &Happened) {
    if json {
        // A reader that went away is no reason to stop serving.
        let _ = output::json(&object(happened));
        return;
    }
    let text = match happened {
        Happened::Serving { schedules, reconciled } if reconciled.is_empty() => {
            format!("serving {schedules} schedules")
        }
        Happened::Serving { schedules, reconciled } => {
            let runs: Vec<_> = reconciled.iter().map(ToString::to_string).collect();
            format!("serving {schedules} schedules; unfinished: {}", runs.join(", "))
        }
        Happened::Decided { schedule, ticks } => {
            let shown = |(tick, state): &(i64, _)| format!("{} {state}", output::time(*tick));
            let shown: Vec<_> = ticks.iter().take(3).map(shown).collect();
            let more = if ticks.len() > 3 { ", …" } else { "" };
            format!("{schedule}: {}{more}", shown.join(", "))
        }
        Happened::Claimed { schedule, tick_ms, taken_over } => {
            let verb = if *taken_over { "goes on with" } else { "begins" };
            format!("{schedule}: {verb} the tick of {}", output::time(*tick_ms))
        }
        Happened::Settled { schedule, state, detail, stop, .. } => match stop {
            Some(stop) => format!("{schedule}: {state}: {detail}; the schedule ends: {stop}"),
            None => format!("{schedule}: {state}: {detail}"),
        },
        Happened::HandedOver { run, round, standing } => {
            format!("{run}: the promotion of round {round} is {}", output::visible(standing))
        }
        Happened::Troubled { what } => format!("trying again: {what}"),
    };
    output::line(text);
}

fn object(happened: &Happened) -> serde_json::Value {
    match happened {
        Happened::Serving { schedules, reconciled } => {
            json!({"event": "serving", "schedules": schedules, "reconciled": reconciled})
        }
        Happened::Decided { schedule, ticks } => {
            let ticks: Vec<_> = ticks
                .iter()
                .map(|(tick, state)| json!({"tick_ms": tick, "state": state.as_str()}))
                .collect();
            json!({"event": "ticks_decided", "schedule": schedule, "ticks": ticks})
        }
        Happened::Claimed { schedule, tick_ms, taken_over } => json!({
            "event": "tick_claimed", "schedule": schedule, "tick_ms": tick_ms,
            "taken_over": taken_over,
        }),
        Happened::Settled { schedule, tick_ms, state, detail, stop } => json!({
            "event": "tick_settled", "schedule": schedule, "tick_ms": tick_ms,
            "state": state.as_str(), "detail": detail, "stop": stop,
        }),
        Happened::HandedOver { run, round, standing } => json!({
            "event": "handover", "run": run, "round": round, "standing": standing,
        }),
        Happened::Troubled { what } => json!({"event": "troubled", "what": what}),
    }
}

pub(crate) fn schedule(global: &Global, command: &ScheduleCommand) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    match command {
        ScheduleCommand::Ls { name: None, .. } => list(global, &project),
        ScheduleCommand::Ls { name: Some(name), rows } => ticks(global, &project, name, *rows),
        ScheduleCommand::RunNow { name } => {
            let tick_ms = project.wait(project.store.run_now(name, now_ms()))?;
            if global.json {
                return output::json(&json!({"schedule": name, "tick_ms": tick_ms}));
            }
            output::line(format!(
                "{name}: due now; a service that keeps it (`gyre serve`) makes the round"
            ));
            Ok(())
        }
        ScheduleCommand::Pause { name, why } => {
            let row = project.wait(project.store.pause_schedule(name, why))?;
            changed(global, &row, "paused; a round that is being made goes on")
        }
        ScheduleCommand::Resume { name } => {
            let row = resume(&project, name, now_ms())?;
            changed(global, &row, "ticks again")
        }
    }
}

fn changed(global: &Global, row: &ScheduleRow, what: &str) -> anyhow::Result<()> {
    if global.json {
        return output::json(&as_json(row));
    }
    output::line(format!("{}: {what}", row.name));
    Ok(())
}

fn list(global: &Global, project: &Project) -> anyhow::Result<()> {
    let schedules = project.wait(project.store.schedules())?;
    if global.json {
        return output::json_pretty(&schedules.iter().map(as_json).collect::<Vec<_>>());
    }
    let mut table = output::table(["schedule", "when", "campaign", "run", "status", "next"]);
    for row in &schedules {
        let status = match row.why.as_str() {
            "" => row.status.to_string(),
            why => format!("{} ({why})", row.status),
        };
        table.add_row([
            row.name.clone(),
            spec(row).map_or_else(String::new, |s| format!("{} {}", s.cron, s.time_zone)),
            row.campaign.clone(),
            row.run.as_ref().map_or("-".to_owned(), ToString::to_string),
            printable(&status).into_owned(),
            next_tick(row, now_ms()).map_or("-".to_owned(), output::time),
        ]);
    }
    let none =
        "no schedules: `gyre serve --config FILE` takes them up from a [[schedules]] section";
    output::print_or(&table, none);
    Ok(())
}

fn as_json(row: &ScheduleRow) -> serde_json::Value {
    json!({
        "name": row.name, "spec": row.spec, "campaign": row.campaign,
        "status": row.status.as_str(), "why": row.why, "run": row.run,
        "watched_ms": row.watched_ms, "next_ms": next_tick(row, now_ms()),
    })
}

fn ticks(global: &Global, project: &Project, name: &str, rows: u32) -> anyhow::Result<()> {
    project.wait(project.store.schedule(name))?;
    let ticks = project.wait(project.store.ticks(name, None, rows))?;
    if global.json {
        return output::json_pretty(&ticks.iter().map(tick_json).collect::<Vec<_>>());
    }
    let mut table =
        output::table(["tick", "kind", "state", "round", "time", "processor", "detail"]);
    for tick in &ticks {
        table.add_row([
            output::time(tick.tick_ms),
            tick.kind.to_string(),
            tick.state.to_string(),
            tick.round.map_or("-".to_owned(), |round| round.to_string()),
            output::seconds(tick.wall_ms as f64 / 1e3),
            output::seconds(tick.cpu_ms as f64 / 1e3),
            printable(&tick.detail).into_owned(),
        ]);
    }
    output::print_or(&table, &format!("{name} has not ticked yet"));
    Ok(())
}

fn tick_json(tick: &TickRow) -> serde_json::Value {
    json!({
        "schedule": tick.schedule, "tick_ms": tick.tick_ms, "kind": tick.kind.as_str(),
        "state": tick.state.as_str(), "run": tick.run, "round": tick.round,
        "cpu_ms": tick.cpu_ms, "wall_ms": tick.wall_ms, "claims": tick.epoch,
        "detail": tick.detail,
    })
}
