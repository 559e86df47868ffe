//! Runs a recorded rollout again, on demand: compares, and stores nothing.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use gyre_orchestrator::{Replay, Replayer, Silent, open_sandbox};
use serde_json::json;

use crate::answer::answer;
use crate::app::App;
use crate::failure::Failure;

pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    Path((run, id)): Path<(String, String)>,
) -> Response {
    answer(again(&app, run, id).await.map(|replay| json!(replay)))
}

/// Replays one rollout at a time: a second caller is told to wait.
pub(crate) async fn again(app: &Arc<App>, run: String, id: String) -> Result<Replay, Failure> {
    let _turn = app.replaying.try_acquire().map_err(|_| {
        let detail = "another rollout is being replayed; try again in a moment";
        Failure::new(StatusCode::CONFLICT, "busy", detail)
    })?;
    app.read(move |app| {
        let run = app.run(&run)?;
        let id = id.parse()?;
        let row = app.project.wait(app.project.store.rollout(&run.id, &id))?;
        let row = row.ok_or_else(|| Failure::not_found("rollout", id.as_str()))?;
        let mut config = app.project.config_of(&run)?;
        // The service may stand in another folder than the run did.
        if !config.tasks.dir.exists() {
            config.tasks.dir.clone_from(&app.tasks_dir);
        }
        let sandbox = open_sandbox(&config.sandbox, &mut Silent)?;
        Ok(Replayer::new(&app.project, &run.id, config, &sandbox).replay(&row)?)
    })
    .await
}
