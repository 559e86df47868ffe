//! Checks those who judge, before any row is chosen.

use std::collections::BTreeMap;

use gyre_env::EpisodeOutcome;
use gyre_lineage::{AlarmRow, CanaryRow, RunStatus};
use gyre_round::{
    GuardPlan, ModelUsage, RoundEvent, RoundPlan, RoundState, VerdictCounts, select_canaries,
};
use gyre_tasks::AdmittedTask;
use gyre_types::{CheckpointId, RolloutRecord, Split, Verdict, to_json};
use gyre_verify::Verifier;

use super::accept_rates::accept_rate_alarms;
use super::canary::{Canary, impossible};
use super::judge::{Judge, fault_verdict};
use crate::checkpoints::weights_of;
use crate::error::Error;
use crate::progress::{Observer, working};
use crate::run::attempts::attempter::Attempter;
use crate::run::context::RunContext;
use crate::run::event_log::LogEntry;
use crate::run::recorded::planned;
use crate::run::tasks::store::{TaskSet, TaskStore};
use crate::stored;

/// Characters of an answer that a message shows.
const ANSWER_SHOWN: usize = 200;

/// Checks the verifiers of a round.
pub(crate) struct VerifierCheck<'a> {
    pub(crate) run: &'a RunContext,
    pub(crate) tasks: &'a mut TaskStore,
    pub(crate) attempter: &'a mut Attempter,
    pub(crate) observer: &'a mut dyn Observer,
}

impl VerifierCheck<'_> {
    /// Lets the policy attempt impossible tasks, and compares accept rates with
    /// those of the round before. One accept ends the run: nothing of the round
    /// is published, and nobody goes on with such a verifier.
    ///
    /// # Errors
    ///
    /// When the model, the store or the plan fails.
    pub(crate) fn check(&mut self, state: &RoundState) -> Result<LogEntry, Error> {
        let (run, plan) = (self.run, planned(state));
        let Some(guards) = &plan.guards else {
            return Err(run.unreadable("the plan", "it has no guards"));
        };
        let (canaries, usage) = self.canaries(plan, guards)?;
        let mut alarms: Vec<_> = canaries.iter().filter_map(canary_alarm).collect();
        let accepted = canaries.iter().find(|canary| canary.verdict.is_pass()).map(accepted);
        alarms.extend(accept_rate_alarms(run, plan.round, guards)?);
        let all = [recorded_alarms(run, plan.round)?, alarms.clone()].concat();
        let stopped = guards.alarms.stop.then(|| all.first().map(stopped)).flatten();

        let counts = count(&canaries);
        let event = RoundEvent::Checked { canaries: counts, alarms: all.len() as u32, usage };
        let mut entry = LogEntry::new(run, event);
        if let Some(cause) = accepted.or(stopped) {
            entry.event = RoundEvent::Failed { cause, ends_run: true };
            entry.rows.run_status = Some(RunStatus::Failed);
        }
        entry.rows.canaries = canaries;
        entry.rows.alarms = alarms;
        Ok(entry)
    }

    /// Has the champion attempt impossible tasks, as it attempted the ordinary
    /// ones. They take no part in anything else but what the model was asked for.
    fn canaries(
        &mut self,
        plan: &RoundPlan,
        guards: &GuardPlan,
    ) -> Result<(Vec<CanaryRow>, ModelUsage), Error> {
        let (Some(phase), Some(champion)) = (plan.phases.first(), &plan.champion) else {
            return Ok((vec![], ModelUsage::default()));
        };
        let (run, round) = (self.run, plan.round);
        let set = self.tasks.set(run, round, Split::Train)?;
        let made = impossible_tasks(run, &set, plan, guards);
        // Nothing asks for the keys of the round's tasks after its check.
        drop(set);
        self.tasks.forget_set();
        if made.is_empty() {
            return Ok((vec![], ModelUsage::default()));
        }
        let find = || weights_of(&run.project, run.id(), champion);
        let model = self.attempter.model(champion, find, &run.cancel)?;
        let settings = run.config.training_episode(phase.temperature);
        let episodes: Vec<_> =
            made.iter().map(|canary| run.canary_episode(round, &canary.shown)).collect();
        let count = episodes.len() as u64;
        working(self.observer, round, "attempting impossible tasks", 0, count);
        let attempts = self.attempter.attempt(&model, &settings, &episodes)?;
        drop(episodes);
        let usage = run.usage(attempts.iter().map(|attempt| &attempt.record));
        Ok((judge_canaries(run, (round, champion), made, attempts)?, usage))
    }
}

/// Impossible tasks, made from the ordinary ones of a round that its seed chooses.
fn impossible_tasks(
    run: &RunContext,
    set: &TaskSet,
    plan: &RoundPlan,
    guards: &GuardPlan,
) -> Vec<Canary> {
    let named = set.tasks.iter().map(|(id, admitted)| (id, admitted.task.family.as_str()));
    let chosen = select_canaries(guards.canaries.per_round, plan.seed, named);
    let make = |ordinary: &AdmittedTask| {
        let family = run.harness.families.get(&ordinary.task.family);
        let verifier = family.map_or(&Verifier::Cases, |family| &family.verifier);
        let at = [ordinary.task.digest.to_u64()];
        impossible(ordinary, verifier, plan.seed.derive("impossible", &at))
    };
    chosen.iter().filter_map(|id| set.tasks.get(id)).map(make).collect()
}

/// Judges attempts as those of ordinary tasks are judged: by what judges the family.
/// The impossible tasks are a set of their own: nothing else finds them.
fn judge_canaries(
    run: &RunContext,
    (round, champion): (u32, &CheckpointId),
    made: Vec<Canary>,
    attempts: Vec<EpisodeOutcome>,
) -> Result<Vec<CanaryRow>, Error> {
    let origins: BTreeMap<_, _> =
        made.iter().map(|c| (c.shown.id.clone(), c.made_from.clone())).collect();
    let tasks = made.into_iter().map(|c| (c.shown.id.clone(), c.judged)).collect();
    let set = TaskSet { round, split: Split::Train, tasks };
    let mut verdicts = Vec::new();
    for EpisodeOutcome { record, fault } in &attempts {
        let Some(fault) = fault.clone() else { continue };
        let task = &set.get(run, &record.task)?.task;
        verdicts.push(fault_verdict(&run.harness, task, record, fault));
    }
    let records: Vec<_> = attempts.into_iter().map(|attempt| attempt.record).collect();
    verdicts.extend(Judge { run, set: &set }.judge(&records)?);
    let row = |record: &RolloutRecord| {
        let Some(judged) = verdicts.iter().find(|row| row.rollout == record.id) else {
            return Ok(None);
        };
        let (Some(made_from), Some(impossible)) =
            (origins.get(&record.task), set.tasks.get(&record.task))
        else {
            return Ok(None);
        };
        Ok(Some(CanaryRow {
            rollout: record.id.clone(),
            round,
            task: record.task.clone(),
            made_from: made_from.clone(),
            checkpoint: champion.clone(),
            verdict: judged.verdict.clone(),
            verifier_digest: judged.verifier_digest,
            checks: judged.checks.clone(),
            body: to_json("a canary", record)?,
            grading_key: stored::key(&impossible.key)?,
        }))
    };
    records.iter().filter_map(|record| row(record).transpose()).collect()
}

/// The alarms that rechecks recorded in a round before this check.
fn recorded_alarms(run: &RunContext, round: u32) -> Result<Vec<AlarmRow>, Error> {
    let mut of_round = Vec::new();
    let mut alarms = run.store().alarms(run.id());
    while let Some(rows) = run.wait(alarms.next())? {
        of_round.extend(rows.into_iter().filter(|alarm| alarm.round == round));
    }
    Ok(of_round)
}

fn count(canaries: &[CanaryRow]) -> VerdictCounts {
    let mut counts = VerdictCounts::default();
    for canary in canaries {
        match canary.verdict {
            Verdict::Pass => counts.passed += 1,
            Verdict::Fail { .. } => counts.failed += 1,
            Verdict::Invalid { .. } => counts.invalid += 1,
        }
    }
    counts
}

fn canary_alarm(canary: &CanaryRow) -> Option<AlarmRow> {
    canary.verdict.is_pass().then(|| AlarmRow {
        round: canary.round,
        kind: "canary".to_owned(),
        subject: canary.rollout.to_string(),
        body: serde_json::json!({
            "detail": accepted(canary), "verifier": canary.verifier_digest,
            "task": canary.task, "made_from": canary.made_from,
        }),
    })
}

fn accepted(canary: &CanaryRow) -> String {
    let CanaryRow { rollout, task, made_from, verifier_digest, .. } = canary;
    let answer = canary.body["answer"].as_str().unwrap_or_default();
    let shown: String = answer.chars().take(ANSWER_SHOWN).collect();
    format!(
        "the verifier {} accepted an answer to an impossible task, so its verdicts say nothing and \
         nothing of this round is published: rollout {rollout} of task {task}, made from \
         {made_from}, with the answer {shown:?}; `gyre show {rollout}` shows all of it, and `gyre \
         verifier revoke` puts right what the verifier said before",
        verifier_digest.short()
    )
}

fn stopped(alarm: &AlarmRow) -> String {
    let detail = alarm.body["detail"].as_str().unwrap_or_default();
    format!(
        "alarms.stop is set, and there is an alarm ({}: {}): {detail}",
        alarm.kind, alarm.subject
    )
}
