use std::pin::Pin;
use std::sync::Arc;

use apalis::prelude::{BoxDynError, Data, Filter, ListTasks, Status, Task, TaskBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::QueueError;
use crate::error::failed;

/// Jobs that are listed at once.
const PAGE: u32 = 1_000;

/// Something to be done by one worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its identity: a key that is in the queue is not put there again.
    pub key: String,
    /// The most urgent is taken first.
    pub urgency: u32,
    /// How often it may fail before it is dead.
    pub attempts_max: u32,
    /// What is to be done.
    pub body: Value,
}

/// Why a job could not be done; the queue gives it out again.
pub type JobError = Box<dyn std::error::Error + Send + Sync>;

/// A job being done.
pub type Working = Pin<Box<dyn Future<Output = Result<(), JobError>> + Send>>;

/// Does a job.
pub type Handler = Arc<dyn Fn(Job) -> Working + Send + Sync>;

/// The job as the engine has it.
pub(crate) fn task(job: Job) -> Task<Job> {
    TaskBuilder::new(job.clone())
        .idempotency_key(&job.key)
        .priority(job.urgency as usize)
        .max_attempts(job.attempts_max as usize)
        .build()
}

/// A handler under a name of its own, which is what the engine can carry.
#[derive(Clone)]
pub(crate) struct Hands(pub(crate) Handler);

/// What the engine calls for each job.
pub(crate) async fn handle(job: Job, hands: Data<Hands>) -> Result<(), BoxDynError> {
    let Hands(handler) = &*hands;
    handler(job).await
}

/// The jobs of a queue that failed or were killed and are not tried again, listed
/// page by page.
pub(crate) async fn dead<S>(storage: &S, location: &str) -> Result<Vec<Job>, QueueError>
where
    S: ListTasks<Compact = Vec<u8>>,
    S::Error: Into<BoxDynError>,
{
    let is_dead =
        |task: &Task<Vec<u8>>| task.max_attempts().is_none_or(|most| task.attempt() >= most);
    let job = |task: Task<Vec<u8>>| serde_json::from_slice(&task.args).ok();
    let mut jobs = Vec::new();
    for status in [Status::Failed, Status::Killed] {
        for page in 1.. {
            let filter = Filter { status: Some(status.clone()), page, page_size: Some(PAGE) };
            let tasks = storage.list_tasks(&filter).await.map_err(failed("read", location))?;
            let is_last = tasks.len() < PAGE as usize;
            jobs.extend(tasks.into_iter().filter(is_dead).filter_map(job));
            if is_last {
                break;
            }
        }
    }
    Ok(jobs)
}
