//! A worker process: what the program does that was started as one.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use crate::cache::CompiledGuest;
use crate::guest::GuestImage;
use crate::layers::Layer;
use crate::worker::{Greeting, Hello, serve};
use crate::{WORKER_ARGUMENT, engine, frame};

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
        Ok(image) => confined(layers, image, channel.into()),
        Err(error) => {
            let message = error.to_string();
            frame::write(&mut channel, &Greeting::Refused { message })
        }
    }
}

fn prepare(hello: &Hello, compiled: File) -> Result<Arc<GuestImage>, crate::SandboxError> {
    let engine = engine::for_running(hello.live_max)?;
    let module = CompiledGuest::from_checked(compiled).module(&engine)?;
    Ok(Arc::new(GuestImage::new(engine, &module)?))
}

/// Gives up all that it does not need, then works.
fn confined(mut layers: Vec<Layer>, image: Arc<GuestImage>, channel: OwnedFd) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    let address_space_bytes = {
        // The compiled guest is mapped; its descriptor has no more use here.
        rustix::stdio::dup2_stdout(File::open("/dev/null")?)?;
        let bytes = crate::confine::address_space_bytes();
        layers.extend(crate::confine::give_up_rights());
        bytes
    };
    let worker =
        thread::Builder::new().stack_size(engine::THREAD_STACK_BYTES).spawn(move || {
            #[cfg(target_os = "linux")]
            layers.extend(crate::confine::finish(channel.as_fd(), address_space_bytes));
            #[cfg(not(target_os = "linux"))]
            let _ = &mut layers;
            let mut channel = File::from(channel);
            frame::write(&mut channel, &Greeting::Ready { layers })?;
            serve(image, channel)
        })?;
    worker.join().unwrap_or_else(|_| Err(io::Error::other("the worker panicked")))
}
