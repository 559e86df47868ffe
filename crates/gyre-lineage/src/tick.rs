use std::fmt;
use std::str::FromStr;

use gyre_types::RunId;

use crate::cells::{Reason, convert};
use crate::database::{Query, Row, Transaction};
use crate::page::{PAGE_ROWS_MAX, page};
use crate::rows::stored_enum;
use crate::{All, Cursor, Page, Store, StoreError};

stored_enum! {
    /// Where a tick came from.
    TickKind {
        /// The timetable.
        Planned = "planned",
        /// Somebody asked for it.
        Manual = "manual",
    }
}

stored_enum! {
    /// Where a tick stands: the last of its events.
    TickState {
        /// It waits for a service.
        Due = "due",
        /// A service has it.
        Claimed = "claimed",
        /// Its round is being made.
        Running = "running",
        /// Its round is over.
        Done = "done",
        /// Its predecessor was not done.
        Refused = "refused",
        /// No service was there in time.
        Missed = "missed",
        /// Its round could not be made.
        Failed = "failed",
    }
}

impl TickState {
    /// Whether nothing more comes of it.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::Refused | Self::Missed | Self::Failed)
    }

    /// Whether one state may follow another. A claim may follow one: that is a
    /// service that takes over from one that died.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Due => next == Self::Claimed,
            Self::Claimed | Self::Running => next != Self::Missed,
            Self::Done | Self::Refused | Self::Missed | Self::Failed => false,
        }
    }
}

/// A tick that was decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickRow {
    /// The schedule.
    pub schedule: String,
    /// Milliseconds since 1970.
    pub tick_ms: i64,
    /// Where it came from.
    pub kind: TickKind,
    /// Where it stands.
    pub state: TickState,
    /// How often it was claimed.
    pub epoch: u64,
    /// Who has it, in the owner's own words; empty where nobody has.
    pub owner: String,
    /// When others may take it over, in milliseconds since 1970.
    pub expires_at_ms: i64,
    /// The run whose round it makes.
    pub run: Option<RunId>,
    /// The round.
    pub round: Option<u32>,
    /// Milliseconds of processor time so far.
    pub cpu_ms: u64,
    /// Milliseconds that services worked on it so far.
    pub wall_ms: u64,
    /// Why it stands where it does; empty where that needs no reason.
    pub detail: String,
}

/// Something that happened to a tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickEvent {
    /// Its number, from 1.
    pub ordinal: u64,
    /// Where the tick stood from then on.
    pub state: TickState,
    /// The epoch of who did it.
    pub epoch: u64,
    /// Who did it; empty for those who decide on ticks.
    pub owner: String,
    /// Why.
    pub detail: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

const TICK: &str = "schedule, tick_ms, kind, state, epoch, owner, expires_at_ms, run, round, \
    cpu_ms, wall_ms, detail";

impl Store {
    /// All ticks that are not settled, oldest first.
    pub fn open_ticks(&self) -> All<TickRow> {
        All::new(self, |store, after, rows| {
            Box::pin(async move { store.open_ticks_page(after.as_ref(), rows).await })
        })
    }

    async fn open_ticks_page(
        &self,
        after: Option<&Cursor>,
        rows: u32,
    ) -> Result<Page<TickRow>, StoreError> {
        let mut query = Query::new(&format!(
            "SELECT {TICK} FROM schedule_ticks WHERE state IN ('due', 'claimed', 'running')"
        ));
        // A tick's time is no round: both parts of its key are in the cursor's id.
        if let Some((at, schedule)) = after.and_then(|cursor| cursor.id.split_once(' ')) {
            let at: i64 = at.parse().map_err(|_| StoreError::Cursor { text: at.to_owned() })?;
            query.push(" AND (tick_ms, schedule) > (").arg(at).push(", ");
            query.arg(schedule).push(")");
        }
        let rows = rows.clamp(1, PAGE_ROWS_MAX);
        query.push(" ORDER BY tick_ms, schedule LIMIT ").arg(rows + 1);
        let found = convert("schedule_ticks", self.fetch(query).await?, read)?;
        Ok(page(found, rows, |tick| (0, format!("{} {}", tick.tick_ms, tick.schedule))))
    }

    /// The ticks of a schedule before an instant, newest first.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn ticks(
        &self,
        schedule: &str,
        before_ms: Option<i64>,
        limit: u32,
    ) -> Result<Vec<TickRow>, StoreError> {
        let mut query = Query::new(&format!("SELECT {TICK} FROM schedule_ticks WHERE schedule = "));
        query.arg(schedule);
        if let Some(before_ms) = before_ms {
            query.push(" AND tick_ms < ").arg(before_ms);
        }
        query.push(" ORDER BY tick_ms DESC LIMIT ").arg(limit.min(PAGE_ROWS_MAX));
        convert("schedule_ticks", self.fetch(query).await?, read)
    }

    /// What happened to a tick, in order.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn tick_events(
        &self,
        schedule: &str,
        tick_ms: i64,
    ) -> Result<Vec<TickEvent>, StoreError> {
        let query = Query::with(
            "SELECT ordinal, state, epoch, owner, detail, at_ms FROM schedule_tick_events \
             WHERE schedule = $1 AND tick_ms = $2 ORDER BY ordinal",
            [schedule.into(), tick_ms.into()],
        );
        convert("schedule_tick_events", self.fetch(query).await?, |row| {
            Ok(TickEvent {
                ordinal: row.int()?,
                state: row.parse()?,
                epoch: row.int()?,
                owner: row.text()?,
                detail: row.text()?,
                at_ms: row.int()?,
            })
        })
    }

    pub(crate) async fn read_tick(
        &self,
        transaction: &mut dyn Transaction,
        schedule: &str,
        tick_ms: i64,
    ) -> Result<Option<TickRow>, StoreError> {
        let query = Query::with(
            &format!("SELECT {TICK} FROM schedule_ticks WHERE schedule = $1 AND tick_ms = $2"),
            [schedule.into(), tick_ms.into()],
        );
        let rows = transaction.fetch(query).await.map_err(|failure| self.fail(failure))?;
        Ok(convert("schedule_ticks", rows, read)?.into_iter().next())
    }
}

fn read(row: &mut Row) -> Result<TickRow, Reason> {
    Ok(TickRow {
        schedule: row.text()?,
        tick_ms: row.int()?,
        kind: row.parse()?,
        state: row.parse()?,
        epoch: row.int()?,
        owner: row.text()?,
        expires_at_ms: row.int()?,
        run: row.optional()?,
        round: row.optional_int()?,
        cpu_ms: row.int()?,
        wall_ms: row.int()?,
        detail: row.text()?,
    })
}
