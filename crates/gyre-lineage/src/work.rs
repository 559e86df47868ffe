//! Pieces of work that workers take, and what they bring back: once each,
//! whoever took one how often.

use std::fmt;
use std::str::FromStr;

use gyre_types::{Digest, RunId, canonical_json};
use serde_json::Value;

use crate::cells::{Reason, convert};
use crate::database::{Cell, Query, Row, Transaction};
use crate::rows::stored_enum;
use crate::{Store, StoreError};

stored_enum! {
    /// Where a piece of work stands.
    WorkState {
        /// It waits for a worker.
        Offered = "offered",
        /// A worker has it.
        Claimed = "claimed",
        /// Its result is there.
        Done = "done",
        /// Its result is part of the lineage.
        Taken = "taken",
    }
}

/// Which piece of work: the rollouts of some tasks of one batch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkKey {
    /// The run.
    pub run: RunId,
    /// The round.
    pub round: u32,
    /// The batch: a wave, or a held-out part.
    pub batch: String,
    /// The piece, from 0.
    pub piece: u32,
}

/// A batch of work that a driver has to offer.
#[derive(Debug, Clone, Copy)]
pub struct WorkOffer<'a> {
    /// The run.
    pub run: &'a RunId,
    /// The epoch of the driver's lease.
    pub epoch: u64,
    /// The round.
    pub round: u32,
    /// The batch.
    pub batch: &'a str,
    /// Pieces that it is cut into.
    pub pieces: u32,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// What a worker brings back.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The file of rollouts, in the object store.
    pub path: String,
    /// Of the whole file.
    pub sha256: Digest,
    /// The file's size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u32,
    /// What was said of them.
    pub result: Value,
}

/// A piece of work as recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkRow {
    /// Which.
    pub key: WorkKey,
    /// Where it stands.
    pub state: WorkState,
    /// How often it was taken by a worker.
    pub epoch: u64,
    /// The worker that has or had it; empty before the first.
    pub worker: String,
    /// Results of earlier holders that were discarded.
    pub discarded: u32,
    /// What the last holder failed at; empty where nothing did.
    pub detail: String,
    /// The result, from when it is there until it is taken.
    pub delivery: Option<Delivery>,
}

/// What came of asking for a piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkClaim {
    /// It is the asker's, under this epoch.
    Granted(u64),
    /// Nobody wants it any more: it is done, or was offered anew.
    Settled,
}

const WORK: &str = "run, round, batch, piece, state, epoch, worker, discarded, detail, path, \
    sha256, bytes, row_count, result";

impl Store {
    /// Offers the pieces of a batch, and gives those whose result is not there.
    /// What an earlier driver offered is offered anew: whoever has it still may
    /// bring it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] where the driver's lease was lost, or when the
    /// database fails.
    pub async fn offer_work(&self, offer: &WorkOffer<'_>) -> Result<Vec<u32>, StoreError> {
        let mut transaction = self.begin_write().await?;
        self.check_fence(&mut *transaction, offer.run, offer.epoch).await?;
        for piece in 0..offer.pieces {
            let insert = Query::with(
                "INSERT INTO work (run, round, batch, piece, offer, epoch, worker, state, \
                 discarded, detail, path, sha256, bytes, row_count, result, at_ms) \
                 VALUES ($1, $2, $3, $4, $5, 0, '', 'offered', 0, '', '', '', 0, 0, '', $6) \
                 ON CONFLICT (run, round, batch, piece) DO UPDATE SET offer = excluded.offer",
                [
                    offer.run.as_str().into(),
                    offer.round.into(),
                    offer.batch.into(),
                    piece.into(),
                    offer.epoch.into(),
                    offer.at_ms.into(),
                ],
            );
            self.change(&mut *transaction, insert).await?;
        }
        let mut missing = Query::new("SELECT piece FROM work WHERE run = ");
        missing.arg(offer.run.as_str()).push(" AND round = ").arg(offer.round);
        missing.push(" AND batch = ").arg(offer.batch);
        missing.push(" AND state IN ('offered', 'claimed') ORDER BY piece");
        let rows = transaction.fetch(missing).await.map_err(|failure| self.fail(failure))?;
        let missing = convert("work", rows, |row| row.int())?;
        self.finish(transaction, "offer").await?;
        Ok(missing)
    }

    /// Gives a piece to a worker, and takes it from whoever had it.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn claim_work(
        &self,
        key: &WorkKey,
        offer: u64,
        worker: &str,
        at_ms: i64,
    ) -> Result<WorkClaim, StoreError> {
        let mut transaction = self.begin_write().await?;
        let mut read = Query::new("SELECT offer, epoch, state FROM work WHERE ");
        named(&mut read, key).push(self.database.row_lock());
        let rows = transaction.fetch(read).await.map_err(|failure| self.fail(failure))?;
        let found = convert("work", rows, |row| {
            Ok((row.int::<u64>()?, row.int::<u64>()?, row.parse::<WorkState>()?))
        })?;
        let epoch = match found.first() {
            Some((offered, epoch, WorkState::Offered | WorkState::Claimed))
                if *offered == offer =>
            {
                epoch + 1
            }
            _ => return Ok(WorkClaim::Settled),
        };
        let mut update = Query::new("UPDATE work SET state = 'claimed', epoch = ");
        update.arg(epoch).push(", worker = ").arg(worker);
        update.push(", at_ms = ").arg(at_ms).push(" WHERE ");
        named(&mut update, key);
        self.change(&mut *transaction, update).await?;
        self.finish(transaction, "assign").await?;
        Ok(WorkClaim::Granted(epoch))
    }

    /// Takes in what a worker brings, if nobody took the piece from it; says
    /// whether it did. What comes from an earlier holder is counted and discarded.
    /// A worker that was not told that its result was taken may bring it again.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn deliver_work(
        &self,
        key: &WorkKey,
        epoch: u64,
        delivery: &Delivery,
        at_ms: i64,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        let mut update = Query::new("UPDATE work SET state = 'done', detail = '', path = ");
        update.arg(delivery.path.as_str()).push(", sha256 = ").arg(delivery.sha256.to_hex());
        update.push(", bytes = ").arg(delivery.bytes).push(", row_count = ").arg(delivery.rows);
        update.push(", result = ").arg(canonical_json(&delivery.result));
        update.push(", at_ms = ").arg(at_ms).push(" WHERE state = 'claimed' AND epoch = ");
        update.arg(epoch).push(" AND ");
        named(&mut update, key);
        let mut accepted = self.change(&mut *transaction, update).await? > 0;
        if !accepted {
            // Nobody else ever has this epoch.
            let mut brought = Query::new("SELECT COUNT(*) FROM work WHERE epoch = ");
            brought.arg(epoch).push(" AND state IN ('done', 'taken') AND ");
            named(&mut brought, key);
            let rows = transaction.fetch(brought).await.map_err(|failure| self.fail(failure))?;
            let brought = convert("work", rows, |row| row.int::<u64>())?;
            accepted = brought.first().is_some_and(|count| *count > 0);
        }
        if !accepted {
            let mut count = Query::new("UPDATE work SET discarded = discarded + 1 WHERE ");
            named(&mut count, key);
            self.change(&mut *transaction, count).await?;
        }
        self.finish(transaction, "deliver").await?;
        Ok(accepted)
    }

    /// Gives a piece out again whose result was recorded and cannot be read: its
    /// file is gone, or is another. Only while the result is still that one;
    /// says whether it was.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] where the driver's lease was lost, or when the
    /// database fails.
    pub async fn reopen_work(
        &self,
        key: &WorkKey,
        lease_epoch: u64,
        claim_epoch: u64,
        detail: &str,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        self.check_fence(&mut *transaction, &key.run, lease_epoch).await?;
        let mut update = Query::new(
            "UPDATE work SET state = 'offered', path = '', sha256 = '', bytes = 0, \
             row_count = 0, result = '', detail = ",
        );
        update.arg(detail.replace('\0', "\u{fffd}")).push(", offer = ").arg(lease_epoch);
        update.push(" WHERE state = 'done' AND epoch = ").arg(claim_epoch).push(" AND ");
        named(&mut update, key);
        let reopened = self.change(&mut *transaction, update).await? > 0;
        self.finish(transaction, "offer").await?;
        Ok(reopened)
    }

    /// Records what a worker failed at, where it still has the piece.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn fail_work(
        &self,
        key: &WorkKey,
        epoch: u64,
        detail: &str,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin_write().await?;
        let mut update = Query::new("UPDATE work SET detail = ");
        // PostgreSQL takes no NUL in a text.
        update
            .arg(detail.replace('\0', "\u{fffd}"))
            .push(" WHERE state = 'claimed' AND epoch = ")
            .arg(epoch)
            .push(" AND ");
        named(&mut update, key);
        self.change(&mut *transaction, update).await?;
        self.finish(transaction, "mishap").await
    }

    /// The pieces of a batch, in order.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn work(
        &self,
        run: &RunId,
        round: u32,
        batch: &str,
    ) -> Result<Vec<WorkRow>, StoreError> {
        let mut query = Query::new(&format!("SELECT {WORK} FROM work WHERE run = "));
        query.arg(run.as_str()).push(" AND round = ").arg(round);
        query.push(" AND batch = ").arg(batch).push(" ORDER BY piece");
        convert("work", self.fetch(query).await?, read)
    }

    /// How many pieces of a batch are done, of how many: cheap enough to be
    /// asked often.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn work_done(
        &self,
        run: &RunId,
        round: u32,
        batch: &str,
    ) -> Result<(u32, u32), StoreError> {
        let mut query = Query::new(
            "SELECT COUNT(*), COUNT(CASE WHEN state IN ('done', 'taken') THEN 1 END) \
             FROM work WHERE run = ",
        );
        query.arg(run.as_str()).push(" AND round = ").arg(round);
        query.push(" AND batch = ").arg(batch);
        let counts = convert("work", self.fetch(query).await?, |row| Ok((row.int()?, row.int()?)))?;
        let (all, done) = counts.first().copied().unwrap_or_default();
        Ok((done, all))
    }

    /// How many pieces wait, and how many are worked on.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn work_counts(&self) -> Result<[(WorkState, u32); 2], StoreError> {
        let mut query = Query::new("SELECT state, COUNT(*) FROM work WHERE state IN (");
        query.arg(WorkState::Offered.as_str()).push(", ").arg(WorkState::Claimed.as_str());
        query.push(") GROUP BY state");
        let rows = self.fetch(query).await?;
        let found =
            convert("work", rows, |row| Ok((row.parse::<WorkState>()?, row.int::<u32>()?)))?;
        let of = |state| found.iter().find(|(known, _)| *known == state).map_or(0, |(_, n)| *n);
        Ok([WorkState::Offered, WorkState::Claimed].map(|state| (state, of(state))))
    }

    /// Every piece of a run whose result is still wanted, with the epoch under
    /// which it was claimed last: a result of that epoch is recorded, or may
    /// still be delivered, and one of an earlier epoch never is.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn open_claims(&self, run: &RunId) -> Result<Vec<(WorkKey, u64)>, StoreError> {
        let mut query = Query::new(
            "SELECT run, round, batch, piece, epoch FROM work \
             WHERE state IN ('claimed', 'done') AND run = ",
        );
        query.arg(run.as_str());
        convert("work", self.fetch(query).await?, |row| Ok((read_key(row)?, row.int()?)))
    }

    /// Forgets the pieces of a run's rounds up to `last`, which must be over: none
    /// of their batches is ever offered again, so no claim is granted a second
    /// time under an epoch that was granted before. What a worker still brings of
    /// them is refused, as any result is that comes too late. Workers keep the
    /// count of the pieces that they brought. A crash before this returns leaves
    /// the pieces to whoever asks next.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] where the driver's lease was lost, or when the
    /// database fails.
    pub async fn prune_work(
        &self,
        run: &RunId,
        lease_epoch: u64,
        last: u32,
    ) -> Result<u64, StoreError> {
        let mut transaction = self.begin_write().await?;
        self.check_fence(&mut *transaction, run, lease_epoch).await?;
        let brought = Query::with(
            "UPDATE workers SET pieces = pieces + (SELECT COUNT(*) FROM work \
             WHERE work.worker = workers.id AND work.state IN ('done', 'taken') \
             AND work.run = $1 AND work.round <= $2)",
            [run.as_str().into(), last.into()],
        );
        self.change(&mut *transaction, brought).await?;
        let forget = Query::with(
            "DELETE FROM work WHERE run = $1 AND round <= $2",
            [run.as_str().into(), last.into()],
        );
        let forgotten = self.change(&mut *transaction, forget).await?;
        self.finish(transaction, "prune").await?;
        Ok(forgotten)
    }

    /// Marks the pieces of a batch as taken, within the commit that takes them.
    pub(crate) async fn take_work(
        &self,
        transaction: &mut dyn Transaction,
        run: &RunId,
        (round, batch): &(u32, String),
    ) -> Result<(), StoreError> {
        let mut update = Query::new("UPDATE work SET state = 'taken', result = '' WHERE run = ");
        update.arg(run.as_str()).push(" AND round = ").arg(*round);
        update.push(" AND batch = ").arg(batch.as_str());
        self.change(transaction, update).await.map(drop)
    }

    async fn change(
        &self,
        transaction: &mut dyn Transaction,
        query: Query,
    ) -> Result<u64, StoreError> {
        transaction.execute(query).await.map_err(|failure| self.fail(failure))
    }
}

/// Appends the condition that a row is this piece's.
fn named<'q>(query: &'q mut Query, key: &WorkKey) -> &'q mut Query {
    let parts: [(&str, Cell); 4] = [
        ("run = ", key.run.as_str().into()),
        (" AND round = ", key.round.into()),
        (" AND batch = ", key.batch.as_str().into()),
        (" AND piece = ", key.piece.into()),
    ];
    for (text, cell) in parts {
        query.push(text).arg(cell);
    }
    query
}

fn read_key(row: &mut Row) -> Result<WorkKey, Reason> {
    Ok(WorkKey { run: row.parse()?, round: row.int()?, batch: row.text()?, piece: row.int()? })
}

fn read(row: &mut Row) -> Result<WorkRow, Reason> {
    let key = read_key(row)?;
    let state = row.parse()?;
    let (epoch, worker, discarded) = (row.int()?, row.text()?, row.int()?);
    let (detail, path, sha256) = (row.text()?, row.text()?, row.text()?);
    let (bytes, rows, result) = (row.int()?, row.int()?, row.text()?);
    let delivery = match state {
        WorkState::Done => Some(Delivery {
            path,
            sha256: sha256.parse::<Digest>().map_err(|error| error.to_string())?,
            bytes,
            rows,
            result: serde_json::from_str(&result).map_err(|error| error.to_string())?,
        }),
        _ => None,
    };
    Ok(WorkRow { key, state, epoch, worker, discarded, detail, delivery })
}
