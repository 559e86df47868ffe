//! Runs a recorded rollout again and compares every byte.

use std::collections::BTreeMap;

use gyre_dataset::read_record;
use gyre_env::{EpisodeSettings, EpisodeSpec};
use gyre_lineage::RolloutWithVerdict;
use gyre_sandbox::Sandbox;
use gyre_tasks::Family;
use gyre_types::{RolloutId, RolloutRecord, RunId, TurnRecord, Usage, Verdict};
use gyre_verify::{Submission, Verifier};
use serde::Serialize;

use crate::cancel::Cancel;
use crate::checkpoints::weights_of;
use crate::config::RunConfig;
use crate::error::Error;
use crate::judging::Judging;
use crate::models::Model;
use crate::project::Project;
use crate::run::attempts::attempter::Attempter;

/// What came of a replay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// The rollout.
    pub rollout: RolloutId,
    /// Whether every byte of record and verdict is the same.
    pub identical: bool,
    /// What differs, by field.
    pub differences: Vec<String>,
}

/// Replays rollouts of one run with the sandbox of this machine.
pub struct Replayer<'a> {
    project: &'a Project,
    run: &'a RunId,
    sandbox: &'a Sandbox,
    config: RunConfig,
    attempter: Attempter,
    verifiers: BTreeMap<String, Verifier>,
}

impl<'a> Replayer<'a> {
    /// Prepares to replay rollouts of a run that was made with `config`.
    pub fn new(
        project: &'a Project,
        run: &'a RunId,
        config: RunConfig,
        sandbox: &'a Sandbox,
    ) -> Self {
        let logs = project.data.logs(run);
        let attempter = Attempter::new(project.clone(), sandbox.clone(), &config.model, logs);
        Self { project, run, sandbox, config, attempter, verifiers: BTreeMap::new() }
    }

    /// Runs a rollout again, judges it again, and compares with what is stored. The
    /// embedded model acts from its checkpoint and seed; what a server answered is taken
    /// from the record.
    ///
    /// # Errors
    ///
    /// When something that the rollout needs is missing or cannot be read.
    pub fn replay(&mut self, row: &RolloutWithVerdict) -> Result<Replay, Error> {
        let stored = record_of(self.project, self.run, row)?;
        let (task, key) = crate::inspect::task_with_key(self.project, self.run, &stored.task)?;
        let model = self.model(&stored)?;
        let spec = EpisodeSpec {
            id: stored.id.clone(),
            round: stored.round,
            purpose: stored.purpose,
            task: &task,
            sample: stored.sample,
            seed: stored.seed,
        };
        let settings = self.settings(&stored);
        let made = self.attempter.attempt(&model, &settings, &[spec])?;
        let mut differences = made.first().map_or_else(
            || vec!["no rollout was made".to_owned()],
            |made| differences(&stored, &as_kept(&stored, &made.record)),
        );
        let submission = Submission { task: &task, key: &key, answer: stored.answer.view() };
        let verifier = self.verifier(&task.family)?;
        if let Some(then) = row.verdict.as_ref().map(|verdict| verdict.verifier_digest)
            && verifier.digest() != Some(then)
        {
            differences.push("verifier: it is another one now".to_owned());
        }
        let judged = verifier.judge_with(&[submission], self.sandbox);
        let recorded = row.verdict.as_ref().map(|v| (&v.verdict, &v.checks));
        let invalid = recorded.is_some_and(|(verdict, _)| verdict.is_invalid());
        let again = judged.first().map(|j| (&j.verdict, &j.checks));
        // An invalid verdict tells of a fault of ours at that time: nothing to reproduce.
        if recorded != again && !invalid {
            differences.push(format!("verdict: {} then, {} now", name(recorded), name(again)));
        }
        if !differences.is_empty() && stored.tokens_max.is_none() {
            let older =
                "record: written by an earlier gyre, whose chains begin from fewer settings";
            differences.push(older.to_owned());
        }
        // What differs under another sandbox is explained by it.
        let sandbox = row.verdict.as_ref().map(|verdict| verdict.sandbox_digest);
        if !differences.is_empty()
            && let Some(then) = sandbox.filter(|then| *then != self.sandbox.digest())
        {
            let (then, now) = (then.short(), self.sandbox.digest().short());
            differences.push(format!("sandbox: {then} then, another version of it ({now}) now"));
        }
        Ok(Replay { rollout: stored.id, identical: differences.is_empty(), differences })
    }

    /// How a rollout ran: as its record says, and as the configuration says where
    /// the record is of a version that leaves it out.
    fn settings(&self, stored: &RolloutRecord) -> EpisodeSettings {
        let configured = if stored.purpose.is_held_out() {
            self.config.evaluation_episode()
        } else {
            self.config.training_episode(stored.sampling.temperature)
        };
        EpisodeSettings {
            turns_max: stored.turns_max,
            sampling: stored.sampling,
            tokens_max: stored.tokens_max.unwrap_or(configured.tokens_max),
            repair_temperature: stored.repair_temperature.unwrap_or(configured.repair_temperature),
            acting: stored.acting,
        }
    }

    /// What decides a family's answers, made ready once.
    fn verifier(&mut self, family: &str) -> Result<Verifier, Error> {
        if let Some(verifier) = self.verifiers.get(family) {
            return Ok(verifier.clone());
        }
        let folder = self.config.tasks.dir.join(family);
        let mut loaded = Family::load(&folder)?;
        let judging = Judging::of(&self.config, Some(self.project));
        judging.prepare(&mut loaded, &folder)?;
        self.verifiers.insert(family.to_owned(), loaded.verifier.clone());
        Ok(loaded.verifier)
    }

    fn model(&mut self, record: &RolloutRecord) -> Result<Model, Error> {
        let id = record.policy.checkpoint.as_ref().ok_or_else(|| Error::Recorded {
            run: self.run.clone(),
            what: record.id.to_string(),
            why: "its policy has no checkpoint, so it cannot be replayed".to_owned(),
        })?;
        if self.config.model.is_server() {
            return Ok(Model::recorded(id, record));
        }
        let (project, run) = (self.project, self.run);
        let find = || weights_of(project, run, id);
        self.attempter.model(id, find, &Cancel::default())
    }
}

fn name<T>(verdict: Option<(&Verdict, T)>) -> &'static str {
    verdict.map_or("none", |(verdict, _)| verdict.name())
}

/// A record as the version that wrote another would have kept it: before `part/3`
/// no turn held what it cost, nor any but the first its prompt.
fn as_kept(stored: &RolloutRecord, made: &RolloutRecord) -> RolloutRecord {
    let mut made = made.clone();
    let is_older = |turn: &TurnRecord| turn.usage == Usage::default() && turn.model.is_none();
    if stored.turns.iter().all(is_older) {
        for (at, turn) in made.turns.iter_mut().enumerate() {
            (turn.usage, turn.model, turn.reasoning) = (Usage::default(), None, None);
            if at > 0 {
                turn.prompt_tokens.clear();
            }
        }
    }
    made
}

/// Names the fields in which two records differ.
fn differences(stored: &RolloutRecord, made: &RolloutRecord) -> Vec<String> {
    if stored == made {
        return vec![];
    }
    let fields = |record| match serde_json::to_value(record) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (stored, made) = (fields(stored), fields(made));
    let differ = |(name, then): (&String, &serde_json::Value)| {
        let now = made.get(name);
        (now != Some(then)).then(|| name.clone())
    };
    stored.iter().filter_map(differ).collect()
}

/// The body of a rollout, from its part.
///
/// # Errors
///
/// When the part is missing or cannot be read.
pub fn record_of(
    project: &Project,
    run: &RunId,
    row: &RolloutWithVerdict,
) -> Result<RolloutRecord, Error> {
    let part = project.wait(project.store.part(run, &row.rollout.part))?;
    let part = part.ok_or_else(|| Error::Recorded {
        run: run.clone(),
        what: row.rollout.part.to_string(),
        why: "it is not recorded".to_owned(),
    })?;
    Ok(read_record(project.data.open(&part.path), row.rollout.part_row)?)
}
