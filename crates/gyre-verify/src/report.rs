//! What a verifier says, read strictly, and the judgement that it makes.

use std::collections::{BTreeMap, BTreeSet};

use gyre_types::{CheckResult, InvalidReason, Judgement, Score, Value, Verdict};

use crate::plain::{Plain, REPORT_DEPTH_MAX};

/// The version of outcome and report. A verifier's identity contains it.
pub const CONTRACT_VERSION: u32 = 1;

/// Largest report that is read, in bytes of JSON.
pub const REPORT_BYTES_MAX: usize = 256 << 10;

/// Most checks in one report.
pub const REPORT_CHECKS_MAX: usize = 512;

/// Most metrics in one report.
pub const REPORT_METRICS_MAX: usize = 64;

/// Longest name of a check or a metric, in bytes.
pub const REPORT_NAME_BYTES_MAX: usize = 128;

/// Longest detail of a check, in bytes.
pub const REPORT_DETAIL_BYTES_MAX: usize = 4 << 10;

/// Largest weight of a check: beyond it, the other checks would not count.
pub const REPORT_WEIGHT_MAX: f64 = 1e6;

/// What a verifier found: a report that keeps every rule of the contract.
///
/// It is made by [`Report::parse`] and [`Report::of_value`] alone, so there is
/// none that breaks a rule: it holds a check, names are unique, it passed if
/// and only if each check did, and a score of 1 is a pass's alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    score: Score,
    checks: Vec<CheckResult>,
    metrics: BTreeMap<String, f64>,
}

/// Why something is no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the report is refused: {what}")]
pub struct ReportError {
    /// Where and what, such as `checks[0].weight: is -1, not above 0`.
    pub what: String,
}

/// What a verifier was run for, and what that cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Fuel burnt by guests.
    pub fuel: u64,
    /// Guests started.
    pub guests: u32,
}

impl Report {
    /// Reads a report from JSON text, as components and commands give it.
    ///
    /// # Errors
    ///
    /// When it is too large, no JSON, or breaks a rule of the contract.
    pub fn parse(text: &str) -> Result<Self, ReportError> {
        if text.len() > REPORT_BYTES_MAX {
            let what = format!("it takes {} bytes, more than {REPORT_BYTES_MAX}", text.len());
            return Err(ReportError { what });
        }
        let plain = Plain::parse(text, REPORT_DEPTH_MAX).map_err(|what| ReportError { what })?;
        read(plain).map_err(|what| ReportError { what })
    }

    /// Reads a report from a Python value, as `verify.py` returns it.
    ///
    /// # Errors
    ///
    /// When it holds what JSON does not, or breaks a rule of the contract.
    pub fn of_value(value: &Value) -> Result<Self, ReportError> {
        let plain =
            Plain::of_value(value, REPORT_DEPTH_MAX).map_err(|what| ReportError { what })?;
        read(plain).map_err(|what| ReportError { what })
    }

    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.score == Score::ONE
    }

    /// The score: 1 for a pass, below 1 otherwise.
    pub fn score(&self) -> Score {
        self.score
    }

    /// The checks, in the verifier's order; at least one.
    pub fn checks(&self) -> &[CheckResult] {
        &self.checks
    }

    /// The metrics, by name. They tell people something and decide nothing.
    pub fn metrics(&self) -> &BTreeMap<String, f64> {
        &self.metrics
    }
}

/// Makes a judgement of what a verifier gave. Something that is no report is
/// the verifier's fault: invalid, and neither a pass nor a zero.
pub fn judge_report(report: Result<Report, ReportError>, cost: Cost) -> Judgement {
    let Cost { fuel, guests } = cost;
    match report {
        Ok(report) => {
            let verdict =
                if report.passed() { Verdict::Pass } else { Verdict::Fail { score: report.score } };
            Judgement { verdict, checks: report.checks, fuel, guests }
        }
        Err(error) => {
            let reason = InvalidReason::Verifier { detail: error.to_string() };
            Judgement { verdict: Verdict::Invalid { reason }, checks: Vec::new(), fuel, guests }
        }
    }
}

fn read(plain: Plain) -> Result<Report, String> {
    let mut fields = Fields::of(plain, "it", &["passed", "score", "checks", "metrics"])?;
    let passed = boolean(fields.take("passed")?, "passed")?;
    let score = number(fields.take("score")?, "score")?;
    let score = Score::new(score).map_err(|error| format!("score: {error}"))?;
    let checks = checks(fields.take("checks")?)?;
    let metrics = metrics(fields.take("metrics")?)?;
    let failed = checks.iter().find(|check| !check.passed);
    match (passed, failed) {
        (true, Some(check)) => Err(format!("it passed, but the check {:?} did not", check.name)),
        (false, None) => Err("it did not pass, but every check did".to_owned()),
        (true, None) if score != Score::ONE => {
            Err(format!("it passed with the score {}, not 1", score.get()))
        }
        (false, Some(_)) if score == Score::ONE => {
            Err("it did not pass, but its score is 1".to_owned())
        }
        _ => Ok(Report { score, checks, metrics }),
    }
}

fn checks(plain: Plain) -> Result<Vec<CheckResult>, String> {
    let Plain::List(items) = plain else {
        return Err(format!("checks: {} instead of a list", plain.kind()));
    };
    if items.is_empty() {
        return Err("checks: there is none".to_owned());
    }
    if items.len() > REPORT_CHECKS_MAX {
        return Err(format!("checks: {} of them, more than {REPORT_CHECKS_MAX}", items.len()));
    }
    let mut names = BTreeSet::new();
    let mut checks = Vec::with_capacity(items.len());
    for (at, item) in items.into_iter().enumerate() {
        let check = check(item, &format!("checks[{at}]"))?;
        if !names.insert(check.name.clone()) {
            return Err(format!("checks[{at}].name: {:?} is there twice", check.name));
        }
        checks.push(check);
    }
    Ok(checks)
}

fn check(plain: Plain, at: &str) -> Result<CheckResult, String> {
    let mut fields = Fields::of(plain, at, &["name", "passed", "weight", "detail"])?;
    let name = text(fields.take("name")?, &format!("{at}.name"))?;
    require_name(&name).map_err(|why| format!("{at}.name: {why}"))?;
    let passed = boolean(fields.take("passed")?, &format!("{at}.passed"))?;
    let weight = number(fields.take("weight")?, &format!("{at}.weight"))?;
    if !(weight > 0.0 && weight <= REPORT_WEIGHT_MAX) {
        return Err(format!(
            "{at}.weight: is {weight}, not above 0 and at most {REPORT_WEIGHT_MAX}"
        ));
    }
    let detail = text(fields.take("detail")?, &format!("{at}.detail"))?;
    if detail.len() > REPORT_DETAIL_BYTES_MAX {
        let bytes = detail.len();
        return Err(format!(
            "{at}.detail: takes {bytes} bytes, more than {REPORT_DETAIL_BYTES_MAX}"
        ));
    }
    Ok(CheckResult { name, passed, weight, detail })
}

fn metrics(plain: Plain) -> Result<BTreeMap<String, f64>, String> {
    let Plain::Object(entries) = plain else {
        return Err(format!("metrics: {} instead of an object", plain.kind()));
    };
    if entries.len() > REPORT_METRICS_MAX {
        return Err(format!("metrics: {} of them, more than {REPORT_METRICS_MAX}", entries.len()));
    }
    let mut metrics = BTreeMap::new();
    for (name, value) in entries {
        require_name(&name).map_err(|why| format!("metrics: {why}"))?;
        let value = number(value, &format!("metrics.{name}"))?;
        metrics.insert(name, value);
    }
    Ok(metrics)
}

/// A name is shown in tables and stored: one short line.
pub(crate) fn require_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("a name is empty".to_owned());
    }
    if name.len() > REPORT_NAME_BYTES_MAX {
        return Err(format!(
            "a name takes {} bytes, more than {REPORT_NAME_BYTES_MAX}",
            name.len()
        ));
    }
    match name.chars().find(|c| c.is_control()) {
        None => Ok(()),
        Some(_) => Err(format!("the name {name:?} holds a control character")),
    }
}

/// The fields of an object, each of which must be taken.
struct Fields {
    at: String,
    entries: Vec<(String, Plain)>,
}

impl Fields {
    fn of(plain: Plain, at: &str, known: &[&str]) -> Result<Self, String> {
        let Plain::Object(entries) = plain else {
            return Err(format!("{at}: {} instead of an object", plain.kind()));
        };
        match entries.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            None => Ok(Self { at: at.to_owned(), entries }),
            Some((key, _)) => {
                let shown: String = key.chars().take(40).collect();
                Err(format!("{at}: unknown key {shown:?} (known: {})", known.join(", ")))
            }
        }
    }

    fn take(&mut self, name: &str) -> Result<Plain, String> {
        match self.entries.iter().position(|(key, _)| key == name) {
            Some(at) => Ok(self.entries.swap_remove(at).1),
            None => Err(format!("{}: {name} is missing", self.at)),
        }
    }
}

fn boolean(plain: Plain, at: &str) -> Result<bool, String> {
    match plain {
        Plain::Bool(value) => Ok(value),
        other => Err(format!("{at}: {} instead of a boolean", other.kind())),
    }
}

fn number(plain: Plain, at: &str) -> Result<f64, String> {
    match plain {
        Plain::Number(number) => {
            let finite = number.as_f64().filter(|value| value.is_finite());
            finite.ok_or_else(|| format!("{at}: {number} is not a finite number"))
        }
        other => Err(format!("{at}: {} instead of a number", other.kind())),
    }
}

fn text(plain: Plain, at: &str) -> Result<String, String> {
    match plain {
        Plain::Text(text) => Ok(text),
        other => Err(format!("{at}: {} instead of a string", other.kind())),
    }
}
