//! Judges a share of what was accepted again, in fresh instances.

use gyre_lineage::{AlarmRow, VerdictRow};
use gyre_round::{Rechecked, RoundPlan, VerdictCounts, select_rechecks};
use gyre_types::{CheckResult, InvalidReason, RolloutRecord, Verdict};

use super::judge::{Judge, is_our_fault};
use crate::error::Error;

/// What judging some accepts again came to.
#[derive(Default)]
pub(crate) struct Recheck {
    pub(crate) rechecked: Rechecked,
    /// What no longer counts as accepted.
    pub(crate) corrections: Vec<VerdictRow>,
    pub(crate) alarms: Vec<AlarmRow>,
}

impl Recheck {
    /// The counts of the first judgement, corrected.
    pub(crate) fn correct(&self, counts: VerdictCounts) -> VerdictCounts {
        let differed = self.rechecked.differed;
        VerdictCounts {
            passed: counts.passed - differed,
            invalid: counts.invalid + differed,
            ..counts
        }
    }

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

/// Judges the share of accepts that the plan asks for once more. Verdict, every check
/// and the fuel must be the same. `is_first` says that nothing of the same kind was
/// accepted before these.
///
/// # Errors
///
/// See [`Judge::judge`].
pub(crate) fn recheck(
    judge: &Judge<'_>,
    plan: &RoundPlan,
    records: &[RolloutRecord],
    verdicts: &[VerdictRow],
    is_first: bool,
) -> Result<Recheck, Error> {
    let Some(guards) = &plan.guards else { return Ok(Recheck::default()) };
    let of_record = |row: &VerdictRow| records.iter().find(|r| r.id == row.rollout);
    let accepts: Vec<_> = verdicts
        .iter()
        .filter(|row| row.verdict.is_pass())
        .filter_map(|row| Some((row, of_record(row)?)))
        .collect();
    let keys: Vec<_> = accepts.iter().map(|(_, r)| (&r.task, r.sample)).collect();
    let chosen = select_rechecks(&guards.recheck, plan.seed, &keys, is_first);
    let again: Vec<_> = chosen.iter().map(|&at| accepts[at].1.clone()).collect();
    let mut recheck = Recheck::default();
    for (at, now) in chosen.into_iter().zip(judge.judge(&again)?) {
        if is_our_fault(&now.verdict) {
            continue;
        }
        recheck.rechecked.repeated += 1;
        if let Some(detail) = difference(accepts[at].0, &now) {
            recheck.differs(plan.round, accepts[at].0, now, detail);
        }
    }
    Ok(recheck)
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

#[cfg(test)]
mod tests {
    use gyre_types::{Digest, Judgement, RolloutId};

    use super::*;

    fn accepted(detail: &str, fuel: u64) -> VerdictRow {
        let check = |name: &str, detail: &str| CheckResult {
            name: name.to_owned(),
            passed: true,
            weight: 1.0,
            detail: detail.to_owned(),
        };
        let checks = vec![check("hidden[0]", ""), check("hidden[1]", detail)];
        let judgement = Judgement { verdict: Verdict::Pass, checks, fuel, guests: 3 };
        let rollout = RolloutId::from_digest(&Digest::of(b"rollout"));
        VerdictRow::of(rollout, judgement, Digest::of(b"verifier"), Digest::of(b"sandbox"))
    }

    #[test]
    fn verdict_checks_and_fuel_must_be_the_same() {
        let first = accepted("as it was", 100);
        assert_eq!(difference(&first, &first), None);
        let said = |second: &VerdictRow| difference(&first, second).unwrap_or_default();
        assert_eq!(said(&accepted("otherwise", 100)), "hidden[1] was another when judged again");
        assert_eq!(
            said(&accepted("as it was", 101)),
            "judging burnt 100 fuel, and 101 when judged again"
        );
        let mut fewer = first.clone();
        fewer.checks.pop();
        assert_eq!(said(&fewer), "2 checks were made, and 1 when judged again");
        let reason = InvalidReason::Verifier { detail: "it raised".to_owned() };
        let invalid = VerdictRow { verdict: Verdict::Invalid { reason }, ..first.clone() };
        assert_eq!(said(&invalid), "the verdict was pass, and invalid when judged again");
    }

    #[test]
    fn what_was_judged_differently_is_invalid_and_told() {
        let (first, now) = (accepted("", 1), accepted("", 2));
        let mut recheck = Recheck::default();
        recheck.rechecked.repeated = 3;
        recheck.differs(4, &first, now, "why".to_owned());
        let counts = VerdictCounts { passed: 5, failed: 2, invalid: 1 };
        let corrected = VerdictCounts { passed: 4, failed: 2, invalid: 2 };
        assert_eq!(recheck.correct(counts), corrected);
        let [correction] = recheck.corrections.as_slice() else { panic!("one is expected") };
        assert_eq!(correction.revision, 1);
        let reason = InvalidReason::Nondeterministic { detail: "why".to_owned() };
        assert_eq!(correction.verdict, Verdict::Invalid { reason });
        let [alarm] = recheck.alarms.as_slice() else { panic!("one is expected") };
        assert_eq!((alarm.round, alarm.kind.as_str()), (4, "nondeterministic"));
        assert_eq!(alarm.body["first"]["fuel"], 1);
    }
}
