use gyre_orchestrator::scheduler;
use serde_json::{Value, json};

use super::Asked;
use crate::app::App;
use crate::failure::Failure;
use crate::params::opaque;
use crate::present;

pub(super) fn schedules(app: &App, _: &Asked) -> Result<Value, Failure> {
    let rows = app.project.wait(app.project.store.schedules())?;
    let now_ms = (app.clock)();
    Ok(present::whole(rows.iter().map(|row| present::schedule(row, now_ms)).collect()))
}

pub(super) fn schedule(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let row = app.project.wait(app.project.store.schedule(asked.name("schedule")))?;
    Ok(present::schedule(&row, (app.clock)()))
}

pub(super) fn ticks(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let (name, limit) = (asked.name("schedule"), asked.params.limit()?);
    let store = &app.project.store;
    app.project.wait(store.schedule(name))?;
    let before = asked.params.place()?;
    let mut rows = app.project.wait(store.ticks(name, before, limit + 1))?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|row| opaque(&row.tick_ms));
    let items: Vec<_> = rows.iter().map(present::tick).collect();
    Ok(json!({ "items": items, "next_cursor": next }))
}

pub(super) fn tick(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let (name, tick) = (asked.name("schedule"), asked.name("tick"));
    let bad = || Failure::bad("bad_id", "a tick is a number of milliseconds since 1970");
    let tick_ms: i64 = tick.parse().map_err(|_| bad())?;
    let store = &app.project.store;
    let before = tick_ms.checked_add(1).ok_or_else(bad)?;
    let found = app.project.wait(store.ticks(name, Some(before), 1))?;
    let found = found.into_iter().find(|row| row.tick_ms == tick_ms);
    let row = found.ok_or_else(|| Failure::not_found("tick", tick))?;
    let events = app.project.wait(store.tick_events(name, tick_ms))?;
    let mut body = present::tick(&row);
    body["events"] = events.iter().map(present::tick_event).collect();
    Ok(body)
}

pub(super) fn run_now(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let name = asked.name("schedule");
    let tick_ms = app.project.wait(app.project.store.run_now(name, (app.clock)()))?;
    Ok(json!({ "schedule": name, "tick_ms": tick_ms }))
}

pub(super) fn pause(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let why = asked.params.text("why").unwrap_or("paused over HTTP");
    let row = app.project.wait(app.project.store.pause_schedule(asked.name("schedule"), why))?;
    Ok(present::schedule(&row, (app.clock)()))
}

pub(super) fn resume(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let now_ms = (app.clock)();
    let row = scheduler::resume(&app.project, asked.name("schedule"), now_ms)?;
    Ok(present::schedule(&row, now_ms))
}
