use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::header::{HeaderValue, LOCATION};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use gyre_lineage::{ScheduleRow, ScheduleStatus, TickEvent, TickKind, TickRow};
use gyre_orchestrator::scheduler;
use gyre_round::ScheduleConfig;
use maud::{Markup, html};

use super::layout::{Page, failed};
use super::parts::{export, pages, seconds, time};
use super::text::hostile;
use crate::api::{Asked, PathParts};
use crate::app::App;
use crate::failure::Failure;
use crate::params::percent;

/// Ticks of a page.
const TICKS: u32 = 50;

/// Bytes of the reason that somebody gives, at most.
const WHY_BYTES_MAX: usize = 400;

/// All schedules.
pub(crate) fn list(app: &App, asked: &Asked) -> Result<Page, Failure> {
    let store = &app.project.store;
    let mut rows = Vec::new();
    for row in app.project.wait(store.schedules())? {
        let last = app.project.wait(store.ticks(&row.name, None, 1))?.pop();
        rows.push((row, last));
    }
    let now_ms = (app.clock)();
    let body = html! {
        h1 { "Schedules" }
        @if rows.is_empty() {
            p.notice { "No rounds are scheduled. " code { "[[schedules]]" } " in the configuration that " code { "gyre serve --config" } " is given schedules some." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Schedules" { table {
                thead { tr {
                    th scope="col" { "Schedule" } th scope="col" { "When" } th scope="col" { "Status" } th scope="col" { "Next tick" }
                    th scope="col" { "Last tick" } th scope="col" { "Campaign" } th scope="col" { "Run" }
                } }
                tbody { @for (row, last) in &rows { tr {
                    th scope="row" { a href=(format!("/schedules/{}", percent(&row.name))) { (hostile(&row.name)) } }
                    td { (when(row)) }
                    td { (status(row)) }
                    td { (next(row, now_ms)) }
                    td { @match last {
                        Some(tick) => { (time(tick.tick_ms)) " " (state(tick)) },
                        None => "–",
                    } }
                    td { (hostile(&row.campaign)) }
                    td { (run(row)) }
                } } }
            } }
        }
        (export(&asked.params))
    };
    Ok(Page { title: "Schedules".to_owned(), run: None, section: "schedules", body })
}

/// One schedule: what it keeps, and what came of each of its ticks.
pub(crate) fn one(app: &App, asked: &Asked) -> Result<Page, Failure> {
    let (name, params, store) = (asked.name("schedule"), &asked.params, &app.project.store);
    let row = app.project.wait(store.schedule(name))?;
    let mut ticks = app.project.wait(store.ticks(name, params.place()?, TICKS + 1))?;
    let more = ticks.len() > TICKS as usize;
    ticks.truncate(TICKS as usize);
    let next_page = ticks.last().filter(|_| more).map(|tick| tick.tick_ms);
    let chosen = params.get::<i64>("tick")?;
    let events = match chosen {
        Some(tick_ms) => app.project.wait(store.tick_events(name, tick_ms))?,
        None => Vec::new(),
    };
    let body = html! {
        p.trail { a href="/schedules" { "schedules" } }
        h1 { (hostile(&row.name)) " " (status(&row)) }
        (facts(&row, (app.clock)()))
        (controls(app, &row, asked.signed_in))
        @if let Some(tick_ms) = chosen { (happened(tick_ms, &events)) }
        h2 { "Ticks" }
        (table(&row, &ticks))
        (pages(params, next_page.as_ref()))
        (export(params))
    };
    let title = format!("Schedule {}", row.name);
    Ok(Page { title, run: None, section: "schedules", body })
}

fn facts(row: &ScheduleRow, now_ms: i64) -> Markup {
    let spec = scheduler::spec(row);
    html! {
        dl.facts {
            dt { "When" } dd { (when(row)) }
            dt { "Next tick" } dd { (next(row, now_ms)) }
            @if !row.why.is_empty() { dt { "Why it does not tick" } dd { (hostile(&row.why)) } }
            dt { "Campaign" } dd { (hostile(&row.campaign)) }
            dt { "Run" } dd { (run(row)) }
            @if let Some(spec) = &spec {
                dt { "Late ticks" } dd { (word(serde_json::to_value(spec.catch_up))) }
                dt { "Overlap" } dd { (word(serde_json::to_value(spec.overlap))) }
                @for (name, value) in bounds(spec) { dt { (name) } dd { (hostile(&value)) } }
            }
            dt { "Decided up to" } dd { (time(row.watched_ms)) }
        }
    }
}

/// Budget and stop rules, as they are written in a configuration.
fn bounds(spec: &ScheduleConfig) -> Vec<(&'static str, String)> {
    let shown = |value: serde_json::Result<serde_json::Value>| match value {
        Err(error) => error.to_string(),
        Ok(serde_json::Value::Object(entries)) => {
            let set = entries.iter().filter(|(_, value)| !value.is_null());
            set.map(|(key, value)| format!("{} {value}", key.replace('_', " ")))
                .collect::<Vec<_>>()
                .join(", ")
        }
        _ => String::new(),
    };
    let all = [
        ("Budget of a round", shown(serde_json::to_value(spec.budget))),
        ("It ends after", shown(serde_json::to_value(spec.stop))),
    ];
    all.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

/// A choice by its name in configurations.
fn word(choice: serde_json::Result<serde_json::Value>) -> String {
    match choice {
        Ok(serde_json::Value::String(name)) => name.replace('_', " "),
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}

fn controls(app: &App, row: &ScheduleRow, signed_in: bool) -> Markup {
    let action = |change: &str| format!("/schedules/{}/{change}", percent(&row.name));
    html! {
        @if signed_in {
            div.controls role="group" aria-label="Change this schedule" {
                form method="post" action=(action("run-now")) { button type="submit" { "Run now" } }
                @if row.status == ScheduleStatus::Active {
                    form method="post" action=(action("pause")) {
                        label { "Why" input name="why" type="text" maxlength=(WHY_BYTES_MAX) autocomplete="off"; }
                        button type="submit" { "Pause" }
                    }
                } @else {
                    form method="post" action=(action("resume")) { button type="submit" { "Resume" } }
                }
            }
        } @else if app.guard.token.is_some() {
            p { a href="/login" { "Sign in" } " to pause it, resume it or run it now." }
        } @else {
            p { "This service has no token, so it changes nothing: " code { "gyre schedule" } " does." }
        }
    }
}

fn table(row: &ScheduleRow, ticks: &[TickRow]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Ticks" { table {
            caption { "Newest first" }
            thead { tr {
                th scope="col" { "Tick" } th scope="col" { "What came of it" } th scope="col" { "Round" } th scope="col" { "Why" }
                th.n scope="col" { "Time" } th.n scope="col" { "Processor" } th.n scope="col" { "Claims" }
            } }
            tbody {
                @for tick in ticks { tr {
                    th scope="row" {
                        a href=(format!("/schedules/{}?tick={}", percent(&row.name), tick.tick_ms)) { (time(tick.tick_ms)) }
                        @if tick.kind == TickKind::Manual { " " span.quiet { "asked for" } }
                    }
                    td { (state(tick)) }
                    td { @match (&tick.run, tick.round) {
                        (Some(run), Some(round)) => a href=(format!("/runs/{run}/rounds/{round}")) { "round " (round) " of " (run) },
                        _ => "–",
                    } }
                    td.wrap { (hostile(&tick.detail)) }
                    td.n { (seconds(tick.wall_ms as f64 / 1e3)) }
                    td.n { (seconds(tick.cpu_ms as f64 / 1e3)) }
                    td.n { (tick.epoch) }
                } }
                @if ticks.is_empty() { tr { td colspan="7" { "None yet." } } }
            }
        } }
    }
}

fn happened(tick_ms: i64, events: &[TickEvent]) -> Markup {
    html! {
        h2 { "The tick of " (time(tick_ms)) }
        @if events.is_empty() { p.notice { "Nothing is recorded of it." } }
        ol { @for event in events { li {
            (time(event.at_ms)) " " b { (event.state) }
            @if !event.detail.is_empty() { ": " (hostile(&event.detail)) }
            @if !event.owner.is_empty() { " " span.quiet { "by " (hostile(&event.owner)) } }
        } } }
    }
}

fn when(row: &ScheduleRow) -> Markup {
    html! { @match scheduler::spec(row) {
        Some(spec) => { code { (hostile(&spec.cron)) } " " (hostile(&spec.time_zone)) },
        None => "not known to this version",
    } }
}

fn next(row: &ScheduleRow, now_ms: i64) -> String {
    scheduler::next_tick(row, now_ms).map_or_else(|| "–".to_owned(), time)
}

fn run(row: &ScheduleRow) -> Markup {
    html! { @match &row.run {
        Some(run) => a href=(format!("/runs/{run}")) { (run) },
        None => "–",
    } }
}

fn status(row: &ScheduleRow) -> Markup {
    html! { span.tag.(row.status.as_str()) { (row.status) } }
}

fn state(tick: &TickRow) -> Markup {
    html! { span.tag.(tick.state.as_str()) { (tick.state) } }
}

/// Changes a schedule and shows it.
pub(super) async fn change(
    State(app): State<Arc<App>>,
    path: PathParts,
    uri: Uri,
    fields: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    let fields = fields.map(|Form(fields)| fields).unwrap_or_default();
    let changed = match Asked::new(path, &uri, &[]) {
        Ok(asked) => app.read(move |app| changed(app, &asked, &fields)).await,
        Err(failure) => Err(failure),
    };
    match changed.and_then(|href| HeaderValue::from_str(&href).map_err(|e| Failure::internal(&e))) {
        Ok(href) => {
            let mut response = StatusCode::SEE_OTHER.into_response();
            response.headers_mut().insert(LOCATION, href);
            response
        }
        Err(failure) => failed(&failure),
    }
}

/// Carries a change out, and gives where it shows.
fn changed(app: &App, asked: &Asked, fields: &[(String, String)]) -> Result<String, Failure> {
    let (name, now_ms, store) = (asked.name("schedule"), (app.clock)(), &app.project.store);
    match asked.name("change") {
        "run-now" => {
            let tick_ms = app.project.wait(store.run_now(name, now_ms))?;
            return Ok(format!("/schedules/{}?tick={tick_ms}", percent(name)));
        }
        "pause" => {
            let given = fields.iter().find(|(field, _)| field == "why").map(|(_, why)| why.trim());
            let why = given.filter(|why| !why.is_empty()).unwrap_or("paused by hand");
            if why.len() > WHY_BYTES_MAX || why.chars().any(char::is_control) {
                let detail = format!(
                    "why must have at most {WHY_BYTES_MAX} bytes and no control characters"
                );
                return Err(Failure::bad("bad_parameter", detail));
            }
            app.project.wait(store.pause_schedule(name, why))?;
        }
        "resume" => drop(scheduler::resume(&app.project, name, now_ms)?),
        other => return Err(Failure::not_found("change", other)),
    }
    Ok(format!("/schedules/{}", percent(name)))
}
