//! The driver: folds what is recorded, executes what is outstanding, records it.

use gyre_lineage::{NewRun, RunRow, RunStatus, TickLease};
use gyre_round::{Action, BudgetScope, ModelUsage, RoundEvent, RoundState, Stage};

use crate::approval::await_approval;
use crate::cancel::Cancel;
use crate::champion;
use crate::clock::Clock;
use crate::config::RunConfig;
use crate::error::Error;
use crate::handover::Deliverer;
use crate::harness::Harness;
use crate::identity::fingerprint;
use crate::inspect;
use crate::progress::{Observer, Progress};
use crate::project::Project;
use crate::run::attempts::attempter::Attempter;
use crate::run::attempts::phase::open_phase;
use crate::run::attempts::pipeline::Pipeline;
use crate::run::attempts::sample::Sampler;
use crate::run::budget::{
    RoundLimit, failed, give_up, model_budget_spent, over_budget, within_budget,
};
use crate::run::context::RunContext;
use crate::run::correction::check_not_revoked;
use crate::run::evaluate::evaluate;
use crate::run::event_log::{EventLog, LogEntry};
use crate::run::fleet::handle::Fleet;
use crate::run::garbage;
use crate::run::gate::decide_round;
use crate::run::lost::{lost_too_many, require_base};
use crate::run::plan::plan;
use crate::run::publish::curate::curate_round;
use crate::run::publish::publisher::Publisher;
use crate::run::recorded::recorded_state;
use crate::run::tasks::generate::TaskGenerator;
use crate::run::tasks::store::TaskStore;
use crate::run::train::candidate::CandidateMaker;
use crate::run::verdicts::check::VerifierCheck;
use crate::run::verdicts::verify::{VerdictSource, verify};
use crate::stored;
use crate::summary::RunSummary;
use crate::worker_settings::WorkerMode;

/// Drives one run, alone: its event log holds the run's lease.
pub struct Runner<'o> {
    run: RunContext,
    log: EventLog,
    tasks: TaskStore,
    attempter: Attempter,
    /// The rollouts that this process makes.
    pipeline: Pipeline,
    /// The workers that make its rollouts, once they were asked to.
    fleet: Option<Fleet>,
    /// What a round may cost; nothing outside a schedule.
    limit: Option<RoundLimit>,
    /// When the next hand-over of a promotion is due, in milliseconds since 1970; none
    /// where nothing is owed.
    hands_over_at_ms: Option<i64>,
    observer: &'o mut dyn Observer,
}

impl<'o> Runner<'o> {
    /// Begins a new run.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn start(
        project: Project,
        harness: Harness,
        config: RunConfig,
        clock: Clock,
        cancel: Cancel,
        observer: &'o mut dyn Observer,
    ) -> Result<Self, Error> {
        check_not_revoked(&project, &harness)?;
        let new = new_run(&config, &harness, clock)?;
        let run = project.wait(project.store.create_run(&new))?;
        Self::open(project, (harness, config, run), (clock, cancel), observer)
    }

    /// Begins the run that a schedule drives.
    ///
    /// # Errors
    ///
    /// When the tick was lost, or the store fails.
    pub(crate) fn start_scheduled(
        project: Project,
        harness: Harness,
        config: RunConfig,
        tick: &TickLease,
        (clock, cancel): (Clock, Cancel),
        observer: &'o mut dyn Observer,
    ) -> Result<Self, Error> {
        check_not_revoked(&project, &harness)?;
        let new = new_run(&config, &harness, clock)?;
        let run = project.wait(project.store.create_scheduled_run(&new, tick))?;
        Self::open(project, (harness, config, run), (clock, cancel), observer)
    }

    /// Goes on with a run where it stopped.
    ///
    /// # Errors
    ///
    /// When another process drives it, or it was begun with other parts.
    pub fn resume(
        project: Project,
        harness: Harness,
        run: RunRow,
        clock: Clock,
        cancel: Cancel,
        observer: &'o mut dyn Observer,
    ) -> Result<Self, Error> {
        let config = project.config_of(&run)?;
        check_same_parts(&config, &harness, &run)?;
        check_not_revoked(&project, &harness)?;
        Self::open(project, (harness, config, run), (clock, cancel), observer)
    }

    /// Takes the lease on a run.
    fn open(
        project: Project,
        (harness, config, run): (Harness, RunConfig, RunRow),
        (clock, cancel): (Clock, Cancel),
        observer: &'o mut dyn Observer,
    ) -> Result<Self, Error> {
        let (log, row) = EventLog::open(&project, &run.id, clock)?;
        let logs = project.data.logs(&row.id);
        let sandbox = harness.sandbox.clone();
        let attempter = Attempter::new(project.clone(), sandbox, &config.model, logs);
        let run = RunContext { project, harness, config, row, clock, cancel };
        garbage::collect(&run.project, &run.row)?;
        champion::renew(&run.project, &run.row)?;
        Ok(Self {
            run,
            log,
            tasks: TaskStore::default(),
            attempter,
            pipeline: Pipeline::default(),
            fleet: None,
            limit: None,
            // Deliveries that an earlier process did not finish are retried at once.
            hands_over_at_ms: Some(0),
            observer,
        })
    }

    /// Has this process, or workers, make the rollouts, whatever the run's
    /// configuration says.
    #[must_use]
    pub fn with_worker_mode(mut self, mode: WorkerMode) -> Self {
        self.run.config.workers.mode = mode;
        self
    }

    /// Bounds what each round may cost.
    pub(crate) fn with_round_limit(mut self, limit: RoundLimit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Drives the run to its end.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] when asked to stop, or what failed. Everything
    /// recorded until then stays, and the run can be resumed.
    pub fn drive(mut self) -> Result<RunSummary, Error> {
        let rounds = self.run.config.rounds;
        let (run, resumed) = (self.run.id(), self.log.seq() > 0);
        self.observer.observe(&Progress::RunStarted { run, rounds, resumed });
        self.drive_to(rounds)?;
        let (deliverer, observer) = (Deliverer::of(&self.run), &mut *self.observer);
        let mut tell = |handover: &_| observer.observe(&Progress::HandedOver { handover });
        deliverer.deliver_at_end(&mut tell)?;
        inspect::run_summary(&self.run.project, &self.run.row)
    }

    /// Drives the run until a round is over, and finishes it with its last.
    ///
    /// # Errors
    ///
    /// As [`Runner::drive`].
    pub(crate) fn drive_to(&mut self, last: u32) -> Result<(), Error> {
        if self.fleet.is_none() && self.run.config.workers.mode == WorkerMode::Queue {
            self.fleet = Some(Fleet::open(&self.run, self.log.epoch())?);
        }
        let mut asked = ModelUsage::default();
        let mut ended = None;
        for round in 0..=last {
            let state = self.drive_round(round, asked)?;
            asked = asked.plus(state.usage);
            if state.budget_spent == Some(BudgetScope::Run) {
                ended = Some(state);
                break;
            }
        }
        if self.publisher().objects()?.is_some() {
            // A process that ended between commit and store left it for this one.
            self.publisher().write_index()?;
        }
        match ended {
            Some(state) => self.end_by_budget(&state),
            None if last == self.run.config.rounds => self.log.end(&self.run, RunStatus::Finished),
            None => Ok(()),
        }
    }

    /// Ends a run whose budget is spent. It is finished with the champion that it has;
    /// before its first, there is nothing to show for it.
    fn end_by_budget(&mut self, state: &RoundState) -> Result<(), Error> {
        if !state.is_base() {
            return self.log.end(&self.run, RunStatus::Finished);
        }
        self.log.end(&self.run, RunStatus::Failed)?;
        let cause = match &state.stage {
            Stage::Failed { cause, .. } => cause.clone(),
            stage => stage.name().to_owned(),
        };
        Err(Error::BudgetSpent { run: self.run.id().clone(), round: 0, cause })
    }

    /// The first round that is not over; none where all are.
    pub(crate) fn next_round(&self) -> Result<Option<u32>, Error> {
        for round in 0..=self.run.config.rounds {
            if !recorded_state(&self.run, round)?.stage.is_terminal() {
                return Ok(Some(round));
            }
        }
        Ok(None)
    }

    pub(crate) fn run(&self) -> &RunRow {
        &self.run.row
    }

    pub(crate) fn rounds(&self) -> u32 {
        self.run.config.rounds
    }

    /// Drives a round to its end, and gives the state that it ended in. `asked` is what
    /// the rounds before asked of the model.
    fn drive_round(&mut self, round: u32, asked: ModelUsage) -> Result<RoundState, Error> {
        let mut state = recorded_state(&self.run, round)?;
        let was_over = state.stage.is_terminal();
        let _round = (!was_over).then(|| {
            let name = format!("round {round}");
            tracing::info_span!("round", otel.name = name, run = %self.run.id(), round).entered()
        });
        while let Some(action) = state.outstanding().first().copied() {
            self.run.check_cancelled()?;
            self.hand_over()?;
            let over = over_budget(self.limit.as_ref(), &state).map(|over| failed(&over));
            let spent = || model_budget_spent(&self.run, &state, action, asked);
            let entry = match over.or_else(spent) {
                Some(event) => give_up(&self.run, &state, event)?,
                None => match lost_too_many(&self.run, &state)? {
                    Some(entry) => entry,
                    None => self.execute(round, &state, action)?,
                },
            };
            require_base(&self.run, &state, &entry)?;
            let entry = within_budget(&self.run, self.limit.as_ref(), &state, entry)?;
            state = self.record(round, &state, entry)?;
        }
        self.pipeline.stop();
        self.hand_over()?;
        // After the last round there is no next one to sweep what a killed process
        // left of it.
        if let Some(fleet) = &self.fleet
            && (!was_over || round == self.run.config.rounds)
        {
            fleet.sweep(round)?;
        }
        if !was_over {
            let summary = inspect::round_summary(&self.run.project, &self.run.row, round)?;
            let run = self.run.id();
            self.observer.observe(&Progress::RoundFinished { run, summary: &summary });
        }
        match &state.stage {
            Stage::Failed { cause, .. } if state.ends_run => {
                let (run, cause) = (self.run.id().clone(), cause.clone());
                Err(Error::Untrusted { run, round, cause })
            }
            _ => Ok(state),
        }
    }

    fn execute(
        &mut self,
        round: u32,
        state: &RoundState,
        action: Action,
    ) -> Result<LogEntry, Error> {
        let _stage = tracing::info_span!("stage", otel.name = action.name(), ?action).entered();
        tracing::debug!("executing");
        let (run, tasks) = (&self.run, &mut self.tasks);
        match action {
            Action::Plan => plan(run, round),
            Action::GenerateTasks => {
                TaskGenerator { run, tasks, observer: self.observer }.generate(state)
            }
            Action::OpenPhase(phase) => open_phase(run, tasks, state, phase),
            Action::RollOut(at) => self.sampler().roll_out(state, at),
            Action::Verify(at) => {
                let mut source = match self.fleet {
                    Some(_) => VerdictSource::Workers,
                    None => VerdictSource::Pipeline(&mut self.pipeline),
                };
                verify(run, tasks, &mut source, state, at)
            }
            Action::Check => {
                let attempter = &mut self.attempter;
                VerifierCheck { run, tasks, attempter, observer: self.observer }.check(state)
            }
            Action::Curate => curate_round(run, state),
            Action::Train => self.candidate_maker().train(state),
            Action::Evaluate(part) => evaluate(&mut self.sampler(), state, part),
            Action::Decide => decide_round(run, state),
            Action::AwaitApproval => await_approval(run, round),
        }
    }

    /// Commits what an action came to, publishes what the commit names, and tells of
    /// both.
    fn record(
        &mut self,
        round: u32,
        state: &RoundState,
        entry: LogEntry,
    ) -> Result<RoundState, Error> {
        let LogEntry { event, rows } = entry;
        let (alarms, is_promotion) = (rows.alarms.clone(), rows.promotion.is_some());
        let next = self.log.append(&self.run, round, state, (&event, rows))?;
        match event {
            RoundEvent::Curated { .. } => self.publisher().write_index()?,
            RoundEvent::Failed { .. } | RoundEvent::BudgetSpent { .. } => {
                self.publisher().drop_unpublished()?
            }
            _ => {}
        }
        if is_promotion {
            champion::renew(&self.run.project, &self.run.row)?;
            self.hands_over_at_ms = Some(0);
        }
        let (run, seq) = (self.run.id(), self.log.seq());
        let recorded = Progress::Recorded { run, seq, round, event: &event, state: &next };
        self.observer.observe(&recorded);
        for alarm in &alarms {
            self.observer.observe(&Progress::Alarmed { run, alarm });
        }
        Ok(next)
    }

    /// Makes the hand-overs of promotions that are due. What the other side does wrong
    /// is recorded, and ends no run.
    fn hand_over(&mut self) -> Result<(), Error> {
        if self.hands_over_at_ms.is_none_or(|at_ms| at_ms > (self.run.clock)()) {
            return Ok(());
        }
        let (deliverer, observer) = (Deliverer::of(&self.run), &mut *self.observer);
        let mut tell = |handover: &_| observer.observe(&Progress::HandedOver { handover });
        self.hands_over_at_ms = deliverer.deliver_due(&mut tell)?;
        Ok(())
    }

    fn sampler(&mut self) -> Sampler<'_> {
        Sampler {
            run: &self.run,
            tasks: &mut self.tasks,
            attempter: &mut self.attempter,
            pipeline: &mut self.pipeline,
            fleet: self.fleet.as_mut(),
            observer: self.observer,
        }
    }

    fn candidate_maker(&mut self) -> CandidateMaker<'_> {
        let of_workers = self.fleet.as_ref().map(|fleet| &fleet.objects);
        CandidateMaker {
            run: &self.run,
            attempter: &self.attempter,
            publisher: Publisher { run: &self.run, of_workers },
            observer: self.observer,
        }
    }

    fn publisher(&self) -> Publisher<'_> {
        let of_workers = self.fleet.as_ref().map(|fleet| &fleet.objects);
        Publisher { run: &self.run, of_workers }
    }
}

fn new_run(config: &RunConfig, harness: &Harness, clock: Clock) -> Result<NewRun, Error> {
    Ok(NewRun {
        name: config.name.clone(),
        fingerprint: fingerprint(config, harness)?,
        seed: config.seed,
        config: stored::config(&config.without_secrets())?,
        sandbox_digest: harness.sandbox.digest(),
        created_at_ms: clock(),
    })
}

/// Refuses to go on with a run under other settings or components than it began with.
fn check_same_parts(config: &RunConfig, harness: &Harness, run: &RunRow) -> Result<(), Error> {
    let now = fingerprint(config, harness)?;
    let sandbox = harness.sandbox.digest();
    let (what, began, now) = match now == run.fingerprint {
        true => return Ok(()),
        false if sandbox != run.sandbox_digest => {
            ("version of the sandbox", run.sandbox_digest, sandbox)
        }
        false => ("verifier, task family or engine", run.fingerprint, now),
    };
    let (began, now) = (began.short(), now.short());
    Err(Error::PartsChanged { run: run.id.clone(), what, began, now })
}
