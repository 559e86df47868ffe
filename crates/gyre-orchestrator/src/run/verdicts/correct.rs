//! Corrects the verdicts of a revoked verifier, or those on a revoked task.

use std::collections::{BTreeMap, BTreeSet};

use gyre_lineage::{RevocationRow, RolloutWithVerdict, VerdictRow, nobody};
use gyre_types::{
    Digest, InvalidReason, Judgement, RolloutId, RolloutRecord, StopReason, Task, TaskId, Verdict,
};
use gyre_verify::{GradingKey, Submission, Verifier};

use super::judge::judge_twice;
use crate::error::Error;
use crate::inspect;
use crate::run::context::RunContext;
use crate::run::recorded::rollout_records;

/// The corrected verdicts of rollouts that a revocation touches: by `verifier`, and
/// invalid without one.
///
/// # Errors
///
/// When something recorded is missing or cannot be read.
pub(crate) fn corrected(
    run: &RunContext,
    touched: &[RolloutWithVerdict],
    revocation: &RevocationRow,
    verifier: Option<&Verifier>,
) -> Result<Vec<VerdictRow>, Error> {
    match verifier {
        Some(verifier) => judged_again(run, touched, verifier),
        None => {
            let detail = format!("the {} was revoked: {}", revocation.target, revocation.why);
            let verdict = Verdict::Invalid { reason: InvalidReason::Revoked { detail } };
            let judgement = Judgement { verdict, checks: vec![], fuel: 0, guests: 0 };
            let row = |row| correction(run, row, judgement.clone(), nobody());
            touched.iter().map(row).collect()
        }
    }
}

fn judged_again(
    run: &RunContext,
    touched: &[RolloutWithVerdict],
    verifier: &Verifier,
) -> Result<Vec<VerdictRow>, Error> {
    let wanted: BTreeSet<_> = touched.iter().map(|row| &row.rollout.id).collect();
    let parts = touched.iter().map(|row| &row.rollout.part);
    let records = rollout_records(run, parts, &wanted)?;
    let mut keys = BTreeMap::<TaskId, (Task, GradingKey)>::new();
    let mut open: Vec<&RolloutRecord> = Vec::new();
    for row in touched {
        let id = &row.rollout.id;
        let record =
            records.get(id).ok_or_else(|| run.unreadable(id.to_string(), "its body is missing"))?;
        if record.stop != StopReason::Faulted {
            let key = inspect::task_with_key(&run.project, run.id(), &record.task)?;
            keys.insert(record.task.clone(), key);
            open.push(record);
        }
    }
    let submissions: Vec<_> = open
        .iter()
        .filter_map(|record| {
            let (task, key) = keys.get(&record.task)?;
            Some(Submission { task, key, answer: record.answer.view() })
        })
        .collect();
    let judge = |open: &[Submission<'_>]| verifier.judge_with(open, &run.harness.sandbox);
    let judged = judge_twice(&submissions, judge);
    let mut judgements: BTreeMap<&RolloutId, Judgement> =
        open.iter().map(|record| &record.id).zip(judged).collect();
    let digest = verifier.digest().unwrap_or_else(nobody);
    let row = |row: &RolloutWithVerdict| {
        // Rollouts that the infrastructure ended stay what they are.
        let judgement = judgements.remove(&row.rollout.id).or_else(|| {
            let old = row.verdict.as_ref()?;
            let verdict = old.verdict.clone();
            Some(Judgement { verdict, checks: vec![], fuel: 0, guests: 0 })
        });
        let judgement = judgement.ok_or_else(|| no_verdict(run, &row.rollout.id))?;
        correction(run, row, judgement, digest)
    };
    touched.iter().map(row).collect()
}

fn correction(
    run: &RunContext,
    row: &RolloutWithVerdict,
    judgement: Judgement,
    verifier: Digest,
) -> Result<VerdictRow, Error> {
    let id = &row.rollout.id;
    let newest = row.verdict.as_ref().map(|verdict| verdict.revision);
    let newest = newest.ok_or_else(|| no_verdict(run, id))?;
    let sandbox = run.harness.sandbox.digest();
    let verdict = VerdictRow::of(id.clone(), judgement, verifier, sandbox);
    Ok(VerdictRow { revision: newest + 1, ..verdict })
}

fn no_verdict(run: &RunContext, id: &RolloutId) -> Error {
    run.unreadable(id.to_string(), "it has no verdict")
}
