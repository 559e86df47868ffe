//! Declarative checks, made ready once and judged on the host.

mod numbers;
mod pattern;
mod schema;
mod sets;
mod shown;
mod tokens;

use gyre_types::{CheckResult, Judgement, Value};

use crate::judge::judge_checks;
use crate::report::REPORT_WEIGHT_MAX;
use crate::{
    CaseOutcome, CaseResult, CheckDeclaration, Comparison, Cost, FloatTolerance, Outcome, TextOf,
    same,
};

use pattern::Pattern;
use schema::Schema;
use shown::shown;

/// Most checks that a family declares.
const CHECKS_MAX: usize = 16;

/// Declared checks, ready to judge.
#[derive(Debug, Clone)]
pub struct Checks {
    declared: Vec<CheckDeclaration>,
    ready: Vec<Check>,
}

#[derive(Debug, Clone)]
struct Check {
    name: String,
    weight: f64,
    what: What,
}

/// A check whose expressions and schemas are compiled.
#[derive(Debug, Clone)]
enum What {
    Exact(Comparison),
    Numeric(FloatTolerance),
    Set,
    Multiset,
    Text(TextOf),
    Tokens(TextOf, Option<FloatTolerance>),
    Regex(TextOf, Option<Pattern>),
    JsonSchema(TextOf, Schema),
    File(String, Option<Pattern>),
}

impl Checks {
    /// Makes declared checks ready. `comparison` is the family's, for exact ones.
    ///
    /// # Errors
    ///
    /// Which check cannot be used, and why.
    pub fn new(declared: Vec<CheckDeclaration>, comparison: Comparison) -> Result<Self, String> {
        if declared.is_empty() {
            return Err("checks: there is none".to_owned());
        }
        if declared.len() > CHECKS_MAX {
            return Err(format!("checks: {} of them, more than {CHECKS_MAX}", declared.len()));
        }
        let check = |(at, check): (usize, &CheckDeclaration)| {
            let weight = check.weight();
            if !(weight > 0.0 && weight <= REPORT_WEIGHT_MAX) {
                return Err(format!("checks[{at}].weight: is {weight}, not above 0"));
            }
            let what = What::new(check, comparison).map_err(|why| format!("checks[{at}].{why}"))?;
            Ok(Check { name: name(&declared, at), weight, what })
        };
        let ready = declared.iter().enumerate().map(check).collect::<Result<_, _>>()?;
        Ok(Self { declared, ready })
    }

    /// What was declared.
    pub fn declared(&self) -> &[CheckDeclaration] {
        &self.declared
    }

    /// Judges an outcome: a pass needs every check in every case.
    pub fn judge(&self, outcome: &Outcome, cost: Cost) -> Judgement {
        let Outcome::Program(outcome) = outcome;
        let cases = outcome.cases.len();
        let of_case = |case| self.ready.iter().map(move |check| check.result(case, cases));
        judge_checks(outcome.cases.iter().flat_map(of_case).collect(), cost)
    }
}

impl Check {
    fn result(&self, case: &CaseOutcome, cases: usize) -> CheckResult {
        let agreed = match &case.result {
            CaseResult::Value(value) => self.what.agrees(case, value),
            CaseResult::Error(error) => Err(error.clone()),
        };
        CheckResult {
            name: format!("{} {}", self.name, case.name),
            passed: agreed.is_ok(),
            // Its weight is shared by the cases, however many a task has.
            weight: self.weight / cases.max(1) as f64,
            detail: agreed.err().unwrap_or_default(),
        }
    }
}

impl What {
    fn new(declared: &CheckDeclaration, comparison: Comparison) -> Result<Self, String> {
        let pattern = |pattern: &Option<String>| -> Result<Option<Pattern>, String> {
            let ready = pattern.as_ref().map(|text| Pattern::new(text)).transpose();
            ready.map_err(|why| format!("pattern: {why}"))
        };
        Ok(match declared {
            CheckDeclaration::Exact { .. } => Self::Exact(comparison),
            CheckDeclaration::Numeric { tolerance, .. } => Self::Numeric(*tolerance),
            CheckDeclaration::Set { .. } => Self::Set,
            CheckDeclaration::Multiset { .. } => Self::Multiset,
            CheckDeclaration::Text { of, .. } => Self::Text(*of),
            CheckDeclaration::Tokens { of, tolerance, .. } => Self::Tokens(*of, *tolerance),
            CheckDeclaration::Regex { of, pattern: p, .. } => Self::Regex(*of, pattern(p)?),
            CheckDeclaration::JsonSchema { of, schema, .. } => {
                let schema = Schema::new(schema).map_err(|why| format!("schema: {why}"))?;
                Self::JsonSchema(*of, schema)
            }
            CheckDeclaration::File { path, pattern: p, .. } => {
                Self::File(path.clone(), pattern(p)?)
            }
        })
    }

    fn agrees(&self, case: &CaseOutcome, value: &Value) -> Result<(), String> {
        match self {
            Self::Exact(how) => same(&case.expect, value, how).map_err(|m| m.to_string()),
            Self::Numeric(tolerance) => numbers::close(&case.expect, value, *tolerance),
            Self::Set => sets::same_set(&case.expect, value),
            Self::Multiset => sets::same_multiset(&case.expect, value),
            Self::Text(of) => {
                let expected = expected_text(case)?;
                same_text(expected, text(*of, case, value)?)
            }
            Self::Tokens(of, tolerance) => {
                tokens::same_tokens(expected_text(case)?, text(*of, case, value)?, *tolerance)
            }
            Self::Regex(of, pattern) => matches(pattern, case, text(*of, case, value)?),
            Self::JsonSchema(TextOf::Result, schema) => schema.accepts_value(value),
            Self::JsonSchema(TextOf::Stdout, schema) => schema.accepts_text(&case.stdout),
            Self::File(path, pattern) => {
                let content =
                    case.files.get(path).ok_or_else(|| format!("the file {path} is missing"))?;
                let agreed = match pattern {
                    Some(_) => matches(pattern, case, content),
                    None => same_content(expected_text(case)?, content),
                };
                agreed.map_err(|why| format!("{path}: {why}"))
            }
        }
    }
}

/// A check's name: its kind, numbered where there are several of one kind.
fn name(declared: &[CheckDeclaration], at: usize) -> String {
    let kind = declared[at].name();
    let same_kind = |declared: &[CheckDeclaration]| {
        declared.iter().filter(|other| other.name() == kind).count()
    };
    match same_kind(declared) {
        1 => kind.to_owned(),
        _ => format!("{kind}#{}", same_kind(&declared[..=at])),
    }
}

fn text<'a>(of: TextOf, case: &'a CaseOutcome, value: &'a Value) -> Result<&'a str, String> {
    match (of, value) {
        (TextOf::Stdout, _) => Ok(&case.stdout),
        (TextOf::Result, Value::Str(text)) => Ok(text),
        (TextOf::Result, other) => Err(format!("expected a str, got {}", shown(other))),
    }
}

fn expected_text(case: &CaseOutcome) -> Result<&str, String> {
    let wrong = || format!("the case expects {}, which is no text", shown(&case.expect));
    case.expect.as_str().ok_or_else(wrong)
}

fn matches(pattern: &Option<Pattern>, case: &CaseOutcome, text: &str) -> Result<(), String> {
    match pattern {
        Some(pattern) => pattern.accepts(text),
        None => Pattern::new(expected_text(case)?)?.accepts(text),
    }
}

fn same_content(expected: &str, actual: &str) -> Result<(), String> {
    if expected == actual { Ok(()) } else { Err(differ(expected, actual)) }
}

/// Compares texts but for white space at the ends of lines and of the text.
fn same_text(expected: &str, actual: &str) -> Result<(), String> {
    let lines = |text: &str| {
        text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
    };
    if lines(expected) == lines(actual) { Ok(()) } else { Err(differ(expected, actual)) }
}

fn differ(expected: &str, actual: &str) -> String {
    let text = |text: &str| shown(&Value::Str(text.to_owned()));
    format!("expected {}, got {}", text(expected), text(actual))
}
