//! Workers that announced themselves, and runs that ask for some.

use std::fmt;
use std::str::FromStr;

use gyre_types::{Digest, RunId};

use crate::cells::{Reason, convert};
use crate::database::{Query, Row};
use crate::rows::stored_enum;
use crate::{Store, StoreError};

stored_enum! {
    /// What a worker last said of itself.
    WorkerStatus {
        /// It takes work.
        Working = "working",
        /// It ends what it has, and takes no more.
        Draining = "draining",
        /// It ended by itself.
        Stopped = "stopped",
    }
}

/// A worker that announces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWorker {
    /// Host, process and start, or what else is its alone.
    pub id: String,
    /// The host that it runs on.
    pub host: String,
    /// The version of Gyre that it is.
    pub version: String,
    /// The sandbox that it has.
    pub sandbox_digest: Digest,
    /// Pieces of work that it takes at a time.
    pub concurrency: u32,
}

/// A worker as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    /// What it announced.
    pub worker: NewWorker,
    /// What it last said of itself.
    pub status: WorkerStatus,
    /// Milliseconds since 1970.
    pub started_at_ms: i64,
    /// Milliseconds since 1970.
    pub last_seen_ms: i64,
    /// Pieces of work that it brought, and that nobody took from it before.
    pub pieces: u64,
}

/// What a run asks of its workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetRow {
    /// The run.
    pub run: RunId,
    /// The version of Gyre that drives it.
    pub version: String,
    /// The sandbox that its rollouts run in.
    pub sandbox_digest: Digest,
}

const WORKER: &str = "SELECT id, host, version, sandbox_digest, concurrency, status, \
    started_at_ms, last_seen_ms, pieces + (SELECT COUNT(*) FROM work \
    WHERE work.worker = workers.id AND work.state IN ('done', 'taken')) FROM workers";

impl Store {
    /// Records that a worker is there.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn announce_worker(&self, new: &NewWorker, at_ms: i64) -> Result<(), StoreError> {
        let insert = Query::with(
            "INSERT INTO workers (id, host, version, sandbox_digest, concurrency, status, \
             started_at_ms, last_seen_ms) VALUES ($1, $2, $3, $4, $5, 'working', $6, $6) \
             ON CONFLICT (id) DO UPDATE SET status = excluded.status, \
             last_seen_ms = excluded.last_seen_ms",
            [
                new.id.as_str().into(),
                new.host.as_str().into(),
                new.version.as_str().into(),
                new.sandbox_digest.to_hex().into(),
                new.concurrency.into(),
                at_ms.into(),
            ],
        );
        self.write_one(insert, "announce").await
    }

    /// Records that a worker lives, and what it does.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn hear_worker(
        &self,
        id: &str,
        status: WorkerStatus,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        let update = Query::with(
            "UPDATE workers SET status = $2, last_seen_ms = $3 WHERE id = $1",
            [id.into(), status.as_str().into(), at_ms.into()],
        );
        self.write_one(update, "hear").await
    }

    /// The workers that were heard of last.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn workers(&self, limit: u32) -> Result<Vec<WorkerRow>, StoreError> {
        let mut query = Query::new(WORKER);
        query.push(" ORDER BY last_seen_ms DESC, id LIMIT ").arg(limit);
        convert("workers", self.fetch(query).await?, read_worker)
    }

    /// Says that a run gives its rollouts to workers, and what it asks of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] where the driver's lease was lost, or when the
    /// database fails.
    pub async fn open_fleet(&self, fleet: &FleetRow, epoch: u64) -> Result<(), StoreError> {
        let mut transaction = self.begin_write().await?;
        self.check_fence(&mut *transaction, &fleet.run, epoch).await?;
        let upsert = Query::with(
            "INSERT INTO fleets (run, epoch, version, sandbox_digest, is_open) \
             VALUES ($1, $2, $3, $4, 1) ON CONFLICT (run) DO UPDATE SET epoch = excluded.epoch, \
             version = excluded.version, sandbox_digest = excluded.sandbox_digest, is_open = 1",
            [
                fleet.run.as_str().into(),
                epoch.into(),
                fleet.version.as_str().into(),
                fleet.sandbox_digest.to_hex().into(),
            ],
        );
        transaction.execute(upsert).await.map_err(|failure| self.fail(failure))?;
        self.finish(transaction, "fleet").await
    }

    /// Says that a run asks for no workers any more, unless another driver does.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn close_fleet(&self, run: &RunId, epoch: u64) -> Result<(), StoreError> {
        let update = Query::with(
            "UPDATE fleets SET is_open = 0 WHERE run = $1 AND epoch = $2",
            [run.as_str().into(), epoch.into()],
        );
        self.write_one(update, "close").await
    }

    /// Runs that ask for workers, and whose driver holds its lease still: what
    /// one that was killed asked for is forgotten once its lease ends.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn open_fleets(&self, now_ms: i64) -> Result<Vec<FleetRow>, StoreError> {
        let query = Query::with(
            "SELECT f.run, f.version, f.sandbox_digest FROM fleets f \
             JOIN leases l ON l.run = f.run AND l.epoch = f.epoch \
             WHERE f.is_open = 1 AND l.released = 0 AND l.expires_at_ms > $1 ORDER BY f.run",
            [now_ms.into()],
        );
        convert("fleets", self.fetch(query).await?, |row| {
            Ok(FleetRow { run: row.parse()?, version: row.text()?, sandbox_digest: row.parse()? })
        })
    }

    async fn write_one(&self, query: Query, what: &'static str) -> Result<(), StoreError> {
        let mut transaction = self.begin_write().await?;
        transaction.execute(query).await.map_err(|failure| self.fail(failure))?;
        self.finish(transaction, what).await
    }
}

fn read_worker(row: &mut Row) -> Result<WorkerRow, Reason> {
    Ok(WorkerRow {
        worker: NewWorker {
            id: row.text()?,
            host: row.text()?,
            version: row.text()?,
            sandbox_digest: row.parse()?,
            concurrency: row.int()?,
        },
        status: row.parse()?,
        started_at_ms: row.int()?,
        last_seen_ms: row.int()?,
        pieces: row.int()?,
    })
}
