//! A queue in a file, for workers on one host.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use apalis::prelude::{BackendExt, TaskSink, WorkerBuilder, WorkerBuilderExt, WorkerError};
use apalis_sqlite::{Config, SqliteConnectOptions, SqlitePool, SqliteStorage};
use async_trait::async_trait;
use futures_util::stream;

use crate::error::{failed, point};
use crate::job::{Hands, dead, handle, task};
use crate::{Handler, Job, LOOK_EVERY, Pulse, Queue, QueueError, Stop};

/// How long a statement waits for another process's write to end.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// What [`Queue::forget`] removes. The engine's own means knows no keys, and runs
/// two statements as one.
const FORGET: &str = "DELETE FROM Jobs WHERE job_type = ?1 \
    AND substr(idempotency_key, 1, length(?2)) = ?2 AND (status IN ('Done', 'Killed') \
    OR (status = 'Failed' AND attempts >= max_attempts))";

pub(crate) struct SqliteQueue {
    storage: SqliteStorage<Job>,
    pool: SqlitePool,
    name: String,
    shown: String,
}

impl SqliteQueue {
    pub(crate) async fn open(path: &Path, name: &str, pulse: Pulse) -> Result<Self, QueueError> {
        let shown = path.display().to_string();
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", "NORMAL");
        let lock = path.with_extension("lock");
        // Two processes that migrate at once would each make the same tables.
        // The engine's own set-up would turn fsync off besides.
        let held = tokio::task::spawn_blocking(move || {
            let file = File::create(lock)?;
            file.lock().map(|()| file)
        });
        let held = held.await.map_err(failed("open", &shown))?;
        let held = held.map_err(failed("open", &shown))?;
        let pool = SqlitePool::connect_with(options).await.map_err(failed("open", &shown))?;
        let migrated = SqliteStorage::migrations().run(&pool).await;
        migrated.map_err(failed("migrate", &shown))?;
        drop(held);
        let config = Config::default()
            .queue(name)
            .batch_size(1)
            .heartbeat_interval(pulse.every)
            .missed_heartbeats(pulse.missed_max as usize);
        let storage = SqliteStorage::new(&pool).with_config(config);
        Ok(Self { storage, pool, name: name.to_owned(), shown })
    }
}

#[async_trait]
impl Queue for SqliteQueue {
    async fn push(&self, jobs: Vec<Job>) -> Result<(), QueueError> {
        point("queue::pushing", &self.shown)?;
        let pushed = self.storage.clone().push_all(stream::iter(jobs.into_iter().map(task))).await;
        pushed.map_err(failed("write", &self.shown))?;
        point("queue::pushed", &self.shown)
    }

    async fn work(
        &self,
        worker: &str,
        concurrency: usize,
        handler: Handler,
        stop: Stop,
    ) -> Result<(), QueueError> {
        let worker = WorkerBuilder::new(worker)
            .backend(self.storage.clone().poll_with_interval(LOOK_EVERY))
            .concurrency(concurrency)
            .data(Hands(handler))
            .build(handle);
        let stopped = async move {
            stop.await;
            Ok::<(), WorkerError>(())
        };
        worker.run_until(stopped).await.map_err(failed("work on", &self.shown))
    }

    async fn dead(&self) -> Result<Vec<Job>, QueueError> {
        dead(&self.storage, &self.shown).await
    }

    async fn forget(&self, prefix: &str) -> Result<u64, QueueError> {
        point("queue::forgetting", &self.shown)?;
        let forget = sqlx::query(FORGET).bind(&self.name).bind(prefix).execute(&self.pool).await;
        let forgotten = forget.map_err(failed("write", &self.shown))?.rows_affected();
        point("queue::forgotten", &self.shown)?;
        Ok(forgotten)
    }
}
