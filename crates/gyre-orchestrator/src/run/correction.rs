//! Corrects a run that a revocation touches.
//!
//! Each step is a commit of its own and finds by itself what is outstanding, so
//! that a process which was killed is followed by one that does the rest.

use gyre_lineage::{CorrectionStep, GateReview, RevocationRow, RevocationTarget, RunRow, Touched};
use gyre_tasks::Family;
use gyre_verify::Verifier;

use super::context::RunContext;
use super::event_log::EventLog;
use super::garbage::collect;
use super::gate::review;
use super::publish::publisher::Publisher;
use super::publish::rewrite::{remove_replaced, rewrite_shard};
use super::verdicts::correct::corrected;
use crate::cancel::Cancel;
use crate::clock::Clock;
use crate::error::Error;
use crate::harness::Harness;
use crate::inspect;
use crate::progress::{Observer, working};
use crate::project::Project;

/// Rollouts judged again in one commit.
const CORRECTIONS_PER_COMMIT: u32 = 500;

/// The correction of one run. It holds the run, and does not drive it.
pub(crate) struct Correction<'a> {
    run: RunContext,
    log: EventLog,
    revocation: &'a RevocationRow,
    observer: &'a mut dyn Observer,
}

impl<'a> Correction<'a> {
    /// Takes the lease on a run.
    ///
    /// # Errors
    ///
    /// When another process holds the run, or its record is not whole.
    pub(crate) fn open(
        project: Project,
        harness: Harness,
        run: &RunRow,
        (clock, cancel): (Clock, Cancel),
        revocation: &'a RevocationRow,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, Error> {
        let config = project.config_of(run)?;
        let (log, row) = EventLog::open(&project, &run.id, clock)?;
        let run = RunContext { project, harness, config, row, clock, cancel };
        collect(&run.project, &run.row)?;
        Ok(Self { run, log, revocation, observer })
    }

    /// Judges again what the revocation touches, with `verifier`; without one the
    /// verdicts become invalid.
    ///
    /// # Errors
    ///
    /// When something recorded is missing, the store fails, and
    /// [`Error::Interrupted`].
    pub(crate) fn correct_verdicts(&mut self, verifier: Option<&Verifier>) -> Result<(), Error> {
        let Self { run, log, revocation, observer } = self;
        let mut done = 0;
        loop {
            let touched = run.store().uncorrected(run.id(), revocation, CORRECTIONS_PER_COMMIT);
            let touched = run.wait(touched)?;
            if touched.is_empty() {
                return Ok(());
            }
            run.check_cancelled()?;
            let round = touched[0].rollout.round;
            done += touched.len() as u64;
            let mut commit = run.no_rows();
            commit.verdicts = corrected(run, &touched, revocation, verifier)?;
            commit.correction = Some(CorrectionStep::new(revocation.ordinal));
            log.commit(run, commit)?;
            working(*observer, round, "judging again", done, done);
        }
    }

    /// Chooses the rows of each touched shard anew, as its round would have
    /// chosen them by the verdicts of today.
    ///
    /// # Errors
    ///
    /// When something recorded is missing, or a file cannot be written.
    pub(crate) fn rewrite_shards(&mut self, touched: &Touched) -> Result<(), Error> {
        let Self { run, log, revocation, .. } = self;
        let publisher = Publisher { run, of_workers: None };
        for shard in inspect::shards(&run.project, run.id())? {
            let id = &shard.id;
            let is_touched = touched.shards.contains(id) || touched.groups.contains_key(id);
            if shard.superseded || !is_touched {
                continue;
            }
            if let Some(rewrite) = rewrite_shard(run, revocation, shard)? {
                log.commit(run, rewrite.rows)?;
                publisher.write_index()?;
                remove_replaced(run, &rewrite.replaced)?;
            }
        }
        // What a process left undone that was killed after its last commit.
        collect(&run.project, &run.row)?;
        publisher.write_index()
    }

    /// Makes the touched gates' decisions again, by the verdicts of today.
    ///
    /// # Errors
    ///
    /// When something recorded is missing, or the store fails.
    pub(crate) fn review_gates(&self, touched: &Touched) -> Result<Vec<GateReview>, Error> {
        let review = |&round| review(&self.run, round).transpose();
        touched.gates.iter().filter_map(review).collect()
    }

    /// Records that nothing is outstanding in this run.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub(crate) fn finish(
        &mut self,
        reviews: Vec<GateReview>,
        report: serde_json::Value,
    ) -> Result<(), Error> {
        let mut commit = self.run.no_rows();
        let step = CorrectionStep::new(self.revocation.ordinal);
        commit.correction = Some(CorrectionStep { reviews, report: Some(report), ..step });
        self.log.commit(&self.run, commit)
    }
}

/// Refuses a harness with a verifier that was revoked, before anything is sampled.
///
/// # Errors
///
/// [`Error::VerifierRevoked`].
pub(crate) fn check_not_revoked(project: &Project, harness: &Harness) -> Result<(), Error> {
    for revocation in project.wait(project.store.revocations())? {
        let RevocationTarget::Verifier(digest) = &revocation.target else { continue };
        let judged_by = |family: &&Family| family.verifier.digest() == Some(*digest);
        if let Some(family) = harness.families.values().find(judged_by) {
            return Err(Error::VerifierRevoked {
                family: family.name().to_owned(),
                verifier: digest.short(),
                why: revocation.why,
            });
        }
    }
    Ok(())
}
