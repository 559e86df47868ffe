//! Golden cases: outcomes, and what must be said of them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use gyre_folder::Folder;
use gyre_sandbox::SandboxError;
use gyre_sandbox::plugin::{ComponentVerifier, Verification};
use gyre_types::Value;
use gyre_verify::Report;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// A file of the folder `golden`.
#[derive(Debug)]
pub(crate) struct GoldenCase {
    path: PathBuf,
    name: String,
    expect: Expectation,
    outcome: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenFile {
    expect: Expectation,
    /// Any JSON; whether it is an outcome, the contract says.
    outcome: Value,
}

/// What must be said of an outcome.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    /// Whether it passes. Without it, the verifier must refuse to judge.
    #[serde(default)]
    passed: Option<bool>,
    /// The score, where it matters.
    #[serde(default)]
    score: Option<f64>,
}

/// What a verifier said of a golden case.
#[derive(Debug, Serialize)]
pub(crate) struct Tested {
    /// The file's name without its ending.
    pub(crate) name: String,
    /// Whether it said what was expected.
    pub(crate) agrees: bool,
    pub(crate) expected: String,
    pub(crate) reported: String,
    /// The checks that did not pass, or why there is no report.
    pub(crate) details: Vec<String>,
    pub(crate) fuel: u64,
    pub(crate) memory_bytes_peak: u64,
}

/// Reads the golden cases of a folder, in the order of their names.
pub(crate) fn read(folder: &Folder) -> anyhow::Result<Vec<GoldenCase>> {
    let path = folder.path();
    let entries = folder.look_at(".").and_then(|_| folder.entries());
    let entries = entries.map_err(|error| io(&path, "read the golden cases in", error))?;
    let is_case = |name: &OsString| Path::new(name).extension().is_some_and(|e| e == "json");
    let cases: Vec<_> = entries.into_iter().map(|entry| entry.name).filter(is_case).collect();
    if cases.is_empty() {
        let message = format!("{} holds no golden case (*.json)", path.display());
        return Err(Failure::error(Failure::VERIFIER_REFUSED, message));
    }
    cases.iter().map(|name| GoldenCase::read(folder, name)).collect()
}

fn io(path: &Path, doing: &'static str, source: std::io::Error) -> anyhow::Error {
    gyre_orchestrator::Error::Io { doing, path: path.to_owned(), source }.into()
}

impl GoldenCase {
    fn read(folder: &Folder, name: &OsStr) -> anyhow::Result<Self> {
        let path = folder.path().join(name);
        let text = folder
            .read_to_string(name)
            .map_err(|error| io(&path, "read the golden case", error))?;
        let file: GoldenFile =
            serde_json::from_str(&text).map_err(|error| malformed(&path, &error.to_string()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { path, name, expect: file.expect, outcome: file.outcome.to_wire_text() })
    }

    /// Shows it to a verifier.
    pub(crate) fn test(&self, verifier: &ComponentVerifier) -> anyhow::Result<Tested> {
        let verification = verifier.verify(&self.outcome).map_err(|error| match error {
            SandboxError::Outcome { message } => malformed(&self.path, &message),
            error => gyre_orchestrator::Error::from(error).into(),
        })?;
        let Verification { report, fuel, memory_bytes_peak } = verification;
        let report = report
            .map_err(|fault| fault.to_string())
            .and_then(|text| Report::parse(&text).map_err(|error| error.to_string()));
        Ok(Tested {
            name: self.name.clone(),
            agrees: self.expect.agrees(report.as_ref().ok()),
            expected: self.expect.to_text(),
            reported: match &report {
                Ok(report) => text_of(report.passed(), Some(report.score().get())),
                Err(_) => "no verdict".to_owned(),
            },
            details: details(&report),
            fuel,
            memory_bytes_peak,
        })
    }
}

impl Expectation {
    fn agrees(&self, report: Option<&Report>) -> bool {
        match (report, self.passed) {
            (None, None) => true,
            (Some(report), Some(passed)) => {
                let near = |score: f64| (report.score().get() - score).abs() <= 1e-9;
                report.passed() == passed && self.score.is_none_or(near)
            }
            _ => false,
        }
    }

    fn to_text(&self) -> String {
        self.passed.map_or("no verdict".to_owned(), |passed| text_of(passed, self.score))
    }
}

fn text_of(passed: bool, score: Option<f64>) -> String {
    let said = if passed { "pass" } else { "fail" };
    score.map_or(said.to_owned(), |score| format!("{said} {score}"))
}

fn details(report: &Result<Report, String>) -> Vec<String> {
    match report {
        Ok(report) => {
            let failed = report.checks().iter().filter(|check| !check.passed);
            failed.map(|check| format!("{}: {}", check.name, check.detail)).collect()
        }
        Err(why) => vec![why.clone()],
    }
}

fn malformed(path: &Path, what: &str) -> anyhow::Error {
    let message = format!("{} is no golden case: {what}", path.display());
    Failure::error(Failure::VERIFIER_REFUSED, message)
}
