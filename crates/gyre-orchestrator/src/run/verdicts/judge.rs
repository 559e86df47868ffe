//! Judges rollouts against the keys of their tasks.

use std::collections::BTreeMap;

use gyre_lineage::VerdictRow;
use gyre_round::VerdictCounts;
use gyre_types::{InvalidReason, Judgement, RolloutRecord, StopReason, Task, Verdict};
use gyre_verify::Submission;

use crate::config::OnFault;
use crate::error::Error;
use crate::harness::Harness;
use crate::run::context::RunContext;
use crate::run::tasks::store::TaskSet;

/// Judges rollouts of one set of tasks.
pub(crate) struct Judge<'a> {
    pub(crate) run: &'a RunContext,
    pub(crate) set: &'a TaskSet,
}

impl Judge<'_> {
    /// Judges records. Those that the infrastructure ended have their verdict already
    /// and are left out.
    ///
    /// # Errors
    ///
    /// When a record is of no task of the set, and [`Error::VerifierFault`] where the
    /// configuration says that a fault stops the run.
    pub(crate) fn judge(&self, records: &[RolloutRecord]) -> Result<Vec<VerdictRow>, Error> {
        let open: Vec<_> = records.iter().filter(|r| r.stop != StopReason::Faulted).collect();
        let submissions =
            open.iter().map(|record| self.submission(record)).collect::<Result<Vec<_>, _>>()?;
        let judge = |submissions: &[Submission<'_>]| self.run.harness.judge(submissions);
        let judgements = judge_twice(&submissions, judge);
        let row = |(record, judgement): (&&RolloutRecord, Judgement)| self.row(record, judgement);
        let verdicts = open.iter().zip(judgements).map(row).collect::<Result<Vec<_>, _>>()?;
        self.stop_on_fault(records, &verdicts)?;
        Ok(verdicts)
    }

    fn submission<'s>(&'s self, record: &'s RolloutRecord) -> Result<Submission<'s>, Error> {
        let admitted = self.set.get(self.run, &record.task)?;
        Ok(Submission { task: &admitted.task, key: &admitted.key, answer: record.answer.view() })
    }

    /// The row of a judgement, whoever gave it.
    ///
    /// # Errors
    ///
    /// When the record is of no task of the set.
    pub(crate) fn row(
        &self,
        record: &RolloutRecord,
        judgement: Judgement,
    ) -> Result<VerdictRow, Error> {
        let task = &self.set.get(self.run, &record.task)?.task;
        Ok(verdict_row(&self.run.harness, task, record, judgement))
    }

    /// Stops where a verifier gave no verdict, if the configuration says so.
    ///
    /// # Errors
    ///
    /// [`Error::VerifierFault`].
    pub(crate) fn stop_on_fault(
        &self,
        records: &[RolloutRecord],
        verdicts: &[VerdictRow],
    ) -> Result<(), Error> {
        if self.run.config.verifiers.on_fault == OnFault::Continue {
            return Ok(());
        }
        let mut faults = BTreeMap::<String, Vec<&str>>::new();
        for row in verdicts {
            let Verdict::Invalid { reason: InvalidReason::Verifier { detail } } = &row.verdict
            else {
                continue;
            };
            let record = records.iter().find(|record| record.id == row.rollout);
            let admitted = record.and_then(|record| self.set.tasks.get(&record.task));
            let family = admitted.map_or_else(String::new, |a| a.task.family.clone());
            faults.entry(family).or_default().push(detail);
        }
        match faults.into_iter().next() {
            None => Ok(()),
            Some((family, whys)) => Err(Error::VerifierFault {
                family,
                count: whys.len(),
                why: whys.first().copied().unwrap_or_default().to_owned(),
            }),
        }
    }
}

/// Judges, and once more what the infrastructure failed at.
pub(crate) fn judge_twice(
    submissions: &[Submission<'_>],
    judge: impl Fn(&[Submission<'_>]) -> Vec<Judgement>,
) -> Vec<Judgement> {
    let mut judgements = judge(submissions);
    let failed: Vec<usize> =
        (0..judgements.len()).filter(|&i| is_our_fault(&judgements[i].verdict)).collect();
    if !failed.is_empty() {
        let again: Vec<_> = failed.iter().map(|&i| submissions[i]).collect();
        for (at, judgement) in failed.into_iter().zip(judge(&again)) {
            judgements[at] = judgement;
        }
    }
    judgements
}

/// Whether a verdict tells that the infrastructure failed, which says nothing of the
/// answer nor of its verifier.
pub(crate) fn is_our_fault(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Invalid { reason } if reason.is_fault())
}

/// How many of these verdicts tell of such a fault.
pub(crate) fn count_faults(verdicts: &[VerdictRow]) -> u32 {
    verdicts.iter().filter(|row| is_our_fault(&row.verdict)).count() as u32
}

/// The row of a judgement on a rollout of a task.
pub(crate) fn verdict_row(
    harness: &Harness,
    task: &Task,
    record: &RolloutRecord,
    judgement: Judgement,
) -> VerdictRow {
    let verifier = harness.verifier_digest(&task.family);
    VerdictRow::of(record.id.clone(), judgement, verifier, harness.sandbox.digest())
}

/// The verdict of a rollout that a fault of the model or the sandbox ended.
pub(crate) fn fault_verdict(
    harness: &Harness,
    task: &Task,
    record: &RolloutRecord,
    reason: InvalidReason,
) -> VerdictRow {
    let verdict = Verdict::Invalid { reason };
    let judgement = Judgement { verdict, checks: vec![], fuel: 0, guests: 0 };
    verdict_row(harness, task, record, judgement)
}

/// Verdicts by kind, those of faulted rollouts included.
pub(crate) fn count(records: &[RolloutRecord], verdicts: &[VerdictRow]) -> VerdictCounts {
    let mut counts = VerdictCounts::default();
    for row in verdicts {
        match row.verdict {
            Verdict::Pass => counts.passed += 1,
            Verdict::Fail { .. } => counts.failed += 1,
            Verdict::Invalid { .. } => counts.invalid += 1,
        }
    }
    counts.invalid += records.iter().filter(|r| r.stop == StopReason::Faulted).count() as u32;
    counts
}
