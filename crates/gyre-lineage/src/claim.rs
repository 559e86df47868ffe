use gyre_types::RunId;

use crate::cells::convert;
use crate::database::{Query, Transaction};
use crate::schedule::ScheduleStatus;
use crate::tick::{TickKind, TickRow, TickState};
use crate::{Store, StoreError, schema};

/// Who wants a tick, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct TickClaim<'a> {
    /// Who, as shown to others.
    pub owner: &'a str,
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// How long the claim lasts unless it is renewed.
    pub ttl_ms: i64,
    /// The epoch of a holder that is known to be dead.
    pub dead_epoch: Option<u64>,
}

/// The right to make a tick's round and to say what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickLease {
    /// The schedule.
    pub schedule: String,
    /// The tick.
    pub tick_ms: i64,
    /// What everything said of it must carry.
    pub epoch: u64,
}

/// What came of a tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// `Done`, `Failed` or `Refused`; or `Due`, which gives it back.
    pub state: TickState,
    /// Why.
    pub detail: String,
    /// Why the schedule ends with it, if it does.
    pub stop: Option<String>,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

impl Store {
    /// Takes a tick that is due, or one whose holder is dead. Gives none where
    /// another service has it or another tick of its schedule, or the schedule
    /// does not tick (what somebody asked for is taken even then). A crash
    /// before this returns leaves it to whoever comes next, once the claim ends.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownSchedule`], or when the database fails.
    pub async fn claim_tick(
        &self,
        schedule: &str,
        tick_ms: i64,
        claim: TickClaim<'_>,
    ) -> Result<Option<(TickLease, TickRow)>, StoreError> {
        let mut transaction = self.begin_write().await?;
        let known = self.lock_schedule(&mut *transaction, schedule).await?;
        let tick = self.read_tick(&mut *transaction, schedule, tick_ms).await?;
        let Some(tick) = tick else { return Ok(None) };
        let ticks = known.status == ScheduleStatus::Active || tick.kind == TickKind::Manual;
        let free = match tick.state {
            TickState::Due => ticks && !self.is_busy(&mut *transaction, schedule).await?,
            TickState::Claimed | TickState::Running => {
                tick.expires_at_ms <= claim.now_ms || claim.dead_epoch == Some(tick.epoch)
            }
            _ => false,
        };
        if !free {
            return Ok(None);
        }
        let lease = TickLease { schedule: schedule.to_owned(), tick_ms, epoch: tick.epoch + 1 };
        let update = Query::with(
            "UPDATE schedule_ticks SET state = 'claimed', epoch = $3, owner = $4, \
             expires_at_ms = $5, detail = '' WHERE schedule = $1 AND tick_ms = $2",
            [
                schedule.into(),
                tick_ms.into(),
                lease.epoch.into(),
                claim.owner.into(),
                claim.now_ms.saturating_add(claim.ttl_ms).into(),
            ],
        );
        transaction.execute(update).await.map_err(|failure| self.fail(failure))?;
        let owner = claim.owner;
        let event = NewEvent { state: TickState::Claimed, owner, detail: "", at_ms: claim.now_ms };
        self.append(&mut *transaction, &lease, event).await?;
        self.finish(transaction, "claim").await?;
        let (epoch, owner) = (lease.epoch, owner.to_owned());
        Ok(Some((lease, TickRow { state: TickState::Claimed, epoch, owner, ..tick })))
    }

    /// Prolongs a claim, and says what the tick has cost so far.
    ///
    /// # Errors
    ///
    /// [`StoreError::TickLost`] where it is no longer ours, or when the database fails.
    pub async fn renew_tick(
        &self,
        lease: &TickLease,
        expires_at_ms: i64,
        (cpu_ms, wall_ms): (u64, u64),
    ) -> Result<(), StoreError> {
        let update = Query::with(
            "UPDATE schedule_ticks SET expires_at_ms = $3, cpu_ms = $4, wall_ms = $5 \
             WHERE schedule = $1 AND tick_ms = $2",
            [
                lease.schedule.as_str().into(),
                lease.tick_ms.into(),
                expires_at_ms.into(),
                cpu_ms.into(),
                wall_ms.into(),
            ],
        );
        let mut transaction = self.begin_write().await?;
        self.check_tick(&mut *transaction, lease).await?;
        transaction.execute(update).await.map_err(|failure| self.fail(failure))?;
        self.finish(transaction, "renew").await
    }

    /// Fixes the round that a tick makes. Whoever takes it over makes that round
    /// and no other.
    ///
    /// # Errors
    ///
    /// [`StoreError::TickLost`] where it is no longer ours, or when the database fails.
    pub async fn begin_tick(
        &self,
        lease: &TickLease,
        run: &RunId,
        round: u32,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        let update = Query::with(
            "UPDATE schedule_ticks SET state = 'running', run = $3, round = $4 \
             WHERE schedule = $1 AND tick_ms = $2",
            [
                lease.schedule.as_str().into(),
                lease.tick_ms.into(),
                run.as_str().into(),
                round.into(),
            ],
        );
        let mut transaction = self.begin_write().await?;
        let tick = self.check_tick(&mut *transaction, lease).await?;
        transaction.execute(update).await.map_err(|failure| self.fail(failure))?;
        let detail = format!("round {round} of {run}");
        let (state, owner) = (TickState::Running, tick.owner.as_str());
        let event = NewEvent { state, owner, detail: &detail, at_ms };
        self.append(&mut *transaction, lease, event).await?;
        self.finish(transaction, "begin").await
    }

    /// Binds a run that is there already to the schedule that drives it from here on.
    ///
    /// # Errors
    ///
    /// [`StoreError::TickLost`] where the tick is no longer ours, or when the database fails.
    pub async fn bind_run(&self, lease: &TickLease, run: &RunId) -> Result<(), StoreError> {
        let bind = Query::with(
            "UPDATE schedules SET run = $2 WHERE name = $1",
            [lease.schedule.as_str().into(), run.as_str().into()],
        );
        let mut transaction = self.begin_write().await?;
        self.check_tick(&mut *transaction, lease).await?;
        transaction.execute(bind).await.map_err(|failure| self.fail(failure))?;
        self.finish(transaction, "bind").await
    }

    /// Says what came of a tick, and whether its schedule ends with it. A crash
    /// before this returns means that it is said or that the tick is taken over.
    ///
    /// # Errors
    ///
    /// [`StoreError::TickLost`] where it is no longer ours, or when the database fails.
    pub async fn settle_tick(
        &self,
        lease: &TickLease,
        settlement: &Settlement,
    ) -> Result<(), StoreError> {
        let Settlement { state, detail, stop, at_ms } = settlement;
        let schedule = lease.schedule.as_str();
        let mut transaction = self.begin_write().await?;
        let tick = self.check_tick(&mut *transaction, lease).await?;
        if !tick.state.may_become(*state) {
            let reason = format!("a {} tick cannot become {state}", tick.state);
            return Err(StoreError::Row { table: "schedule_ticks", reason });
        }
        let update = Query::with(
            "UPDATE schedule_ticks SET state = $3, detail = $4, expires_at_ms = 0 \
             WHERE schedule = $1 AND tick_ms = $2",
            [schedule.into(), lease.tick_ms.into(), state.as_str().into(), detail.as_str().into()],
        );
        transaction.execute(update).await.map_err(|failure| self.fail(failure))?;
        let event = NewEvent { state: *state, owner: &tick.owner, detail, at_ms: *at_ms };
        self.append(&mut *transaction, lease, event).await?;
        if let Some(why) = stop {
            let stop = Query::with(
                "UPDATE schedules SET status = 'stopped', why = $2 WHERE name = $1",
                [schedule.into(), why.as_str().into()],
            );
            transaction.execute(stop).await.map_err(|failure| self.fail(failure))?;
        }
        self.finish(transaction, "settle").await
    }

    /// Refuses an epoch that is not the current one, and keeps the schedule's
    /// ticks from changing hands until the transaction ends.
    pub(crate) async fn check_tick(
        &self,
        transaction: &mut dyn Transaction,
        lease: &TickLease,
    ) -> Result<TickRow, StoreError> {
        self.lock_schedule(transaction, &lease.schedule).await?;
        let tick = self.read_tick(transaction, &lease.schedule, lease.tick_ms).await?;
        let held = |tick: &TickRow| {
            let open = matches!(tick.state, TickState::Claimed | TickState::Running);
            open && tick.epoch == lease.epoch
        };
        tick.filter(held).ok_or_else(|| StoreError::TickLost {
            schedule: lease.schedule.clone(),
            tick_ms: lease.tick_ms,
            epoch: lease.epoch,
        })
    }

    /// Whether a tick of the schedule is in somebody's hands, dead or alive:
    /// that one comes first.
    async fn is_busy(
        &self,
        transaction: &mut dyn Transaction,
        schedule: &str,
    ) -> Result<bool, StoreError> {
        let query = Query::with(
            "SELECT 1 FROM schedule_ticks WHERE schedule = $1 \
             AND state IN ('claimed', 'running') LIMIT 1",
            [schedule.into()],
        );
        let rows = transaction.fetch(query).await.map_err(|failure| self.fail(failure))?;
        Ok(!rows.is_empty())
    }

    async fn append(
        &self,
        transaction: &mut dyn Transaction,
        lease: &TickLease,
        event: NewEvent<'_>,
    ) -> Result<(), StoreError> {
        let newest = Query::with(
            "SELECT COALESCE(MAX(ordinal), 0) FROM schedule_tick_events \
             WHERE schedule = $1 AND tick_ms = $2",
            [lease.schedule.as_str().into(), lease.tick_ms.into()],
        );
        let rows = transaction.fetch(newest).await.map_err(|failure| self.fail(failure))?;
        let newest = convert("schedule_tick_events", rows, |row| row.int::<u64>())?;
        let row = vec![
            lease.schedule.as_str().into(),
            lease.tick_ms.into(),
            (newest.first().copied().unwrap_or(0) + 1).into(),
            event.state.as_str().into(),
            lease.epoch.into(),
            event.owner.into(),
            event.detail.into(),
            event.at_ms.into(),
        ];
        let inserted = transaction.insert(&schema::SCHEDULE_TICK_EVENTS, vec![row], false).await;
        inserted.map(|_| ()).map_err(|failure| self.fail(failure))
    }
}

struct NewEvent<'a> {
    state: TickState,
    owner: &'a str,
    detail: &'a str,
    at_ms: i64,
}
