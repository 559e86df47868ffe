use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::Path;

use gyre_types::{
    Case, Digest, GuestOutcome, Interface, Judgement, Limits, SandboxJob, SandboxReport, Seed,
    Step, Value, Verdict,
};
use gyre_verify::{Comparison, Equality, FloatTolerance, GradingKey, Submission, judge_batch};
use serde::Deserialize;

use crate::contract::{case, require_content, require_entry};
use crate::gates::require_stub_fails;
use crate::generate::stringify;
use crate::guest::{Execute, run_jobs};
use crate::manifest::{Difficulty, FamilyManifest, SourceKind, require_family_name};
use crate::{AdmittedTask, Reason, Refusal, StaticTask, TaskError};

/// Hidden cases kept of one problem: some tests call in a loop of hundreds,
/// and each case costs a pass a guest of its own.
const HIDDEN_MAX: usize = 40;

/// How tests compare that say `==`.
const PYTHON: Comparison = Comparison { equality: Equality::Python, float_tolerance: None };

/// Records what a test asks of its candidate, and reads the prompt's examples.
const RECORDER: &str = include_str!("humaneval/recorder.py");

/// Says what a test does with the results that it asks for.
const USES: &str = include_str!("humaneval/uses.py");

/// What a guest may use that records one problem. A whole test runs in one step
/// there, over a solution that is the benchmark's own, where an answer has each
/// case to itself.
fn recording_limits() -> Limits {
    Limits {
        fuel_max: 40_000_000_000,
        memory_bytes_max: 256 << 20,
        stdout_bytes_max: 1 << 20,
        result_bytes_max: 4 << 20,
        ..Limits::default()
    }
}

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
/// what it gets become hidden cases that are judged on the host, by Python's
/// equality. The doctest lines of the prompt become visible examples. A test
/// that compares within a bound (`abs(a - b) < 1e-6`) gives its task that bound
/// as float tolerance.
///
/// What was recorded stands for the test only where the test compares each
/// result with a value. One that asks anything else of a result (a property, an
/// order, an exception), or that calls another function of the solution, is
/// refused by name; so is a problem whose own solution does not pass when it is
/// judged as an answer.
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
    let execute = stringify(&execute);
    let reports = run_jobs(problems.iter().map(recording).collect(), &execute)?;
    let made: Vec<_> =
        problems.iter().zip(&reports).map(|(p, report)| to_task(p, report)).collect();
    let manifest = manifest(family);
    let mut judged = judge_solutions(&manifest, made.iter().flatten(), &execute)?.into_iter();
    let mut import = Import { manifest, tasks: Vec::new(), refused: Vec::new() };
    for (problem, made) in problems.iter().zip(made) {
        // One result for each task that was made, in order.
        match made.and_then(|task| judged.next().unwrap_or(Ok(())).map(|()| task)) {
            Ok(task) => import.tasks.push(task),
            Err(refusal) => import.refused.push((problem.task_id.clone(), refusal)),
        }
    }
    Ok(import)
}

/// Judges each task's own solution as an answer: an import makes no task that
/// its solution cannot pass within an answer's limits.
fn judge_solutions<'a>(
    manifest: &FamilyManifest,
    tasks: impl Iterator<Item = &'a StaticTask>,
    execute: &Execute<'_>,
) -> Result<Vec<Result<(), Refusal>>, TaskError> {
    let assembled: Vec<_> = tasks.map(|task| task.admitted(manifest, Seed(0))).collect();
    let submissions: Vec<_> = assembled
        .iter()
        .map(|AdmittedTask { task, key }| {
            let GradingKey::Program(program) = key;
            Submission::of_program(task, key, &program.reference)
        })
        .collect();
    let refusal = |judgement: Judgement| match judgement.verdict {
        Verdict::Pass => Ok(Ok(())),
        Verdict::Fail { .. } => {
            let failed = judgement.checks.into_iter().find(|check| !check.passed);
            let why = failed.map_or_else(String::new, |c| format!(": {}: {}", c.name, c.detail));
            let detail = format!("the solution, judged as an answer, fails{why}");
            Ok(Err(Refusal::new(Reason::ReferenceFails, detail)))
        }
        Verdict::Invalid { reason } => Err(TaskError::Sandbox { detail: reason.to_string() }),
    };
    judge_batch(&submissions, execute).into_iter().map(refusal).collect()
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
        comparison: PYTHON,
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
        limits: recording_limits(),
        steps: vec![
            run(problem.solution()),
            run(problem.test.clone()),
            run(format!("{RECORDER}\n\n{USES}")),
            Step::Call {
                function: "__gyre_examples__".to_owned(),
                args: vec![entry(), text(&problem.prompt)],
            },
            Step::Call { function: "__gyre_record__".to_owned(), args: vec![entry()] },
            Step::Call {
                function: "__gyre_uses__".to_owned(),
                args: vec![text(&problem.solution()), text(&problem.test), entry()],
            },
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
    let comparison = comparison(returned(&steps, 5, "reading the test")?, &recorded)?;
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
        comparison: (comparison != PYTHON).then_some(comparison),
        reference: problem.solution(),
        failures: stubs(problem),
    };
    require_content(&task.content(), Interface::Call)
        .map_err(|why| Refusal::new(Reason::Schema, why))?;
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

/// How the results of a test are compared, from what the test does with them.
fn comparison(uses: &Value, recorded: &[Case]) -> Result<Comparison, Refusal> {
    let refuse = |why: &str| Err(Refusal::new(Reason::TestForm, why));
    let flag = |name: &str| uses.get(name) == Some(&Value::Bool(true));
    let bound = |name: &str| match uses.get(name) {
        Some(Value::Float(bound)) => *bound,
        _ => 0.0,
    };
    if let Some(why) = uses.get("refused").and_then(Value::as_str) {
        return refuse(why);
    }
    let is_bool = |case: &Case| matches!(case.expect, Value::Bool(_));
    if flag("truth") && !recorded.iter().all(is_bool) {
        return refuse("it asks only whether a result is true, and the solution's is no boolean");
    }
    // `is True` is not met by 1.
    let equality = if flag("identity") { Equality::Exact } else { Equality::Python };
    let (absolute, relative) = (bound("absolute"), bound("relative"));
    let is_within = absolute > 0.0 || relative > 0.0;
    let tolerance = is_within.then(|| FloatTolerance::new(absolute, relative)).transpose();
    let float_tolerance =
        tolerance.map_err(|error| Refusal::new(Reason::TestForm, error.to_string()))?;
    Ok(Comparison { equality, float_tolerance })
}
