//! A verifier: it passes an answer whose results are the expected ones.
//!
//! `wit/verifier.wit` says what an outcome holds and what a report must be.
#![no_std]

extern crate alloc;

mod runtime;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use serde_json::Value;

wit_bindgen::generate!({ path: "wit", world: "verifier" });

use exports::gyre::verifier::grading::{Case, CaseResult, Check, Guest, Outcome, Report};

struct Verifier;

export!(Verifier);

impl Guest for Verifier {
    /// An error means that nothing can be said of the answer.
    fn verify(outcome: Outcome) -> Result<Report, String> {
        let checks = outcome.cases.iter().map(check).collect::<Result<Vec<_>, _>>()?;
        if checks.is_empty() {
            return Err(String::from("the outcome holds no case"));
        }
        let passed = checks.iter().filter(|check| check.passed).count();
        Ok(Report {
            passed: passed == checks.len(),
            score: passed as f64 / checks.len() as f64,
            checks,
            metrics: vec![],
        })
    }
}

fn check(case: &Case) -> Result<Check, String> {
    let expected = parse(&case.expect)?;
    let (passed, detail) = match &case.result {
        // `Value` tells 1 from 1.0 and from true.
        CaseResult::Value(value) if parse(value)? == expected => (true, String::new()),
        CaseResult::Value(value) => (false, format!("gave {value}, not {expected}")),
        CaseResult::Error(error) => (false, error.clone()),
    };
    // The host refuses a detail beyond 4 KiB.
    let detail = detail.chars().take(200).collect();
    Ok(Check { name: case.name.clone(), passed, weight: 1.0, detail })
}

fn parse(json: &str) -> Result<Value, String> {
    serde_json::from_str(json).map_err(|error| format!("a value is no JSON: {error}"))
}
