//! Calls our own programs in guests.

use std::collections::BTreeMap;

use gyre_types::{GuestOutcome, Limits, SandboxJob, Seed, Step, Value};

use super::{Execute, sandbox_failed};
use crate::error::Error;

/// Rewrites programs, in a guest.
pub(super) const REWRITE: &str = include_str!("rewrite.py");

/// Bytes of all rewrites of one program.
const RESULT_BYTES_MAX: u64 = 8 << 20;

/// Fuel for all rewrites of one program.
const FUEL_MAX: u64 = 20_000_000_000;

/// Calls functions of a program of ours, each in a guest of its own.
pub(super) fn call_values(
    program: &str,
    calls: Vec<(&str, Vec<Value>)>,
    execute: &Execute<'_>,
) -> Result<Vec<Value>, Error> {
    let limits =
        Limits { fuel_max: FUEL_MAX, result_bytes_max: RESULT_BYTES_MAX, ..Limits::default() };
    let job = |(function, args): (&str, Vec<Value>)| SandboxJob {
        seed: Seed(0),
        limits: limits.clone(),
        steps: vec![
            Step::Run { code: program.to_owned() },
            Step::Call { function: function.to_owned(), args },
        ],
        files: BTreeMap::new(),
    };
    let value = |report: Result<gyre_types::SandboxReport, String>| {
        let report = report.map_err(sandbox_failed)?;
        match report.last().map(|step| &step.outcome) {
            Some(GuestOutcome::Value { value }) if report.steps.len() == 2 => Ok(value.clone()),
            Some(other) => Err(sandbox_failed(format!("rewriting a program {}", other.describe()))),
            None => Err(sandbox_failed("a report holds no step")),
        }
    };
    execute(calls.into_iter().map(job).collect()).into_iter().map(value).collect()
}
