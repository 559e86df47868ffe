//! Claims a tick, has its round made, and says what came of it.

use std::time::Duration;

use gyre_lineage::{Settlement, StoreError, TickClaim, TickLease, TickRow, TickState};
use gyre_round::Overlap;

use super::{Happened, Listener, Made, Making, Meter, Rounds, Schedule, Scheduler};
use crate::clock::Clock;
use crate::error::Error;
use crate::run::owner::is_dead;

/// A holder that stays silent for so long is taken for dead.
const TTL_MS: i64 = 60_000;
/// Often enough that several renewals may fail before the claim ends.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// How often a tick is claimed before trouble of the machine fails it.
const CLAIMS_MAX: u64 = 10;

/// What came of looking for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worked {
    /// There was none.
    Nothing,
    /// A tick was taken and settled, or lost to another service.
    Settled,
    /// A tick was taken and given back: it is to be tried again a little later.
    Again,
}

impl Scheduler {
    /// Takes the oldest tick that is due, or whose holder is dead, and makes its
    /// round.
    ///
    /// # Errors
    ///
    /// When the store fails; a tick that was taken is taken over then.
    pub fn work(&self, rounds: &mut dyn Rounds, listener: &Listener<'_>) -> Result<Worked, Error> {
        for tick in self.project.wait(self.project.store.open_ticks().collect())? {
            let named = |schedule: &&Schedule| schedule.config.name == tick.schedule;
            let Some(schedule) = self.schedules.iter().find(named) else { continue };
            if let Some((lease, tick)) = self.claim(&tick)? {
                listener(&Happened::Claimed {
                    schedule: tick.schedule.clone(),
                    tick_ms: tick.tick_ms,
                    taken_over: tick.run.is_some(),
                });
                return self.make(schedule, &lease, &tick, rounds, listener);
            }
        }
        Ok(Worked::Nothing)
    }

    fn claim(&self, tick: &TickRow) -> Result<Option<(TickLease, TickRow)>, Error> {
        // One at a time: what is ours here was left by a settlement that failed.
        let dead = tick.owner == self.owner || is_dead(&tick.owner);
        let claim = TickClaim {
            owner: &self.owner,
            now_ms: (self.clock)(),
            ttl_ms: TTL_MS,
            dead_epoch: dead.then_some(tick.epoch),
        };
        let store = &self.project.store;
        Ok(self.project.wait(store.claim_tick(&tick.schedule, tick.tick_ms, claim))?)
    }

    fn make(
        &self,
        schedule: &Schedule,
        lease: &TickLease,
        tick: &TickRow,
        rounds: &mut dyn Rounds,
        listener: &Listener<'_>,
    ) -> Result<Worked, Error> {
        let meter = Meter::start(tick, self.clock);
        let renewal = Renewal::start(self, lease.clone(), meter);
        let made = rounds.make(&Making {
            schedule,
            tick,
            lease,
            meter: &meter,
            project: &self.project,
            clock: self.clock,
            cancel: &self.cancel,
        });
        drop(renewal);
        let Some((settlement, worked)) = self.settlement(schedule, tick, made) else {
            return Ok(Worked::Settled);
        };
        let store = &self.project.store;
        self.project.wait(store.renew_tick(lease, (self.clock)() + TTL_MS, meter.spent()))?;
        self.project.wait(store.settle_tick(lease, &settlement))?;
        listener(&Happened::Settled {
            schedule: tick.schedule.clone(),
            tick_ms: tick.tick_ms,
            state: settlement.state,
            detail: settlement.detail,
            stop: settlement.stop,
        });
        Ok(worked)
    }

    /// What is said of a tick; nothing where it is another service's by now.
    fn settlement(
        &self,
        schedule: &Schedule,
        tick: &TickRow,
        made: Result<Made, Error>,
    ) -> Option<(Settlement, Worked)> {
        let at_ms = (self.clock)();
        let say = |state, detail: String, stop| Settlement { state, detail, stop, at_ms };
        let error = match made {
            Ok(Made { detail, stop }) => {
                return Some((say(TickState::Done, detail, stop), Worked::Settled));
            }
            Err(error) => error,
        };
        let detail = described(&error);
        tracing::warn!(schedule = tick.schedule, tick_ms = tick.tick_ms, detail, "no round made");
        let is_held = matches!(error, Error::Store(StoreError::Held { .. }));
        Some(match &error {
            Error::Store(StoreError::TickLost { .. } | StoreError::Fenced { .. }) => return None,
            Error::Interrupted => (say(TickState::Due, detail, None), Worked::Settled),
            _ if is_held && schedule.config.overlap == Overlap::Refuse => {
                (say(TickState::Refused, detail, None), Worked::Settled)
            }
            error if is_held || is_trouble(error) && tick.epoch < CLAIMS_MAX => {
                (say(TickState::Due, detail, None), Worked::Again)
            }
            Error::Untrusted { .. } => {
                (say(TickState::Failed, detail.clone(), Some(detail)), Worked::Settled)
            }
            _ => (say(TickState::Failed, detail, None), Worked::Settled),
        })
    }
}

/// Keeps a claim alive while its round is made.
struct Renewal(tokio::task::JoinHandle<()>);

impl Renewal {
    fn start(scheduler: &Scheduler, lease: TickLease, meter: Meter) -> Self {
        let (project, clock): (_, Clock) = (scheduler.project.clone(), scheduler.clock);
        Self(scheduler.project.runtime().spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                let (until, spent) = (clock() + TTL_MS, meter.spent());
                // What is said under a lost claim is refused by the store, so a
                // failure here need not stop anything.
                if let Err(error) = project.store.renew_tick(&lease, until, spent).await {
                    tracing::warn!(%error, "the claim on a tick could not be renewed");
                }
            }
        }))
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Trouble of the machine, which may be gone the next time.
fn is_trouble(error: &Error) -> bool {
    use StoreError::{Conflict, Database, DiskFull, Locked, Unreachable, Unwritable};
    match error {
        Error::Store(error) => matches!(
            error,
            Unreachable { .. }
                | Locked { .. }
                | DiskFull { .. }
                | Unwritable { .. }
                | Database { .. }
                | Conflict { .. }
        ),
        Error::Io { .. } => true,
        error => causes(error).any(|cause| cause.is::<std::io::Error>()),
    }
}

fn causes<'e>(error: &'e Error) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |error| error.source())
}

/// An error with its causes.
fn described(error: &Error) -> String {
    let mut shown = String::new();
    for cause in causes(error).map(ToString::to_string) {
        if !shown.contains(&cause) {
            shown.push_str(if shown.is_empty() { "" } else { ": " });
            shown.push_str(&cause);
        }
    }
    shown
}
