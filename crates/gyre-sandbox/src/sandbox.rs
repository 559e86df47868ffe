//! The crate's face: a sandbox, and sessions in it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use gyre_types::{Digest, SandboxJob, SandboxReport, Step, StepReport};

use crate::guest::GuestImage;
use crate::pool::{Pool, Recipient, collect};
use crate::protocol::{Request, Response, SessionKey, SessionSpec, Usage};
use crate::{OpenProgress, SandboxError, artefact, cache, engine};

/// How a sandbox is opened.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Where compiled guests are kept; made if it is not there.
    pub cache_dir: PathBuf,
    /// Worker threads, which is how many guests run at one time.
    pub workers: NonZeroUsize,
    /// How many guests may be live at one time. Each holds what it wrote to,
    /// about 3 MB, and adds about 8 MB to the process's resident size, since
    /// the kernel counts shared pages once for each mapping.
    pub live_max: u32,
}

impl SandboxConfig {
    /// Room for this many live guests unless said otherwise.
    pub const LIVE_MAX_DEFAULT: u32 = 1_024;

    /// One worker for each processor, and room for
    /// [`LIVE_MAX_DEFAULT`](Self::LIVE_MAX_DEFAULT) live guests.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        let workers = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { cache_dir: cache_dir.into(), workers, live_max: Self::LIVE_MAX_DEFAULT }
    }
}

/// Runs guests on worker threads of its own. Cheap to clone; the threads end
/// with the last clone and the last session.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    digest: Digest,
    sessions_started: AtomicU64,
}

impl Sandbox {
    /// Loads the guest, compiling it first where there is no intact compiled
    /// one in the cache folder, and starts the workers.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used or the engine cannot start.
    pub fn open(
        config: &SandboxConfig,
        progress: &dyn Fn(OpenProgress),
    ) -> Result<Self, SandboxError> {
        let digest = engine::sandbox_digest(artefact::digest()?);
        let engine = engine::for_running(config.live_max)?;
        let module = cache::load(&engine, &config.cache_dir, progress)?;
        let image = Arc::new(GuestImage::new(engine, &module, config.live_max)?);
        let pool = Pool::new(&image, config.workers.get())?;
        Ok(Self { inner: Arc::new(Inner { pool, digest, sessions_started: AtomicU64::new(0) }) })
    }

    /// Names everything that decides a job's result besides the job: the
    /// guest, the engine's settings, the host. The same on every machine.
    pub fn digest(&self) -> Digest {
        self.inner.digest
    }

    /// Worker threads.
    pub fn workers(&self) -> usize {
        self.inner.pool.workers()
    }

    /// Runs jobs, each in a fresh guest, several at a time; the reports are in
    /// the order of the jobs.
    pub fn execute(&self, jobs: Vec<SandboxJob>) -> Vec<Result<SandboxReport, SandboxError>> {
        let count = jobs.len();
        let (reply_to, responses) = mpsc::channel();
        for (ticket, job) in jobs.into_iter().enumerate() {
            self.inner.pool.send(Recipient::Anyone, Request::Execute(job), ticket, &reply_to);
        }
        drop(reply_to);
        let reports = collect(&responses, count).into_iter();
        reports
            .map(|response| match response? {
                Response::Executed(report) => Ok(report),
                _ => Err(SandboxError::WorkerLost),
            })
            .collect()
    }

    /// Runs one job in a fresh guest.
    ///
    /// # Errors
    ///
    /// When the infrastructure failed.
    pub fn execute_one(&self, job: SandboxJob) -> Result<SandboxReport, SandboxError> {
        self.execute(vec![job]).pop().unwrap_or(Err(SandboxError::WorkerLost))
    }

    /// Starts a session in a fresh guest.
    ///
    /// # Errors
    ///
    /// When there is no room for one more, or the engine failed.
    pub fn start(&self, spec: SessionSpec) -> Result<Session, SandboxError> {
        self.start_all(vec![spec]).pop().unwrap_or(Err(SandboxError::WorkerLost))
    }

    /// Starts many sessions.
    pub fn start_all(&self, specs: Vec<SessionSpec>) -> Vec<Result<Session, SandboxError>> {
        let count = specs.len();
        let (reply_to, responses) = mpsc::channel();
        let mut sessions = Vec::with_capacity(count);
        for (ticket, spec) in specs.into_iter().enumerate() {
            let key = self.inner.sessions_started.fetch_add(1, Ordering::Relaxed);
            let worker = (key % self.inner.pool.workers() as u64) as usize;
            let request = Request::Start(key, spec);
            self.inner.pool.send(Recipient::Worker(worker), request, ticket, &reply_to);
            sessions.push(Session { inner: Arc::clone(&self.inner), key, worker, ended: false });
        }
        drop(reply_to);
        let started = collect(&responses, count).into_iter().zip(sessions);
        started
            .map(|(response, session)| match response? {
                Response::Started => Ok(session),
                _ => Err(SandboxError::WorkerLost),
            })
            .collect()
    }

    /// Takes one step in each of many sessions, several at a time; the reports
    /// are in the order of the steps.
    pub fn step_all(
        &self,
        steps: Vec<(&mut Session, Step)>,
    ) -> Vec<Result<StepReport, SandboxError>> {
        let count = steps.len();
        let (reply_to, responses) = mpsc::channel();
        for (ticket, (session, step)) in steps.into_iter().enumerate() {
            let request = Request::Step(session.key, step);
            session.inner.pool.send(Recipient::Worker(session.worker), request, ticket, &reply_to);
        }
        drop(reply_to);
        let reports = collect(&responses, count).into_iter();
        reports
            .map(|response| match response? {
                Response::Stepped(report) => Ok(report),
                _ => Err(SandboxError::WorkerLost),
            })
            .collect()
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
    ended: bool,
}

impl Session {
    /// Takes one step.
    ///
    /// # Errors
    ///
    /// When the session is dead, or the infrastructure failed.
    pub fn step(&mut self, step: &Step) -> Result<StepReport, SandboxError> {
        match self.ask(Request::Step(self.key, step.clone()))? {
            Response::Stepped(report) => Ok(report),
            _ => Err(SandboxError::WorkerLost),
        }
    }

    /// Ends the session and tells what it used.
    ///
    /// # Errors
    ///
    /// When the worker is gone.
    pub fn end(mut self) -> Result<Usage, SandboxError> {
        self.ended = true;
        match self.ask(Request::End(self.key))? {
            Response::Ended(usage) => Ok(usage),
            _ => Err(SandboxError::WorkerLost),
        }
    }

    fn ask(&self, request: Request) -> Result<Response, SandboxError> {
        let (reply_to, responses) = mpsc::channel();
        self.inner.pool.send(Recipient::Worker(self.worker), request, 0, &reply_to);
        drop(reply_to);
        collect(&responses, 1).pop().unwrap_or(Err(SandboxError::WorkerLost))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.ended {
            let (reply_to, _) = mpsc::channel();
            let request = Request::End(self.key);
            self.inner.pool.send(Recipient::Worker(self.worker), request, 0, &reply_to);
        }
    }
}
