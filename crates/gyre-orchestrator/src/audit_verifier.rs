//! Measures a verifier on a family's tasks before it is believed.
//!
//! Every program that is judged here is made from what the tasks hold, or is
//! one of the corpus; all are judged twice, in another order the second time.

mod guest;
mod programs;
mod same;

use std::collections::HashSet;

use gyre_tasks::{AdmittedTask, Family, TaskError, TaskRequest, generate_tasks};
use gyre_types::{Digest, Judgement, SandboxJob, SandboxReport, Seed};
use gyre_verify::corpus::Corpus;
use gyre_verify::{AuditedCase, CaseGroup, Scorecard, ScorecardSubject, Submission, Verifier};

use crate::error::Error;

/// Runs jobs: one result for each, in order. Faults are texts by here.
type Execute<'a> = dyn Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, String>> + 'a;

/// How much an audit looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifierAuditPlan {
    /// What tasks are generated from.
    pub seed: Seed,
    /// Tasks, spread over the family's levels.
    pub tasks: u32,
    /// One-edit mutants of each task's reference, at most.
    pub mutants_per_task: u32,
}

impl Default for VerifierAuditPlan {
    fn default() -> Self {
        Self { seed: Seed(1), tasks: 10, mutants_per_task: 20 }
    }
}

/// Audits a verifier: the family's own, or another that is to judge its tasks.
///
/// # Errors
///
/// When no task can be had, the sandbox fails, or the verifier is not ready.
pub fn audit_verifier<E: std::fmt::Display>(
    family: &Family,
    verifier: &Verifier,
    plan: VerifierAuditPlan,
    execute: impl Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, E>>,
) -> Result<Scorecard, Error> {
    let text = |result: Result<SandboxReport, E>| result.map_err(|fault| fault.to_string());
    let execute = |jobs| execute(jobs).into_iter().map(text).collect::<Vec<_>>();
    let digest = verifier.digest().ok_or_else(|| Error::VerifierUnusable {
        family: family.name().to_owned(),
        why: "it is not ready to judge".to_owned(),
    })?;
    let tasks = generate(family, plan, &execute)?;
    let audited = programs::programs(&tasks, plan, &corpus(family)?, &execute)?;
    let cases = judge_twice(verifier, &tasks, audited, &execute);
    let subject = ScorecardSubject {
        verifier: digest,
        kind: verifier.kind(),
        family: family.name().to_owned(),
        family_digest: family.digest,
        seed: plan.seed.0,
        tasks: u32::try_from(tasks.len()).unwrap_or(u32::MAX),
    };
    Ok(Scorecard::of(subject, &cases))
}

/// A program to be judged, and what for.
struct AuditProgram {
    /// Which task it answers.
    task: usize,
    group: CaseGroup,
    name: String,
    source: String,
    /// Whether it was seen to give what the reference gives.
    equivalent: bool,
}

fn corpus(family: &Family) -> Result<Corpus, Error> {
    Corpus::embedded().map_err(|error| Error::VerifierUnusable {
        family: family.name().to_owned(),
        why: error.to_string(),
    })
}

fn generate(
    family: &Family,
    plan: VerifierAuditPlan,
    execute: &Execute<'_>,
) -> Result<Vec<AdmittedTask>, Error> {
    let levels = family.manifest.difficulty;
    let span = levels.max.saturating_sub(levels.min).saturating_add(1);
    let request = |at: u32| {
        let seed = plan.seed.derive("verifier-audit", &[u64::from(at)]);
        TaskRequest::new(seed, levels.min + at % span, None)
    };
    let requests: Vec<_> = (0..plan.tasks).map(request).collect();
    // By the built-in comparison first: a verifier that passes wrong answers would keep
    // just the tasks that show it from being admitted.
    let built_in = Family { verifier: Verifier::Cases, ..family.clone() };
    let mut refused = None;
    for family in [&built_in, family] {
        let made = generate_tasks(family, &requests, &HashSet::<Digest>::new(), execute)?;
        refused = made.tasks.iter().find_map(|task| task.as_ref().err()).cloned();
        let tasks: Vec<_> = made.tasks.into_iter().flatten().collect();
        if !tasks.is_empty() {
            return Ok(tasks);
        }
    }
    let why = refused.map_or_else(|| "none was asked for".to_owned(), |r| r.to_string());
    Err(Error::VerifierUnusable {
        family: family.name().to_owned(),
        why: format!("there is no task to measure it on: {why}"),
    })
}

fn judge_twice(
    verifier: &Verifier,
    tasks: &[AdmittedTask],
    programs: Vec<AuditProgram>,
    execute: &Execute<'_>,
) -> Vec<AuditedCase> {
    let submission = |program: &'_ AuditProgram| {
        let AdmittedTask { task, key } = &tasks[program.task];
        (task, key, program.source.clone())
    };
    let owned: Vec<_> = programs.iter().map(submission).collect();
    let mut submissions: Vec<_> =
        owned.iter().map(|(task, key, text)| Submission::of_program(task, key, text)).collect();
    let first = verifier.judge(&submissions, execute);
    submissions.reverse();
    let second: Vec<Judgement> = verifier.judge(&submissions, execute).into_iter().rev().collect();
    let case = |((program, first), second): ((AuditProgram, Judgement), Judgement)| AuditedCase {
        group: program.group,
        task: tasks[program.task].task.id.clone(),
        name: program.name,
        equivalent: program.equivalent,
        first,
        second,
    };
    programs.into_iter().zip(first).zip(second).map(case).collect()
}

fn sandbox_failed(detail: impl Into<String>) -> Error {
    Error::Tasks(TaskError::Sandbox { detail: detail.into() })
}
