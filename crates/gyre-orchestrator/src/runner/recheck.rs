//! Judges a share of what was accepted again, in fresh instances.

use gyre_lineage::{AlarmRow, VerdictRow};
use gyre_round::{Rechecked, RoundPlan, VerdictCounts, select_rechecks};
use gyre_types::{CheckResult, InvalidReason, RolloutRecord, Verdict};

use super::Runner;
use crate::error::Error;

/// What the second judgement of some accepts came to.
#[derive(Default)]
pub(super) struct Second {
    pub(super) rechecked: Rechecked,
    /// What no longer counts as accepted.
    pub(super) corrections: Vec<VerdictRow>,
    pub(super) alarms: Vec<AlarmRow>,
}

impl Second {
    /// The counts of the first judgement, put right.
    pub(super) fn correct(&self, counts: VerdictCounts) -> VerdictCounts {
        let differed = self.rechecked.differed;
        VerdictCounts {
            passed: counts.passed - differed,
            invalid: counts.invalid + differed,
            ..counts
        }
    }
}

impl Runner<'_> {
    /// Judges the share of accepts that the plan asks for once more, against the
    /// task set in hand. Verdict, every check and the fuel must be the same.
    pub(super) fn recheck(
        &self,
        plan: &RoundPlan,
        records: &[RolloutRecord],
        verdicts: &[VerdictRow],
    ) -> Result<Second, Error> {
        let Some(guards) = &plan.guards else { return Ok(Second::default()) };
        let of_record = |row: &VerdictRow| records.iter().find(|r| r.id == row.rollout);
        let accepts: Vec<_> = verdicts
            .iter()
            .filter(|row| row.verdict.is_pass())
            .filter_map(|row| Some((row, of_record(row)?)))
            .collect();
        let keys: Vec<_> = accepts.iter().map(|(_, r)| (&r.task, r.sample)).collect();
        let chosen = select_rechecks(&guards.recheck, plan.seed, &keys);
        let again: Vec<_> = chosen.iter().map(|&at| accepts[at].1.clone()).collect();
        let mut second = Second::default();
        for (at, now) in chosen.into_iter().zip(self.judge_records(&again)?) {
            // What our own side failed at says nothing of the verifier.
            if matches!(
                now.verdict,
                Verdict::Invalid { reason: InvalidReason::Infrastructure { .. } }
            ) {
                continue;
            }
            second.rechecked.repeated += 1;
            if let Some(detail) = difference(accepts[at].0, &now) {
                second.differs(plan.round, accepts[at].0, now, detail);
            }
        }
        Ok(second)
    }
}

impl Second {
    fn differs(&mut self, round: u32, first: &VerdictRow, now: VerdictRow, detail: String) {
        self.rechecked.differed += 1;
        self.alarms.push(AlarmRow {
            round,
            kind: "nondeterministic".to_owned(),
            subject: first.rollout.to_string(),
            body: serde_json::json!({
                "detail": detail,
                "verifier": first.verifier_digest,
                "first": { "checks": first.checks, "fuel": first.fuel },
                "second": { "verdict": now.verdict, "checks": now.checks, "fuel": now.fuel },
            }),
        });
        let reason = InvalidReason::Nondeterministic { detail };
        self.corrections.push(VerdictRow {
            revision: first.revision + 1,
            verdict: Verdict::Invalid { reason },
            ..now
        });
    }
}

/// What differs between two judgements of one answer, if anything does.
fn difference(first: &VerdictRow, second: &VerdictRow) -> Option<String> {
    if first.verdict != second.verdict {
        let (first, second) = (first.verdict.name(), second.verdict.name());
        return Some(format!("the verdict was {first}, and {second} when judged again"));
    }
    let differing = |(a, b): &(&CheckResult, &CheckResult)| a != b;
    let check = first.checks.iter().zip(&second.checks).find(differing);
    if let Some((check, _)) = check {
        return Some(format!("{} was another when judged again", check.name));
    }
    if first.checks.len() != second.checks.len() {
        let (first, second) = (first.checks.len(), second.checks.len());
        return Some(format!("{first} checks were made, and {second} when judged again"));
    }
    let (before, now) = (first.fuel, second.fuel);
    (before != now).then(|| format!("judging burnt {before} fuel, and {now} when judged again"))
}
