//! Puts right what a revoked verifier said, or what was said of a revoked task.
//!
//! Each step is a commit of its own and finds by itself what is outstanding, so
//! that a process which was killed is followed by one that does the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gyre_lineage::{
    CorrectionStep, GateDecision, GateReview, RevocationRow, RevocationTarget, RolloutWithVerdict,
    ShardRewrite, ShardRow, Touched, VerdictRow, nobody,
};
use gyre_round::{Contest, GateRecord, decide};
use gyre_tasks::Family;
use gyre_types::{
    InvalidReason, Judgement, RolloutId, RolloutRecord, Split, StopReason, StoredPath, Task,
    TaskId, Verdict, to_json,
};
use gyre_verify::{GradingKey, Submission, Verifier};

use super::Runner;
use crate::error::Error;
use crate::project::{Project, io};
use crate::workshop::Workshop;

/// Rollouts judged again in one commit.
const CORRECTIONS_PER_COMMIT: u32 = 500;

impl Runner<'_> {
    /// Judges again what a revocation touches, with `verifier`; without one the
    /// verdicts become invalid.
    pub(crate) fn correct_verdicts(
        &mut self,
        revocation: &RevocationRow,
        verifier: Option<&Verifier>,
    ) -> Result<(), Error> {
        let store = self.project.store.clone();
        let mut done = 0;
        loop {
            let touched = store.uncorrected(&self.run.id, revocation, CORRECTIONS_PER_COMMIT);
            let touched = self.project.wait(touched)?;
            if touched.is_empty() {
                return Ok(());
            }
            if self.cancel.is_cancelled() {
                return Err(Error::Interrupted);
            }
            let round = touched[0].rollout.round;
            done += touched.len() as u64;
            let mut commit = self.empty_commit();
            commit.verdicts = self.corrected(&touched, revocation, verifier)?;
            commit.correction = Some(CorrectionStep::new(revocation.ordinal));
            self.commit(commit)?;
            self.working(round, "judging again", done, done);
        }
    }

    fn corrected(
        &self,
        touched: &[RolloutWithVerdict],
        revocation: &RevocationRow,
        verifier: Option<&Verifier>,
    ) -> Result<Vec<VerdictRow>, Error> {
        let Some(verifier) = verifier else {
            let detail = format!("the {} was revoked: {}", revocation.target, revocation.why);
            let verdict = Verdict::Invalid { reason: InvalidReason::Revoked { detail } };
            let judgement = Judgement { verdict, checks: vec![], fuel: 0, guests: 0 };
            return touched
                .iter()
                .map(|row| self.correction(row, judgement.clone(), nobody()))
                .collect();
        };
        let wanted: BTreeSet<_> = touched.iter().map(|row| &row.rollout.id).collect();
        let parts = touched.iter().map(|row| &row.rollout.part);
        let records = self.records(parts, &wanted)?;
        let mut keys = BTreeMap::<TaskId, (Task, GradingKey)>::new();
        let mut open: Vec<&RolloutRecord> = Vec::new();
        for row in touched {
            let id = &row.rollout.id;
            let record = records
                .get(id)
                .ok_or_else(|| self.unreadable(id.to_string(), "its body is missing"))?;
            if record.stop != StopReason::Faulted {
                let key = crate::inspect::task_with_key(&self.project, &self.run.id, &record.task)?;
                keys.insert(record.task.clone(), key);
                open.push(record);
            }
        }
        let submissions: Vec<_> = open
            .iter()
            .filter_map(|record| {
                let (task, key) = keys.get(&record.task)?;
                Some(Submission { task, key, answer: &record.answer })
            })
            .collect();
        let judged = self.judge_again(verifier, &submissions);
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
            let missing = || self.unreadable(row.rollout.id.to_string(), "it has no verdict");
            self.correction(row, judgement.ok_or_else(missing)?, digest)
        };
        touched.iter().map(row).collect()
    }

    fn judge_again(&self, verifier: &Verifier, open: &[Submission<'_>]) -> Vec<Judgement> {
        let judge = |open: &[Submission<'_>]| verifier.judge_with(open, &self.workshop.sandbox);
        let mut judged = judge(open);
        let is_fault = |judgement: &Judgement| {
            matches!(
                judgement.verdict,
                Verdict::Invalid { reason: InvalidReason::Infrastructure { .. } }
            )
        };
        let failed: Vec<usize> = (0..judged.len()).filter(|&at| is_fault(&judged[at])).collect();
        if !failed.is_empty() {
            let again: Vec<_> = failed.iter().map(|&at| open[at]).collect();
            for (at, judgement) in failed.into_iter().zip(judge(&again)) {
                judged[at] = judgement;
            }
        }
        judged
    }

    fn correction(
        &self,
        row: &RolloutWithVerdict,
        judgement: Judgement,
        verifier: gyre_types::Digest,
    ) -> Result<VerdictRow, Error> {
        let id = &row.rollout.id;
        let newest = row.verdict.as_ref().map(|verdict| verdict.revision);
        let newest = newest.ok_or_else(|| self.unreadable(id.to_string(), "it has no verdict"))?;
        let sandbox = self.workshop.sandbox.digest();
        let verdict = VerdictRow::of(id.clone(), judgement, verifier, sandbox);
        Ok(VerdictRow { revision: newest + 1, ..verdict })
    }

    /// Chooses the rows of each touched shard anew, as its round would have
    /// chosen them by the verdicts of today.
    pub(crate) fn rewrite_shards(
        &mut self,
        revocation: &RevocationRow,
        touched: &Touched,
    ) -> Result<(), Error> {
        for shard in crate::inspect::shards(&self.project, &self.run.id)? {
            if !shard.superseded && touched.shards.contains(&shard.id) {
                self.rewrite(revocation, shard)?;
            }
        }
        // What a process left undone that was killed after its last commit.
        self.collect_garbage()?;
        self.write_index()
    }

    fn rewrite(&mut self, revocation: &RevocationRow, old: ShardRow) -> Result<(), Error> {
        let state = self.recorded_state(old.round)?;
        let Some(plan) = state.plan else {
            return Err(self.unreadable(old.id.to_string(), "its round has no plan"));
        };
        let selection = self.selection(&plan)?;
        let successor = match selection.chosen.accepted.is_empty() {
            true => None,
            false => Some(self.publish(old.round, &selection)?),
        };
        if successor.as_ref().is_some_and(|(shard, _)| shard.id == old.id) {
            // Judged again, every row is what it was.
            return Ok(());
        }
        let resolved = self.project.data.resolve(&old.path);
        let file = resolved.map_err(|error| self.unreadable(old.id.to_string(), error))?;
        let moved_to = self.set_aside(&old.path, &file)?;
        gyre_fault::io_point("revoke::set_aside").map_err(io("set aside", &file))?;
        let mut commit = self.empty_commit();
        let mut rewrite = ShardRewrite { shard: old.id, moved_to, successor: None };
        if let Some((shard, shard_rows)) = successor {
            rewrite.successor = Some(shard.id.clone());
            commit.shards.push(shard);
            commit.shard_rows = shard_rows;
        }
        let mut step = CorrectionStep::new(revocation.ordinal);
        step.rewrites.push(rewrite);
        commit.correction = Some(step);
        self.commit(commit)?;
        self.write_index()?;
        gyre_fault::io_point("revoke::indexed").map_err(io("remove", &file))?;
        self.project.data.remove(&file).map_err(io("remove", &file))
    }

    /// Gives a shard's file its second name, outside the folder that is
    /// published. The first one is taken away once the lineage knows.
    fn set_aside(&self, shard: &StoredPath, file: &Path) -> Result<StoredPath, Error> {
        let data = self.project.data.folder();
        let folder = self.project.data.superseded(&self.run.id);
        folder.make().map_err(io("make", &folder.path()))?;
        let name = file.file_name().unwrap_or_default();
        match data.link(shard.as_text(), &folder, name) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            // A file system without such links.
            Err(_) => {
                let bytes = data.read(shard.as_text()).map_err(io("copy", file))?;
                folder.write(name, &bytes).map_err(io("copy", file))?;
            }
            Ok(()) => {}
        }
        folder.sync().map_err(io("sync", &folder.path()))?;
        Ok(self.project.data.relative(&folder.path().join(name)))
    }

    /// Makes the touched gates' decisions again: their rule, their history and
    /// their level, and the verdicts of today.
    pub(crate) fn review_gates(&self, touched: &Touched) -> Result<Vec<GateReview>, Error> {
        let mut reviews = Vec::new();
        for &round in &touched.gates {
            let record = self.gate_record(round)?;
            let Some(gate) = crate::inspect::gate(&self.project, &self.run.id, round)? else {
                continue;
            };
            let contest = Contest {
                round,
                champion: record.champion,
                candidate: record.candidate,
                history: record.history,
            };
            let pairs = self.pairs(Split::Gate, &gate.champion, &gate.candidate)?;
            let again: GateRecord = decide(&record.config, &contest, &pairs);
            let promotes = again.is_promotion();
            reviews.push(GateReview {
                round,
                decision: if promotes { GateDecision::Promoted } else { GateDecision::Rejected },
                record: to_json("the review of a gate", &again)?,
            });
        }
        Ok(reviews)
    }

    /// Records that nothing is outstanding in this run.
    pub(crate) fn finish_correction(
        &mut self,
        revocation: &RevocationRow,
        reviews: Vec<GateReview>,
        report: serde_json::Value,
    ) -> Result<(), Error> {
        let mut commit = self.empty_commit();
        let step = CorrectionStep::new(revocation.ordinal);
        commit.correction = Some(CorrectionStep { reviews, report: Some(report), ..step });
        self.commit(commit)
    }
}

/// Refuses what was revoked: a verifier in use, before anything is sampled.
pub(super) fn check_not_revoked(project: &Project, workshop: &Workshop) -> Result<(), Error> {
    for revocation in project.wait(project.store.revocations())? {
        let RevocationTarget::Verifier(digest) = &revocation.target else { continue };
        let judged_by = |family: &&Family| family.verifier.digest() == Some(*digest);
        if let Some(family) = workshop.families.values().find(judged_by) {
            return Err(Error::VerifierRevoked {
                family: family.name().to_owned(),
                verifier: digest.short(),
                why: revocation.why,
            });
        }
    }
    Ok(())
}
