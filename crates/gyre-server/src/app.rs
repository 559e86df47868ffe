use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use gyre_dataset::{DatasetRow, Stats, head, stats};
use gyre_lineage::{CellRate, RunRow, ShardKind};
use gyre_orchestrator::{Answered, Clock, Error, PersonAnswer, Project, RoundSummary, inspect};
use gyre_types::{Digest, RunId};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::guard::Guard;
use crate::limits::ServerLimits;
use crate::shutdown::Shutdown;

/// Requests that read at once; some more wait their turn.
const READS_MAX: usize = 8;
/// Streams of events at once.
const STREAMS_MAX: usize = 64;
/// How long figures of a whole run are kept while its log does not grow: a
/// correction changes them without an event.
const FIGURES_KEPT: Duration = Duration::from_secs(30);

/// Rows shown of a dataset's start.
const HEAD: usize = 5;
/// Runs whose figures are kept.
const RUNS_KEPT: usize = 32;

/// By run: how long its log was, when the figures were read, and the figures.
type FiguresByRun = HashMap<RunId, (u64, Instant, Arc<Figures>)>;

/// What the handlers share.
pub(crate) struct App {
    pub(crate) project: Project,
    pub(crate) guard: Guard,
    pub(crate) tasks_dir: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) shutdown: Shutdown,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) exports: Arc<Semaphore>,
    pub(crate) replaying: Semaphore,
    pub(crate) limits: ServerLimits,
    reads: Semaphore,
    /// Those that read, and those that wait for it.
    readers: Semaphore,
    figures: Mutex<FiguresByRun>,
    datasets: Mutex<HashMap<RunId, (Digest, Arc<Published>)>>,
    answers: [AtomicU64; 5],
}

/// What is read of a run's dataset.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) stats: Stats,
    pub(crate) head: Vec<DatasetRow>,
}

/// What is computed over a whole run.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Every round that was begun, the cold start first.
    pub(crate) rounds: Vec<RoundSummary>,
    /// Counts by round, purpose, checkpoint, family and difficulty.
    pub(crate) cells: Vec<CellRate>,
}

impl App {
    pub(crate) fn new(
        project: Project,
        guard: Guard,
        tasks_dir: PathBuf,
        clock: Clock,
        shutdown: Shutdown,
        limits: ServerLimits,
    ) -> Self {
        Self {
            project,
            guard,
            tasks_dir,
            clock,
            shutdown,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            exports: Arc::new(Semaphore::new(limits.exports_max)),
            replaying: Semaphore::new(1),
            limits,
            readers: Semaphore::new(READS_MAX + limits.waiting_max),
            reads: Semaphore::new(READS_MAX),
            figures: Mutex::default(),
            datasets: Mutex::default(),
            answers: Default::default(),
        }
    }

    /// Reads on a thread that may wait for files and the store.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let _place = self.readers.try_acquire().map_err(|_| {
            let detail = "too many requests wait for an answer; try again in a moment";
            Failure::busy("too_many_requests", detail)
        })?;
        let _permit = self.reads.acquire().await.map_err(|error| Failure::internal(&error))?;
        let app = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&app)).await;
        done.map_err(|error| Failure::internal(&error))?
    }

    /// A run by the text of its id.
    pub(crate) fn run(&self, id: &str) -> Result<RunRow, Failure> {
        Ok(self.project.run(Some(&id.parse()?))?)
    }

    /// Who answers over HTTP: the token that lets them in, by the name of its variable,
    /// and the name that they give. Nobody proves that name.
    pub(crate) fn signed_by(&self, name: Option<&str>) -> String {
        let token = &self.guard.token_env;
        match name {
            Some(name) => format!("{name} (token {token})"),
            None => format!("token {token}"),
        }
    }

    /// Records a person's word on the candidate of a round.
    pub(crate) fn answer(
        &self,
        run: &RunId,
        round: u32,
        said: &PersonAnswer,
    ) -> Result<Answered, Failure> {
        said.check().map_err(|why| Failure::bad("bad_parameter", why))?;
        Ok(gyre_orchestrator::answer(&self.project, (run, round), said, self.clock)?)
    }

    /// The figures of a run: computed again once its log has grown.
    pub(crate) fn figures(&self, run: &RunRow) -> Result<Arc<Figures>, Failure> {
        let known = self.lock().get(&run.id).cloned();
        if let Some((seq, at, figures)) = known
            && seq == run.last_seq
            && at.elapsed() < FIGURES_KEPT
        {
            return Ok(figures);
        }
        let (rounds, cells) = inspect::round_summaries(&self.project, run)?;
        let figures = Arc::new(Figures { rounds, cells });
        let entry = (run.last_seq, Instant::now(), figures.clone());
        let mut all = self.lock();
        if all.len() >= RUNS_KEPT {
            all.clear();
        }
        all.insert(run.id.clone(), entry);
        Ok(figures)
    }

    /// The dataset of a run, if it has one: read again once its shards have
    /// changed.
    pub(crate) fn dataset(&self, run: &RunRow) -> Result<Option<Arc<Published>>, Failure> {
        let shards = inspect::shards(&self.project, &run.id)?;
        if !shards.iter().any(|shard| shard.is_current(ShardKind::Accepted)) {
            return Ok(None);
        }
        let published = shards.iter().filter(|shard| !shard.superseded);
        let digests: Vec<_> = published.map(|shard| shard.sha256).collect();
        let digest = Digest::of_json(&digests);
        let all = || self.datasets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, published)) = all().get(&run.id)
            && *known == digest
        {
            return Ok(Some(published.clone()));
        }
        let layout = self.project.data.dataset(&run.id);
        let failed = |error| Failure::from(Error::from(error));
        let published = Arc::new(Published {
            stats: stats(&layout).map_err(failed)?,
            head: head(&layout, HEAD).map_err(failed)?,
        });
        let mut all = all();
        if all.len() >= RUNS_KEPT {
            all.clear();
        }
        all.insert(run.id.clone(), (digest, published.clone()));
        Ok(Some(published))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, FiguresByRun> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an answer by the class of its status.
    pub(crate) fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.answers[class].fetch_add(1, Ordering::Relaxed);
    }

    /// Answers so far, by the class of their status: 1xx to 5xx.
    pub(crate) fn answers(&self) -> [u64; 5] {
        std::array::from_fn(|class| self.answers[class].load(Ordering::Relaxed))
    }
}
