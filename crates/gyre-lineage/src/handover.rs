//! What promotions are handed over to, and every attempt at it.

use std::fmt;
use std::str::FromStr;

use gyre_types::{CheckpointId, Digest, RunId};

use crate::cells::{Reason, convert};
use crate::database::{Cell, Query, Row};
use crate::rows::stored_enum;
use crate::schema;
use crate::seal::Sealer;
use crate::{SealChain, Store, StoreError};

stored_enum! {
    /// What came of an attempt at a hand-over.
    AttemptOutcome {
        /// The other side took it.
        Delivered = "delivered",
        /// It did not, or nobody knows whether it did.
        Failed = "failed",
    }
}

/// Something that a promotion is handed over to, recorded with the promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHandover {
    /// The round that the promotion ended.
    pub round: u32,
    /// Which target: `hook` or `webhook`.
    pub target: String,
    /// The new champion.
    pub champion: CheckpointId,
    /// Of the target's settings.
    pub target_digest: Digest,
}

/// An attempt at a hand-over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverAttempt {
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// What went wrong; empty where nothing did.
    pub detail: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// A hand-over as recorded, with its last attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverRow {
    /// The run.
    pub run: RunId,
    /// What is handed over, and to what.
    pub handover: NewHandover,
    /// When the promotion was recorded, in milliseconds since 1970.
    pub at_ms: i64,
    /// Attempts so far.
    pub attempts: u32,
    /// The last of them.
    pub last: Option<HandoverAttempt>,
}

impl HandoverRow {
    /// Whether the other side took it.
    pub fn is_delivered(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.outcome == AttemptOutcome::Delivered)
    }
}

const HANDOVER: &str = "SELECT h.run, h.round, h.target, h.champion, h.target_digest, h.at_ms, \
    COALESCE(l.ordinal, 0), l.outcome, l.detail, l.at_ms FROM handovers h \
    LEFT JOIN handover_attempts l ON l.run = h.run AND l.round = h.round AND l.target = h.target \
    AND l.ordinal = (SELECT MAX(x.ordinal) FROM handover_attempts x \
    WHERE x.run = h.run AND x.round = h.round AND x.target = h.target)";

impl Store {
    /// The hand-overs of a run, by round and target: at most one a round and target.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn handovers(&self, run: &RunId) -> Result<Vec<HandoverRow>, StoreError> {
        let mut query = Query::new(HANDOVER);
        query.push(" WHERE h.run = ").arg(run.as_str()).push(" ORDER BY h.round, h.target");
        convert("handovers", self.fetch(query).await?, read)
    }

    /// The hand-overs of all runs that were not delivered, by run and round.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn undelivered_handovers(&self) -> Result<Vec<HandoverRow>, StoreError> {
        let mut query = Query::new(HANDOVER);
        query.push(
            " WHERE (l.outcome IS NULL OR l.outcome <> 'delivered') \
             ORDER BY h.run, h.round, h.target",
        );
        convert("handovers", self.fetch(query).await?, read)
    }

    /// Appends an attempt at a hand-over, in a transaction of its own: it needs no
    /// lease, since it only tells what happened. A hand-over that is delivered
    /// already takes no further attempt. A crash before this returns leaves the
    /// hand-over to be tried again: it is delivered at least once, and the other side
    /// tells repetitions by its key.
    ///
    /// # Errors
    ///
    /// [`StoreError::InvalidCommit`] where the promotion is not handed over to that
    /// target, and when the database fails.
    pub async fn record_handover_attempt(
        &self,
        run: &RunId,
        (round, target): (u32, &str),
        attempt: &HandoverAttempt,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin_write().await?;
        let chain = SealChain::Run(run.clone());
        let mut sealer = Sealer::resume(self, &mut *transaction, chain).await?;
        let mut query = Query::new(HANDOVER);
        query.push(" WHERE h.run = ").arg(run.as_str()).push(" AND h.round = ").arg(round);
        query.push(" AND h.target = ").arg(target);
        let rows = transaction.fetch(query).await.map_err(|failure| self.fail(failure))?;
        let Some(known) = convert("handovers", rows, read)?.pop() else {
            let reason = format!("the promotion of round {round} is not handed over to {target:?}");
            return Err(StoreError::InvalidCommit { run: run.clone(), reason });
        };
        if known.is_delivered() {
            return Ok(());
        }
        let cells: Vec<Vec<Cell>> = vec![vec![
            run.as_str().into(),
            round.into(),
            target.into(),
            (known.attempts + 1).into(),
            attempt.outcome.as_str().into(),
            // PostgreSQL takes no NUL in a text.
            attempt.detail.replace('\0', "\u{fffd}").into(),
            attempt.at_ms.into(),
        ]];
        sealer.added(&schema::HANDOVER_ATTEMPTS, &cells);
        let inserted = transaction.insert(&schema::HANDOVER_ATTEMPTS, cells, false).await;
        inserted.map_err(|failure| self.fail(failure))?;
        sealer.append(self, &mut *transaction).await?;
        self.finish(transaction, "handover").await
    }
}

pub(crate) fn handover_cells(run: &RunId, new: &NewHandover, at_ms: i64) -> Vec<Cell> {
    vec![
        run.as_str().into(),
        new.round.into(),
        new.target.as_str().into(),
        new.champion.as_str().into(),
        new.target_digest.to_hex().into(),
        at_ms.into(),
    ]
}

fn read(row: &mut Row) -> Result<HandoverRow, Reason> {
    let run = row.parse()?;
    let handover = NewHandover {
        round: row.int()?,
        target: row.text()?,
        champion: row.parse()?,
        target_digest: row.parse()?,
    };
    let (at_ms, attempts) = (row.int()?, row.int()?);
    let outcome: Option<AttemptOutcome> = row.optional()?;
    let (detail, last_at_ms) = (row.optional::<String>()?, row.optional_int::<i64>()?);
    let last = match (outcome, detail, last_at_ms) {
        (Some(outcome), Some(detail), Some(at_ms)) => {
            Some(HandoverAttempt { outcome, detail, at_ms })
        }
        _ => None,
    };
    Ok(HandoverRow { run, handover, at_ms, attempts, last })
}
