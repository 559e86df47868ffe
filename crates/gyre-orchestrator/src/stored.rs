//! What the lineage keeps as JSON, each with the version of its form.
//!
//! A plan has its version inside ([`gyre_round::PlanVersion`]), since it is part
//! of an event.

use gyre_lineage::{EventRow, RunRow};
use gyre_round::RoundEvent;
use gyre_types::{JsonError, RunId, TaskId, from_stored, to_stored};
use gyre_verify::GradingKey;
use serde_json::Value;

use crate::config::RunConfig;
use crate::error::Error;

/// The versions that are written and read.
const EVENT: u32 = 1;
const KEY: u32 = 1;
const CONFIG: u32 = 1;

pub(crate) fn event(event: &RoundEvent) -> Result<Value, JsonError> {
    to_stored("an event", EVENT, event)
}

pub(crate) fn read_event(run: &RunId, row: &EventRow) -> Result<RoundEvent, Error> {
    from_stored(EVENT, row.body.clone()).map_err(|error| Error::Recorded {
        run: run.clone(),
        what: format!("event {}", row.seq),
        why: error.to_string(),
    })
}

pub(crate) fn key(key: &GradingKey) -> Result<Value, JsonError> {
    to_stored("a grading key", KEY, key)
}

pub(crate) fn read_key(run: &RunId, task: &TaskId, key: Value) -> Result<GradingKey, Error> {
    from_stored(KEY, key).map_err(|error| Error::Recorded {
        run: run.clone(),
        what: format!("the key of {task}"),
        why: error.to_string(),
    })
}

pub(crate) fn config(config: &RunConfig) -> Result<Value, JsonError> {
    to_stored("the configuration", CONFIG, config)
}

pub(crate) fn read_config(run: &RunRow) -> Result<RunConfig, Error> {
    from_stored(CONFIG, run.config.clone()).map_err(|error| Error::Recorded {
        run: run.id.clone(),
        what: "the configuration".to_owned(),
        why: error.to_string(),
    })
}
