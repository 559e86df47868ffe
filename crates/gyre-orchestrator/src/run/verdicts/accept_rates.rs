//! Compares verifiers' accept rates from round to round.

use std::collections::{BTreeMap, BTreeSet};

use gyre_lineage::{AlarmRow, VerdictRow};
use gyre_round::{AcceptCount, GuardPlan, RateAlarm, rate_alarms};
use gyre_types::{Digest, Split, Task};

use crate::error::Error;
use crate::run::context::RunContext;
use crate::run::recorded::each_rollout;
use crate::run::tasks::store::load_tasks;

/// The alarms of a round whose accept rates differ from those of the round before.
///
/// # Errors
///
/// When the store fails.
pub(crate) fn accept_rate_alarms(
    run: &RunContext,
    round: u32,
    guards: &GuardPlan,
) -> Result<Vec<AlarmRow>, Error> {
    let Some(before) = round.checked_sub(1).filter(|before| *before > 0) else {
        return Ok(vec![]);
    };
    let (before, now) = (accept_counts(run, before)?, accept_counts(run, round)?);
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

/// The verdicts on each task's first attempt, by level and by skill.
fn accept_counts(run: &RunContext, round: u32) -> Result<AcceptCounts, Error> {
    let tasks = load_tasks(run, round, Split::Train)?;
    let mut cells = AcceptCounts::default();
    each_rollout(run, round, |row| {
        let task = tasks.get(&row.rollout.task).filter(|_| row.rollout.sample == 0);
        if let (Some(task), Some(verdict)) = (task, &row.verdict) {
            cells.add(task, verdict);
        }
    })?;
    Ok(cells)
}

/// The verdicts of a round, cell by cell, and who gave them.
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
