//! The event log of one run: holds the lease, and alone commits.

use gyre_lineage::{Commit, NewEvent, RunRow, RunStatus, SealChain};
use gyre_round::{RoundEvent, RoundState, step};
use gyre_types::RunId;

use super::context::RunContext;
use super::lease::HeldLease;
use crate::anchor;
use crate::clock::Clock;
use crate::error::Error;
use crate::project::Project;
use crate::stored;

/// What an action came to: the event that tells it, and the rows that go with it
/// into the same transaction.
pub(crate) struct LogEntry {
    pub(crate) event: RoundEvent,
    pub(crate) rows: Commit,
}

impl LogEntry {
    /// An event without rows.
    pub(crate) fn new(run: &RunContext, event: RoundEvent) -> Self {
        Self { event, rows: run.no_rows() }
    }
}

/// The right to record something of a run, and where its log ends.
pub(crate) struct EventLog {
    lease: HeldLease,
    seq: u64,
    status: RunStatus,
}

impl EventLog {
    /// Takes the lease on a run, and gives the run as it is recorded under the lease:
    /// another process may have worked on it until now.
    ///
    /// # Errors
    ///
    /// When another process holds the run, or its record is not whole.
    pub(crate) fn open(
        project: &Project,
        run: &RunId,
        clock: Clock,
    ) -> Result<(Self, RunRow), Error> {
        let lease = HeldLease::acquire(project, run, clock)?;
        let row = project.run(Some(run))?;
        anchor::require(project, run)?;
        anchor::renew(project, &SealChain::Run(run.clone()))?;
        Ok((Self { lease, seq: row.last_seq, status: row.status }, row))
    }

    /// The epoch of the lease.
    pub(crate) fn epoch(&self) -> u64 {
        self.lease.epoch()
    }

    /// Number of the newest event; 0 before the first.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// Commits an event with its rows, and gives the round's state after it. A crash
    /// before the commit leaves the action outstanding, after it the action done;
    /// there is no between.
    ///
    /// # Errors
    ///
    /// When the event does not follow from `state`, or the store fails.
    pub(crate) fn append(
        &mut self,
        run: &RunContext,
        round: u32,
        state: &RoundState,
        (event, rows): (&RoundEvent, Commit),
    ) -> Result<RoundState, Error> {
        self.append_to((&run.project, run.id(), run.clock), round, state, (event, rows))
    }

    /// As [`EventLog::append`], for whoever records something of a run and does not
    /// drive it.
    ///
    /// # Errors
    ///
    /// As [`EventLog::append`].
    pub(crate) fn append_to(
        &mut self,
        (project, run, clock): (&Project, &RunId, Clock),
        round: u32,
        state: &RoundState,
        (event, rows): (&RoundEvent, Commit),
    ) -> Result<RoundState, Error> {
        let illegal = |source| Error::Illegal { run: run.clone(), round, source };
        let (next, _) = step(state, event).map_err(illegal)?;
        let body = stored::event(event)?;
        let new = NewEvent { round, kind: event.kind().to_owned(), body };
        self.commit_to((project, run, clock), Commit { events: vec![new], ..rows })?;
        Ok(next)
    }

    /// Commits rows, whoever prepared them, as the holder of the lease.
    ///
    /// # Errors
    ///
    /// When the lease was lost, or the store fails.
    pub(crate) fn commit(&mut self, run: &RunContext, rows: Commit) -> Result<(), Error> {
        self.commit_to((&run.project, run.id(), run.clock), rows)
    }

    fn commit_to(
        &mut self,
        (project, run, clock): (&Project, &RunId, Clock),
        rows: Commit,
    ) -> Result<(), Error> {
        let (epoch, expected_seq, at_ms) = (self.lease.epoch(), self.seq, clock());
        let commit = Commit { epoch, expected_seq, at_ms, ..rows };
        gyre_fault::crash_point("run::committing");
        self.seq = project.wait(project.store.commit(commit))?;
        gyre_fault::crash_point("run::committed");
        anchor::renew(project, &SealChain::Run(run.clone()))
    }

    /// Records how the run ended, unless it is over already.
    ///
    /// # Errors
    ///
    /// As [`EventLog::commit`].
    pub(crate) fn end(&mut self, run: &RunContext, status: RunStatus) -> Result<(), Error> {
        if self.status == RunStatus::Active {
            self.commit(run, Commit { run_status: Some(status), ..run.no_rows() })?;
            self.status = status;
        }
        Ok(())
    }
}
