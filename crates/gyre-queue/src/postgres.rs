//! A queue on a server, for workers on any number of hosts.

use std::str::FromStr;

use apalis::prelude::{
    BackendExt, TaskSink, TaskSinkError, WorkerBuilder, WorkerBuilderExt, WorkerError,
};
use apalis_postgres::{Config, PgConnectOptions, PostgresStorage};
use async_trait::async_trait;
use futures_util::stream;
use sqlx::Executor as _;
use sqlx::postgres::{PgPool, PgPoolOptions};

use crate::error::{failed, point};
use crate::job::{Hands, dead, handle, task};
use crate::{Handler, Job, LOOK_EVERY, Pulse, Queue, QueueError, Stop};

/// Begins with what a pooler may have left of whoever was here before.
const SET_PATH: &str = "DEALLOCATE ALL; SET search_path = apalis, public";

/// What [`Queue::forget`] removes. The engine's own means knows no keys, and runs
/// two statements as one.
const FORGET: &str = "DELETE FROM apalis.jobs WHERE job_type = $1 \
    AND starts_with(idempotency_key, $2) AND (status IN ('Done', 'Killed') \
    OR (status = 'Failed' AND attempts >= max_attempts))";

pub(crate) struct PostgresQueue {
    storage: PostgresStorage<Job>,
    pool: PgPool,
    name: String,
    shown: String,
}

impl PostgresQueue {
    pub(crate) async fn open(
        url: &str,
        shown: &str,
        name: &str,
        pulse: Pulse,
    ) -> Result<Self, QueueError> {
        let options = PgConnectOptions::from_str(url).map_err(failed("open", shown))?;
        // All that the engine makes, extensions too, lies in its own schema.
        // It is told so once it is connected: poolers refuse such options of the
        // start-up packet, or pass over them.
        let options = options.application_name("gyre queue").extra_float_digits(None);
        let pool = PgPoolOptions::new().after_connect(|connection, _| {
            Box::pin(async move { connection.execute(SET_PATH).await.map(drop) })
        });
        let pool = pool.connect_with(options).await.map_err(failed("open", shown))?;
        PostgresStorage::setup(&pool).await.map_err(failed("migrate", shown))?;
        let config = Config::default()
            .queue(name)
            .batch_size(1)
            .heartbeat_interval(pulse.every)
            .missed_heartbeats(pulse.missed_max as usize);
        let storage = PostgresStorage::new(&pool).with_config(config);
        Ok(Self { storage, pool, name: name.to_owned(), shown: shown.to_owned() })
    }
}

/// Whether a job was not put in because its key is there.
fn is_there(error: &TaskSinkError<apalis_postgres::Error>) -> bool {
    match error {
        TaskSinkError::PushError(apalis_postgres::Error::Database(error)) => {
            error.as_database_error().is_some_and(|error| error.is_unique_violation())
        }
        _ => false,
    }
}

#[async_trait]
impl Queue for PostgresQueue {
    /// All at once; where one is there already, the engine refuses all of them,
    /// and they are put in one by one.
    async fn push(&self, jobs: Vec<Job>) -> Result<(), QueueError> {
        point("queue::pushing", &self.shown)?;
        let tasks = jobs.iter().cloned().map(task).collect::<Vec<_>>();
        match self.storage.clone().push_all(stream::iter(tasks)).await {
            Err(error) if is_there(&error) => {
                for job in jobs {
                    match self.storage.clone().push_task(task(job)).await {
                        Err(error) if is_there(&error) => {}
                        pushed => pushed.map_err(failed("write", &self.shown))?,
                    }
                }
            }
            pushed => pushed.map_err(failed("write", &self.shown))?,
        }
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
