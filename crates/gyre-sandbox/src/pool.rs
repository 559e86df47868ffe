//! Worker threads: a fixed number, each driven by messages of plain data.
//!
//! A session lives in one worker and its steps go there; whole jobs go to
//! whichever worker is free.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use gyre_types::{SandboxJob, SandboxReport};

use crate::guest::{Guest, GuestImage};
use crate::protocol::{Fault, Request, Response, SessionKey, SessionSpec};
use crate::{SandboxError, engine};

/// Whole jobs that wait for a free worker; who submits more waits.
const JOBS_WAITING_MAX: usize = 1_024;
/// A step is bounded by its fuel, a few seconds of work. If no worker answers
/// for this long, one hangs in a way that fuel does not bound.
const WATCHDOG: Duration = Duration::from_secs(300);

/// One request, and where its response goes.
struct Envelope {
    request: Request,
    ticket: usize,
    reply_to: Sender<(usize, Response)>,
}

/// For whom a request is.
#[derive(Clone, Copy)]
pub(crate) enum Recipient {
    Anyone,
    Worker(usize),
}

#[derive(Default)]
struct Inbox {
    for_anyone: VecDeque<Envelope>,
    for_worker: Vec<VecDeque<Envelope>>,
    closed: bool,
}

struct Shared {
    inbox: Mutex<Inbox>,
    arrived: Condvar,
    taken: Condvar,
}

impl Shared {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // No code panics while it holds the lock; queues stay whole anyway.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The worker threads. Dropping it ends them.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Pool {
    pub(crate) fn new(image: &Arc<GuestImage>, workers: usize) -> Result<Self, SandboxError> {
        let inbox = Inbox {
            for_worker: (0..workers).map(|_| VecDeque::new()).collect(),
            ..Inbox::default()
        };
        let shared = Arc::new(Shared {
            inbox: Mutex::new(inbox),
            arrived: Condvar::new(),
            taken: Condvar::new(),
        });
        let mut pool = Self { shared, threads: Vec::with_capacity(workers) };
        for at in 0..workers {
            let (shared, image) = (Arc::clone(&pool.shared), Arc::clone(image));
            let thread = thread::Builder::new()
                .name(format!("sandbox-{at}"))
                .stack_size(engine::THREAD_STACK_BYTES)
                .spawn(move || Worker { image, sessions: HashMap::new() }.serve(&shared, at))
                .map_err(|error| SandboxError::Engine {
                    doing: "starting a worker thread",
                    message: error.to_string(),
                })?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    pub(crate) fn workers(&self) -> usize {
        self.threads.len()
    }

    /// Sends a request; its response will carry the ticket.
    pub(crate) fn send(
        &self,
        to: Recipient,
        request: Request,
        ticket: usize,
        reply_to: &Sender<(usize, Response)>,
    ) {
        let envelope = Envelope { request, ticket, reply_to: reply_to.clone() };
        let mut inbox = self.shared.inbox();
        match to {
            Recipient::Worker(at) => inbox.for_worker[at].push_back(envelope),
            Recipient::Anyone => {
                while inbox.for_anyone.len() >= JOBS_WAITING_MAX {
                    inbox = self.shared.taken.wait(inbox).unwrap_or_else(PoisonError::into_inner);
                }
                inbox.for_anyone.push_back(envelope);
            }
        }
        drop(inbox);
        self.shared.arrived.notify_all();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.inbox().closed = true;
        self.shared.arrived.notify_all();
        for thread in self.threads.drain(..) {
            // A worker catches its own panics; nothing is lost with this one.
            let _ = thread.join();
        }
    }
}

/// Collects `count` responses in the order of their tickets.
pub(crate) fn collect(
    responses: &Receiver<(usize, Response)>,
    count: usize,
) -> Vec<Result<Response, SandboxError>> {
    let mut collected: Vec<Option<Response>> = (0..count).map(|_| None).collect();
    let mut missing = count;
    let mut hung = false;
    while missing > 0 {
        match responses.recv_timeout(WATCHDOG) {
            Ok((ticket, response)) => {
                collected[ticket] = Some(response);
                missing -= 1;
            }
            Err(RecvTimeoutError::Timeout) => {
                hung = true;
                break;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let absent = || match hung {
        true => SandboxError::Watchdog { waited: WATCHDOG },
        false => SandboxError::WorkerLost,
    };
    collected
        .into_iter()
        .map(|response| match response {
            Some(Response::Failed(fault)) => Err(fault.into()),
            Some(response) => Ok(response),
            None => Err(absent()),
        })
        .collect()
}

struct Worker {
    image: Arc<GuestImage>,
    sessions: HashMap<SessionKey, Live>,
}

/// A session of this worker.
enum Live {
    Guest(Box<Guest>),
    /// Its guest died; what it used is still to be told.
    Dead(crate::Usage),
}

impl Worker {
    fn serve(mut self, shared: &Shared, own: usize) {
        while let Some(envelope) = next(shared, own) {
            let request = envelope.request;
            let response = catch_unwind(AssertUnwindSafe(|| self.handle(request)));
            // What a panic left half-done is a guest of that request, and
            // every guest that a request touches is dropped by unwinding.
            let response = response.unwrap_or(Response::Failed(Fault::Panicked));
            // Whoever asked may have given up waiting.
            let _ = envelope.reply_to.send((envelope.ticket, response));
        }
    }

    fn handle(&mut self, request: Request) -> Response {
        let response = match request {
            Request::Execute(job) => self.execute(job).map(Response::Executed),
            Request::Start(key, spec) => self.image.start(spec).map(|guest| {
                self.sessions.insert(key, Live::Guest(Box::new(guest)));
                Response::Started
            }),
            Request::Step(key, step) => self.step(key, &step),
            Request::End(key) => Ok(Response::Ended(self.end(key))),
        };
        response.unwrap_or_else(Response::Failed)
    }

    fn execute(&self, job: SandboxJob) -> Result<SandboxReport, Fault> {
        let mut guest = self.image.start(SessionSpec { seed: job.seed, limits: job.limits })?;
        let mut steps = Vec::with_capacity(job.steps.len());
        for step in &job.steps {
            let report = guest.step(step)?;
            let fatal = report.outcome.is_fatal();
            steps.push(report);
            if fatal {
                break;
            }
        }
        let usage = guest.usage();
        Ok(SandboxReport {
            steps,
            fuel: usage.fuel,
            memory_bytes_peak: usage.memory_bytes_peak,
            files: BTreeMap::new(),
        })
    }

    fn step(&mut self, key: SessionKey, step: &gyre_types::Step) -> Result<Response, Fault> {
        // Out of the map while it runs, so that a panic drops it.
        let mut guest = match self.sessions.remove(&key) {
            Some(Live::Guest(guest)) => guest,
            dead => {
                self.sessions.extend(dead.map(|dead| (key, dead)));
                return Err(Fault::SessionDead);
            }
        };
        let report = guest.step(step)?;
        let live =
            if report.outcome.is_fatal() { Live::Dead(guest.usage()) } else { Live::Guest(guest) };
        self.sessions.insert(key, live);
        Ok(Response::Stepped(report))
    }

    fn end(&mut self, key: SessionKey) -> crate::Usage {
        match self.sessions.remove(&key) {
            Some(Live::Guest(guest)) => guest.usage(),
            Some(Live::Dead(usage)) => usage,
            None => crate::Usage::default(),
        }
    }
}

/// Waits for the next request; `None` once the pool is closed and this worker
/// has nothing left to do. Live sessions come before new jobs.
fn next(shared: &Shared, own: usize) -> Option<Envelope> {
    let mut inbox = shared.inbox();
    loop {
        if let Some(envelope) = inbox.for_worker[own].pop_front() {
            return Some(envelope);
        }
        if let Some(envelope) = inbox.for_anyone.pop_front() {
            shared.taken.notify_one();
            return Some(envelope);
        }
        if inbox.closed {
            return None;
        }
        inbox = shared.arrived.wait(inbox).unwrap_or_else(PoisonError::into_inner);
    }
}
