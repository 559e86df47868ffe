use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why the sandbox itself could not do its work.
///
/// Nothing here speaks of a guest's behaviour: a rollout that meets one of
/// these is `Invalid`.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The guest in this binary is not the one that was built.
    #[error("the Python guest inside this program is damaged: {what}; build or download it again")]
    GuestDamaged {
        /// What did not agree.
        what: &'static str,
    },
    /// The folder for compiled guests could not be read or written.
    #[error("cannot keep the compiled Python guest in {}; name a folder that can be written", path.display())]
    CacheUnusable {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The engine refused its configuration, the guest or an instance of it.
    #[error("the sandbox engine failed while {doing}: {message}")]
    Engine {
        /// What was being done.
        doing: &'static str,
        /// The engine's own words.
        message: String,
    },
    /// As many sessions are live as there is room for.
    #[error("{live_max} sandbox sessions are live, and there is no room for more; end some first")]
    TooManySessions {
        /// The bound.
        live_max: u32,
    },
    /// The session's guest died in an earlier step, and its state with it.
    #[error("the session is dead: an earlier step ended its guest")]
    SessionDead,
    /// The limits leave no room for the interpreter itself.
    #[error("memory_bytes_max is {given}, but the Python guest alone takes {needed}")]
    MemoryLimitTooSmall {
        /// The limit that was given, in bytes.
        given: u64,
        /// What the interpreter needs, in bytes.
        needed: u64,
    },
    /// A verifier was to be shown something that is no outcome.
    #[error("the outcome is not of the verifier contract: {message}")]
    Outcome {
        /// What is wrong.
        message: String,
    },
    /// The files of a job do not fit into the workspace that it is granted.
    #[error("the job's files do not fit its workspace: {message}")]
    FilesRefused {
        /// Which one, and why.
        message: String,
    },
    /// A guest's report is larger than what a worker can hand over.
    #[error("the guest's report takes {bytes} bytes; lower the limits on results and files")]
    ReportTooLarge {
        /// Its size.
        bytes: u64,
    },
    /// A worker process could not be started.
    #[error("cannot start the sandbox worker {}: {message}", path.display())]
    WorkerNotStarted {
        /// The program.
        path: PathBuf,
        /// What happened instead.
        message: String,
    },
    /// A layer of defence that was demanded does not hold the workers.
    #[error(
        "the sandbox would run without {name}, which `sandbox.require` demands: {why}; `gyre \
         doctor` lists the layers of this machine"
    )]
    LayerMissing {
        /// The layer.
        name: String,
        /// Why it is not in force.
        why: String,
    },
    /// No worker answered for a long time.
    #[error("no sandbox worker answered for {} s", waited.as_secs())]
    Watchdog {
        /// How long the caller waited.
        waited: Duration,
    },
    /// A worker is gone, and what it held with it: it crashed or was killed.
    #[error("a sandbox worker is gone")]
    WorkerLost,
}

impl SandboxError {
    pub(crate) fn engine(doing: &'static str, error: &wasmtime::Error) -> Self {
        Self::Engine { doing, message: format!("{error:#}") }
    }
}
