use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::Path;

use gyre_types::{
    Case, Digest, GuestOutcome, Interface, Limits, SandboxJob, SandboxReport, Seed, Step, Value,
};
use gyre_verify::{Comparison, Equality, FloatTolerance};
use serde::Deserialize;

use crate::contract::{case, require_content, require_entry};
use crate::family::{Difficulty, FamilyManifest, SourceKind, require_family_name};
use crate::gates::require_stub_fails;
use crate::generate::stringify;
use crate::guest::run_jobs;
use crate::{Reason, Refusal, StaticTask, TaskError};

/// Hidden cases kept of one problem: some tests call in a loop of hundreds,
/// and each case costs a pass a guest of its own.
const HIDDEN_MAX: usize = 40;

/// Records what a test asks of its candidate, and reads the prompt's examples.
const RECORDER: &str = include_str!("humaneval/recorder.py");

/// Problems of a HumanEval-format file, as tasks of a family.
#[derive(Debug, Clone)]
pub struct Import {
    /// The family that they make.
    pub manifest: FamilyManifest,
    /// The tasks, in the file's order.
    pub tasks: Vec<StaticTask>,
    /// The problems that could not be made into tasks, by name, and why.
    pub refused: Vec<(String, Refusal)>,
}

/// One line of a HumanEval-format file.
#[derive(Debug, Deserialize)]
struct Problem {
    task_id: String,
    prompt: String,
    entry_point: String,
    canonical_solution: String,
    test: String,
}

impl Problem {
    fn solution(&self) -> String {
        format!("{}{}", self.prompt, self.canonical_solution)
    }
}

/// Turns problems in the HumanEval format (JSON lines with `task_id`,
/// `prompt`, `entry_point`, `canonical_solution`, `test`) into tasks.
///
/// A `check(candidate)` that ran beside an untrusted answer could be forged,
/// so it runs once, here, over the problem's own solution; what it asks and
/// what it gets become hidden cases that are judged on the host. The doctest
/// lines of the prompt become visible examples. A test that compares within a
/// bound (`abs(a - b) < 1e-6`) gives its task that bound as float tolerance.
///
/// `source` names the file in errors.
///
/// # Errors
///
/// When a line is not of the format, or the sandbox fails. A problem that
/// makes no task is listed in [`Import::refused`].
pub fn import_humaneval<E: Display>(
    source: &Path,
    text: &str,
    family: &str,
    execute: impl Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, E>>,
) -> Result<Import, TaskError> {
    require_family_name(family)
        .map_err(|detail| TaskError::Request { family: family.to_owned(), detail })?;
    let problems = read(text).map_err(|detail| TaskError::invalid(source, detail))?;
    let reports = run_jobs(problems.iter().map(recording).collect(), &stringify(&execute))?;
    let mut import = Import { manifest: manifest(family), tasks: Vec::new(), refused: Vec::new() };
    for (problem, report) in problems.iter().zip(&reports) {
        match to_task(problem, report) {
            Ok(task) => import.tasks.push(task),
            Err(refusal) => import.refused.push((problem.task_id.clone(), refusal)),
        }
    }
    Ok(import)
}

impl Import {
    /// Writes the family's folder, which must not exist: `family.toml`,
    /// `tasks.jsonl`, `README.md`.
    ///
    /// # Errors
    ///
    /// When the folder exists or cannot be written.
    pub fn write(&self, dir: &Path) -> Result<(), TaskError> {
        fs::create_dir(dir).map_err(TaskError::io("create", dir))?;
        let write = |name: &str, text: String| {
            let path = dir.join(name);
            fs::write(&path, text).map_err(TaskError::io("write", path))
        };
        let toml = toml::to_string(&self.manifest)
            .map_err(|error| TaskError::invalid(dir.join("family.toml"), error))?;
        write("family.toml", toml)?;
        let mut lines = String::new();
        for task in &self.tasks {
            let line = serde_json::to_string(task)
                .map_err(|error| TaskError::invalid(dir.join("tasks.jsonl"), error))?;
            lines.push_str(&line);
            lines.push('\n');
        }
        write("tasks.jsonl", lines)?;
        write("README.md", self.readme())
    }

    fn readme(&self) -> String {
        let mut text = format!(
            "# {}\n\nImported from a HumanEval-format file: {} tasks, {} refused.\n\nEach test ran \
             once, over the problem's own solution, and what it asked became hidden cases.\n",
            self.manifest.name,
            self.tasks.len(),
            self.refused.len()
        );
        for (name, refusal) in &self.refused {
            text.push_str(&format!("\n- {name}: {refusal}"));
        }
        text
    }
}

fn manifest(family: &str) -> FamilyManifest {
    FamilyManifest {
        name: family.to_owned(),
        version: 1,
        description: "Problems imported from a HumanEval-format file.".to_owned(),
        source: SourceKind::Static,
        entry: "solve".to_owned(),
        difficulty: Difficulty { min: 1, max: 1 },
        comparison: Equality::Python.into(),
        interface: Interface::default(),
        limits: Limits::default(),
        verifier: None,
    }
}

fn read(text: &str) -> Result<Vec<Problem>, String> {
    let mut problems: Vec<Problem> = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = |why: String| format!("line {}: {why}", number + 1);
        let mut deserializer = serde_json::Deserializer::from_str(line);
        let problem: Problem = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| at(format!("{}: {}", error.path(), error.inner())))?;
        require_entry(&problem.entry_point).map_err(|why| at(format!("entry_point: {why}")))?;
        if problems.iter().any(|earlier| earlier.task_id == problem.task_id) {
            return Err(at(format!("task_id: {:?} is there twice", problem.task_id)));
        }
        problems.push(problem);
    }
    if problems.is_empty() { Err("there is no problem in it".to_owned()) } else { Ok(problems) }
}

fn recording(problem: &Problem) -> SandboxJob {
    let run = |code: String| Step::Run { code };
    let text = |text: &str| Value::Str(text.to_owned());
    let entry = || text(&problem.entry_point);
    SandboxJob {
        seed: Seed(Digest::of(problem.task_id.as_bytes()).to_u64()),
        limits: Limits { result_bytes_max: 4 << 20, ..Limits::default() },
        steps: vec![
            run(problem.solution()),
            run(problem.test.clone()),
            run(RECORDER.to_owned()),
            Step::Call {
                function: "__gyre_examples__".to_owned(),
                args: vec![entry(), text(&problem.prompt)],
            },
            Step::Call { function: "__gyre_record__".to_owned(), args: vec![entry()] },
        ],
        files: BTreeMap::new(),
    }
}

fn to_task(problem: &Problem, report: &SandboxReport) -> Result<StaticTask, Refusal> {
    let steps: Vec<&GuestOutcome> = report.steps.iter().map(|step| &step.outcome).collect();
    for (at, name) in ["the solution", "the test", "the recorder"].into_iter().enumerate() {
        returned(&steps, at, name)?;
    }
    let visible = cases(returned(&steps, 3, "reading the examples")?)?;
    let recorded = cases(returned(&steps, 4, "the test, over the solution,")?)?;
    if recorded.is_empty() {
        return Err(Refusal::new(Reason::Schema, "the test never calls its candidate"));
    }
    let hidden: Vec<Case> = distinct(recorded).into_iter().take(HIDDEN_MAX).collect();
    let task = StaticTask {
        name: problem.task_id.clone(),
        difficulty: 1,
        skills: Vec::new(),
        instruction: format!(
            "Complete this Python program. Give all of it.\n\n```python\n{}\n```",
            problem.prompt.trim_end()
        ),
        entry: problem.entry_point.clone(),
        visible,
        hidden,
        comparison: tolerance(&problem.test)
            .map(|within| Comparison { equality: Equality::Python, float_tolerance: Some(within) }),
        reference: problem.solution(),
        failures: stubs(problem),
    };
    require_content(&task.content(), Interface::Call)
        .map_err(|why| Refusal::new(Reason::Schema, why))?;
    let comparison = task.comparison.unwrap_or(Equality::Python.into());
    require_stub_fails(&task.content(), &comparison)?;
    Ok(task)
}

fn returned<'a>(steps: &[&'a GuestOutcome], at: usize, name: &str) -> Result<&'a Value, Refusal> {
    let refuse = |why: String| Err(Refusal::new(Reason::ReferenceFails, format!("{name} {why}")));
    match steps.get(at) {
        Some(GuestOutcome::Value { value }) => Ok(value),
        Some(outcome) => refuse(outcome.describe()),
        None => refuse("was not reached".to_owned()),
    }
}

fn cases(value: &Value) -> Result<Vec<Case>, Refusal> {
    let items = value.as_seq().unwrap_or_default();
    let read: Result<_, String> = items.iter().map(case).collect();
    read.map_err(|why| Refusal::new(Reason::Schema, why))
}

fn distinct(cases: Vec<Case>) -> Vec<Case> {
    let mut seen = std::collections::HashSet::new();
    let text = |case: &Case| Value::List(case.args.clone()).to_wire_text();
    cases.into_iter().filter(|case| seen.insert(text(case))).collect()
}

/// Programs that must fail: the bare prompt, and two that hardly do more.
fn stubs(problem: &Problem) -> Vec<String> {
    let entry = &problem.entry_point;
    vec![
        format!("{}    pass\n", problem.prompt),
        format!("def {entry}(*arguments):\n    return arguments[0] if arguments else None\n"),
        format!("def {entry}(*arguments):\n    raise NotImplementedError\n"),
    ]
}

/// The widest bound that a test compares floats within, if it does: a number
/// after `<`, on a line that takes an absolute difference, or `isclose`.
fn tolerance(test: &str) -> Option<FloatTolerance> {
    let bound = |line: &str| {
        let (_, after) = line.split_once("abs(")?;
        let (_, bound) = after.split_once('<')?;
        let number = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+');
        let bound = bound.trim_start_matches('=').trim_start();
        let end = bound.find(|c| !number(c)).unwrap_or(bound.len());
        bound[..end].parse::<f64>().ok().filter(|bound| *bound > 0.0 && *bound <= 0.1)
    };
    let widest = test.lines().filter_map(bound).fold(0.0, f64::max);
    let relative = if test.contains("isclose") { 1e-9 } else { 0.0 };
    if widest == 0.0 && relative == 0.0 { None } else { FloatTolerance::new(widest, relative).ok() }
}
