//! The seam over the engine: what is put in is given out, at least once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gyre_queue::{Handler, Job, Location, Pulse, Queue, Stop, Working};
use serde_json::json;

const PULSE: Pulse = Pulse { every: Duration::from_secs(1), missed_max: 3 };

fn job(key: &str, urgency: u32) -> Job {
    Job { key: key.to_owned(), urgency, attempts_max: 2, body: json!({"key": key}) }
}

/// Notes the jobs in the order in which they came, and fails those that are bad.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn handler(&self) -> Handler {
        let notes = self.clone();
        Arc::new(move |job| -> Working {
            notes.0.lock().unwrap().push(job.key.clone());
            let bad = job.key.starts_with("bad");
            Box::pin(async move { if bad { Err("it is bad".into()) } else { Ok(()) } })
        })
    }

    fn seen(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Ends once so many jobs came.
    fn after(&self, count: usize) -> Stop {
        let notes = self.clone();
        Box::pin(async move {
            while notes.seen().len() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }
}

async fn jobs_are_given_out_by_urgency_and_kept_when_they_fail(queue: Arc<dyn Queue>) {
    let jobs = [job("late", 1), job("bad", 5), job("first", 9), job("second", 8)];
    queue.push(jobs.to_vec()).await.unwrap();
    // What is there is not put there again.
    queue.push(vec![job("first", 9), job("third", 7)]).await.unwrap();

    let notes = Notes::default();
    queue.work("w-1", 1, notes.handler(), notes.after(6)).await.unwrap();
    let seen = notes.seen();
    assert_eq!(seen[..3], ["first", "second", "third"], "{seen:?}");
    let mut counts = BTreeMap::<&str, u32>::new();
    seen.iter().for_each(|key| *counts.entry(key).or_default() += 1);
    let expected = [("bad", 2), ("first", 1), ("late", 1), ("second", 1), ("third", 1)];
    assert_eq!(counts, BTreeMap::from(expected));
    assert_eq!(queue.dead().await.unwrap(), [job("bad", 5)]);

    // Nothing is left for another.
    queue.push(vec![job("new", 0)]).await.unwrap();
    let notes = Notes::default();
    queue.work("w-2", 4, notes.handler(), notes.after(1)).await.unwrap();
    assert_eq!(notes.seen(), ["new"]);
}

/// What is settled goes, by the run that it was of, and nothing else does.
async fn settled_jobs_are_forgotten_by_their_prefix(queue: Arc<dyn Queue>) {
    let jobs = ["run-1/a", "run-1/b", "bad-1/a", "run-10/a"].map(|key| job(key, 5));
    queue.push(jobs.to_vec()).await.unwrap();
    let notes = Notes::default();
    queue.work("w-1", 1, notes.handler(), notes.after(5)).await.unwrap();
    queue.push(vec![job("run-1/open", 1), job("run-1/a", 1)]).await.unwrap();

    assert_eq!(queue.forget("run-2/").await.unwrap(), 0);
    assert_eq!(queue.forget("run-1/").await.unwrap(), 2, "not the one that is waited for");
    assert_eq!(queue.forget("run-1/").await.unwrap(), 0);
    assert_eq!(queue.dead().await.unwrap(), [job("bad-1/a", 5)], "of another run");
    assert_eq!(queue.forget("bad-1/").await.unwrap(), 1);
    assert_eq!(queue.dead().await.unwrap(), []);

    // A key that was forgotten is a new one; one that is there is not put in again.
    queue.push(vec![job("run-1/b", 9), job("run-1/open", 9), job("run-10/a", 9)]).await.unwrap();
    let notes = Notes::default();
    queue.work("w-2", 1, notes.handler(), notes.after(2)).await.unwrap();
    assert_eq!(notes.seen(), ["run-1/b", "run-1/open"]);
}

/// A queue lists its jobs by the page, and all of them are asked for.
async fn more_dead_jobs_than_a_page_are_all_told_of(queue: Arc<dyn Queue>) {
    let jobs: Vec<_> =
        (0..1_003).map(|n| Job { attempts_max: 1, ..job(&format!("bad/{n}"), 1) }).collect();
    queue.push(jobs.clone()).await.unwrap();
    let notes = Notes::default();
    queue.work("w-1", 200, notes.handler(), notes.after(jobs.len())).await.unwrap();
    assert_eq!(queue.dead().await.unwrap().len(), jobs.len());
    assert_eq!(queue.forget("bad/").await.unwrap(), jobs.len() as u64);
}

/// A worker that takes a job and is heard of no more loses it to another.
async fn what_a_lost_worker_had_is_given_to_another(queue: Arc<dyn Queue>) {
    queue.push(vec![job("held", 1)]).await.unwrap();
    let (taken, mut told) = tokio::sync::mpsc::unbounded_channel();
    let never: Handler = Arc::new(move |_| -> Working {
        taken.send(()).unwrap();
        Box::pin(std::future::pending())
    });
    let held = queue.clone();
    let lost = tokio::spawn(async move {
        held.work("w-lost", 1, never, Box::pin(std::future::pending())).await
    });
    told.recv().await.unwrap();
    lost.abort();
    let notes = Notes::default();
    queue.work("w-other", 1, notes.handler(), notes.after(1)).await.unwrap();
    assert_eq!(notes.seen(), ["held"]);
}

fn on_sqlite<F: Future<Output = ()>>(test: impl Fn(Arc<dyn Queue>) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("queue.db"));
    block_on(async {
        // Processes that start together make its tables once.
        let opening = || gyre_queue::open(&location, "test", PULSE);
        let (queue, other) = tokio::join!(opening(), opening());
        drop(other.unwrap());
        test(queue.unwrap()).await;
    });
}

/// On the server's own database, in a queue that nobody else has.
#[expect(clippy::disallowed_methods, reason = "the caller chooses the server")]
fn on_postgres<F: Future<Output = ()>>(name: &str, test: impl Fn(Arc<dyn Queue>) -> F) {
    let url = std::env::var("GYRE_TEST_POSTGRES_URL").expect(
        "GYRE_TEST_POSTGRES_URL is not set; start a server with: \
         export GYRE_TEST_POSTGRES_URL=$(.ci/postgres up)",
    );
    let location = Location::Postgres { url, shown: "the test server".to_owned() };
    let name = format!("{name} {}", std::process::id());
    block_on(async {
        let queue = gyre_queue::open(&location, &name, PULSE).await.unwrap();
        test(queue).await;
    });
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(future);
}

#[test]
fn jobs_are_given_out_by_urgency_on_sqlite() {
    on_sqlite(jobs_are_given_out_by_urgency_and_kept_when_they_fail);
}

#[test]
fn jobs_are_given_out_by_urgency_on_postgres() {
    on_postgres("urgency", jobs_are_given_out_by_urgency_and_kept_when_they_fail);
}

#[test]
fn what_a_lost_worker_had_is_given_to_another_on_sqlite() {
    on_sqlite(what_a_lost_worker_had_is_given_to_another);
}

#[test]
fn what_a_lost_worker_had_is_given_to_another_on_postgres() {
    on_postgres("lost", what_a_lost_worker_had_is_given_to_another);
}

#[test]
fn settled_jobs_are_forgotten_on_sqlite() {
    on_sqlite(settled_jobs_are_forgotten_by_their_prefix);
}

#[test]
fn settled_jobs_are_forgotten_on_postgres() {
    on_postgres("forgotten", settled_jobs_are_forgotten_by_their_prefix);
}

#[test]
fn more_dead_jobs_than_a_page_are_all_told_of_on_sqlite() {
    on_sqlite(more_dead_jobs_than_a_page_are_all_told_of);
}
