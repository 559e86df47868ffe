//! The driver: folds what is recorded, executes what is outstanding, records it.

mod batch;
mod budget;
mod canary;
mod check;
mod correct;
mod curate;
mod evaluate;
mod fleet;
mod garbage;
mod generate;
mod judge;
mod lease;
mod owner;
mod plan;
mod recheck;
mod roll_out;
mod summarise;
mod train;

use std::sync::Arc;

use gyre_lineage::{Commit, NewEvent, NewRun, RunRow, RunStatus, SealChain, TickLease};
use gyre_round::{Action, RoundEvent, RoundState, Stage, fold, step};
use gyre_types::{Digest, TaskId};

use crate::anchor;
use crate::cancel::Cancel;
use crate::config::RunConfig;
use crate::error::Error;
use crate::models::Models;
use crate::progress::{Observer, Progress};
use crate::project::Project;
use crate::stored;
use crate::summary::RunSummary;
use crate::worker_settings::WorkerMode;
use crate::workshop::Workshop;

pub(crate) use budget::RoundLimit;
use correct::check_not_revoked;
pub(crate) use curate::verify_published;
use fleet::Fleet;
pub(crate) use fleet::{Piece, Said, VERSION, queue_location, queue_name};
pub(crate) use garbage::{named_paths, reconcile, unnamed};
pub(crate) use generate::TaskSet;
pub(crate) use lease::HeldLease;
pub(crate) use owner::{host, is_dead, owner};

/// Milliseconds since 1970, as the binary reads them.
pub type Clock = fn() -> i64;

/// Drives one run, alone: it holds the run's lease. A worker has one without,
/// which can make rollouts and commit nothing.
pub struct Runner<'o> {
    project: Project,
    workshop: Workshop,
    config: RunConfig,
    run: RunRow,
    lease: Option<HeldLease>,
    seq: u64,
    clock: Clock,
    cancel: Cancel,
    observer: &'o mut dyn Observer,
    /// The tasks last worked on; made again from the lineage when missing.
    pub(crate) tasks: Option<TaskSet>,
    /// The phase last worked on.
    phase: Option<PhaseTaskIds>,
    models: Models,
    /// What a round may cost; nothing outside a schedule.
    limit: Option<RoundLimit>,
    /// Those who make its rollouts, once they were asked to.
    fleet: Option<Fleet>,
}

/// The tasks of one phase, in order.
struct PhaseTaskIds {
    round: u32,
    phase: u32,
    tasks: Arc<[TaskId]>,
}

/// What an action did: the event that tells it, and the rows that go with it
/// into the same transaction.
struct Done {
    event: RoundEvent,
    rows: Commit,
}

impl<'o> Runner<'o> {
    /// Begins a new run.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn start(
        project: Project,
        workshop: Workshop,
        config: RunConfig,
        clock: Clock,
        cancel: Cancel,
        observer: &'o mut dyn Observer,
    ) -> Result<Self, Error> {
        check_not_revoked(&project, &workshop)?;
        let new = new_run(&config, &workshop, clock)?;
        let run = project.wait(project.store.create_run(&new))?;
        Self::drive_run(project, workshop, config, run, clock, cancel, observer)
    }

    /// Begins the run that a schedule drives.
    ///
    /// # Errors
    ///
    /// When the tick was lost, or the store fails.
    pub(crate) fn start_scheduled(
        project: Project,
        workshop: Workshop,
        config: RunConfig,
        tick: &TickLease,
        (clock, cancel): (Clock, Cancel),
        observer: &'o mut dyn Observer,
    ) -> Result<Self, Error> {
        check_not_revoked(&project, &workshop)?;
        let new = new_run(&config, &workshop, clock)?;
        let run = project.wait(project.store.create_scheduled_run(&new, tick))?;
        Self::drive_run(project, workshop, config, run, clock, cancel, observer)
    }

    /// Goes on with a run where it stopped.
    ///
    /// # Errors
    ///
    /// When another process drives it, or it was begun with other parts.
    pub fn resume(
        project: Project,
        workshop: Workshop,
        run: RunRow,
        clock: Clock,
        cancel: Cancel,
        observer: &'o mut dyn Observer,
    ) -> Result<Self, Error> {
        let config = project.config_of(&run)?;
        let now = fingerprint(&config, &workshop)?;
        let sandbox = workshop.sandbox.digest();
        let changed = match now == run.fingerprint {
            true => None,
            false if sandbox != run.sandbox_digest => {
                Some(("version of the sandbox", run.sandbox_digest, sandbox))
            }
            false => Some(("verifier, task family or engine", run.fingerprint, now)),
        };
        if let Some((what, began, now)) = changed {
            let (began, now) = (began.short(), now.short());
            return Err(Error::PartsChanged { run: run.id, what, began, now });
        }
        check_not_revoked(&project, &workshop)?;
        Self::drive_run(project, workshop, config, run, clock, cancel, observer)
    }

    /// Takes a run in hand to put right what is recorded of it: it is not driven.
    pub(crate) fn hold(
        project: Project,
        workshop: Workshop,
        run: RunRow,
        clock: Clock,
        cancel: Cancel,
        observer: &'o mut dyn Observer,
    ) -> Result<Self, Error> {
        let config = project.config_of(&run)?;
        Self::drive_run(project, workshop, config, run, clock, cancel, observer)
    }

    /// A worker's hands for a run that another process drives: nothing can be
    /// committed with them.
    pub(crate) fn lend(
        project: Project,
        (workshop, config, run): (Workshop, RunConfig, RunRow),
        clock: Clock,
        cancel: Cancel,
        observer: &'o mut dyn Observer,
    ) -> Self {
        let models = Models::new(&config.model, project.data.logs(&run.id));
        Self {
            project,
            workshop,
            config,
            run,
            lease: None,
            seq: 0,
            clock,
            cancel,
            observer,
            tasks: None,
            phase: None,
            models,
            limit: None,
            fleet: None,
        }
    }

    fn drive_run(
        project: Project,
        workshop: Workshop,
        config: RunConfig,
        run: RunRow,
        clock: Clock,
        cancel: Cancel,
        observer: &'o mut dyn Observer,
    ) -> Result<Self, Error> {
        let lease = HeldLease::acquire(&project, &run.id, clock)?;
        // Read again under the lease: another process may have worked until now.
        let run = project.run(Some(&run.id))?;
        anchor::require(&project, &run.id)?;
        anchor::renew(&project, &SealChain::Run(run.id.clone()))?;
        let seq = run.last_seq;
        let models = Models::new(&config.model, project.data.logs(&run.id));
        let runner = Self {
            project,
            workshop,
            config,
            run,
            lease: Some(lease),
            seq,
            clock,
            cancel,
            observer,
            tasks: None,
            phase: None,
            models,
            limit: None,
            fleet: None,
        };
        runner.collect_garbage()?;
        Ok(runner)
    }

    /// Has this process, or workers, make the rollouts, whatever the run's
    /// configuration says.
    #[must_use]
    pub fn by(mut self, mode: WorkerMode) -> Self {
        self.config.workers.mode = mode;
        self
    }

    /// Drives the run to its end.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] when asked to stop, or what failed. Everything
    /// recorded until then stays, and the run can be resumed.
    pub fn drive(mut self) -> Result<RunSummary, Error> {
        let started = Progress::RunStarted {
            run: &self.run.id,
            rounds: self.config.rounds,
            resumed: self.seq > 0,
        };
        self.observer.observe(&started);
        self.drive_to(self.config.rounds)?;
        self.summary()
    }

    /// Drives the run until a round is over, and finishes it with its last.
    ///
    /// # Errors
    ///
    /// As [`Runner::drive`].
    pub(crate) fn drive_to(&mut self, last: u32) -> Result<(), Error> {
        self.open_fleet()?;
        for round in 0..=last {
            self.drive_round(round)?;
        }
        if self.objects()?.is_some() {
            // A process that ended between commit and store left it for this one.
            self.write_index()?;
        }
        if last == self.config.rounds && self.run.status == RunStatus::Active {
            let rows = Commit { run_status: Some(RunStatus::Finished), ..self.empty_commit() };
            self.commit(rows)?;
            self.run.status = RunStatus::Finished;
        }
        Ok(())
    }

    /// The first round that is not over; none where all are.
    pub(crate) fn next_round(&self) -> Result<Option<u32>, Error> {
        for round in 0..=self.config.rounds {
            if !self.recorded_state(round)?.stage.is_terminal() {
                return Ok(Some(round));
            }
        }
        Ok(None)
    }

    pub(crate) fn run(&self) -> &RunRow {
        &self.run
    }

    pub(crate) fn rounds(&self) -> u32 {
        self.config.rounds
    }

    fn drive_round(&mut self, round: u32) -> Result<(), Error> {
        let mut state = self.recorded_state(round)?;
        let was_over = state.stage.is_terminal();
        let _round = (!was_over).then(|| {
            let name = format!("round {round}");
            tracing::info_span!("round", otel.name = name, run = %self.run.id, round).entered()
        });
        while let Some(action) = state.outstanding().first().copied() {
            if self.cancel.is_cancelled() {
                return Err(Error::Interrupted);
            }
            let Done { event, rows } = match self.over_budget(&state) {
                Some(over) => self.give_up(over),
                None => self.execute(round, &state, action)?,
            };
            let Done { event, rows } = self.within_budget(&state, Done { event, rows });
            state = self.record(round, &state, event, rows)?;
        }
        // After the last round there is no next one to sweep what a killed process
        // left of it.
        if !was_over || round == self.config.rounds {
            self.sweep_fleet(round)?;
        }
        if !was_over {
            let summary = self.round_summary(round)?;
            self.observer
                .observe(&Progress::RoundFinished { run: &self.run.id, summary: &summary });
        }
        match state.stage {
            Stage::Failed { cause, .. } if state.ends_run => {
                Err(Error::Untrusted { run: self.run.id.clone(), round, cause })
            }
            _ => Ok(()),
        }
    }

    fn execute(&mut self, round: u32, state: &RoundState, action: Action) -> Result<Done, Error> {
        let _stage = tracing::info_span!("stage", otel.name = action.name(), ?action).entered();
        tracing::debug!("executing");
        match action {
            Action::Plan => self.plan(round),
            Action::GenerateTasks => self.generate(state),
            Action::OpenPhase(phase) => self.open_phase(state, phase),
            Action::RollOut(at) => self.roll_out(state, at),
            Action::Verify(at) => self.verify(state, at),
            Action::Check => self.check(state),
            Action::Curate => self.curate(state),
            Action::Train => self.train(state),
            Action::Evaluate(part) => self.evaluate(state, part),
            Action::Decide => self.decide(state),
        }
    }

    /// Commits an event with its rows. A crash before the commit leaves the
    /// action outstanding, after it the action done; there is no between.
    fn record(
        &mut self,
        round: u32,
        state: &RoundState,
        event: RoundEvent,
        rows: Commit,
    ) -> Result<RoundState, Error> {
        let (next, _) = step(state, &event).map_err(|source| self.illegal(round, source))?;
        let body = stored::event(&event)?;
        let new = NewEvent { round, kind: event.kind().to_owned(), body };
        let alarms = rows.alarms.clone();
        self.commit(Commit { events: vec![new], ..rows })?;
        match event {
            RoundEvent::Curated { .. } => self.write_index()?,
            RoundEvent::Failed { .. } => self.drop_unpublished()?,
            _ => {}
        }
        self.observer.observe(&Progress::Recorded {
            run: &self.run.id,
            seq: self.seq,
            round,
            event: &event,
            state: &next,
        });
        for alarm in &alarms {
            self.observer.observe(&Progress::Alarmed { run: &self.run.id, alarm });
        }
        Ok(next)
    }

    fn commit(&mut self, commit: Commit) -> Result<(), Error> {
        gyre_fault::crash_point("run::committing");
        self.seq = self.project.wait(self.project.store.commit(commit))?;
        gyre_fault::crash_point("run::committed");
        anchor::renew(&self.project, &SealChain::Run(self.run.id.clone()))
    }

    fn recorded_state(&self, round: u32) -> Result<RoundState, Error> {
        let events = round_events(&self.project, &self.run, round)?;
        let events: Vec<_> = events.into_iter().map(|(_, event)| event).collect();
        let state = fold(&events).map_err(|source| self.illegal(round, source))?;
        if state.stage != Stage::Unplanned {
            self.check_champion(&state)?;
        }
        Ok(state)
    }

    /// Refuses to go on with a plan whose champion is no longer current.
    fn check_champion(&self, state: &RoundState) -> Result<(), Error> {
        let Some(plan) = state.plan.as_ref().filter(|_| !state.stage.is_terminal()) else {
            return Ok(());
        };
        let current = self.project.wait(self.project.store.champion(&self.run.id))?;
        match (plan.champion.clone(), current) {
            (Some(planned), Some(current)) if planned != current.champion => {
                let current = current.champion;
                Err(Error::StaleChampion { round: plan.round, planned, current })
            }
            _ => Ok(()),
        }
    }

    fn illegal(&self, round: u32, source: gyre_round::IllegalTransition) -> Error {
        Error::Illegal { run: self.run.id.clone(), round, source }
    }

    fn unreadable(&self, what: impl Into<String>, why: impl ToString) -> Error {
        Error::Recorded { run: self.run.id.clone(), what: what.into(), why: why.to_string() }
    }
}

fn new_run(config: &RunConfig, workshop: &Workshop, clock: Clock) -> Result<NewRun, Error> {
    Ok(NewRun {
        name: config.name.clone(),
        fingerprint: fingerprint(config, workshop)?,
        seed: config.seed,
        config: stored::config(&config.without_secrets())?,
        sandbox_digest: workshop.sandbox.digest(),
        created_at_ms: clock(),
    })
}

/// Digest of everything that decides a run's results.
pub(crate) fn fingerprint(config: &RunConfig, workshop: &Workshop) -> Result<Digest, Error> {
    Ok(Digest::of_json(&(config.semantic()?, workshop.digest())))
}

/// The events of a round, each with the time at which it was recorded.
pub(crate) fn round_events(
    project: &Project,
    run: &RunRow,
    round: u32,
) -> Result<Vec<(i64, RoundEvent)>, Error> {
    let rows = project.wait(project.store.round_events(&run.id, round))?;
    let read = |row: gyre_lineage::EventRow| Ok((row.at_ms, stored::read_event(&run.id, &row)?));
    rows.into_iter().map(read).collect()
}
