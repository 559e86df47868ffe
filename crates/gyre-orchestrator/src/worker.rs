//! A worker: makes rollouts for runs that other processes drive.

mod piece_maker;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gyre_lineage::{Delivery, FleetRow, NewWorker, StoreError, WorkClaim, WorkKey, WorkerStatus};
use gyre_queue::{Handler, Job, JobError, Pulse, Queue, Stop, Working};
use gyre_sandbox::Sandbox;
use gyre_types::RunId;

use self::piece_maker::PieceMaker;
use crate::cancel::Cancel;
use crate::clock::Clock;
use crate::error::Error;
use crate::objects::Objects;
use crate::project::Project;
use crate::run::fleet::piece::{Piece, VERSION, queue_location, queue_name};
use crate::run::owner::{host, owner};

/// How long a worker waits before it tries a database again that failed.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How often a worker tries to deliver a result: for some ten minutes.
const DELIVERIES_MAX: u32 = 60;
/// How often it looks whether it is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a database may take to record that a worker lives.
const HEARTBEAT_MAX: Duration = Duration::from_secs(10);

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Pieces of work at a time.
    pub concurrency: u32,
    /// The object store, where it is not the one that a run's configuration names.
    pub store: Option<String>,
    /// How often it says that it lives; all workers of a database alike.
    pub heartbeat: Duration,
}

/// A worker, announced and ready. Clones are the same worker.
#[derive(Clone)]
pub struct Worker(Arc<Inner>);

struct Inner {
    project: Project,
    sandbox: Sandbox,
    options: WorkerOptions,
    clock: Clock,
    cancel: Cancel,
    announced: NewWorker,
    /// Idle makers of the runs that it worked for: one for each piece at a time.
    idle: Mutex<HashMap<RunId, Vec<PieceMaker>>>,
    /// Why it may not work here, once that is known.
    refused: Mutex<Option<Error>>,
    done: AtomicU64,
    discarded: AtomicU64,
}

impl Worker {
    /// Announces a worker.
    ///
    /// # Errors
    ///
    /// [`Error::WorkerRefused`] where the runs that ask for workers ask for
    /// others, or when the database or the object store that it is told of fails.
    pub fn announce(
        project: Project,
        sandbox: Sandbox,
        options: WorkerOptions,
        clock: Clock,
        cancel: Cancel,
    ) -> Result<Self, Error> {
        let announced = NewWorker {
            id: owner().replace('/', "-"),
            host: host(),
            version: VERSION.to_owned(),
            sandbox_digest: sandbox.digest(),
            concurrency: options.concurrency,
        };
        if let Some(named) = &options.store {
            Objects::open(Some(named), &project.data, project.runtime())?;
        }
        check_wanted(&project.wait(project.store.open_fleets(clock()))?, &announced)?;
        project.wait(project.store.announce_worker(&announced, clock()))?;
        Ok(Self(Arc::new(Inner {
            project,
            sandbox,
            options,
            clock,
            cancel,
            announced,
            idle: Mutex::default(),
            refused: Mutex::default(),
            done: AtomicU64::new(0),
            discarded: AtomicU64::new(0),
        })))
    }

    /// Its id, as it was announced.
    pub fn id(&self) -> &str {
        &self.0.announced.id
    }

    /// Pieces that it delivered in time, and those that were too late.
    pub fn counts(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.0.done), count(&self.0.discarded))
    }

    /// Works until it is asked to stop, and then ends what it has. A database
    /// that fails is tried again and again.
    ///
    /// # Errors
    ///
    /// [`Error::WorkerRefused`] once a run asks for other workers and none for
    /// this one.
    pub fn work(&self) -> Result<(), Error> {
        let inner = &self.0;
        let project = &inner.project;
        let pulse = Pulse { every: inner.options.heartbeat, ..Pulse::default() };
        let location = queue_location(project.store.resolved_url());
        let name = queue_name(&inner.announced.sandbox_digest);
        let queue = project.wait(gyre_queue::open(&location, &name, pulse))?;
        let heart = project.runtime().spawn(beat(inner.clone()));
        for life in 0u64.. {
            let worked = project.wait(self.live(&*queue, life));
            match worked {
                Ok(()) => break,
                Err(error) if !inner.is_over() => {
                    tracing::warn!(%error, "the queue failed; trying again");
                    project.pause(AGAIN_AFTER);
                }
                Err(error) => {
                    tracing::warn!(%error, "the queue failed while this worker ended");
                    break;
                }
            }
        }
        heart.abort();
        let (store, id) = (&project.store, self.id());
        let said = store.hear_worker(id, WorkerStatus::Stopped, (inner.clock)());
        if let Err(error) = project.wait(said) {
            tracing::debug!(%error, "the end of this worker was not recorded");
        }
        match inner.refused.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(refused) => Err(refused),
            None => Ok(()),
        }
    }

    /// One registration with the queue: after a failure comes the next.
    async fn live(&self, queue: &dyn Queue, life: u64) -> Result<(), gyre_queue::QueueError> {
        let inner = self.0.clone();
        let handler: Handler = Arc::new(move |job| -> Working {
            let inner = inner.clone();
            Box::pin(async move {
                let done = tokio::task::spawn_blocking(move || inner.take(&job)).await;
                done.map_err(JobError::from)?.map_err(JobError::from)
            })
        });
        let inner = self.0.clone();
        let stop: Stop = Box::pin(async move {
            while !inner.is_over() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        let name = format!("{}-{life}", self.id());
        queue.work(&name, self.0.options.concurrency as usize, handler, stop).await
    }
}

impl Inner {
    fn is_over(&self) -> bool {
        self.cancel.is_cancelled()
            || self.refused.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Claims a piece of work and does it, unless nobody wants it any more.
    fn take(&self, job: &Job) -> Result<(), Error> {
        let piece: Piece = serde_json::from_value(job.body.clone()).map_err(|error| {
            let (doing, name) = ("read", job.key.clone());
            Error::Object { doing, name, why: format!("the job is of another form: {error}") }
        })?;
        let (key, store) = (piece.key(), &self.project.store);
        let claim = store.claim_work(&key, piece.offer, &self.announced.id, (self.clock)());
        let WorkClaim::Granted(epoch) = self.project.wait(claim)? else { return Ok(()) };
        let done = self.work_on(&piece, epoch);
        if let Err(error) = &done {
            tracing::warn!(%error, job = job.key, "a piece of work failed");
            let detail = described(error);
            if let Err(error) = self.project.wait(store.fail_work(&key, epoch, &detail)) {
                tracing::debug!(%error, "what failed was not recorded");
            }
        }
        done
    }

    /// Makes a piece's rollouts and delivers them: the file first, then the rows.
    fn work_on(&self, piece: &Piece, epoch: u64) -> Result<(), Error> {
        let mut maker = self.maker(&piece.run)?;
        let made = maker.make(piece, epoch);
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(piece.run.clone())
            .or_default()
            .push(maker);
        let (key, delivery) = (piece.key(), made?);
        let accepted = self.deliver(&key, epoch, &delivery)?;
        let counter = if accepted { &self.done } else { &self.discarded };
        counter.fetch_add(1, Ordering::Relaxed);
        if !accepted {
            tracing::warn!(
                run = %piece.run, batch = piece.batch, piece = piece.piece,
                "a result came too late and was discarded: another worker had the piece"
            );
            self.objects(&piece.run)?.remove(&delivery.path)?;
        }
        Ok(())
    }

    /// Delivers a result, and tries again for a while where the database is out of
    /// reach: what was made need not be made again.
    fn deliver(&self, key: &WorkKey, epoch: u64, delivery: &Delivery) -> Result<bool, Error> {
        let mut tries_left = DELIVERIES_MAX;
        loop {
            let store = &self.project.store;
            let delivered = store.deliver_work(key, epoch, delivery, (self.clock)());
            tries_left -= 1;
            match self.project.wait(delivered) {
                Err(error @ (StoreError::Unreachable { .. } | StoreError::Locked { .. }))
                    if tries_left > 0 =>
                {
                    tracing::warn!(%error, "a result cannot be delivered; trying again");
                    self.project.pause(AGAIN_AFTER);
                }
                delivered => return Ok(delivered?),
            }
        }
    }

    /// An idle maker of a run, or a new one.
    fn maker(&self, run: &RunId) -> Result<PieceMaker, Error> {
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.get_mut(run).and_then(Vec::pop)
        };
        if let Some(maker) = idle {
            return Ok(maker);
        }
        let (project, sandbox) = (self.project.clone(), self.sandbox.clone());
        let parts = (self.clock, self.cancel.clone());
        let store = self.options.store.as_deref();
        match PieceMaker::open(project, sandbox, parts, store, run) {
            Err(Error::WorkerRefused { what, ours, run, asked, hint }) => {
                let refused = || {
                    let (ours, run, asked) = (ours.clone(), run.clone(), asked.clone());
                    Error::WorkerRefused { what, ours, run, asked, hint }
                };
                self.refuse(refused());
                Err(refused())
            }
            opened => opened,
        }
    }

    fn objects(&self, run: &RunId) -> Result<Objects, Error> {
        let project = &self.project;
        let configured = project.config_of(&project.run(Some(run))?)?.workers.store;
        let named = self.options.store.as_deref().or(configured.as_deref());
        Objects::open(named, &project.data, project.runtime())
    }

    /// Ends this worker, since it may not work here.
    fn refuse(&self, error: Error) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.get_or_insert(error);
    }
}

/// Says again and again that the worker lives, and looks whether it is wanted.
async fn beat(inner: Arc<Inner>) {
    let id = &inner.announced.id;
    loop {
        tokio::time::sleep(inner.options.heartbeat).await;
        let status = if inner.is_over() { WorkerStatus::Draining } else { WorkerStatus::Working };
        let store = &inner.project.store;
        let heartbeat = async {
            store.hear_worker(id, status, (inner.clock)()).await?;
            store.open_fleets((inner.clock)()).await
        };
        match tokio::time::timeout(HEARTBEAT_MAX, heartbeat).await {
            Ok(Ok(fleets)) => {
                if let Err(error) = check_wanted(&fleets, &inner.announced) {
                    inner.refuse(error);
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "the database did not hear this worker"),
            Err(_elapsed) => tracing::warn!("the database does not answer this worker"),
        }
    }
}

/// Refuses a worker that no run could use, where some ask for workers.
fn check_wanted(fleets: &[FleetRow], worker: &NewWorker) -> Result<(), Error> {
    let fits = |fleet: &FleetRow| {
        fleet.version == worker.version && fleet.sandbox_digest == worker.sandbox_digest
    };
    let Some(other) = fleets.iter().find(|fleet| !fits(fleet)) else { return Ok(()) };
    if fleets.iter().any(fits) {
        return Ok(());
    }
    let run = other.run.clone();
    Err(if other.version == worker.version {
        Error::WorkerRefused {
            what: "sandbox",
            ours: worker.sandbox_digest.short(),
            run,
            asked: other.sandbox_digest.short(),
            hint: "use the same build of gyre on every host",
        }
    } else {
        Error::WorkerRefused {
            what: "version of gyre",
            ours: worker.version.clone(),
            run,
            asked: other.version.clone(),
            hint: "use the same build of gyre on every host",
        }
    })
}

/// An error with its causes.
fn described(error: &Error) -> String {
    let first: &(dyn std::error::Error + 'static) = error;
    let causes = std::iter::successors(Some(first), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
