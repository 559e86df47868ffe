//! The process between Gyre and a program that it started.
//!
//! Gyre holds one end of a pipe, the supervisor the other. When Gyre ends, however it
//! ends, the system closes the pipe, and the supervisor kills the program with all
//! that it started. On Linux the supervisor is the parent of every orphan below it
//! (`PR_SET_CHILD_SUBREAPER`), so that a process which left the group and the session
//! is found too; and the program is killed when the supervisor itself is
//! (`PR_SET_PDEATHSIG`). Elsewhere the process group is what is killed.
//!
//! The group that a signal of Gyre's reaches is the supervisor, the program and what
//! it started. The supervisor survives SIGTERM, to report how the program ended.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
#[cfg(target_os = "linux")]
use std::path::Path;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::signal::unix::{SignalKind, signal};

use crate::ProcessError;

/// The argument by which this program is started as a supervisor.
pub const SUPERVISOR_ARGUMENT: &str = "__child-supervisor";

/// The argument before the file that the command reads as its standard input. It
/// stands before the command.
pub(super) const INPUT_ARGUMENT: &str = "__child-input";

/// The argument by which a supervisor starts this program to become another.
const LEADER_ARGUMENT: &str = "__child-leader";

/// What a shell says when it cannot start a program.
const CANNOT_START: u8 = 127;

/// An exit code above this is a signal's number and this, as shells have it.
pub(super) const SIGNALLED: i32 = 128;

/// The program that supervises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupervisorProgram {
    /// The program, which calls [`run_as_supervisor`].
    pub path: PathBuf,
    /// What it is started with, before the command.
    pub arguments: Vec<OsString>,
}

impl SupervisorProgram {
    /// This program, started once more. It must call [`run_as_supervisor`] before
    /// anything else.
    ///
    /// # Errors
    ///
    /// When the system does not tell which program this is.
    pub fn this_program() -> Result<Self, ProcessError> {
        let path = own_program().map_err(ProcessError::OwnPath)?;
        Ok(Self { path, arguments: vec![SUPERVISOR_ARGUMENT.into()] })
    }
}

fn own_program() -> io::Result<PathBuf> {
    // By this name it is found even after an upgrade replaced the file.
    let own = PathBuf::from("/proc/self/exe");
    if cfg!(target_os = "linux") { Ok(own) } else { std::env::current_exe() }
}

/// Runs this process as a supervisor, if it was started as one. The binary calls
/// this before anything else.
pub fn run_as_supervisor() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let stage = arguments.next()?;
    let command: Vec<OsString> = arguments.collect();
    if stage == SUPERVISOR_ARGUMENT {
        Some(supervise(&command).unwrap_or_else(|error| report("supervise", &error)))
    } else if stage == LEADER_ARGUMENT {
        Some(become_command(&command))
    } else {
        None
    }
}

/// Starts the command, and ends when it has ended or when Gyre has, with nothing
/// left below it.
fn supervise(command: &[OsString]) -> io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let watched = runtime.block_on(watch(command));
    let gyre_has_ended = matches!(watched, Ok(None));
    kill_all_below(gyre_has_ended);
    Ok(watched?.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Waits for the command's end, which is its exit code, or for Gyre's, which is `None`.
async fn watch(command: &[OsString]) -> io::Result<Option<u8>> {
    let mut child_ended = signal(SignalKind::child())?;
    // Gyre sends it to the whole group, and means the command.
    let _survived = signal(SignalKind::terminate())?;
    let mut lifeline = Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let leader = start_leader(command)?;
    let mut byte = [0];
    loop {
        tokio::select! {
            // Nothing is ever written: this is the end of the pipe.
            _ = lifeline.read(&mut byte) => return Ok(None),
            _ = child_ended.recv() => {
                if let Some(status) = reap(leader)? {
                    return Ok(Some(exit_code(status)));
                }
            }
        }
    }
}

/// Starts this program again, which becomes the command once it is sure to die with
/// its parent. A closure between fork and exec would do the same, but is unsafe.
fn start_leader(command: &[OsString]) -> io::Result<Pid> {
    let (input, command) = match command {
        [argument, file, command @ ..] if argument == INPUT_ARGUMENT => {
            (Stdio::from(File::open(file)?), command)
        }
        command => (Stdio::null(), command),
    };
    let child = Command::new(own_program()?)
        .arg(LEADER_ARGUMENT)
        .arg(std::process::id().to_string())
        .args(command)
        .stdin(input)
        .spawn()?;
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    id.ok_or_else(|| io::Error::other("the child has no process id"))
}

/// Becomes the command, and returns only where that fails.
fn become_command(arguments: &[OsString]) -> ExitCode {
    let [supervisor, program, rest @ ..] = arguments else { return ExitCode::FAILURE };
    if let Err(error) = die_with(supervisor) {
        return report("supervise", &error);
    }
    let error = Command::new(program).args(rest).exec();
    report(&format!("start {}", program.display()), &error)
}

#[cfg(target_os = "linux")]
fn die_with(supervisor: &OsStr) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The supervisor may have ended before that took effect.
    let parent = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().to_string());
    match parent.is_some_and(|parent| *parent == *supervisor) {
        true => Ok(()),
        false => Err(io::Error::other("the supervisor has ended")),
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_supervisor: &OsStr) -> io::Result<()> {
    Ok(())
}

#[expect(clippy::print_stderr, reason = "the program's log is its standard error")]
fn report(action: &str, error: &io::Error) -> ExitCode {
    eprintln!("gyre: cannot {action}: {error}");
    ExitCode::from(CANNOT_START)
}

/// Reaps all children that have ended, and returns the leader's status if it has.
fn reap(leader: Pid) -> io::Result<Option<WaitStatus>> {
    let mut of_leader = None;
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((child, status))) if child == leader => of_leader = Some(status),
            Ok(Some(_)) => {}
            Ok(None) | Err(rustix::io::Errno::CHILD) => return Ok(of_leader),
            Err(error) => return Err(error.into()),
        }
    }
}

fn exit_code(status: WaitStatus) -> u8 {
    let signalled = || status.terminating_signal().map(|signal| SIGNALLED + signal);
    let code = status.exit_status().or_else(signalled).unwrap_or(1);
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// Kills every process below this one, and returns when none is left. What a killed
/// process leaves behind becomes a child of this one, and is killed next.
#[cfg(target_os = "linux")]
fn kill_all_below(_gyre_has_ended: bool) {
    loop {
        let found = children();
        for child in &found {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(*child, Signal::KILL);
        }
        let options = if found.is_empty() { WaitOptions::NOHANG } else { WaitOptions::empty() };
        match rustix::process::wait(options) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            // Some are hidden from /proc: the group is all that can be killed.
            Ok(None) => {
                let own = rustix::process::getpid();
                let _ = rustix::process::kill_process_group(own, Signal::KILL);
                return;
            }
            Err(_none_left) => return,
        }
    }
}

/// Kills the group, and this process with it. While Gyre runs, it kills the group
/// itself once it knows how the command ended.
#[cfg(not(target_os = "linux"))]
fn kill_all_below(gyre_has_ended: bool) {
    if gyre_has_ended {
        let _ = rustix::process::kill_process_group(rustix::process::getpid(), Signal::KILL);
    }
}

/// The children of this process.
#[cfg(target_os = "linux")]
fn children() -> Vec<Pid> {
    let own = rustix::process::getpid();
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let is_child = |entry: &Path| {
        let stat = std::fs::read(entry.join("stat")).ok()?;
        // The name before it may hold any bytes, parentheses too.
        let stat = String::from_utf8_lossy(&stat);
        let (_, after_name) = stat.rsplit_once(')')?;
        let parent = after_name.split_whitespace().nth(1)?.parse().ok()?;
        (Pid::from_raw(parent)? == own).then_some(())
    };
    let id = |entry: &Path| Pid::from_raw(entry.file_name()?.to_str()?.parse().ok()?);
    let paths = processes.flatten().map(|entry| entry.path());
    paths.filter_map(|path| id(&path).filter(|_| is_child(&path).is_some())).collect()
}
