//! Runs untrusted Python: deterministic, bounded in every direction.
//!
//! A [`Sandbox`] owns a compiled guest and a fixed number of workers: processes
//! without privileges, or threads where a program cannot be started twice.
//! [`Sandbox::execute`] runs whole jobs, each in a guest of its own;
//! [`Sandbox::start`] opens a [`Session`], whose state lasts from step to step.
//!
//! The guest is CPython for WASI, pre-initialised, fused into one core module
//! (`sandboxes/python/`). Every import that it has left is answered by the
//! host of this crate: plain functions over linear memory.
//!
//! Invariants:
//! - The same job gives the same bytes and the same fuel, on any load: clocks
//!   are virtual, randomness comes from the job's seed, nothing is timed.
//! - Nothing of the machine is visible inside: no clock, entropy, environment,
//!   host name, file, socket or thread.
//! - What a guest does wrong is a [`gyre_types::GuestOutcome`]; an error of
//!   this crate means that the infrastructure failed, and says nothing about
//!   the guest.
//! - A guest is dropped after any trap, and nothing of a guest outlives its job: a
//!   fresh guest is a new one, or one whose memory was put back to the image.
//! - Nothing outside this crate names wasmtime, WASI or the component model.

mod artefact;
mod budget;
mod bytes;
mod cache;
#[cfg(target_os = "linux")]
mod confine;
mod engine;
mod error;
mod frame;
mod guest;
mod host;
mod layers;
mod link;
pub mod plugin;
mod pool;
mod prefault;
mod process;
mod protocol;
mod recycle;
mod reply;
mod sandbox;
mod worker;

pub use cache::{CachedCode, OpenProgress, cached_code};
pub use error::SandboxError;
pub use layers::{LAYERS, Layer};
pub use link::{WORKER_ARGUMENT, WorkerKind, WorkerProgram};
pub use process::run_as_worker;
pub use protocol::{SessionSpec, Usage};
pub use reply::read as read_reply;
pub use sandbox::{Counted, Sandbox, SandboxConfig, Session};
