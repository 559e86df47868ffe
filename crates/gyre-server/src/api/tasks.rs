use gyre_orchestrator::inspect;
use gyre_types::TaskId;
use serde_json::Value;

use super::Asked;
use crate::app::App;
use crate::failure::Failure;
use crate::filters::task_filter;
use crate::present;

pub(super) fn tasks(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let run = asked.run(app)?;
    let filter = task_filter(&asked.params)?;
    let (cursor, limit) = asked.params.page()?;
    let store = &app.project.store;
    let page = app.project.wait(store.tasks_page(&run.id, &filter, cursor.as_ref(), limit))?;
    Ok(present::page(&page, present::task))
}

pub(super) fn task(app: &App, asked: &Asked) -> Result<Value, Failure> {
    let run = asked.run(app)?;
    let id: TaskId = asked.name("task").parse()?;
    let store = &app.project.store;
    let found = app.project.wait(store.task(&run.id, &id))?;
    let (row, key) = found.ok_or_else(|| Failure::not_found("task", id.as_str()))?;
    let mut body = present::task(&row);
    body["key"] = inspect::key_document(&run.id, &id, key)?;
    let rates = app.project.wait(store.rates_of_tasks(&run.id, &[id]))?;
    body["rollouts"] = rates.first().map_or(Value::Null, present::task_rate);
    Ok(body)
}
