use gyre_lineage::Page;
use gyre_orchestrator::inspect;
use serde_json::{Value, json};

use super::Asked;
use crate::app::App;
use crate::failure::Failure;
use crate::params::opaque;
use crate::present;

pub(super) fn runs(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let (cursor, limit) = asked.params.page()?;
    let page = app.project.wait(app.project.store.runs_page(cursor.as_ref(), limit))?;
    Ok(present::page(&page, present::run))
}

pub(super) fn run(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let run = asked.run(app)?;
    let champion = app.project.wait(app.project.store.champion(&run.id))?;
    let mut body = present::run(&run);
    body["champion"] = json!(champion.map(|promotion| promotion.champion));
    Ok(body)
}

pub(super) fn rounds(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let figures = app.figures(&asked.run(app)?)?;
    let (cursor, limit) = asked.params.page()?;
    // Rounds are few; the page is cut from the whole.
    let after = cursor.map(|cursor| cursor.to_string());
    let after = after.as_deref().and_then(|text| text.split(':').next()?.parse::<u32>().ok());
    let later = |round: u32| after.is_none_or(|after| round > after);
    let rest: Vec<_> = figures.rounds.iter().filter(|round| later(round.round)).collect();
    let rows: Vec<_> = rest.iter().take(limit as usize).copied().collect();
    let more = rest.len() > rows.len();
    let next = rows.last().filter(|_| more).map(|last| format!("{}:", last.round));
    let next = next.and_then(|text| text.parse().ok());
    Ok(present::page(&Page { rows, next }, |round| json!(round)))
}

pub(super) fn round(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let (run, round) = (asked.run(app)?, asked.round()?);
    let (_, events) = inspect::round_state(&app.project, &run, round)?;
    if events.is_empty() {
        return Err(Failure::not_found("round", &round.to_string()));
    }
    let summary = inspect::round_summary(&app.project, &run, round)?;
    let gate = inspect::gate(&app.project, &run.id, round)?;
    Ok(json!({
        "summary": summary,
        "gate": gate.as_ref().map(present::gate),
        "events": events.len(),
    }))
}

pub(super) fn shards(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let (run, (cursor, limit)) = (asked.run(app)?, asked.params.page()?);
    let page = app.project.wait(app.project.store.shards_page(&run.id, cursor.as_ref(), limit))?;
    Ok(present::page(&page, present::shard))
}

pub(super) fn checkpoints(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let (run, (cursor, limit)) = (asked.run(app)?, asked.params.page()?);
    let page =
        app.project.wait(app.project.store.checkpoints_page(&run.id, cursor.as_ref(), limit))?;
    Ok(present::page(&page, present::checkpoint))
}

pub(super) fn log(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let (run, limit) = (asked.run(app)?, asked.params.limit()?);
    let after = match asked.params.place::<u32>()? {
        Some(seq) => seq,
        None => asked.params.get("after")?.unwrap_or(0),
    };
    let mut rows =
        app.project.wait(app.project.store.events_after(&run.id, after.into(), limit + 1))?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|row| opaque(&row.seq));
    let items: Vec<_> = rows.iter().map(present::event).collect();
    Ok(json!({ "items": items, "next_cursor": next }))
}
