//! Outcomes and reports: between the contract's JSON and the records of the
//! interface.

use std::collections::{BTreeMap, BTreeSet};

use gyre_types::Value;
use serde::{Deserialize, Serialize};

use super::interface::CONTRACT_VERSION;
use super::verification::VerifierFault;
use super::wit;

/// Characters of a verifier's own words that are kept.
const WORDS_CHARS_MAX: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outcome {
    version: u32,
    task: Task,
    answer: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    id: String,
    family: String,
    instruction: String,
    entry: String,
    visible: Vec<Example>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    args: Value,
    expect: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    args: Value,
    expect: Value,
    result: CaseResult,
    #[serde(default)]
    stdout: String,
    /// A dictionary of texts in wire form, since a path may begin with `$`.
    #[serde(default = "no_files")]
    files: Value,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum CaseResult {
    Value { value: Value },
    Error { error: String },
}

fn no_files() -> Value {
    Value::Dict(Vec::new())
}

/// Reads an outcome.
pub(super) fn read(json: &str) -> Result<wit::Outcome, String> {
    let outcome: Outcome = serde_json::from_str(json).map_err(|error| error.to_string())?;
    if outcome.version != CONTRACT_VERSION {
        return Err(format!("version {} is not {CONTRACT_VERSION}", outcome.version));
    }
    let cases = outcome.cases.into_iter().map(Case::into_wit).collect::<Result<_, _>>();
    Ok(wit::Outcome {
        version: outcome.version,
        task: wit::Task {
            id: outcome.task.id,
            family: outcome.task.family,
            instruction: outcome.task.instruction,
            entry: outcome.task.entry,
            visible: outcome.task.visible.iter().map(Example::to_wit).collect(),
        },
        answer: outcome.answer,
        cases: cases?,
    })
}

impl Example {
    fn to_wit(&self) -> wit::Example {
        wit::Example { args: self.args.to_wire_text(), expect: self.expect.to_wire_text() }
    }
}

impl Case {
    fn into_wit(self) -> Result<wit::Case, String> {
        let files = files(self.files).ok_or_else(|| format!("{}: files are no texts", self.name));
        Ok(wit::Case {
            args: self.args.to_wire_text(),
            expect: self.expect.to_wire_text(),
            result: match self.result {
                CaseResult::Value { value } => wit::CaseResult::Value(value.to_wire_text()),
                CaseResult::Error { error } => wit::CaseResult::Error(error),
            },
            stdout: self.stdout,
            files: files?,
            name: self.name,
        })
    }
}

fn files(files: Value) -> Option<Vec<wit::File>> {
    let Value::Dict(entries) = files else { return None };
    let file = |entry| match entry {
        (Value::Str(path), Value::Str(text)) => Some(wit::File { path, text }),
        _ => None,
    };
    entries.into_iter().map(file).collect()
}

#[derive(Serialize)]
struct Report<'a> {
    passed: bool,
    score: f64,
    checks: Vec<Check<'a>>,
    metrics: BTreeMap<&'a str, f64>,
}

#[derive(Serialize)]
struct Check<'a> {
    name: &'a str,
    passed: bool,
    weight: f64,
    detail: &'a str,
}

/// Writes a report as JSON. What JSON cannot say is refused here; everything
/// else about a report is judged elsewhere.
pub(super) fn write(report: &wit::Report) -> Result<String, VerifierFault> {
    let malformed = |detail: String| VerifierFault::Malformed { detail };
    let numbers = [("the score", report.score)].into_iter();
    let numbers = numbers
        .chain(report.checks.iter().map(|check| ("a check's weight", check.weight)))
        .chain(report.metrics.iter().map(|metric| ("a metric", metric.value)));
    for (what, number) in numbers {
        if !number.is_finite() {
            return Err(malformed(format!("{what} is {number}, which is no finite number")));
        }
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = report.metrics.iter().find(|metric| !names.insert(&metric.name)) {
        return Err(malformed(format!("the metric {:?} is there twice", cut(&twice.name))));
    }
    let checks = report.checks.iter().map(|check| Check {
        name: &check.name,
        passed: check.passed,
        weight: check.weight,
        detail: &check.detail,
    });
    let report = Report {
        passed: report.passed,
        score: report.score,
        checks: checks.collect(),
        metrics: report.metrics.iter().map(|m| (m.name.as_str(), m.value)).collect(),
    };
    serde_json::to_string(&report).map_err(|error| malformed(error.to_string()))
}

/// A verifier's own words, cut to a bounded length.
pub(super) fn cut(words: &str) -> String {
    let mut cut: String = words.chars().take(WORDS_CHARS_MAX).collect();
    if cut.len() < words.len() {
        cut.push('…');
    }
    cut
}
