//! What an answer did, as a verifier sees it: data, and nothing that runs.

use std::collections::BTreeMap;

use gyre_env::program::interface;
use gyre_types::{Case, Interface, SandboxReport, Value};

use crate::ProgramSubmission;
use crate::judge::require_complete;
use crate::report::CONTRACT_VERSION;

/// Bytes that the answer may put into one case: its value's wire text, and its
/// stdout, and its files, each. Beyond it the case is an error.
pub const CASE_BYTES_MAX: usize = 64 << 10;

/// Bytes that the answer may put into all cases of one outcome. It bounds what
/// a verifier must read, and so what an answer can make it burn.
pub const OUTCOME_BYTES_MAX: usize = 1 << 20;

/// What a verifier is given of a rollout, by kind of environment.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Of a program.
    Program(ProgramOutcome),
}

/// What a verifier is given of a program.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgramOutcome {
    /// The task's id.
    pub task: String,
    /// Its family.
    pub family: String,
    /// Its instruction.
    pub instruction: String,
    /// The function that the answer had to define.
    pub entry: String,
    /// The examples that the agent saw.
    pub visible: Vec<Case>,
    /// The program that was handed in.
    pub answer: String,
    /// What it did, hidden case by hidden case, each in a guest of its own.
    pub cases: Vec<CaseOutcome>,
}

/// What the answer did in one hidden case.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseOutcome {
    /// `hidden[0]` and so on.
    pub name: String,
    /// What it was called with.
    pub args: Vec<Value>,
    /// What the grading key expects.
    pub expect: Value,
    /// What came back.
    pub result: CaseResult,
    /// What it printed.
    pub stdout: String,
    /// Text files that it left in its workspace, by path.
    pub files: BTreeMap<String, String>,
}

/// What came back from one call.
#[derive(Debug, Clone, PartialEq)]
pub enum CaseResult {
    /// A value.
    Value(Value),
    /// None, and why, in words such as `raised ValueError: bad digit`.
    Error(String),
}

impl Outcome {
    /// The outcome as Python values: what `verify.py` is called with.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Program(outcome) => outcome.to_value(),
        }
    }

    /// The outcome as JSON: what components and commands are given.
    ///
    /// Values are as JSON has them where that is unambiguous, and otherwise in
    /// the wire form of [`Value`].
    pub fn to_json(&self) -> String {
        self.to_value().to_wire_text()
    }
}

impl ProgramOutcome {
    /// The outcome of a submission, from what was observed.
    pub fn of(submission: &ProgramSubmission<'_>, mut cases: Vec<CaseOutcome>) -> Self {
        let ProgramSubmission { task, spec, program, .. } = submission;
        bound(&mut cases);
        Self {
            task: task.id.to_string(),
            family: task.family.clone(),
            instruction: task.instruction().to_owned(),
            entry: spec.entry.clone(),
            visible: spec.visible.clone(),
            answer: (*program).to_owned(),
            cases,
        }
    }

    fn to_value(&self) -> Value {
        let visible = self.visible.iter().map(case_value).collect();
        let task = [
            ("id", text(&self.task)),
            ("family", text(&self.family)),
            ("instruction", text(&self.instruction)),
            ("entry", text(&self.entry)),
            ("visible", Value::List(visible)),
        ];
        dict([
            ("version", Value::Int(i64::from(CONTRACT_VERSION))),
            ("task", dict(task)),
            ("answer", text(&self.answer)),
            ("cases", Value::List(self.cases.iter().map(CaseOutcome::to_value).collect())),
        ])
    }
}

impl CaseOutcome {
    /// What the report of a case's guest says: a job of
    /// [`plan_observation`](crate::plan_observation).
    ///
    /// # Errors
    ///
    /// When the report cannot be one of that job: a fault of ours.
    pub fn of(
        at: usize,
        case: &Case,
        interface: Interface,
        report: &SandboxReport,
    ) -> Result<Self, String> {
        require_complete(report, interface::BEGIN_STEPS + interface::case_steps(interface))?;
        let (begun, steps) = report.steps.split_first().ok_or("the report holds no step")?;
        let result = match interface::value(interface, begun, steps) {
            Ok(value) => CaseResult::Value(value),
            Err(error) => CaseResult::Error(error),
        };
        Ok(Self {
            name: format!("hidden[{at}]"),
            args: case.args.clone(),
            expect: case.expect.clone(),
            result,
            stdout: report.steps.iter().map(|step| step.stdout.as_str()).collect(),
            files: report.files.iter().map(text_file).collect(),
        })
    }

    /// A case that was not run, and why.
    pub(crate) fn unrun(at: usize, case: &Case, why: String) -> Self {
        Self {
            name: format!("hidden[{at}]"),
            args: case.args.clone(),
            expect: case.expect.clone(),
            result: CaseResult::Error(why),
            stdout: String::new(),
            files: BTreeMap::new(),
        }
    }

    fn to_value(&self) -> Value {
        let result = match &self.result {
            CaseResult::Value(value) => dict([("kind", text("value")), ("value", value.clone())]),
            CaseResult::Error(error) => dict([("kind", text("error")), ("error", text(error))]),
        };
        let file = |(path, content): (&String, &String)| (text(path), text(content));
        dict([
            ("name", text(&self.name)),
            ("args", Value::List(self.args.clone())),
            ("expect", self.expect.clone()),
            ("result", result),
            ("stdout", text(&self.stdout)),
            ("files", Value::Dict(self.files.iter().map(file).collect())),
        ])
    }

    /// Bytes that the answer put into it.
    pub(crate) fn bytes(&self) -> usize {
        let result = match &self.result {
            CaseResult::Value(value) => value.to_wire_text().len(),
            CaseResult::Error(_) => 0,
        };
        let files = self.files.iter().map(|(path, content)| path.len() + content.len());
        result + self.stdout.len() + files.sum::<usize>()
    }

    /// Lets go of what is more than one case may hold.
    pub(crate) fn bound(&mut self, bytes: usize) {
        if bytes > CASE_BYTES_MAX {
            self.give_up(format!("gave {bytes} bytes, more than {CASE_BYTES_MAX} for one case"));
        }
    }

    /// Lets go of what is more than all cases may hold.
    pub(crate) fn exceed(&mut self) {
        self.give_up(format!("gave more than {OUTCOME_BYTES_MAX} bytes for all cases"));
    }

    fn give_up(&mut self, why: String) {
        self.result = CaseResult::Error(why);
        self.stdout.clear();
        self.files.clear();
    }
}

/// A file as text; what is not UTF-8 in it is replaced.
fn text_file((path, bytes): (&String, &Vec<u8>)) -> (String, String) {
    (path.clone(), String::from_utf8_lossy(bytes).into_owned())
}

/// Turns cases into errors that would make the outcome too large.
fn bound(cases: &mut [CaseOutcome]) {
    let mut left = OUTCOME_BYTES_MAX;
    for case in cases {
        let bytes = case.bytes();
        if bytes > CASE_BYTES_MAX {
            case.bound(bytes);
        } else if bytes > left {
            case.exceed();
            left = 0;
        } else {
            left -= bytes;
        }
    }
}

fn case_value(case: &Case) -> Value {
    dict([("args", Value::List(case.args.clone())), ("expect", case.expect.clone())])
}

fn text(text: &str) -> Value {
    Value::Str(text.to_owned())
}

fn dict<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Dict(entries.into_iter().map(|(key, value)| (text(key), value)).collect())
}
