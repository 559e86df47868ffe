//! Runs untrusted Python: deterministic, bounded in every direction, in process.
//!
//! A [`Sandbox`] owns a compiled guest and a fixed number of worker threads.
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
//! - A guest is dropped after any trap, and no guest is used for two jobs.
//! - Nothing outside this crate names wasmtime, WASI or the component model.

mod artefact;
mod cache;
mod engine;
mod error;
mod guest;
mod host;
pub mod plugin;
mod pool;
mod prefault;
mod protocol;
mod reply;
mod sandbox;

pub use cache::OpenProgress;
pub use error::SandboxError;
pub use protocol::{SessionSpec, Usage};
pub use sandbox::{Sandbox, SandboxConfig, Session};
