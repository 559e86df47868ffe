use gyre_lineage::AnswerVia;
use gyre_orchestrator::{PersonAnswer, inspect};
use serde_json::{Value, json};

use super::Asked;
use crate::app::App;
use crate::failure::Failure;
use crate::present;

pub(super) fn approve(app: &App, asked: &Asked) -> Result<Value, Failure> {
    said(app, asked, true)
}

pub(super) fn decline(app: &App, asked: &Asked) -> Result<Value, Failure> {
    said(app, asked, false)
}

fn said(app: &App, asked: &Asked, approves: bool) -> Result<Value, Failure> {
    let (run, round) = (asked.run(app)?, asked.round()?);
    let said = PersonAnswer {
        approves,
        by: app.signed_by(asked.params.text("by")),
        via: AnswerVia::Api,
        why: asked.params.text("why").map(str::to_owned),
    };
    let answered = app.answer(&run.id, round, &said)?;
    Ok(json!({
        "run": answered.run, "round": answered.round, "candidate": answered.candidate,
        "promoted": answered.is_promoted, "by": said.by, "why": said.why,
    }))
}

pub(super) fn handovers(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let rows = inspect::handovers(&app.project, &asked.run(app)?.id)?;
    Ok(present::whole(rows.iter().map(present::handover).collect()))
}
