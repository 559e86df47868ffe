//! Checks those who judge, before any row is chosen.

use std::collections::{BTreeMap, BTreeSet};

use gyre_env::{EpisodeOutcome, EpisodeSpec};
use gyre_lineage::{AlarmRow, CanaryRow, RunStatus, VerdictRow};
use gyre_round::{
    AcceptCount, GuardPlan, RateAlarm, RoundEvent, RoundPlan, RoundState, VerdictCounts,
    rate_alarms, select_canaries,
};
use gyre_types::{CheckpointId, Digest, RolloutId, RolloutRecord, Split, Task, Verdict, to_json};

use gyre_verify::Verifier;

use super::canary::{Canary, impossible};
use super::generate::{TaskSet, planned};
use super::{Done, Runner};
use crate::error::Error;
use crate::stored;

/// Characters of an answer that a message shows.
const ANSWER_SHOWN: usize = 200;

impl Runner<'_> {
    /// Lets the policy attempt impossible tasks, and compares accept rates with
    /// those of the round before. One accept ends the run: nothing of the round
    /// is published, and nobody goes on with such a verifier.
    pub(super) fn check(&mut self, state: &RoundState) -> Result<Done, Error> {
        let plan = planned(state);
        let Some(guards) = &plan.guards else {
            return Err(self.unreadable("the plan", "it has no guards"));
        };
        let canaries = self.canaries(plan, guards)?;
        let mut alarms: Vec<_> = canaries.iter().filter_map(canary_alarm).collect();
        let accepted = canaries.iter().find(|canary| canary.verdict.is_pass()).map(accepted);
        alarms.extend(self.rate_alarms(plan.round, guards)?);
        let all = [self.recorded_alarms(plan.round)?, alarms.clone()].concat();
        let stopped = guards.alarms.stop.then(|| all.first().map(stopped)).flatten();

        let mut done = Done {
            event: RoundEvent::Checked { canaries: count(&canaries), alarms: all.len() as u32 },
            rows: self.empty_commit(),
        };
        if let Some(cause) = accepted.or(stopped) {
            done.event = RoundEvent::Failed { cause, ends_run: true };
            done.rows.run_status = Some(RunStatus::Failed);
        }
        done.rows.canaries = canaries;
        done.rows.alarms = alarms;
        Ok(done)
    }

    /// What was noticed in a round before this check, by rechecks.
    fn recorded_alarms(&self, round: u32) -> Result<Vec<AlarmRow>, Error> {
        let mut of_round = Vec::new();
        let mut alarms = self.project.store.alarms(&self.run.id);
        while let Some(rows) = self.project.wait(alarms.next())? {
            of_round.extend(rows.into_iter().filter(|alarm| alarm.round == round));
        }
        Ok(of_round)
    }

    /// Has the champion attempt impossible tasks, as it attempted the ordinary
    /// ones. They take no part in anything else.
    fn canaries(&mut self, plan: &RoundPlan, guards: &GuardPlan) -> Result<Vec<CanaryRow>, Error> {
        let (Some(phase), Some(champion)) = (plan.phases.first(), &plan.champion) else {
            return Ok(vec![]);
        };
        let round = plan.round;
        let set = self.task_set(round, Split::Train)?;
        let named = set.tasks.iter().map(|(id, admitted)| (id, admitted.task.family.as_str()));
        let chosen = select_canaries(guards.canaries.per_round, plan.seed, named);
        let ordinary: Vec<_> = chosen.iter().filter_map(|id| set.tasks.get(id)).cloned().collect();
        let made: Vec<_> = ordinary
            .iter()
            .map(|ordinary| {
                let family = self.workshop.families.get(&ordinary.task.family);
                let verifier = family.map_or(&Verifier::Cases, |family| &family.verifier);
                let at = [ordinary.task.digest.to_u64()];
                impossible(ordinary, verifier, plan.seed.derive("impossible", &at))
            })
            .collect();
        if made.is_empty() {
            return Ok(vec![]);
        }
        let model = self.model(champion)?;
        let settings = self.config.training_episode(phase.temperature);
        let requests: Vec<_> =
            made.iter().map(|canary| self.canary_request(round, &canary.shown)).collect();
        self.working(round, "attempting impossible tasks", 0, requests.len() as u64);
        let attempts = self.attempt(&model, &settings, &requests);
        drop(requests);
        self.judge_canaries(round, champion, made, attempts)
    }

    /// Judges attempts as those of ordinary tasks are judged: by what judges
    /// the family, against the task set in hand.
    fn judge_canaries(
        &mut self,
        round: u32,
        champion: &CheckpointId,
        made: Vec<Canary>,
        attempts: Vec<EpisodeOutcome>,
    ) -> Result<Vec<CanaryRow>, Error> {
        let origins: BTreeMap<_, _> =
            made.iter().map(|c| (c.shown.id.clone(), c.made_from.clone())).collect();
        let tasks = made.into_iter().map(|c| (c.shown.id.clone(), c.judged)).collect();
        self.tasks = Some(TaskSet { round, split: Split::Train, tasks });
        let mut verdicts: Vec<_> = attempts
            .iter()
            .filter_map(|attempt| Some(self.faulted(&attempt.record, attempt.fault.clone()?)))
            .collect::<Result<_, _>>()?;
        let records: Vec<_> = attempts.into_iter().map(|attempt| attempt.record).collect();
        verdicts.extend(self.judge_records(&records)?);
        // They are no tasks of the round: nothing else may find them there.
        let Some(set) = self.tasks.take() else { return Ok(vec![]) };
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

    fn canary_request<'a>(&self, round: u32, task: &'a Task) -> EpisodeSpec<'a> {
        let identity = Digest::of_json(&("canary", self.run.fingerprint, round, &task.id));
        let at = [u64::from(round), task.digest.to_u64()];
        EpisodeSpec {
            id: RolloutId::from_digest(&identity),
            round,
            purpose: Split::Train,
            task,
            sample: 0,
            seed: self.run.seed.derive("canary", &at),
        }
    }

    fn rate_alarms(&self, round: u32, guards: &GuardPlan) -> Result<Vec<AlarmRow>, Error> {
        let Some(before) = round.checked_sub(1).filter(|before| *before > 0) else {
            return Ok(vec![]);
        };
        let (before, now) = (self.accept_counts(before)?, self.accept_counts(round)?);
        let row = |alarm: RateAlarm| AlarmRow {
            round,
            kind: "accept_rate".to_owned(),
            subject: alarm.cell.clone(),
            body: serde_json::json!({
                "detail": alarm.to_string(),
                "verifiers": now.verifiers.get(&alarm.cell),
                "evidence": alarm,
            }),
        };
        let alarms = rate_alarms(&guards.alarms, round - 1, &before.counts, &now.counts);
        Ok(alarms.into_iter().map(row).collect())
    }

    /// What was said of each task's first attempt, by level and by skill.
    fn accept_counts(&self, round: u32) -> Result<AcceptCounts, Error> {
        let tasks = self.load_tasks(round, Split::Train)?;
        let mut cells = AcceptCounts::default();
        self.each_rollout(round, |row| {
            let task = tasks.get(&row.rollout.task).filter(|_| row.rollout.sample == 0);
            if let (Some(task), Some(verdict)) = (task, &row.verdict) {
                cells.add(task, verdict);
            }
        })?;
        Ok(cells)
    }
}

/// What was said in a round, cell by cell, and who said it.
#[derive(Default)]
struct AcceptCounts {
    counts: BTreeMap<String, AcceptCount>,
    verifiers: BTreeMap<String, BTreeSet<Digest>>,
}

impl AcceptCounts {
    /// Counts a verdict once in each of its task's cells; one that is none, not.
    fn add(&mut self, task: &Task, verdict: &VerdictRow) {
        if verdict.verdict.is_invalid() {
            return;
        }
        let family = &task.family;
        let skills: BTreeSet<_> = task.skills.iter().collect();
        let cells = skills.into_iter().map(|skill| format!("{family} skill {skill}"));
        for cell in cells.chain([format!("{family} level {}", task.difficulty)]) {
            self.verifiers.entry(cell.clone()).or_default().insert(verdict.verifier_digest);
            self.counts.entry(cell).or_default().add(verdict.verdict.is_pass());
        }
    }
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
