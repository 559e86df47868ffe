//! The workers: a fixed number, each behind a thread that keeps it busy.
//!
//! A session lives in one worker and its steps go there; whole jobs go to
//! whichever worker is free. Requests travel in batches, so that their way
//! costs little. A worker that dies or hangs is replaced: jobs that it had not
//! answered are tried once more, one at a time, so that a job that kills its
//! worker takes no other with it; its sessions are lost.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use futures_channel::oneshot;
use gyre_types::{SandboxReport, StepReport};

use crate::SandboxError;
use crate::budget::{Budget, Share};
use crate::layers::Layer;
use crate::link::{Broken, Launch, Link};
use crate::plugin::verification::{Rehearsal, Verification};
use crate::protocol::{Fault, Request, Response, Usage};

/// Whole jobs that wait for a free worker; who submits more waits.
const JOBS_WAITING_MAX: usize = 1_024;
/// Requests that go to a worker at one time.
const BATCH_MAX: usize = 64;
/// Jobs that go to a worker at one time. The last ones are shared out evenly, so
/// that few wait behind a slow one while another worker is free.
const JOBS_BATCH_MAX: usize = 64;
/// A batch is closed once its requests are this large together.
const BATCH_BYTES_MAX: u64 = 1 << 20;
/// The slowest that a worker burns fuel: a tenth of what one core does when it
/// has nothing else to do.
const FUEL_PER_SECOND_MIN: u64 = 1_000_000_000;
/// How long it is until a worker that could not be started is tried again: twice
/// as long each time, so that all tries take some three seconds.
const RESTART_WAIT: Duration = Duration::from_millis(100);
/// Tries to start a worker again, after which its work fails.
const RESTARTS_MAX: u32 = 5;

/// One request, and where its answer goes.
pub(crate) struct Envelope {
    pub(crate) request: Request,
    /// Bound of one result of the guest that is asked.
    pub(crate) result_bytes_max: u64,
    /// Fuel that one step of the guest may burn.
    pub(crate) fuel_max: u64,
    /// Bound of all results and output of one job of the guest.
    pub(crate) job_bytes_max: u64,
    /// Whether what is asked for counts while it is on its way: who sent it takes
    /// in each report before it waits for anything else.
    pub(crate) counted: bool,
    /// The life of the worker that holds the session, if it is about one.
    pub(crate) life: Option<u64>,
    pub(crate) ticket: usize,
    pub(crate) reply_to: ReplyTo,
}

/// An answer on its way to who asked.
pub(crate) struct Answered {
    pub(crate) ticket: usize,
    pub(crate) answer: Answer,
    /// Its share of the memory that reports may take. Dropped once it was taken in.
    pub(crate) held: Option<Share>,
}

/// Who asked.
pub(crate) enum ReplyTo {
    /// A thread that waits for the answers to all requests of a call: they share it.
    Call(CallReplies),
    /// Someone who is woken by this one answer.
    One(oneshot::Sender<Answered>),
}

/// Where the answers to one call's requests go.
pub(crate) type CallReplies = Arc<Sender<Vec<Answered>>>;

/// Where the answers of one call's requests meet.
pub(crate) fn replies() -> (CallReplies, Receiver<Vec<Answered>>) {
    let (reply_to, answers) = mpsc::channel();
    (Arc::new(reply_to), answers)
}

/// What comes of a request.
pub(crate) type Answer = Result<Reply, SandboxError>;

pub(crate) enum Reply {
    Executed(SandboxReport),
    /// In which life of the worker the session lives.
    Started(u64),
    Stepped(StepReport),
    Ended(Usage),
    Rehearsed(Rehearsal),
    Verified(Verification),
}

/// For whom a request is.
#[derive(Clone, Copy)]
pub(crate) enum Recipient {
    Anyone,
    Worker(usize),
}

/// How a pool is made.
pub(crate) struct PoolSpec {
    pub(crate) launch: Launch,
    pub(crate) workers: usize,
    /// How long a worker may say nothing, beside the time that its fuel takes.
    pub(crate) patience: Duration,
    pub(crate) live_max: u32,
    /// Memory that reports on their way may take together, in bytes.
    pub(crate) reports_bytes_max: u64,
}

#[derive(Default)]
struct Inbox {
    for_anyone: VecDeque<Envelope>,
    for_worker: Vec<VecDeque<Envelope>>,
    closed: bool,
}

struct Shared {
    spec: PoolSpec,
    inbox: Mutex<Inbox>,
    arrived: Condvar,
    taken: Condvar,
    /// The process of each worker, 0 where there is none.
    processes: Vec<AtomicU32>,
    /// Requests that were sent.
    requests: AtomicU64,
    /// Reports on their way.
    reports: Arc<Budget>,
    /// Workers that are there.
    alive: AtomicUsize,
}

impl Shared {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // No code panics while it holds the lock; queues stay whole anyway.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The workers. Dropping it ends them.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<()>>,
    layers: Vec<Layer>,
}

impl Pool {
    /// Starts the workers and waits until each is ready.
    pub(crate) fn new(spec: PoolSpec) -> Result<Self, SandboxError> {
        let workers = spec.workers;
        let inbox = Inbox {
            for_worker: (0..workers).map(|_| VecDeque::new()).collect(),
            ..Inbox::default()
        };
        let reports = Arc::new(Budget::new(spec.reports_bytes_max));
        let shared = Arc::new(Shared {
            spec,
            reports,
            inbox: Mutex::new(inbox),
            arrived: Condvar::new(),
            taken: Condvar::new(),
            processes: (0..workers).map(|_| AtomicU32::new(0)).collect(),
            requests: AtomicU64::new(0),
            alive: AtomicUsize::new(0),
        });
        let mut pool = Self { shared, threads: Vec::with_capacity(workers), layers: Vec::new() };
        let (ready, greetings) = mpsc::channel();
        for own in 0..workers {
            let (shared, ready) = (Arc::clone(&pool.shared), ready.clone());
            let thread = thread::Builder::new()
                .name(format!("sandbox-{own}"))
                .spawn(move || {
                    Dispatcher { shared, own, link: None, life: 0, hopeless: false }.run(&ready);
                })
                .map_err(|error| SandboxError::Engine {
                    doing: "starting a thread",
                    message: error.to_string(),
                })?;
            pool.threads.push(thread);
        }
        drop(ready);
        for _ in 0..workers {
            pool.layers = greetings.recv().unwrap_or(Err(SandboxError::WorkerLost))?;
        }
        Ok(pool)
    }

    pub(crate) fn workers(&self) -> usize {
        self.threads.len()
    }

    /// What holds the workers.
    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The processes of the workers that are processes and alive.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let processes = self.shared.processes.iter();
        processes.map(|id| id.load(Ordering::Relaxed)).filter(|id| *id != 0).collect()
    }

    /// The most memory that reports on their way took at one time, in bytes.
    pub(crate) fn reports_bytes_peak(&self) -> u64 {
        self.shared.reports.peak()
    }

    /// Requests that were sent so far.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Sends requests, all at once where there is room; each answer will carry
    /// its request's ticket. Whoever sends more jobs than may wait, waits.
    pub(crate) fn send(&self, requests: Vec<(Recipient, Envelope)>) {
        self.shared.requests.fetch_add(requests.len() as u64, Ordering::Relaxed);
        let mut inbox = self.shared.inbox();
        for (to, envelope) in requests {
            match to {
                Recipient::Worker(at) => inbox.for_worker[at].push_back(envelope),
                Recipient::Anyone => {
                    // Who bounds by itself what it sends must not wait here: it
                    // has answers to take in.
                    while !envelope.counted && inbox.for_anyone.len() >= JOBS_WAITING_MAX {
                        // Who empties the queue must know of what is in it.
                        self.shared.arrived.notify_all();
                        inbox =
                            self.shared.taken.wait(inbox).unwrap_or_else(PoisonError::into_inner);
                    }
                    inbox.for_anyone.push_back(envelope);
                }
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
            // A dispatcher that panicked has dropped its worker.
            let _ = thread.join();
        }
    }
}

/// Collects `count` answers in the order of their tickets. Each request is
/// answered, or dropped with the dispatcher that held it.
pub(crate) fn collect(answers: &Receiver<Vec<Answered>>, count: usize) -> Vec<Answer> {
    let mut collected: Vec<Option<Answer>> = (0..count).map(|_| None).collect();
    let mut missing = count;
    while missing > 0 {
        let Ok(some) = answers.recv() else { break };
        missing = missing.saturating_sub(some.len());
        for Answered { ticket, answer, held: _ } in some {
            if let Some(slot) = collected.get_mut(ticket) {
                *slot = Some(answer);
            }
        }
    }
    collected.into_iter().map(|answer| answer.unwrap_or(Err(SandboxError::WorkerLost))).collect()
}

/// Answers on their way, handed over together: to be woken costs whoever waits
/// more than an answer does.
#[derive(Default)]
struct Answers {
    to: Option<CallReplies>,
    waiting: Vec<Answered>,
}

impl Answers {
    fn add(&mut self, envelope: Envelope, answer: Answer, held: Option<Share>) {
        let answered = Answered { ticket: envelope.ticket, answer, held };
        match envelope.reply_to {
            ReplyTo::Call(call) => {
                if self.to.as_ref().is_none_or(|to| !Arc::ptr_eq(to, &call)) {
                    self.hand_over();
                    self.to = Some(call);
                }
                self.waiting.push(answered);
            }
            ReplyTo::One(waiter) => {
                // Whoever asked may have given up waiting.
                let _ = waiter.send(answered);
            }
        }
    }

    fn hand_over(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        if let Some(to) = self.to.take().filter(|_| !waiting.is_empty()) {
            // Whoever asked may have given up waiting.
            let _ = to.send(waiting);
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// Keeps one worker busy, and replaces it when it is broken.
struct Dispatcher {
    shared: Arc<Shared>,
    own: usize,
    link: Option<Link>,
    /// Counts the workers that this one has had. A session of an earlier one
    /// is lost.
    life: u64,
    /// Whether it could not be started, however often that was tried.
    hopeless: bool,
}

impl Dispatcher {
    fn run(mut self, ready: &Sender<Result<Vec<Layer>, SandboxError>>) {
        let started = self.start();
        let sound = started.is_ok();
        let _ = ready.send(started);
        while sound && let Some(batch) = self.next() {
            for envelope in self.exchange(batch) {
                for envelope in self.exchange(vec![envelope]) {
                    answer(envelope, Err(SandboxError::WorkerLost));
                }
            }
        }
        self.stop();
    }

    fn start(&mut self) -> Result<Vec<Layer>, SandboxError> {
        let (link, layers) = self.shared.spec.launch.start()?;
        let process = link.process().unwrap_or_default();
        self.shared.processes[self.own].store(process, Ordering::Relaxed);
        self.link = Some(link);
        self.life += 1;
        self.hopeless = false;
        self.shared.alive.fetch_add(1, Ordering::Relaxed);
        Ok(layers)
    }

    fn stop(&mut self) {
        self.shared.processes[self.own].store(0, Ordering::Relaxed);
        if self.link.take().is_some() {
            self.shared.alive.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Sees to it that there is a worker. Where none can be started, others get
    /// what they can do while this one is tried again, after longer and longer
    /// waits; what is left in the end fails. Gives what the worker is to be asked.
    fn with_worker(&mut self, batch: Vec<Envelope>) -> Vec<Envelope> {
        let Err(mut error) = self.revive() else { return batch };
        let held = self.give_back(batch);
        let tries = if self.hopeless { 0 } else { RESTARTS_MAX };
        for attempt in 0..tries {
            tracing::warn!(%error, attempt, "a sandbox worker cannot be replaced yet");
            if !self.pause(RESTART_WAIT * (1 << attempt)) {
                break;
            }
            match self.revive() {
                Ok(()) => return held,
                Err(again) => error = again,
            }
        }
        if !self.hopeless {
            tracing::error!(%error, "a sandbox worker cannot be replaced");
        }
        self.hopeless = true;
        for envelope in held {
            let refused = refusal(&error, &envelope);
            answer(envelope, Err(refused));
        }
        Vec::new()
    }

    fn revive(&mut self) -> Result<(), SandboxError> {
        match self.link {
            Some(_) => Ok(()),
            None => self.start().map(drop),
        }
    }

    /// Puts what another worker can be asked in front of what waits, where there
    /// is another. Keeps the rest.
    fn give_back(&self, batch: Vec<Envelope>) -> Vec<Envelope> {
        if self.shared.alive.load(Ordering::Relaxed) == 0 {
            return batch;
        }
        let (others, held): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|envelope| envelope.request.is_for_anyone());
        let mut inbox = self.shared.inbox();
        others.into_iter().rev().for_each(|envelope| inbox.for_anyone.push_front(envelope));
        drop(inbox);
        self.shared.arrived.notify_all();
        held
    }

    /// Waits; says whether the pool is still open.
    fn pause(&self, time: Duration) -> bool {
        let inbox = self.shared.inbox();
        let waited = self.shared.arrived.wait_timeout_while(inbox, time, |inbox| !inbox.closed);
        !waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// Waits for requests; `None` once the pool is closed and this worker has
    /// nothing left to do. Live sessions come before new jobs.
    fn next(&self) -> Option<Vec<Envelope>> {
        let mut inbox = self.shared.inbox();
        loop {
            // Work that others can do is theirs while this worker is missing.
            let leaves = self.hopeless && self.shared.alive.load(Ordering::Relaxed) > 0;
            let own = &mut inbox.for_worker[self.own];
            if !own.is_empty() {
                return Some(take(own, BATCH_MAX));
            }
            let waiting = inbox.for_anyone.len();
            if waiting > 0 && (!leaves || inbox.closed) {
                // The last jobs are shared out evenly.
                let fair = waiting.div_ceil(2 * self.shared.spec.workers);
                let batch = take(&mut inbox.for_anyone, fair.min(JOBS_BATCH_MAX));
                self.shared.taken.notify_all();
                return Some(batch);
            }
            if inbox.closed {
                return None;
            }
            let arrived = &self.shared.arrived;
            inbox = if leaves {
                let wait = RESTART_WAIT * (1 << RESTARTS_MAX);
                let waited = arrived.wait_timeout(inbox, wait);
                let (inbox, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                if timeout.timed_out() {
                    // Nothing to ask: only a reason to try it again.
                    return Some(Vec::new());
                }
                inbox
            } else {
                arrived.wait(inbox).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    /// Asks the worker and hands on its answers. Gives back what it did not
    /// answer and can be asked once more.
    fn exchange(&mut self, batch: Vec<Envelope>) -> Vec<Envelope> {
        let batch = self.with_worker(batch);
        let life = self.life;
        let (lost, batch): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|envelope| envelope.life.is_some_and(|own| own != life));
        lost.into_iter().for_each(|envelope| answer(envelope, Err(SandboxError::WorkerLost)));
        let mut waiting = VecDeque::from(batch);
        match self.ask(&mut waiting) {
            Ok(()) => Vec::new(),
            Err(Broken::Unsendable(error)) => {
                for envelope in waiting {
                    let message = error.to_string();
                    answer(envelope, Err(SandboxError::Engine { doing: "sending a job", message }));
                }
                Vec::new()
            }
            Err(broken) => self.replace(broken, waiting),
        }
    }

    fn ask(&mut self, waiting: &mut VecDeque<Envelope>) -> Result<(), Broken> {
        let Some(link) = self.link.as_mut().filter(|_| !waiting.is_empty()) else { return Ok(()) };
        let fuel = waiting.iter().map(|envelope| envelope.request.fuel_max(envelope.fuel_max));
        let fuel = fuel.fold(0, u64::saturating_add);
        let patience = self.shared.spec.patience + Duration::from_secs(fuel / FUEL_PER_SECOND_MIN);
        let requests: Vec<&Request> = waiting.iter().map(|envelope| &envelope.request).collect();
        link.send(&requests, patience)?;
        while !waiting.is_empty() {
            let mut answers = Answers::default();
            for response in link.receive()? {
                let envelope = waiting.pop_front().ok_or_else(|| {
                    Broken::Lost(std::io::Error::other("it answered more than it was asked"))
                })?;
                let held = self.shared.share(&response, &envelope, &mut answers);
                let reply = self.shared.read(response, self.life, &envelope)?;
                answers.add(envelope, reply, held);
            }
        }
        Ok(())
    }

    /// Ends a broken worker. The next request starts another.
    fn replace(&mut self, broken: Broken, waiting: VecDeque<Envelope>) -> Vec<Envelope> {
        let ended = self.link.as_mut().map(Link::end).unwrap_or_default();
        self.stop();
        tracing::warn!(%broken, ended, unanswered = waiting.len(), "a sandbox worker broke");
        let (again, lost): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|envelope| envelope.request.can_be_repeated());
        for envelope in lost {
            let error = match broken {
                Broken::Hung(waited) => SandboxError::Watchdog { waited },
                _ => SandboxError::WorkerLost,
            };
            answer(envelope, Err(error));
        }
        again
    }
}

/// Why a request was not asked of a worker that could not be started.
fn refusal(error: &SandboxError, envelope: &Envelope) -> SandboxError {
    match error {
        // A session of an earlier life.
        _ if envelope.life.is_some() => SandboxError::WorkerLost,
        SandboxError::WorkerNotStarted { path, message } => {
            let (path, message) = (path.clone(), message.clone());
            SandboxError::WorkerNotStarted { path, message }
        }
        other => {
            let message = other.to_string();
            SandboxError::Engine { doing: "replacing a worker", message }
        }
    }
}

impl Shared {
    /// Waits until a report may be read, where it counts. What was read before
    /// is handed over first: its reader makes the room that this waits for.
    fn share(&self, response: &Response, to: &Envelope, answers: &mut Answers) -> Option<Share> {
        let bytes = match response {
            _ if !to.counted => return None,
            Response::Executed(report) => report.memory_bytes(),
            Response::Stepped(step) => step.memory_bytes(),
            _ => return None,
        };
        Some(self.reports.try_take(bytes).unwrap_or_else(|| {
            answers.hand_over();
            self.reports.take(bytes)
        }))
    }

    /// Reads a response as the answer to a request; one of another kind means
    /// that the worker is out of its mind.
    fn read(&self, response: Response, life: u64, to: &Envelope) -> Result<Answer, Broken> {
        Ok(Ok(match (&to.request, response) {
            (_, Response::Failed(fault)) => return Ok(Err(self.error(fault))),
            (Request::Execute(_), Response::Executed(report)) => {
                Reply::Executed(report.read(to.result_bytes_max, to.job_bytes_max))
            }
            (Request::Start(..), Response::Started) => Reply::Started(life),
            (Request::Step(..), Response::Stepped(step)) => {
                Reply::Stepped(step.read(to.result_bytes_max))
            }
            (Request::End(_), Response::Ended(usage)) => Reply::Ended(usage),
            (Request::Rehearse, Response::Rehearsed(rehearsal)) => Reply::Rehearsed(rehearsal),
            (Request::Verify(_), Response::Verified(verification)) => {
                Reply::Verified(verification.bounded(to.result_bytes_max))
            }
            _ => return Err(Broken::Lost(std::io::Error::other("it answered something else"))),
        }))
    }

    fn error(&self, fault: Fault) -> SandboxError {
        match fault {
            Fault::Engine { message } => SandboxError::Engine { doing: "running a guest", message },
            Fault::SessionDead => SandboxError::SessionDead,
            Fault::TooManySessions => {
                SandboxError::TooManySessions { live_max: self.spec.live_max }
            }
            Fault::MemoryLimitTooSmall { given, needed } => {
                SandboxError::MemoryLimitTooSmall { given, needed }
            }
            Fault::FilesRefused { message } => SandboxError::FilesRefused { message },
            Fault::ReportTooLarge { bytes } => SandboxError::ReportTooLarge { bytes },
            Fault::Outcome { message } => SandboxError::Outcome { message },
            Fault::Panicked => SandboxError::WorkerLost,
        }
    }
}

fn take(queue: &mut VecDeque<Envelope>, count: usize) -> Vec<Envelope> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while batch.len() < count && bytes < BATCH_BYTES_MAX {
        let Some(envelope) = queue.pop_front() else { break };
        bytes += envelope.request.bytes();
        batch.push(envelope);
    }
    batch
}

fn answer(envelope: Envelope, answer: Answer) {
    Answers::default().add(envelope, answer, None);
}
