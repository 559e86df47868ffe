//! The crate's face: a sandbox, and sessions in it.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_channel::oneshot;
use gyre_types::{Digest, Executor, Limits, SandboxJob, SandboxReport, Step, StepReport};

use crate::budget::Share;
use crate::guest::GuestImage;
use crate::layers::Layer;
use crate::link::{Launch, WorkerKind};
use crate::pool::{
    self, Answer, Answered, Envelope, Pool, PoolSpec, Recipient, Reply, ReplyTo, collect,
};
use crate::protocol::{Request, SessionKey, SessionSpec, Usage, WireJob, WireSpec, WireStep};
use crate::worker::{Code, Hello};
use crate::{OpenProgress, SandboxError, artefact, cache, engine};

/// Jobs of one call that are asked for at one time.
const JOBS_ASKED_MAX: usize = 512;

/// How a sandbox is opened.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Where compiled guests are kept; made if it is not there.
    pub cache_dir: PathBuf,
    /// Workers, which is how many guests run at one time.
    pub workers: NonZeroUsize,
    /// What the workers are.
    pub worker_kind: WorkerKind,
    /// How many guests may be live at one time. Each holds what it wrote to,
    /// about 3 MB, and adds about 8 MB to its process's resident size, since
    /// the kernel counts shared pages once for each mapping.
    pub live_max: u32,
    /// How long a worker may be silent, beside the time that the fuel of its
    /// work takes, before it counts as stuck. It stands behind the limits on
    /// guests, all of which are counted, and decides no verdict.
    pub patience: Duration,
    /// Memory that the reports of [`execute_each`](Executor::execute_each) may
    /// take together while they wait to be taken in, in bytes. One report may
    /// take more, alone, if its job's limits let it. Changes no result.
    pub reports_bytes_max: u64,
    /// Every which guest in a used instance is compared with one that never ran,
    /// byte by byte, before it runs: what resetting an instance rests on. A
    /// difference fails the job before it and every later one goes without. A
    /// comparison takes some 5 ms. Changes no result.
    pub resets_checked_every: u64,
    /// Layers of defence without which the sandbox is not opened, from
    /// [`LAYERS`](crate::LAYERS).
    pub require: Vec<String>,
}

impl SandboxConfig {
    /// Reports may take so much memory together unless said otherwise.
    pub const REPORTS_BYTES_MAX_DEFAULT: u64 = 256 << 20;
    /// Room for this many live guests unless said otherwise.
    pub const LIVE_MAX_DEFAULT: u32 = 1_024;
    /// A worker may be silent for this long unless said otherwise.
    pub const PATIENCE_DEFAULT: Duration = Duration::from_secs(60);

    /// One reset in so many is checked unless said otherwise: a share of a
    /// hundredth of a worker's time.
    pub const RESETS_CHECKED_EVERY_DEFAULT: u64 = 1_024;

    /// One worker for each processor, and room for
    /// [`LIVE_MAX_DEFAULT`](Self::LIVE_MAX_DEFAULT) live guests.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            worker_kind: WorkerKind::Thread,
            live_max: Self::LIVE_MAX_DEFAULT,
            patience: Self::PATIENCE_DEFAULT,
            reports_bytes_max: Self::REPORTS_BYTES_MAX_DEFAULT,
            resets_checked_every: Self::RESETS_CHECKED_EVERY_DEFAULT,
            require: Vec::new(),
        }
    }
}

/// Runs guests in workers of its own. Cheap to clone; the workers end with the
/// last clone and the last session.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    digest: Digest,
    sessions_started: AtomicU64,
    /// Live sessions of each worker.
    sessions: Mutex<Vec<u32>>,
}

impl Inner {
    fn sessions(&self) -> MutexGuard<'_, Vec<u32>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request and waits for its answer without holding a thread.
    async fn ask(
        &self,
        to: Recipient,
        envelope: impl FnOnce(ReplyTo) -> Envelope,
    ) -> (Answer, Option<Share>) {
        let (reply_to, answered) = oneshot::channel();
        self.pool.send(vec![(to, envelope(ReplyTo::One(reply_to)))]);
        match answered.await {
            Ok(Answered { answer, held, .. }) => (answer, held),
            Err(oneshot::Canceled) => (Err(SandboxError::WorkerLost), None),
        }
    }

    /// The worker with the fewest sessions, which gets one more.
    fn least_busy(&self) -> usize {
        let mut sessions = self.sessions();
        let least = (0..sessions.len()).min_by_key(|at| sessions[*at]).unwrap_or_default();
        sessions[least] += 1;
        least
    }
}

impl Sandbox {
    /// Loads the guest, compiling it first where there is no intact compiled
    /// one in the cache folder, and starts the workers.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used, or the engine or a worker cannot start.
    pub fn open(
        config: &SandboxConfig,
        progress: &dyn Fn(OpenProgress),
    ) -> Result<Self, SandboxError> {
        let digest = engine::sandbox_digest(artefact::digest()?);
        let compiled = cache::open(&config.cache_dir, progress)?;
        let SandboxConfig { patience, live_max, reports_bytes_max, resets_checked_every, .. } =
            *config;
        let workers = config.workers.get();
        let launch = match &config.worker_kind {
            WorkerKind::Process(program) => {
                let live_max = live_max.div_ceil(u32::try_from(workers).unwrap_or(u32::MAX));
                let hello = Hello::Guests { live_max, resets_checked_every };
                Launch::Process { program: program.clone(), compiled, hello }
            }
            WorkerKind::Thread => {
                let (engine, memories) = engine::for_running(live_max)?;
                let module = compiled.module(&engine)?;
                let image = GuestImage::new(engine, memories, &module, resets_checked_every)?;
                let mut code = Code::Guests(Arc::new(image));
                code.warm_up()?;
                Launch::Thread { code }
            }
        };
        let pool = Pool::new(PoolSpec { launch, workers, patience, live_max, reports_bytes_max })?;
        for name in &config.require {
            let layer = pool.layers().iter().find(|layer| layer.name == *name);
            let why = match layer {
                Some(layer) if layer.in_force => continue,
                Some(layer) => layer.detail.clone(),
                None => "this kind of worker has no such layer".to_owned(),
            };
            return Err(SandboxError::LayerMissing { name: name.clone(), why });
        }
        let sessions = Mutex::new(vec![0; workers]);
        let inner = Inner { pool, digest, sessions_started: AtomicU64::new(0), sessions };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Names everything that decides a job's result besides the job: the
    /// guest, the engine's settings, the host. The same on every machine.
    pub fn digest(&self) -> Digest {
        self.inner.digest
    }

    /// Workers.
    pub fn workers(&self) -> usize {
        self.inner.pool.workers()
    }

    /// The layers of defence around the workers, and which are in force.
    pub fn layers(&self) -> &[Layer] {
        self.inner.pool.layers()
    }

    /// The ids of the workers' processes; empty where they are threads.
    pub fn worker_processes(&self) -> Vec<u32> {
        self.inner.pool.processes()
    }

    /// How often a worker was asked for something so far: each job is one
    /// request, and so are the start, each step and the end of a session.
    pub fn requests(&self) -> u64 {
        self.inner.pool.requests()
    }

    /// The most memory that reports took at one time while they waited to be
    /// taken in by [`execute_each`](Executor::execute_each), in bytes: what their
    /// size on the wire may come to.
    pub fn reports_bytes_peak(&self) -> u64 {
        self.inner.pool.reports_bytes_peak()
    }

    /// Runs jobs, each in a fresh guest, several at a time; the reports are in
    /// the order of the jobs, and all held together. For programs that are
    /// trusted, and few others: [`execute_each`](Executor::execute_each) bounds
    /// what reports take.
    pub fn execute(&self, jobs: Vec<SandboxJob>) -> Vec<Result<SandboxReport, SandboxError>> {
        let count = jobs.len();
        let (reply_to, answers) = pool::replies();
        let request = |(ticket, job): (usize, SandboxJob)| {
            let bounds = Bounds::of(&job.limits);
            let request = Request::Execute(WireJob::new(job, false));
            (
                Recipient::Anyone,
                bounds.envelope(request, None, ticket, ReplyTo::Call(reply_to.clone())),
            )
        };
        self.inner.pool.send(jobs.into_iter().enumerate().map(request).collect());
        drop(reply_to);
        collect(&answers, count).into_iter().map(report).collect()
    }

    /// Runs a job in a fresh guest, of whose steps the first defines what the others
    /// call: where it gives no value, it is the last. Its report counts towards
    /// [`SandboxConfig`]'s `reports_bytes_max`.
    ///
    /// No thread waits. Dropping the future gives up the report, not the run.
    ///
    /// # Errors
    ///
    /// When the infrastructure failed.
    pub async fn attempt(&self, job: SandboxJob) -> Result<Counted<SandboxReport>, SandboxError> {
        let bounds = Bounds { counted: true, ..Bounds::of(&job.limits) };
        let request = Request::Execute(WireJob::new(job, true));
        let envelope = |reply_to| bounds.envelope(request, None, 0, reply_to);
        let (answer, held) = self.inner.ask(Recipient::Anyone, envelope).await;
        let mut report = report(answer)?;
        if report.steps.first().is_some_and(|first| first.outcome.value().is_none()) {
            report.steps.truncate(1);
        }
        Ok(Counted { report, _held: held })
    }

    /// Runs one job in a fresh guest.
    ///
    /// # Errors
    ///
    /// When the infrastructure failed.
    pub fn execute_one(&self, job: SandboxJob) -> Result<SandboxReport, SandboxError> {
        self.execute(vec![job]).pop().unwrap_or(Err(SandboxError::WorkerLost))
    }

    /// Starts a session in a fresh guest, and waits for it.
    ///
    /// # Errors
    ///
    /// When there is no room for one more, or the engine failed.
    pub fn start(&self, spec: SessionSpec) -> Result<Session, SandboxError> {
        let (mut session, request) = self.prepare(&spec);
        let (reply_to, answers) = pool::replies();
        let envelope = session.bounds.envelope(request, None, 0, ReplyTo::Call(reply_to));
        self.inner.pool.send(vec![(Recipient::Worker(session.worker), envelope)]);
        let answer = collect(&answers, 1).pop().unwrap_or(Err(SandboxError::WorkerLost));
        session.life = life(answer)?;
        Ok(session)
    }

    /// [`Sandbox::start`] without a thread that waits.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn begin(&self, spec: SessionSpec) -> Result<Session, SandboxError> {
        let (mut session, request) = self.prepare(&spec);
        let bounds = session.bounds;
        let envelope = |reply_to| bounds.envelope(request, None, 0, reply_to);
        let (answer, _) = self.inner.ask(Recipient::Worker(session.worker), envelope).await;
        session.life = life(answer)?;
        Ok(session)
    }

    /// A session that has not begun, and the request that begins it.
    fn prepare(&self, spec: &SessionSpec) -> (Session, Request) {
        let key = self.inner.sessions_started.fetch_add(1, Ordering::Relaxed);
        let worker = self.inner.least_busy();
        let bounds = Bounds::of(&spec.limits);
        let inner = Arc::clone(&self.inner);
        let session = Session { inner, key, worker, bounds, life: 0, ended: false };
        (session, Request::Start(key, WireSpec::new(spec)))
    }
}

impl Executor for Sandbox {
    fn execute_each(
        &self,
        jobs: &mut dyn Iterator<Item = SandboxJob>,
        each: &mut dyn FnMut(usize, Result<SandboxReport, String>),
    ) {
        self.run_each(jobs, &mut |at, answer| {
            each(at, report(answer).map_err(|error| error.to_string()));
        });
    }
}

impl Sandbox {
    /// Runs jobs and gives each answer as it comes, so that few are held together.
    fn run_each(
        &self,
        jobs: &mut dyn Iterator<Item = SandboxJob>,
        each: &mut dyn FnMut(usize, Answer),
    ) {
        let mut jobs = jobs.enumerate().fuse();
        let mut asked = BTreeSet::new();
        let mut answers = pool::replies().1;
        // Only what was asked for holds the way back, so that the loss of all of
        // it is noticed.
        let mut way_back = Weak::new();
        loop {
            let reply_to = way_back.upgrade().or_else(|| {
                let (reply_to, fresh) = asked.is_empty().then(pool::replies)?;
                answers = fresh;
                Some(reply_to)
            });
            let mut requests = Vec::new();
            // Jobs go out by the half of a window, so that workers get batches.
            if let Some(to) = reply_to.filter(|_| asked.len() <= JOBS_ASKED_MAX / 2) {
                way_back = Arc::downgrade(&to);
                for (ticket, job) in jobs.by_ref().take(JOBS_ASKED_MAX - asked.len()) {
                    let bounds = Bounds { counted: true, ..Bounds::of(&job.limits) };
                    let request = Request::Execute(WireJob::new(job, false));
                    requests.push((
                        Recipient::Anyone,
                        bounds.envelope(request, None, ticket, ReplyTo::Call(to.clone())),
                    ));
                    asked.insert(ticket);
                }
            }
            if !requests.is_empty() {
                self.inner.pool.send(requests);
            }
            if asked.is_empty() {
                return;
            }
            let Ok(some) = answers.recv() else {
                for ticket in std::mem::take(&mut asked) {
                    each(ticket, Err(SandboxError::WorkerLost));
                }
                continue;
            };
            for Answered { ticket, answer, held } in some {
                asked.remove(&ticket);
                each(ticket, answer);
                drop(held);
            }
        }
    }
}

/// A report that counts towards [`SandboxConfig`]'s `reports_bytes_max` until it
/// is taken in.
pub struct Counted<T> {
    report: T,
    _held: Option<Share>,
}

impl<T> Counted<T> {
    /// Takes the report in: what is made of it counts no more.
    pub fn take_in<R>(self, read: impl FnOnce(T) -> R) -> R {
        read(self.report)
    }
}

fn life(answer: Answer) -> Result<u64, SandboxError> {
    match answer? {
        Reply::Started(life) => Ok(life),
        _ => Err(SandboxError::WorkerLost),
    }
}

fn step_report(answer: Answer) -> Result<StepReport, SandboxError> {
    match answer? {
        Reply::Stepped(report) => Ok(report),
        _ => Err(SandboxError::WorkerLost),
    }
}

fn report(answer: Answer) -> Result<SandboxReport, SandboxError> {
    match answer? {
        Reply::Executed(report) => Ok(report),
        _ => Err(SandboxError::WorkerLost),
    }
}

/// What of a guest's limits bounds its worker's answers.
#[derive(Clone, Copy)]
struct Bounds {
    result_bytes_max: u64,
    fuel_max: u64,
    job_bytes_max: u64,
    counted: bool,
}

impl Bounds {
    fn of(limits: &Limits) -> Self {
        Self {
            result_bytes_max: limits.result_bytes_max,
            fuel_max: limits.fuel_max,
            job_bytes_max: limits.job_bytes_max(),
            counted: false,
        }
    }

    fn envelope(
        self,
        request: Request,
        life: Option<u64>,
        ticket: usize,
        reply_to: ReplyTo,
    ) -> Envelope {
        let Self { result_bytes_max, fuel_max, job_bytes_max, counted } = self;
        Envelope {
            request,
            result_bytes_max,
            fuel_max,
            job_bytes_max,
            counted,
            life,
            ticket,
            reply_to,
        }
    }
}

/// A live guest whose state lasts from step to step, and nowhere else.
///
/// After a fatal outcome every further step is
/// [`SandboxError::SessionDead`]. Dropping a session ends it.
pub struct Session {
    inner: Arc<Inner>,
    key: SessionKey,
    worker: usize,
    bounds: Bounds,
    /// The life of the worker in which this session lives, if it began.
    life: u64,
    ended: bool,
}

impl Session {
    /// Takes one step.
    ///
    /// # Errors
    ///
    /// When the session is dead, or the infrastructure failed.
    pub fn step(&mut self, step: &Step) -> Result<StepReport, SandboxError> {
        step_report(self.ask(Request::Step(self.key, WireStep::new(step.clone()))))
    }

    /// Takes one step without a thread that waits. Its report counts towards
    /// [`SandboxConfig`]'s `reports_bytes_max`.
    ///
    /// # Errors
    ///
    /// When the session is dead, or the infrastructure failed.
    pub async fn advance(&mut self, step: Step) -> Result<Counted<StepReport>, SandboxError> {
        let request = Request::Step(self.key, WireStep::new(step));
        let bounds = Bounds { counted: true, ..self.bounds };
        let envelope = |reply_to| bounds.envelope(request, Some(self.life), 0, reply_to);
        let (answer, held) = self.inner.ask(Recipient::Worker(self.worker), envelope).await;
        Ok(Counted { report: step_report(answer)?, _held: held })
    }

    /// Ends the session and tells what it used.
    ///
    /// # Errors
    ///
    /// When the worker is gone.
    pub fn end(mut self) -> Result<Usage, SandboxError> {
        self.ended = true;
        match self.ask(Request::End(self.key))? {
            Reply::Ended(usage) => Ok(usage),
            _ => Err(SandboxError::WorkerLost),
        }
    }

    fn ask(&self, request: Request) -> Answer {
        let (reply_to, answers) = pool::replies();
        self.inner.pool.send(vec![self.addressed(request, 0, ReplyTo::Call(reply_to.clone()))]);
        drop(reply_to);
        collect(&answers, 1).pop().unwrap_or(Err(SandboxError::WorkerLost))
    }

    fn addressed(
        &self,
        request: Request,
        ticket: usize,
        reply_to: ReplyTo,
    ) -> (Recipient, Envelope) {
        let envelope = self.bounds.envelope(request, Some(self.life), ticket, reply_to);
        (Recipient::Worker(self.worker), envelope)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.ended {
            let (reply_to, _) = pool::replies();
            self.inner.pool.send(vec![self.addressed(
                Request::End(self.key),
                0,
                ReplyTo::Call(reply_to.clone()),
            )]);
        }
        self.inner.sessions()[self.worker] -= 1;
    }
}
