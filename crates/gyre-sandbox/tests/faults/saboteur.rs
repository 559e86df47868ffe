//! Stands between the sandbox and a real worker.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;

use gyre_sandbox::WORKER_ARGUMENT;
use gyre_types::Seed;
use rand_chacha::rand_core::Rng;

/// The argument that asks for this role.
pub(crate) const ROLE: &str = "saboteur";
/// A worker's greeting takes less than this; sabotage comes after it.
const GREETING_BYTES: usize = 4_000;

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The worker is killed; what it had sent still arrives.
    Kill,
    /// The channel is cut, in the middle of a message as likely as not.
    Cut,
    /// Nothing is handed on any more.
    Silence,
}

/// What is handed on in one direction before the fault.
struct Plan {
    fault: Fault,
    /// Bytes from the worker, or else to it.
    from_worker: bool,
    after_bytes: usize,
}

impl Plan {
    fn new(seed: Seed, life: u64) -> Self {
        let mut rng = seed.derive("fault", &[life]).rng();
        let fault = match rng.next_u32() % 8 {
            0..3 => Fault::Kill,
            3..7 => Fault::Cut,
            _ => Fault::Silence,
        };
        let from_worker = rng.next_u32().is_multiple_of(2);
        let after_bytes = GREETING_BYTES + rng.next_u32() as usize % 10_000;
        Self { fault, from_worker, after_bytes }
    }
}

/// Hands on what passes until the hour comes. `lives` counts saboteurs.
pub(crate) fn run(seed: Seed, lives: &Path) -> ExitCode {
    let life = (0..).find(|life| File::create_new(lives.join(format!("{life}"))).is_ok());
    let plan = Plan::new(seed, life.unwrap());
    let above = UnixStream::from(owned(io::stdin()));
    let (below, theirs) = UnixStream::pair().unwrap();
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .arg(WORKER_ARGUMENT)
        .stdin(OwnedFd::from(theirs))
        .stdout(File::from(owned(io::stdout())))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let never = usize::MAX;
    let (up, down) = match plan.from_worker {
        true => (plan.after_bytes, never),
        false => (never, plan.after_bytes),
    };
    let (from, to) = (above.try_clone().unwrap(), below.try_clone().unwrap());
    let downwards = thread::spawn(move || hand_on(from, to, down));
    let upwards = thread::spawn(move || hand_on(below, above, up));
    // The direction in which the fault comes is the one that ends; the other
    // ends when a side is gone.
    let watched = if plan.from_worker { upwards } else { downwards };
    if watched.join().unwrap() {
        strike(plan.fault, &mut worker);
    }
    let _ = worker.kill();
    let _ = worker.wait();
    ExitCode::SUCCESS
}

fn strike(fault: Fault, worker: &mut Child) {
    match fault {
        Fault::Kill => worker.kill().unwrap(),
        Fault::Cut => {}
        Fault::Silence => loop {
            thread::park();
        },
    }
}

fn owned(stream: impl AsFd) -> OwnedFd {
    stream.as_fd().try_clone_to_owned().unwrap()
}

/// Hands on so many bytes; whether they were reached.
fn hand_on(mut from: UnixStream, mut to: UnixStream, most: usize) -> bool {
    let mut buffer = [0; 4_096];
    let mut left = most;
    while left > 0 {
        let wanted = left.min(buffer.len());
        let Ok(count) = from.read(&mut buffer[..wanted]) else { return false };
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            return false;
        }
        left -= count;
    }
    true
}
