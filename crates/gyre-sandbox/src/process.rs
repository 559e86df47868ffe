//! A worker process: what the program does that was started as one.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use crate::cache::CompiledGuest;
use crate::engine::Memories;
use crate::guest::GuestImage;
use crate::layers::Layer;
use crate::plugin::loaded::LoadedVerifier;
use crate::worker::{Code, Greeting, Hello, serve};
use crate::{WORKER_ARGUMENT, engine, frame};

/// Address space for the memories of a verifier, each of which sets aside what
/// it could address: sixteen of 4 GiB and their guards.
const VERIFIER_ADDRESS_SPACE_BYTES: u64 = 16 * MEMORY_ADDRESS_SPACE_BYTES;

/// Address space that one memory sets aside: what it could address, and guards.
const MEMORY_ADDRESS_SPACE_BYTES: u64 = 5 << 30;

/// Runs this process as a sandbox worker, if it was started as one; a program
/// that opens a [`Sandbox`](crate::Sandbox) whose workers are processes of
/// itself calls this before anything else.
///
/// A worker finds its channel where standard input would be, and the compiled
/// guest where standard output would be.
pub fn run_as_worker() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != WORKER_ARGUMENT || arguments.next().is_some() {
        return None;
    }
    // Who asked for a worker sees by the closed channel that there is none.
    Some(work().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
}

fn work() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    let layers = crate::confine::begin();
    #[cfg(not(target_os = "linux"))]
    let layers = vec![Layer::new("process", Ok("a process of its own".to_owned()))];
    let mut channel = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let compiled = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let Some(hello) = frame::read::<Hello>(&mut channel)? else { return Ok(()) };
    match prepare(&hello, compiled) {
        Ok((code, room)) => confined(layers, code, room, channel.into()),
        Err(error) => {
            let message = error.to_string();
            frame::write(&mut channel, &Greeting::Refused { message })
        }
    }
}

/// What this worker runs, and the address space that it will still take for it.
fn prepare(hello: &Hello, compiled: File) -> Result<(Code, u64), crate::SandboxError> {
    let compiled = CompiledGuest::from_checked(compiled);
    match *hello {
        Hello::Guests { live_max, resets_checked_every } => {
            let (engine, memories) = engine::for_running(live_max)?;
            let module = compiled.module(&engine)?;
            let room = match memories {
                Memories::Pooled => 0,
                Memories::OnDemand => {
                    u64::from(live_max).saturating_mul(MEMORY_ADDRESS_SPACE_BYTES)
                }
            };
            let image = GuestImage::new(engine, memories, &module, resets_checked_every)?;
            Ok((Code::Guests(Arc::new(image)), room))
        }
        Hello::Verifier { limits } => {
            let verifier = LoadedVerifier::load(&compiled, limits)?;
            Ok((Code::Verifier(Arc::new(verifier)), VERIFIER_ADDRESS_SPACE_BYTES))
        }
    }
}

/// Gives up all that it does not need, then works.
fn confined(mut layers: Vec<Layer>, mut code: Code, room: u64, channel: OwnedFd) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    let address_space_bytes = {
        // The compiled guest is mapped; its descriptor has no more use here.
        rustix::stdio::dup2_stdout(File::open("/dev/null")?)?;
        let bytes = crate::confine::address_space_bytes().map(|bytes| bytes.saturating_add(room));
        layers.extend(crate::confine::give_up_rights());
        bytes
    };
    let worker =
        thread::Builder::new().stack_size(engine::THREAD_STACK_BYTES).spawn(move || {
            #[cfg(target_os = "linux")]
            layers.extend(crate::confine::finish(channel.as_fd(), address_space_bytes));
            #[cfg(not(target_os = "linux"))]
            let _ = (&mut layers, room);
            let mut channel = File::from(channel);
            #[cfg(target_os = "linux")]
            layers.push(Layer::new("first guest", crate::confine::require_no_rights()));
            if let Err(error) = code.warm_up() {
                let message = error.to_string();
                return frame::write(&mut channel, &Greeting::Refused { message });
            }
            frame::write(&mut channel, &Greeting::Ready { layers })?;
            serve(code, channel)
        })?;
    worker.join().unwrap_or_else(|_| Err(io::Error::other("the worker panicked")))
}
