//! One worker, seen from outside: started, asked, ended.

use std::ffi::OsString;
use std::io::{self, BufReader};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::cache::CompiledGuest;
use crate::layers::Layer;
use crate::protocol::{Request, Response};
use crate::worker::{Code, Greeting, Hello, serve};
use crate::{SandboxError, engine, frame};

/// The argument by which this program is started as a worker.
pub const WORKER_ARGUMENT: &str = "__sandbox-worker";

/// A worker maps the compiled guest and runs one small program before it is
/// ready, some 50 ms on an idle machine.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// What guests run in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerKind {
    /// Processes, which hold no privileges and whose crash is survived.
    Process(WorkerProgram),
    /// Threads of this process, for a program that cannot be started once more
    /// as a worker, such as a test.
    Thread,
}

/// The program that worker processes run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerProgram {
    /// The program, which calls [`run_as_worker`](crate::run_as_worker).
    pub path: PathBuf,
    /// What it is started with.
    pub arguments: Vec<OsString>,
}

impl WorkerProgram {
    /// This program, started once more. It must call
    /// [`run_as_worker`](crate::run_as_worker) before anything else.
    ///
    /// # Errors
    ///
    /// When the system does not tell which program this is.
    pub fn this_program() -> Result<Self, SandboxError> {
        // By this name it is found even after an upgrade replaced the file.
        let own = PathBuf::from("/proc/self/exe");
        let path = if cfg!(target_os = "linux") { Ok(own) } else { std::env::current_exe() };
        let path = path.map_err(|error| SandboxError::WorkerNotStarted {
            path: PathBuf::from("this program"),
            message: error.to_string(),
        })?;
        Ok(Self { path, arguments: vec![WORKER_ARGUMENT.into()] })
    }
}

/// How workers are started, again and again.
pub(crate) enum Launch {
    Process { program: WorkerProgram, compiled: CompiledGuest, hello: Hello },
    Thread { code: Code },
}

/// Why a worker did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("it said nothing for {} s", .0.as_secs())]
    Hung(Duration),
    /// Its stream ended or held no sense.
    #[error("{0}")]
    Lost(io::Error),
    /// The worker is well, but this cannot be put to it.
    #[error("a request cannot be sent: {0}")]
    Unsendable(io::Error),
}

/// A live worker. Dropping it ends it.
pub(crate) struct Link {
    stream: BufReader<UnixStream>,
    patience: Duration,
    life: Life,
}

enum Life {
    Process(Child),
    Thread(Option<thread::JoinHandle<()>>),
}

impl Launch {
    /// Starts a worker and waits until it is ready. A worker process ends with
    /// the thread that started it.
    pub(crate) fn start(&self) -> Result<(Link, Vec<Layer>), SandboxError> {
        match self {
            Self::Process { program, compiled, hello } => {
                let failed = |message: String| SandboxError::WorkerNotStarted {
                    path: program.path.clone(),
                    message,
                };
                let mut link =
                    spawn(program, compiled).map_err(|error| failed(error.to_string()))?;
                match link.greet(hello) {
                    Ok(Greeting::Ready { layers }) => Ok((link, layers)),
                    Ok(Greeting::Refused { message }) => Err(failed(message)),
                    Err(error) => Err(failed(format!("it does not speak as a worker ({error})"))),
                }
            }
            Self::Thread { code } => {
                let link = in_thread(code).map_err(|error| SandboxError::Engine {
                    doing: "starting a worker thread",
                    message: error.to_string(),
                })?;
                Ok((link, Layer::none()))
            }
        }
    }
}

fn spawn(program: &WorkerProgram, compiled: &CompiledGuest) -> io::Result<Link> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = Command::new(&program.path)
        .arg0("gyre sandbox worker")
        .args(&program.arguments)
        .env_clear()
        .current_dir("/")
        .stdin(OwnedFd::from(theirs))
        .stdout(compiled.file()?)
        .stderr(Stdio::null())
        // What a terminal sends to the group of this process is not for it.
        .process_group(0)
        .spawn()?;
    Link::new(ours, Life::Process(child), START_PATIENCE)
}

fn in_thread(code: &Code) -> io::Result<Link> {
    let (ours, theirs) = UnixStream::pair()?;
    let code = code.clone();
    let thread = thread::Builder::new()
        .name("sandbox-worker".to_owned())
        .stack_size(engine::THREAD_STACK_BYTES)
        .spawn(move || {
            // Who asked sees a broken stream.
            let _ = serve(code, theirs);
        })?;
    Link::new(ours, Life::Thread(Some(thread)), START_PATIENCE)
}

impl Link {
    fn new(stream: UnixStream, life: Life, patience: Duration) -> io::Result<Self> {
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self { stream: BufReader::new(stream), patience, life })
    }

    fn greet(&mut self, hello: &Hello) -> io::Result<Greeting> {
        frame::write(self.stream.get_ref(), hello)?;
        let greeting = frame::read(&mut self.stream)?;
        greeting.ok_or_else(|| io::Error::other(format!("it ended: {}", self.end())))
    }

    /// The process, where it is one.
    pub(crate) fn process(&self) -> Option<u32> {
        match &self.life {
            Life::Process(child) => Some(child.id()),
            Life::Thread(_) => None,
        }
    }

    /// Sends a batch of requests, each of which will be answered in its turn.
    pub(crate) fn send(&mut self, requests: &[&Request], patience: Duration) -> Result<(), Broken> {
        let frame = frame::encode(&requests).map_err(Broken::Unsendable)?;
        self.set_patience(patience).map_err(Broken::Lost)?;
        let mut stream = self.stream.get_ref();
        io::Write::write_all(&mut stream, &frame).map_err(|error| self.broken(error))
    }

    /// Takes the next responses: at least one.
    pub(crate) fn receive(&mut self) -> Result<Vec<Response>, Broken> {
        match frame::read::<Vec<Response>>(&mut self.stream) {
            Ok(Some(responses)) if responses.is_empty() => {
                Err(Broken::Lost(io::Error::other("it answered nothing")))
            }
            Ok(Some(responses)) => Ok(responses),
            Ok(None) => Err(Broken::Lost(io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(self.broken(error)),
        }
    }

    fn set_patience(&mut self, patience: Duration) -> io::Result<()> {
        if self.patience != patience {
            self.stream.get_ref().set_read_timeout(Some(patience))?;
            self.stream.get_ref().set_write_timeout(Some(patience))?;
            self.patience = patience;
        }
        Ok(())
    }

    fn broken(&self, error: io::Error) -> Broken {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Broken::Hung(self.patience),
            _ => Broken::Lost(error),
        }
    }

    /// Ends the worker, and says how it ended.
    pub(crate) fn end(&mut self) -> String {
        match &mut self.life {
            Life::Process(child) => {
                // Nothing that it holds is worth waiting for; where it ended by
                // itself this changes nothing.
                let _ = child.kill();
                child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
            }
            Life::Thread(thread) => {
                // A thread that is stuck is left behind: it cannot be killed.
                drop(thread.take());
                "a thread".to_owned()
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = self.stream.get_ref().shutdown(Shutdown::Both);
        match &mut self.life {
            Life::Process(_) => drop(self.end()),
            Life::Thread(thread) => {
                if let Some(thread) = thread.take() {
                    // A worker catches its own panics; nothing is lost with this one.
                    let _ = thread.join();
                }
            }
        }
    }
}
