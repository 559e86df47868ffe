//! Figures of a run, made from what is recorded.

use gyre_lineage::Commit;

use super::Runner;
use crate::error::Error;
use crate::progress::Progress;
use crate::summary::{RoundSummary, RunSummary};

impl Runner<'_> {
    pub(super) fn round_summary(&self, round: u32) -> Result<RoundSummary, Error> {
        crate::inspect::round_summary(&self.project, &self.run, round)
    }

    pub(super) fn summary(&self) -> Result<RunSummary, Error> {
        crate::inspect::run_summary(&self.project, &self.run)
    }

    /// A commit with the run, the lease and the log's end filled in.
    pub(super) fn empty_commit(&self) -> Commit {
        // Without a lease there is an epoch that nobody ever has.
        let epoch = self.lease.as_ref().map_or(0, super::lease::HeldLease::epoch);
        Commit::new(self.run.id.clone(), epoch, self.seq, (self.clock)())
    }

    pub(super) fn working(&mut self, round: u32, what: &'static str, done: u64, total: u64) {
        self.observer.observe(&Progress::Working { round, what, done, total });
    }
}
