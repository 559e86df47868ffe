use std::pin::Pin;
use std::sync::Arc;

use apalis::prelude::{BoxDynError, Data, Task, TaskBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// The jobs among tasks of the engine that will not be tried again.
pub(crate) fn dead(tasks: Vec<Task<Vec<u8>>>) -> Vec<Job> {
    let is_dead =
        |task: &Task<Vec<u8>>| task.max_attempts().is_none_or(|most| task.attempt() >= most);
    let job = |task: Task<Vec<u8>>| serde_json::from_slice(&task.args).ok();
    tasks.into_iter().filter(is_dead).filter_map(job).collect()
}
