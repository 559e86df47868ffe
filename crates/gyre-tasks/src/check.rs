use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Display;
use std::sync::Arc;

use gyre_types::{Digest, SandboxJob, SandboxReport, Seed, Value, Verdict};
use gyre_verify::{GradingKey, ProgramSubmission, Submission, SubmissionKind, Verifier};
use serde::Serialize;

use crate::admitted::{AdmittedTask, TaskRequest};
use crate::attempt::Sampled;
use crate::family::FamilySource;
use crate::generate::{generate_sampled, stringify};
use crate::guest::Execute;
use crate::{Family, Reason, TaskError};

/// How thoroughly a family is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckPlan {
    /// Where the checked tasks' seeds come from.
    pub seed: Seed,
    /// Tasks per level of difficulty. A family of written tasks is checked whole.
    pub tasks_per_level: u32,
}

/// What `gyre task check` found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// The family.
    pub family: String,
    /// Digest of its folder.
    pub digest: Digest,
    /// Level by level.
    pub levels: Vec<LevelReport>,
    /// What must be put right; empty when the family is fine.
    pub problems: Vec<String>,
}

/// What was found at one level of difficulty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LevelReport {
    /// The level.
    pub difficulty: u32,
    /// Tasks asked for.
    pub requested: u64,
    /// Tasks admitted.
    pub admitted: u64,
    /// Attempts refused, by reason.
    pub refused: BTreeMap<Reason, u64>,
    /// Distinct compositions among the tasks admitted.
    pub compositions: u64,
    /// References that passed a full judgement, each case in a fresh guest.
    pub references_passed: u64,
    /// Failure cases that a full judgement failed.
    pub failures_rejected: u64,
    /// Failure cases that it did not.
    pub failures_accepted: u64,
}

impl CheckReport {
    /// Whether nothing must be put right.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Generates tasks at every level, each twice, and judges every reference and
/// every failure case as an answer would be.
///
/// # Errors
///
/// When the generator cannot be loaded or the sandbox fails. What is wrong
/// with the family's tasks is in the report.
pub fn check_family<E: Display>(
    family: &Family,
    plan: CheckPlan,
    execute: impl Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, E>>,
) -> Result<CheckReport, TaskError> {
    let execute = stringify(&execute);
    let mut report = CheckReport {
        family: family.name().to_owned(),
        digest: family.digest,
        levels: Vec::new(),
        problems: Vec::new(),
    };
    let mut known = HashSet::new();
    let levels = family.manifest.difficulty;
    for difficulty in levels.min..=levels.max {
        check_level(family, plan, difficulty, &mut known, &execute, &mut report)?;
    }
    Ok(report)
}

fn check_level(
    family: &Family,
    plan: CheckPlan,
    difficulty: u32,
    known: &mut HashSet<Digest>,
    execute: &Execute<'_>,
    report: &mut CheckReport,
) -> Result<(), TaskError> {
    let requests = requests(family, plan, difficulty);
    let generation = generate_sampled(family, &requests, known, Sampled::All, execute)?;
    let mut problems = Vec::new();
    for (reason, detail) in &generation.report.examples {
        if is_problem(family, reason) {
            let count = generation.report.refused[reason];
            problems.push(format!("{count} x {reason}, such as: {detail}"));
        }
    }
    let tasks: Vec<&AdmittedTask> = generation.tasks.iter().flatten().collect();
    let missing = generation.tasks.iter().filter_map(|task| task.as_ref().err()).next();
    if let Some(refusal) = missing {
        let count = requests.len() - tasks.len();
        problems.push(format!("{count} of {} tasks cannot be had: {refusal}", requests.len()));
    }
    known.extend(tasks.iter().map(|admitted| admitted.task.digest));
    let compositions: BTreeSet<_> = tasks.iter().map(|a| &a.task.composition).collect();
    let mut level = LevelReport {
        difficulty,
        requested: requests.len() as u64,
        admitted: tasks.len() as u64,
        refused: generation.report.refused.clone(),
        compositions: compositions.len() as u64,
        ..LevelReport::default()
    };
    judge_programs(&family.verifier, &tasks, execute, &mut level, &mut problems);
    report.levels.push(level);
    report.problems.extend(problems.into_iter().map(|p| format!("difficulty {difficulty}: {p}")));
    Ok(())
}

fn requests(family: &Family, plan: CheckPlan, difficulty: u32) -> Vec<TaskRequest> {
    let count = match &family.source {
        FamilySource::Generate { .. } => u64::from(plan.tasks_per_level),
        FamilySource::Static(tasks) => {
            tasks.iter().filter(|task| task.difficulty == difficulty).count() as u64
        }
    };
    let options = Arc::new(Value::Dict(Vec::new()));
    let request = |at| TaskRequest {
        seed: plan.seed.derive("check", &[u64::from(difficulty), at]),
        difficulty,
        split: None,
        options: Arc::clone(&options),
    };
    (0..count).map(request).collect()
}

/// Written tasks must all be admitted; of generated ones chance may make some
/// that nobody needs.
fn is_problem(family: &Family, reason: &Reason) -> bool {
    let is_written = matches!(family.source, FamilySource::Static(_));
    reason.is_fault() || is_written && *reason == Reason::Trivial
}

fn judge_programs(
    verifier: &Verifier,
    tasks: &[&AdmittedTask],
    execute: &Execute<'_>,
    level: &mut LevelReport,
    problems: &mut Vec<String>,
) {
    let mut submissions = Vec::new();
    for AdmittedTask { task, key } in tasks {
        let GradingKey::Program(programs) = key;
        let programs = std::iter::once(&programs.reference).chain(&programs.failures);
        submissions.extend(programs.map(|text| Submission::of_program(task, key, text)));
    }
    let judgements = verifier.judge(&submissions, execute);
    for (submission, judgement) in submissions.iter().zip(&judgements) {
        let SubmissionKind::Program(ProgramSubmission { task, key, program, .. }) =
            submission.kind();
        let is_reference = program == key.reference;
        match (&judgement.verdict, is_reference) {
            (Verdict::Pass, true) => level.references_passed += 1,
            (Verdict::Fail { .. }, false) => level.failures_rejected += 1,
            (Verdict::Invalid { reason }, _) => problems.push(format!("{}: {reason}", task.id)),
            (Verdict::Fail { .. }, true) => {
                let failed = judgement.checks.iter().find(|check| !check.passed);
                let why = failed.map_or_else(String::new, |c| format!("{}: {}", c.name, c.detail));
                problems.push(format!("{}: the reference fails when judged: {why}", task.id));
            }
            (Verdict::Pass, false) => {
                level.failures_accepted += 1;
                problems.push(format!("{}: a failure case passes when judged", task.id));
            }
        }
    }
}
