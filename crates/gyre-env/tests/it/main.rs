//! The environments, and the recorded forms of their tasks.

mod episode;
mod stored;

use gyre_types::Task;

/// A task as version 1 recorded it: a row of the lineage, never written again.
const TASK_1: &str = include_str!("../fixtures/task-1.json");

fn task() -> Task {
    gyre_env::task_from_stored(serde_json::from_str(TASK_1).unwrap()).unwrap()
}
