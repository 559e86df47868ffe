//! An external program, started, watched and stopped.

pub(crate) mod output;
pub(crate) mod supervisor;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::process::output::{Log, SharedLog, copy};
use crate::process::supervisor::{INPUT_ARGUMENT, SIGNALLED};
use crate::{Host, ProcessError};

/// Lines of progress in flight. A program that prints more waits for the reader.
const LINES_IN_FLIGHT: usize = 64;

/// How long the streams of a program may stay open after it and all below it were
/// killed. Where orphans cannot be found, one may hold them for ever.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// How long the supervisor may take to kill what is below it. A process that waits
/// for a broken disk or driver cannot be killed.
const KILL_LIMIT: Duration = Duration::from_secs(30);

/// What to start.
pub(crate) struct Program<'a> {
    /// The program and its arguments.
    pub(crate) command: Vec<OsString>,
    /// The variables that are passed on beside the usual ones.
    pub(crate) env: &'a [String],
    /// The folder that it works in.
    pub(crate) folder: &'a Path,
    /// The file that takes what it prints.
    pub(crate) log: &'a Path,
    /// Bytes that the file takes at most.
    pub(crate) log_bytes_max: u64,
    /// The file that it reads as its standard input, by its absolute path; nothing
    /// comes in where there is none.
    pub(crate) input: Option<&'a Path>,
}

/// A program that runs. Dropping it kills it, with all that it started.
pub(crate) struct Process {
    child: Child,
    group: Option<Pid>,
    /// The supervisor kills everything when this end of the pipe is closed.
    lifeline: Option<ChildStdin>,
    copies: Vec<JoinHandle<std::io::Result<()>>>,
    log: SharedLog,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit {
    code: Option<i32>,
}

impl Exit {
    pub(crate) fn is_success(self) -> bool {
        self.code == Some(0)
    }

    /// Its exit code or the signal that ended it, as the middle of a sentence.
    pub(crate) fn describe(self) -> String {
        const SIGKILL: i32 = SIGNALLED + 9;
        const SIGNAL_MAX: i32 = 64;
        match self.code {
            Some(SIGKILL) => {
                "was killed by signal 9; the system may have been out of memory".to_owned()
            }
            Some(code) if (1..=SIGNAL_MAX).contains(&(code - SIGNALLED)) => {
                format!("was killed by signal {}", code - SIGNALLED)
            }
            Some(code) => format!("ended with exit code {code}"),
            None => "lost its supervisor and was killed".to_owned(),
        }
    }
}

/// How a program that was run to its end ended.
pub(crate) enum Ended {
    /// With exit code 0.
    Done,
    /// Otherwise: how, as the middle of a sentence, and its last lines.
    Failed { how: String, log: String },
    /// It was stopped because the caller cancelled.
    Cancelled,
}

/// How long a program may take to end once it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// Runs a program to its end, for so many seconds at most. What it prints goes to its
/// log alone.
pub(crate) async fn run_to_end(
    program: Program<'_>,
    host: &Host,
    time_limit_seconds: u64,
    cancel: &CancellationToken,
) -> Result<Ended, ProcessError> {
    let (mut process, lines) = Process::start(program, host).await?;
    drop(lines);
    let limit = Duration::from_secs(time_limit_seconds);
    let exit = tokio::select! {
        exit = timeout(limit, process.wait()) => exit.ok(),
        () = cancel.cancelled() => {
            process.stop(GRACE).await?;
            return Ok(Ended::Cancelled);
        }
    };
    let how = match exit {
        Some(exit) => {
            let exit = exit?;
            process.drain(exit).await;
            if exit.is_success() {
                return Ok(Ended::Done);
            }
            exit.describe()
        }
        None => {
            let exit = process.stop(GRACE).await?;
            process.drain(exit).await;
            format!("was stopped after {time_limit_seconds} s, its time limit")
        }
    };
    Ok(Ended::Failed { how, log: process.log_excerpt().await })
}

impl Process {
    /// Starts a program below a supervisor. Its lines that may be JSON objects come
    /// through the channel, which ends with its standard output.
    pub(crate) async fn start(
        program: Program<'_>,
        host: &Host,
    ) -> Result<(Self, mpsc::Receiver<Vec<u8>>), ProcessError> {
        let environment = host.environment_of(program.env)?;
        let log_failed = |source| ProcessError::Log { path: program.log.to_owned(), source };
        let log = Log::create(program.log, program.log_bytes_max).await.map_err(log_failed)?;
        let input = program.input.map(|file| [OsStr::new(INPUT_ARGUMENT), file.as_os_str()]);
        let mut command = program.command.into_iter();
        let name = command.next().map(|name| host.program(name));
        let mut child = Command::new(&host.supervisor.path)
            .args(&host.supervisor.arguments)
            .args(input.iter().flatten())
            .args(name)
            .args(command)
            .current_dir(program.folder)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C at the terminal is for Gyre, which then stops the program.
            .process_group(0)
            .spawn()
            .map_err(|source| {
                let path = host.supervisor.path.clone();
                ProcessError::Start { path, source }
            })?;
        let (lines, received) = mpsc::channel(LINES_IN_FLIGHT);
        let mut copies = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            copies.push(tokio::spawn(copy(stdout, log.clone(), Some(lines))));
        }
        if let Some(stderr) = child.stderr.take() {
            copies.push(tokio::spawn(copy(stderr, log.clone(), None)));
        }
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let lifeline = child.stdin.take();
        Ok((Self { child, group, lifeline, copies, log }, received))
    }

    /// Waits until the program has ended. May be dropped and called again.
    pub(crate) async fn wait(&mut self) -> Result<Exit, ProcessError> {
        let status = self.child.wait().await.map_err(ProcessError::Wait)?;
        Ok(Exit { code: status.code() })
    }

    /// Asks the program to end, and kills it when it has not done so in time.
    pub(crate) async fn stop(&mut self, grace: Duration) -> Result<Exit, ProcessError> {
        self.signal(Signal::TERM);
        if let Ok(ended) = timeout(grace, self.wait()).await {
            return ended;
        }
        self.lifeline = None;
        match timeout(KILL_LIMIT, self.wait()).await {
            Ok(ended) => ended,
            Err(_late) => Ok(Exit { code: None }),
        }
    }

    /// Waits for what the program had printed before it ended.
    pub(crate) async fn drain(&mut self, exit: Exit) {
        // Where orphans can be found, the supervisor has killed all of them.
        if exit.code.is_none() || cfg!(not(target_os = "linux")) {
            self.signal(Signal::KILL);
        }
        for copy in &mut self.copies {
            if timeout(DRAIN_LIMIT, &mut *copy).await.is_err() {
                copy.abort();
            }
        }
    }

    /// The last lines that it printed, for an error.
    pub(crate) async fn log_excerpt(&self) -> String {
        self.log.lock().await.excerpt()
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // The group may have ended already.
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}
