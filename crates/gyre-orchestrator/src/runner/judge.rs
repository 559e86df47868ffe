//! Judges stored rollouts.

use std::collections::BTreeMap;

use gyre_lineage::VerdictRow;
use gyre_round::{RoundEvent, RoundState, VerdictCounts, WaveIndex};
use gyre_tasks::AdmittedTask;
use gyre_types::{InvalidReason, Judgement, RolloutRecord, Split, StopReason, TaskId, Verdict};
use gyre_verify::Submission;

use super::batch::Batch;
use super::generate::planned;
use super::{Done, Runner};
use crate::config::OnFault;
use crate::error::Error;
use crate::layout::wave_part;

impl Runner<'_> {
    pub(super) fn verify(&mut self, state: &RoundState, at: WaveIndex) -> Result<Done, Error> {
        let plan = planned(state);
        let round = plan.round;
        let records = self.read_wave(round, &wave_part(at.phase, at.wave))?;
        self.task_set(round, Split::Train)?;
        let verdicts = self.judged(round, Batch::Wave(at), &records)?;
        let is_first = state.counts.passed == 0 && state.rechecked.is_none();
        let second = self.recheck(plan, &records, &verdicts, is_first)?;
        let counts = second.correct(count(&records, &verdicts));
        let rechecked = second.rechecked;
        let mut done = Done {
            event: RoundEvent::WaveVerified { at, counts, rechecked },
            rows: self.empty_commit(),
        };
        done.rows.verdicts = verdicts;
        done.rows.verdicts.extend(second.corrections);
        done.rows.alarms = second.alarms;
        Ok(self.taking(done, round, Batch::Wave(at)))
    }

    /// Judges records against the task set in hand. Those that the
    /// infrastructure ended have their verdict already and are left out.
    pub(super) fn judge_records(
        &self,
        records: &[RolloutRecord],
    ) -> Result<Vec<VerdictRow>, Error> {
        let Some(set) = &self.tasks else {
            return Err(self.unreadable("the task set", "it is missing"));
        };
        let open: Vec<_> = records.iter().filter(|r| r.stop != StopReason::Faulted).collect();
        let submissions = open
            .iter()
            .map(|record| self.submission(&set.tasks, record))
            .collect::<Result<Vec<_>, _>>()?;
        let judgements = self.judge_twice(&submissions);
        let row =
            |(record, judgement): (&&RolloutRecord, Judgement)| self.verdict_row(record, judgement);
        let verdicts = open.iter().zip(judgements).map(row).collect::<Result<Vec<_>, _>>()?;
        self.stop_on_fault(records, &verdicts)?;
        Ok(verdicts)
    }

    fn submission<'a>(
        &self,
        tasks: &'a BTreeMap<TaskId, AdmittedTask>,
        record: &'a RolloutRecord,
    ) -> Result<Submission<'a>, Error> {
        let admitted = tasks.get(&record.task).ok_or_else(|| {
            self.unreadable(record.task.to_string(), "it is not among the round's tasks")
        })?;
        Ok(Submission { task: &admitted.task, key: &admitted.key, answer: &record.answer })
    }

    /// Judges, and once more what the infrastructure failed at.
    fn judge_twice(&self, submissions: &[Submission<'_>]) -> Vec<Judgement> {
        let judge = |submissions: &[Submission<'_>]| self.workshop.judge(submissions);
        let mut judgements = judge(submissions);
        let failed: Vec<usize> =
            (0..judgements.len()).filter(|&i| is_fault(&judgements[i].verdict)).collect();
        if !failed.is_empty() {
            let again: Vec<_> = failed.iter().map(|&i| submissions[i]).collect();
            for (at, judgement) in failed.into_iter().zip(judge(&again)) {
                judgements[at] = judgement;
            }
        }
        judgements
    }

    /// Stops where a verifier gave no verdict, if the configuration says so.
    pub(super) fn stop_on_fault(
        &self,
        records: &[RolloutRecord],
        verdicts: &[VerdictRow],
    ) -> Result<(), Error> {
        if self.config.verifiers.on_fault == OnFault::Continue {
            return Ok(());
        }
        let mut faults = BTreeMap::<String, Vec<&str>>::new();
        for row in verdicts {
            let Verdict::Invalid { reason: InvalidReason::Verifier { detail } } = &row.verdict
            else {
                continue;
            };
            let record = records.iter().find(|record| record.id == row.rollout);
            let set = self.tasks.as_ref();
            let admitted = record.and_then(|record| set?.tasks.get(&record.task));
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

fn is_fault(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Invalid { reason: InvalidReason::Infrastructure { .. } })
}

/// Verdicts by kind, those of faulted rollouts included.
pub(super) fn count(records: &[RolloutRecord], verdicts: &[VerdictRow]) -> VerdictCounts {
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
