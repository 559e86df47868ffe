//! Measures models on the held-out tasks alone, outside any round.

mod report;
mod subject;

use std::collections::BTreeMap;

use gyre_env::{EpisodeOutcome, EpisodeSpec};
use gyre_lineage::{RunRow, RunStatus};
use gyre_round::{Evaluation, Outcome, TaskResult};
use gyre_tasks::AdmittedTask;
use gyre_types::{
    Digest, FailureKind, FinishReason, Judgement, RolloutRecord, RunId, Split, TaskId, Verdict,
};
use gyre_verify::{FailurePlan, Submission, judge_failure, plan_failure};

use crate::cancel::Cancel;
use crate::config::RunConfig;
use crate::error::Error;
use crate::harness::Harness;
use crate::progress::{Observer, working};
use crate::project::Project;
use crate::run::attempts::attempter::Attempter;
use crate::run::context::RunContext;
use crate::run::tasks::admission::Admission;
use crate::run::tasks::generate::held_out;
use crate::run::verdicts::judge::judge_twice;

pub use report::{Attempts, EVALUATION_VERSION, EvaluatedModel, EvaluationReport};
pub use subject::Subject;

/// Tasks that are attempted at one time, so that progress is told.
const BATCH: usize = 200;

/// Where servers leave their logs, below the data folder.
const LOGS: &str = "evaluations";

/// Measures models on the same held-out tasks.
pub struct Evaluator {
    /// What a run would be: nothing of it is recorded.
    run: RunContext,
    parts: Vec<Part>,
}

/// A part of the held-out tasks.
struct Part {
    split: Split,
    tasks: BTreeMap<TaskId, AdmittedTask>,
}

impl Evaluator {
    /// Opens the sandbox and makes the held-out tasks of a configuration: those of one
    /// part, or of both. They are the tasks that a run of this configuration has.
    ///
    /// # Errors
    ///
    /// When the sandbox cannot be opened, a family fails, or too few tasks are admitted.
    pub fn open(
        project: &Project,
        config: &RunConfig,
        part: Option<Split>,
        cancel: &Cancel,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let harness = Harness::open(config, Some(project), observer)?;
        let run = context(project, config, harness, cancel)?;
        let parts = tasks(&run, part, observer)?;
        Ok(Self { run, parts })
    }

    /// Has a model act once at every task, greedily and in one turn, as a candidate does
    /// in a round, and says what came of each.
    ///
    /// # Errors
    ///
    /// When the model cannot be loaded or served, and [`Error::Interrupted`].
    pub fn evaluate(
        &self,
        subject: &Subject,
        cancel: &Cancel,
        observer: &mut dyn Observer,
    ) -> Result<EvaluationReport, Error> {
        let run = &self.run;
        let found = subject.find(&run.project, &run.config)?;
        let logs = run.project.data.cache(LOGS);
        let sandbox = run.harness.sandbox.clone();
        let mut attempter = Attempter::new(run.project.clone(), sandbox, &found.settings, logs);
        let weights = found.weights;
        let digest = attempter.policy_digest(&found.checkpoint, &weights)?;
        let model = attempter.model(&found.checkpoint, || Ok(weights), cancel)?;
        let settings = run.config.evaluation_episode();
        let total: usize = self.parts.iter().map(|part| part.tasks.len()).sum();
        let mut results = Vec::with_capacity(total);
        for Part { split, tasks } in &self.parts {
            let tasks: Vec<&AdmittedTask> = tasks.values().collect();
            for batch in tasks.chunks(BATCH) {
                if cancel.is_cancelled() {
                    return Err(Error::Interrupted);
                }
                working(observer, 0, "evaluating", results.len() as u64, total as u64);
                let specs: Vec<EpisodeSpec<'_>> =
                    batch.iter().map(|task| run.episode(0, *split, &task.task, 0)).collect();
                let made = attempter.attempt(&model, &settings, &specs)?;
                results.extend(self.results(*split, batch, &made));
            }
        }
        let ids: Vec<_> = results.iter().map(|result| &result.task).collect();
        Ok(EvaluationReport {
            version: EVALUATION_VERSION,
            gyre: env!("CARGO_PKG_VERSION").to_owned(),
            model: EvaluatedModel { name: found.name, checkpoint: found.recorded, digest },
            seed: run.config.seed,
            attempts: settings.into(),
            sandbox: run.harness.sandbox.digest(),
            verifiers: self.verifiers(),
            tasks: Digest::of_json(&ids),
            evaluation: Evaluation::of(&results),
            results,
        })
    }

    fn verifiers(&self) -> BTreeMap<String, Digest> {
        let families = self.run.config.curriculum.families.iter().map(|family| &family.family);
        families.map(|name| (name.clone(), self.run.harness.verifier_digest(name))).collect()
    }

    /// What came of a batch, in its order.
    fn results(
        &self,
        part: Split,
        tasks: &[&AdmittedTask],
        made: &[EpisodeOutcome],
    ) -> Vec<TaskResult> {
        let judgements = self.judge(tasks, made);
        let failures = self.failures(tasks, made, &judgements);
        let mut results = Vec::with_capacity(tasks.len());
        for (at, (task, made)) in tasks.iter().zip(made).enumerate() {
            let verdict = judgements.get(&at).map(|judgement| &judgement.verdict);
            let invalid = match verdict {
                Some(Verdict::Invalid { reason }) => Some(reason.to_string()),
                Some(_) => None,
                None => made.fault.as_ref().map(ToString::to_string),
            };
            results.push(TaskResult {
                task: task.task.id.clone(),
                part,
                family: task.task.family.clone(),
                difficulty: task.task.difficulty,
                outcome: verdict.map_or(Outcome::Invalid, Outcome::from),
                failure: failures.get(&at).copied(),
                invalid,
                tokens: made.record.tokens_sampled(),
            });
        }
        results
    }

    /// Judges all that ended without a fault, by their places.
    fn judge(
        &self,
        tasks: &[&AdmittedTask],
        made: &[EpisodeOutcome],
    ) -> BTreeMap<usize, Judgement> {
        let open: Vec<usize> = (0..made.len()).filter(|at| made[*at].fault.is_none()).collect();
        let submission = |at: &usize| Submission {
            task: &tasks[*at].task,
            key: &tasks[*at].key,
            answer: made[*at].record.answer.view(),
        };
        let submissions: Vec<_> = open.iter().map(submission).collect();
        let judged = judge_twice(&submissions, |those| self.run.harness.judge(those));
        open.into_iter().zip(judged).collect()
    }

    /// What was wrong with the answers that failed, by their places. One that the
    /// sandbox could not look at is left out.
    fn failures(
        &self,
        tasks: &[&AdmittedTask],
        made: &[EpisodeOutcome],
        judgements: &BTreeMap<usize, Judgement>,
    ) -> BTreeMap<usize, FailureKind> {
        let (mut kinds, mut places, mut jobs) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (at, judgement) in judgements {
            if !matches!(judgement.verdict, Verdict::Fail { .. }) {
                continue;
            }
            match plan_failure(&tasks[*at].task, made[*at].record.answer.view()) {
                FailurePlan::Known(kind) => {
                    kinds.insert(*at, kind);
                }
                FailurePlan::Run(job) => {
                    places.push(*at);
                    jobs.push(job);
                }
            }
        }
        for (at, report) in places.into_iter().zip(self.run.harness.sandbox.execute(jobs)) {
            if let Ok(report) = report {
                kinds.insert(at, judge_failure(&report));
            }
        }
        for (at, kind) in &mut kinds {
            if is_cut_off(&made[*at].record, *kind) {
                *kind = FailureKind::CutOff;
            }
        }
        kinds
    }
}

/// Whether an answer has no form because the model was not let finish it.
fn is_cut_off(record: &RolloutRecord, kind: FailureKind) -> bool {
    let last = record.turns.last().map(|turn| turn.finish);
    kind.is_form() && last == Some(FinishReason::Length)
}

/// What the parts of a run are given, without a run: nothing with its id is recorded.
fn context(
    project: &Project,
    config: &RunConfig,
    harness: Harness,
    cancel: &Cancel,
) -> Result<RunContext, Error> {
    let id = RunId::new("evaluation", 0).map_err(|error| Error::NotFound {
        what: "run",
        id: error.text,
        hint: "it is the name of no run".to_owned(),
    })?;
    let row = RunRow {
        name: id.to_string(),
        id,
        fingerprint: Digest::of_json(&("evaluation", config.seed)),
        seed: config.seed,
        config: serde_json::Value::Null,
        sandbox_digest: harness.sandbox.digest(),
        created_at_ms: 0,
        status: RunStatus::Active,
        last_seq: 0,
    };
    Ok(RunContext {
        project: project.clone(),
        harness,
        config: config.clone(),
        row,
        clock: || 0,
        cancel: cancel.clone(),
    })
}

/// The held-out tasks of a part, or of both.
fn tasks(
    run: &RunContext,
    part: Option<Split>,
    observer: &mut dyn Observer,
) -> Result<Vec<Part>, Error> {
    let counts = run.config.held_out.clone();
    let mut admission = Admission::new(run, observer, 0);
    let mut parts = Vec::new();
    // The test part is made behind the gate part, whose tasks it must not have: so the
    // gate part is made whatever is asked for.
    for (split, count) in [(Split::Gate, counts.gate), (Split::Test, counts.test)] {
        if part == Some(Split::Gate) && split == Split::Test {
            continue;
        }
        let made = held_out(run, &mut admission, split, count)?;
        if part.is_none_or(|part| part == split) {
            let by_id = made.into_iter().map(|task| (task.task.id.clone(), task)).collect();
            parts.push(Part { split, tasks: by_id });
        }
    }
    Ok(parts)
}
