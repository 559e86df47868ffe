use gyre_orchestrator::record_of;
use serde_json::{Value, json};

use super::Asked;
use crate::app::App;
use crate::failure::Failure;
use crate::filters::find_rollouts;
use crate::present;

pub(super) fn rollouts(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let run = asked.run(app)?;
    let (page, _) = find_rollouts(app, &run, &asked.params)?;
    Ok(present::page(&page, present::rollout))
}

pub(super) fn rollout(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let run = asked.run(app)?;
    let id = asked.name("rollout").parse()?;
    let store = &app.project.store;
    let row = app.project.wait(store.rollout(&run.id, &id))?;
    let row = row.ok_or_else(|| Failure::not_found("rollout", id.as_str()))?;
    let record = record_of(&app.project, &run.id, &row)?;
    let verdicts = app.project.wait(store.verdicts(&run.id, &id))?;
    let mut body = present::rollout(&row);
    body["record"] = json!(record);
    body["verdicts"] = verdicts.iter().map(present::verdict).collect();
    Ok(body)
}

pub(super) fn verdicts(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let (run, (cursor, limit)) = (asked.run(app)?, asked.params.page()?);
    let store = &app.project.store;
    let page = app.project.wait(store.verdicts_page(&run.id, cursor.as_ref(), limit))?;
    Ok(present::page(&page, present::verdict))
}
