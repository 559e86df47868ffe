//! Rounds at set times, by any number of services on one database.
//!
//! A tick is decided on once, by whichever service looks first; it is then due.
//! A service that claims it makes one round of the schedule's run, and says what
//! came of it. One that dies is followed by another, which makes the same round
//! from where its events end.
//!
//! Nothing here decides when: [`gyre_round::Timetable`] and [`gyre_round::due`]
//! do, and the lineage store sees to it that each decision is made once.

mod campaign;
mod control;
mod meter;
mod rounds;
mod watch;
mod work;

use std::time::Duration;

use gyre_lineage::{HandoverRow, NewSchedule, TickLease, TickRow, TickState};
use gyre_round::{ScheduleConfig, Timetable};
use gyre_types::{RunId, to_json};

use crate::cancel::Cancel;
use crate::clock::Clock;
use crate::config::RunConfig;
use crate::error::Error;
use crate::handover::{deliver_pending, standing};
use crate::project::Project;
use crate::run::owner::owner;

pub use control::{next_tick, resume, spec};
pub use meter::Meter;
pub use rounds::CampaignRounds;
pub use work::Worked;

/// How often a service looks whether a tick has passed: often enough for a
/// schedule of seconds, seldom enough that a database does not notice.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a service waits before it tries again what the machine failed at.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How often it looks for promotions that are to be handed over, in milliseconds.
const HAND_OVER_EVERY_MS: i64 = 1_000;

/// How soon a wish to stop is heard.
const LISTEN_EVERY: Duration = Duration::from_millis(50);

/// A schedule with the campaign that it drives.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// When, and with which bounds.
    pub config: ScheduleConfig,
    /// What.
    pub campaign: RunConfig,
    timetable: Timetable,
}

/// A tick to make the round of.
pub struct Making<'a> {
    /// Its schedule.
    pub schedule: &'a Schedule,
    /// The tick.
    pub tick: &'a TickRow,
    /// The right to make it.
    pub lease: &'a TickLease,
    /// What it costs.
    pub meter: &'a Meter,
    /// Where it is recorded.
    pub project: &'a Project,
    /// The clock.
    pub clock: Clock,
    /// Asked to stop when the service is.
    pub cancel: &'a Cancel,
}

/// What came of a tick's round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What, for people.
    pub detail: String,
    /// Why the schedule ends with it, if it does.
    pub stop: Option<String>,
}

/// What makes rounds.
pub trait Rounds {
    /// Makes the round of a tick, or goes on with it.
    ///
    /// # Errors
    ///
    /// When it cannot be made now, or at all.
    fn make(&mut self, making: &Making<'_>) -> Result<Made, Error>;
}

/// Something that a service did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// It serves schedules.
    Serving {
        /// How many.
        schedules: usize,
        /// Unfinished runs that nobody drove, put right after a crash.
        reconciled: Vec<RunId>,
    },
    /// It decided on ticks of a schedule.
    Decided {
        /// The schedule.
        schedule: String,
        /// Ticks, each with what becomes of it.
        ticks: Vec<(i64, TickState)>,
    },
    /// It took a tick.
    Claimed {
        /// The schedule.
        schedule: String,
        /// The tick.
        tick_ms: i64,
        /// Whether another service had begun it.
        taken_over: bool,
    },
    /// It said what came of a tick.
    Settled {
        /// The schedule.
        schedule: String,
        /// The tick.
        tick_ms: i64,
        /// Where it stands now.
        state: TickState,
        /// Why.
        detail: String,
        /// Why its schedule ended with it, if it did.
        stop: Option<String>,
    },
    /// It handed a promotion over, or tried to.
    HandedOver {
        /// The run.
        run: RunId,
        /// The round that the promotion ended.
        round: u32,
        /// Where the hand-over stands, in words.
        standing: String,
    },
    /// Something failed and is tried again.
    Troubled {
        /// What.
        what: String,
    },
}

/// Hears what a service does, from any of its threads.
pub type Listener<'a> = dyn Fn(&Happened) + Sync + 'a;

/// Keeps schedules: one of any number of services on a database.
#[derive(Debug)]
pub struct Scheduler {
    project: Project,
    schedules: Vec<Schedule>,
    owner: String,
    clock: Clock,
    cancel: Cancel,
}

/// Makes the hand-overs that are due, for a service without schedules too.
///
/// # Errors
///
/// [`Error::Interrupted`] when asked to stop, and when the store fails.
pub fn hand_over(
    project: &Project,
    (clock, cancel): (Clock, &Cancel),
    listener: &Listener<'_>,
) -> Result<(), Error> {
    let mut tell = |row: &HandoverRow| {
        listener(&Happened::HandedOver {
            run: row.run.clone(),
            round: row.handover.round,
            standing: standing(row),
        });
    };
    match deliver_pending(project, (clock, cancel), &mut tell) {
        Err(Error::Interrupted) if cancel.is_cancelled() => Ok(()),
        delivered => delivered,
    }
}

/// Keeps making hand-overs until asked to stop: all that a service without schedules
/// does by itself.
pub fn keep_handing_over(
    project: &Project,
    (clock, cancel): (Clock, &Cancel),
    listener: &Listener<'_>,
) {
    while !cancel.is_cancelled() {
        if let Err(error) = hand_over(project, (clock, cancel), listener) {
            tracing::warn!(%error, "hand-overs are tried again");
            listener(&Happened::Troubled { what: error.to_string() });
        }
        let until_ms = clock() + HAND_OVER_EVERY_MS;
        while clock() < until_ms && !cancel.is_cancelled() {
            std::thread::sleep(LISTEN_EVERY);
        }
    }
}

impl Scheduler {
    /// Records the schedules. `label` tells services of one process apart.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn open(
        project: Project,
        schedules: Vec<Schedule>,
        label: &str,
        clock: Clock,
        cancel: Cancel,
    ) -> Result<Self, Error> {
        for schedule in &schedules {
            project.wait(project.store.register_schedule(&NewSchedule {
                name: schedule.config.name.clone(),
                spec: to_json("the schedule", &schedule.config)?,
                campaign: schedule.campaign.name.clone(),
                at_ms: clock(),
            }))?;
        }
        let owner = format!("{}/{label}", owner());
        Ok(Self { project, schedules, owner, clock, cancel })
    }

    /// Serves until asked to stop: then the round that is being made ends at its
    /// next step, and whoever serves next goes on with it.
    ///
    /// What fails for want of the database or the disk is tried again.
    ///
    /// # Errors
    ///
    /// When what a crash left cannot be put right at the start.
    pub fn serve(&self, rounds: &mut dyn Rounds, listener: &Listener<'_>) -> Result<(), Error> {
        let reconciled = crate::run::garbage::reconcile(&self.project, self.clock)?;
        listener(&Happened::Serving { schedules: self.schedules.len(), reconciled });
        std::thread::scope(|scope| {
            scope.spawn(|| self.watch(listener));
            self.work_on(rounds, listener);
        });
        Ok(())
    }

    fn watch(&self, listener: &Listener<'_>) {
        while !self.cancel.is_cancelled() {
            let wait = match self.look(listener) {
                Ok(_) => LOOK_EVERY,
                Err(error) => self.trouble(&error, listener),
            };
            self.pause(wait);
        }
    }

    fn work_on(&self, rounds: &mut dyn Rounds, listener: &Listener<'_>) {
        let mut hands_over_at_ms = 0;
        while !self.cancel.is_cancelled() {
            let wait = match self.work(rounds, listener) {
                Ok(Worked::Settled) => Duration::ZERO,
                Ok(Worked::Nothing) if hands_over_at_ms <= (self.clock)() => {
                    // Between rounds, so that no tick is refused for want of the lease.
                    let done = hand_over(&self.project, (self.clock, &self.cancel), listener);
                    hands_over_at_ms = (self.clock)() + HAND_OVER_EVERY_MS;
                    done.map_or_else(|error| self.trouble(&error, listener), |()| LOOK_EVERY)
                }
                Ok(Worked::Nothing) => LOOK_EVERY,
                Ok(Worked::Again) => RETRY_AFTER,
                Err(error) => self.trouble(&error, listener),
            };
            self.pause(wait);
        }
    }

    fn trouble(&self, error: &Error, listener: &Listener<'_>) -> Duration {
        tracing::warn!(%error, "the service goes on trying");
        listener(&Happened::Troubled { what: error.to_string() });
        RETRY_AFTER
    }

    fn pause(&self, wait: Duration) {
        let mut left = wait;
        while !left.is_zero() && !self.cancel.is_cancelled() {
            let nap = left.min(LISTEN_EVERY);
            std::thread::sleep(nap);
            left -= nap;
        }
    }
}
