//! What the lineage keeps as JSON, each with the version of its form.
//!
//! A plan has its version inside ([`gyre_round::PlanVersion`]), since it is part
//! of an event.

use gyre_lineage::{EventRow, RunRow};
use gyre_round::RoundEvent;
use gyre_types::{
    JsonError, RunId, StoredError, TaskId, from_stored, is_of_first_version, to_stored,
};
use gyre_verify::{GradingKey, ProgramKey};
use serde_json::Value;

use crate::config::RunConfig;
use crate::error::Error;

/// The versions that are written and read.
const EVENT: u32 = 1;
const KEY: u32 = 2;
const CONFIG: u32 = 1;

/// Read as well: the key of a program, without its kind.
const KEY_1: u32 = 1;

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
    key_from(key).map_err(|error| Error::Recorded {
        run: run.clone(),
        what: format!("the key of {task}"),
        why: error.to_string(),
    })
}

fn key_from(key: Value) -> Result<GradingKey, StoredError> {
    if is_of_first_version(&key) {
        return from_stored::<ProgramKey>(KEY_1, key).map(GradingKey::Program);
    }
    from_stored(KEY, key)
}

/// A key as the JSON API gives it. A program's has the fields of version 1, whose
/// readers it keeps.
pub(crate) fn key_document(key: &GradingKey) -> Result<Value, JsonError> {
    match key {
        GradingKey::Program(key) => to_stored("a grading key", KEY_1, key),
    }
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

#[cfg(test)]
mod tests {
    use gyre_types::canonical_json;
    use serde_json::json;

    use super::*;

    /// A grading key as version 1 recorded it, never written again.
    const KEY_OF_VERSION_1: &str = include_str!("../tests/fixtures/key-1.json");

    fn read(key: Value) -> Result<GradingKey, String> {
        let run = "old-1".parse().unwrap();
        let task = "task-a498eabc6bb37d93".parse().unwrap();
        read_key(&run, &task, key).map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_of_version_1_is_a_programs_and_keeps_its_digest() {
        let recorded: Value = serde_json::from_str(KEY_OF_VERSION_1).unwrap();
        let read_key = read(recorded.clone()).unwrap();
        let digest = "b2e9782dbe1c1c217905df997caed5e62c3b44501101aba8c900d31bd05743d9";
        assert_eq!(read_key.digest().to_string(), digest);
        let GradingKey::Program(program) = &read_key;
        assert_eq!((program.hidden.len(), program.failures.len()), (8, 4));
        assert_eq!(canonical_json(&key_document(&read_key).unwrap()), KEY_OF_VERSION_1.trim_end());

        let written = key(&read_key).unwrap();
        assert_eq!(written["version"], 2);
        assert_eq!(written["program"]["reference"], recorded["reference"]);
        assert_eq!(read(written.clone()).unwrap(), read_key);
        let mut newer = written;
        newer["version"] = json!(3);
        let error = read(newer).unwrap_err();
        assert!(error.contains("the key of task-a498eabc6bb37d93"), "{error}");
    }
}
