use std::fmt;
use std::str::FromStr;

use gyre_types::{RunId, canonical_json};
use serde_json::Value;

use crate::cells::{Reason, convert};
use crate::database::{Query, Row, Transaction};
use crate::rows::stored_enum;
use crate::schema;
use crate::tick::{TickKind, TickState};
use crate::{Store, StoreError};

stored_enum! {
    /// Whether a schedule ticks.
    ScheduleStatus {
        /// It does.
        Active = "active",
        /// Somebody paused it.
        Paused = "paused",
        /// It ended by itself.
        Stopped = "stopped",
    }
}

/// A schedule that a service is told to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSchedule {
    /// Its name.
    pub name: String,
    /// The schedule as configured.
    pub spec: Value,
    /// The name of the campaign that it drives.
    pub campaign: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleRow {
    /// Its name.
    pub name: String,
    /// The schedule as configured.
    pub spec: Value,
    /// The name of the campaign that it drives.
    pub campaign: String,
    /// Whether it ticks.
    pub status: ScheduleStatus,
    /// Why not; empty while it does.
    pub why: String,
    /// The run that it drives; none before its first tick.
    pub run: Option<RunId>,
    /// The first round that its stop rules look at.
    pub counts_from: u32,
    /// All ticks up to here are decided on, in milliseconds since 1970.
    pub watched_ms: i64,
    /// Milliseconds since 1970.
    pub created_at_ms: i64,
}

/// What becomes of the ticks up to an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickDecision {
    /// The schedule.
    pub schedule: String,
    /// Up to where the decider knows that ticks were decided on.
    pub expected_watched_ms: i64,
    /// Up to where they are from here on.
    pub watched_ms: i64,
    /// The ticks between (one that is there already stays), each `Due`, `Missed` or `Refused`, with the reason.
    pub ticks: Vec<(i64, TickState, String)>,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

const SCHEDULE: &str =
    "name, spec, campaign, status, why, run, counts_from, watched_ms, created_at_ms";

impl Store {
    /// Records a schedule, or the new configuration of a known one, which stays
    /// where it stands. A crash before this returns leaves it as it was or as it
    /// is to be.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn register_schedule(&self, new: &NewSchedule) -> Result<ScheduleRow, StoreError> {
        let upsert = Query::with(
            "INSERT INTO schedules (name, spec, campaign, status, why, counts_from, watched_ms, \
             created_at_ms) VALUES ($1, $2, $3, 'active', '', 0, $4, $4) \
             ON CONFLICT (name) DO UPDATE SET spec = excluded.spec, campaign = excluded.campaign",
            [
                new.name.as_str().into(),
                canonical_json(&new.spec).into(),
                new.campaign.as_str().into(),
                new.at_ms.into(),
            ],
        );
        let mut transaction = self.begin_write().await?;
        transaction.execute(upsert).await.map_err(|failure| self.fail(failure))?;
        let row = self.lock_schedule(&mut *transaction, &new.name).await?;
        self.finish(transaction, "schedule").await?;
        Ok(row)
    }

    /// All schedules, by name.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn schedules(&self) -> Result<Vec<ScheduleRow>, StoreError> {
        let query = Query::new(&format!("SELECT {SCHEDULE} FROM schedules ORDER BY name"));
        convert("schedules", self.fetch(query).await?, read)
    }

    /// A schedule by its name.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownSchedule`], or when the database fails.
    pub async fn schedule(&self, name: &str) -> Result<ScheduleRow, StoreError> {
        let mut query = Query::new(&format!("SELECT {SCHEDULE} FROM schedules WHERE name = "));
        query.arg(name);
        let rows = convert("schedules", self.fetch(query).await?, read)?;
        rows.into_iter().next().ok_or_else(|| unknown(name))
    }

    /// Decides on the ticks that have passed, once for all services: gives
    /// whether it was this one. Another that decided first, or a schedule that
    /// does not tick, changes nothing. A crash before this returns means that
    /// all of it happened or nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownSchedule`], or when the database fails.
    pub async fn decide_ticks(&self, decision: &TickDecision) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        let name = decision.schedule.as_str();
        let schedule = self.lock_schedule(&mut *transaction, name).await?;
        if schedule.watched_ms != decision.expected_watched_ms
            || schedule.status != ScheduleStatus::Active
        {
            return Ok(false);
        }
        for (tick_ms, state, detail) in &decision.ticks {
            let new = NewTick { tick_ms: *tick_ms, kind: TickKind::Planned, state: *state, detail };
            self.insert_tick(&mut *transaction, name, new, decision.at_ms).await?;
        }
        let watched = Query::with(
            "UPDATE schedules SET watched_ms = $2 WHERE name = $1",
            [name.into(), decision.watched_ms.into()],
        );
        transaction.execute(watched).await.map_err(|failure| self.fail(failure))?;
        self.finish(transaction, "decide").await?;
        Ok(true)
    }

    /// Makes a tick due now, beside those of the timetable; gives its instant,
    /// which is later than asked for where a tick has it already.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownSchedule`], or when the database fails.
    pub async fn run_now(&self, name: &str, at_ms: i64) -> Result<i64, StoreError> {
        let mut transaction = self.begin_write().await?;
        self.lock_schedule(&mut *transaction, name).await?;
        let newest = Query::with(
            "SELECT COALESCE(MAX(tick_ms), 0) FROM schedule_ticks WHERE schedule = $1 AND tick_ms >= $2",
            [name.into(), at_ms.into()],
        );
        let rows = transaction.fetch(newest).await.map_err(|failure| self.fail(failure))?;
        let newest = convert("schedule_ticks", rows, |row| row.int::<i64>())?;
        let taken = newest.first().copied().unwrap_or(0);
        let tick_ms = if taken >= at_ms { taken + 1 } else { at_ms };
        let (kind, state) = (TickKind::Manual, TickState::Due);
        let new = NewTick { tick_ms, kind, state, detail: "asked for" };
        self.insert_tick(&mut *transaction, name, new, at_ms).await?;
        self.finish(transaction, "ask").await?;
        Ok(tick_ms)
    }

    /// Pauses a schedule: no tick is decided on, and none that is due is
    /// claimed, until it is resumed. What runs goes on.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownSchedule`], or when the database fails.
    pub async fn pause_schedule(&self, name: &str, why: &str) -> Result<ScheduleRow, StoreError> {
        let query = Query::with(
            "UPDATE schedules SET status = 'paused', why = $2 WHERE name = $1",
            [name.into(), why.into()],
        );
        self.change_schedule(name, query).await
    }

    /// Lets a schedule tick again from now on: what it would have ticked in the
    /// meantime is forgotten, and its stop rules look at rounds from
    /// `counts_from` on.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownSchedule`], or when the database fails.
    pub async fn resume_schedule(
        &self,
        name: &str,
        counts_from: u32,
        at_ms: i64,
    ) -> Result<ScheduleRow, StoreError> {
        let query = Query::with(
            "UPDATE schedules SET status = 'active', why = '', counts_from = $2, \
             watched_ms = CASE WHEN watched_ms > $3 THEN watched_ms ELSE $3 END WHERE name = $1",
            [name.into(), counts_from.into(), at_ms.into()],
        );
        self.change_schedule(name, query).await
    }

    async fn change_schedule(&self, name: &str, query: Query) -> Result<ScheduleRow, StoreError> {
        let mut transaction = self.begin_write().await?;
        transaction.execute(query).await.map_err(|failure| self.fail(failure))?;
        let row = self.lock_schedule(&mut *transaction, name).await?;
        self.finish(transaction, "schedule").await?;
        Ok(row)
    }

    /// Reads a schedule and keeps it, and with it all its ticks, from other
    /// writers until the transaction ends.
    pub(crate) async fn lock_schedule(
        &self,
        transaction: &mut dyn Transaction,
        name: &str,
    ) -> Result<ScheduleRow, StoreError> {
        let mut query = Query::new(&format!("SELECT {SCHEDULE} FROM schedules WHERE name = "));
        query.arg(name).push(self.database.row_lock());
        let rows = transaction.fetch(query).await.map_err(|failure| self.fail(failure))?;
        convert("schedules", rows, read)?.into_iter().next().ok_or_else(|| unknown(name))
    }

    async fn insert_tick(
        &self,
        transaction: &mut dyn Transaction,
        schedule: &str,
        new: NewTick<'_>,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        let NewTick { tick_ms, kind, state, detail } = new;
        let tick = vec![
            schedule.into(),
            tick_ms.into(),
            kind.as_str().into(),
            state.as_str().into(),
            0_i64.into(),
            "".into(),
            0_i64.into(),
            0_i64.into(),
            0_i64.into(),
            detail.into(),
        ];
        let event = vec![
            schedule.into(),
            tick_ms.into(),
            1_i64.into(),
            state.as_str().into(),
            0_i64.into(),
            "".into(),
            detail.into(),
            at_ms.into(),
        ];
        let fail = |failure| self.fail(failure);
        // One that was asked for at the very instant of a planned one stands for both.
        let inserted = transaction.insert(&schema::SCHEDULE_TICKS, vec![tick], true).await;
        if inserted.map_err(fail)? == 1 {
            let events = transaction.insert(&schema::SCHEDULE_TICK_EVENTS, vec![event], false);
            events.await.map_err(fail)?;
        }
        Ok(())
    }
}

struct NewTick<'a> {
    tick_ms: i64,
    kind: TickKind,
    state: TickState,
    detail: &'a str,
}

pub(crate) fn unknown(name: &str) -> StoreError {
    StoreError::UnknownSchedule { name: name.to_owned() }
}

fn read(row: &mut Row) -> Result<ScheduleRow, Reason> {
    Ok(ScheduleRow {
        name: row.text()?,
        spec: row.json()?,
        campaign: row.text()?,
        status: row.parse()?,
        why: row.text()?,
        run: row.optional()?,
        counts_from: row.int()?,
        watched_ms: row.int()?,
        created_at_ms: row.int()?,
    })
}
