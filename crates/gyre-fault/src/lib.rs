//! Named points at which a test may end the process, as `kill -9` would, or
//! make a step fail, as a full disk or a lost connection would.
//!
//! They are in the program that ships, so that what is tested is what runs. A
//! point costs a look into an empty table, unless `GYRE_FAILPOINTS` asks for one.
//!
//! Every durable step of a run, of the service, of workers and of commands has a
//! point before it and one after it. [`POINTS`] lists them, and the crash harness walks that list: one
//! that is never come to fails the harness.
//!
//! Nothing outside this crate names the `fail` crate.

mod points;

use std::io;

use fail::FailScenario;

pub use points::{POINTS, Point, Process, Step};

/// The variable that says what happens where: `name=actions;name=actions`, such
/// as `run::committed=3*off->return`: the fourth time, the process dies.
const VARIABLE: &str = "GYRE_FAILPOINTS";

/// The points that the environment asked for, in force until this is dropped.
pub struct Failpoints {
    _scenario: FailScenario<'static>,
}

impl Failpoints {
    /// Puts in force what `GYRE_FAILPOINTS` asks for; `None` where it is not set.
    ///
    /// # Errors
    ///
    /// When it names something that cannot happen.
    #[expect(clippy::disallowed_methods, reason = "set by whoever tests crashes, for one process")]
    pub fn from_environment() -> Result<Option<Self>, String> {
        let Some(wanted) = std::env::var_os(VARIABLE) else { return Ok(None) };
        let scenario = FailScenario::setup();
        for point in wanted.to_string_lossy().split(';').filter(|point| !point.is_empty()) {
            let (name, actions) = point
                .split_once('=')
                .ok_or(format!("{VARIABLE}: {point:?} is not name=actions"))?;
            fail::cfg(name, actions).map_err(|why| format!("{VARIABLE}: {point:?}: {why}"))?;
        }
        Ok(Some(Self { _scenario: scenario }))
    }
}

/// What a test wants to happen at a point where the process goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full (`return(enospc)`).
    DiskFull,
    /// The device fails (`return(eio)`).
    Device,
    /// The connection is lost (`return(lost)`).
    ConnectionLost,
}

impl Fault {
    /// The fault as the system would tell it.
    pub fn io_error(self) -> io::Error {
        const EIO: i32 = 5;
        const ENOSPC: i32 = 28;
        match self {
            Self::DiskFull => io::Error::from_raw_os_error(ENOSPC),
            Self::Device => io::Error::from_raw_os_error(EIO),
            Self::ConnectionLost => io::ErrorKind::ConnectionReset.into(),
        }
    }
}

/// Ends or stops the process here or gives a fault, if one was asked for. What is
/// asked for with a bare `return` is the end. With `return(stop)` the process stops
/// until it gets SIGCONT, so that a test can do something to other processes at
/// just this point.
pub fn fault(name: &str) -> Option<Fault> {
    fail::fail_point!(name, |wanted: Option<String>| {
        tell(name);
        match wanted.as_deref() {
            Some("enospc") => Some(Fault::DiskFull),
            Some("eio") => Some(Fault::Device),
            Some("lost") => Some(Fault::ConnectionLost),
            Some("stop") => {
                stop();
                None
            }
            _ => die(),
        }
    });
    None
}

/// A point of a file's step: where a fault was asked for, the step fails with it.
///
/// # Errors
///
/// When a test wants one.
pub fn io_point(name: &str) -> io::Result<()> {
    fault(name).map_or(Ok(()), |fault| Err(fault.io_error()))
}

/// A point at which nothing can fail: the process ends here, or goes on.
pub fn crash_point(name: &str) {
    let _ = fault(name);
}

/// Says to whoever asked for it that the process came here.
#[expect(clippy::print_stderr, reason = "said to the test that asked for the fault")]
fn tell(name: &str) {
    eprintln!("failpoint {name}");
}

/// Stops the process until somebody continues it.
fn stop() {
    #[cfg(unix)]
    // Where the signal cannot be sent, the test waits in vain, and says so.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
}

/// Ends the process without unwinding, flushing or telling anybody.
fn die() -> ! {
    #[cfg(unix)]
    // Where the signal cannot be sent, aborting comes closest.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort();
}
