//! The world as a guest sees it: every import of the guest, answered by plain
//! functions over its linear memory.
//!
//! Nothing here touches the machine. What a guest may do is in [`clocks`],
//! [`streams`], [`filesystem`] and [`surroundings`]; every other import refuses.

mod abi;
mod clocks;
mod files;
mod filesystem;
mod streams;
mod surroundings;
mod tree;

use std::fmt;

use gyre_types::{Limits, Seed};
use rand_chacha::ChaCha8Rng;
use wasmtime::{Caller, Linker, Memory, Module, ResourceLimiter, Trap, TypedFunc};

pub(crate) use files::Workspace;

/// The module name of every import that the guest has left.
const MODULE: &str = "host";
/// Live pollables of one guest; the guest's libc holds a handful.
const POLLABLES_MAX: usize = 1_024;

/// The host's side of one guest.
pub(crate) struct Host {
    limits: Limits,
    rng: ChaCha8Rng,
    output: Vec<u8>,
    host_calls: u64,
    memory_bytes_peak: u64,
    /// Fuel burnt in the steps before this one: part of the virtual time.
    fuel_before: u64,
    /// Nanoseconds by which sleeping moved the clock.
    slept_ns: u64,
    /// The moments that live pollables wait for, in virtual nanoseconds.
    pollables: Vec<Option<u64>>,
    /// Its files, where it is granted any.
    workspace: Option<Workspace>,
    /// Set once the guest is instantiated.
    guest: Option<GuestSide>,
}

/// What the host needs of the guest.
#[derive(Clone)]
pub(crate) struct GuestSide {
    pub(crate) memory: Memory,
    pub(crate) realloc: TypedFunc<(u32, u32, u32, u32), u32>,
}

/// Why the host stopped a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    MemoryExceeded,
    OutputExceeded,
    HostCallsExceeded,
    /// It asked to end its process.
    Exited,
    /// It called what the host does not offer.
    Refused(String),
    /// It handed over a pointer outside its memory, or a handle never given.
    Malformed(&'static str),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemoryExceeded => f.write_str("the guest asked for too much memory"),
            Self::OutputExceeded => f.write_str("the guest wrote too much"),
            Self::HostCallsExceeded => f.write_str("the guest called its host too often"),
            Self::Exited => f.write_str("the guest ended its process"),
            Self::Refused(name) => write!(f, "the guest called {name}, which is not offered"),
            Self::Malformed(what) => write!(f, "the guest called its host with {what}"),
        }
    }
}

impl std::error::Error for Stop {}

impl Host {
    pub(crate) fn new(seed: Seed, limits: Limits, workspace: Option<Workspace>) -> Self {
        Self {
            limits,
            rng: seed.derive("guest-randomness", &[]).rng(),
            output: Vec::new(),
            host_calls: 0,
            memory_bytes_peak: 0,
            fuel_before: 0,
            slept_ns: 0,
            pollables: Vec::new(),
            workspace,
            guest: None,
        }
    }

    pub(crate) fn attach(&mut self, guest: GuestSide) {
        self.guest = Some(guest);
    }

    /// The host of the next guest in the same instance, whose memory is this large.
    pub(crate) fn replace(&mut self, with: Self, memory_bytes: u64) {
        let guest = self.guest.take();
        *self = Self { memory_bytes_peak: memory_bytes, guest, ..with };
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn workspace(&self) -> Option<&Workspace> {
        self.workspace.as_ref()
    }

    pub(crate) fn memory_bytes_peak(&self) -> u64 {
        self.memory_bytes_peak
    }

    /// Nanoseconds that sleeping has added to the clock so far.
    pub(crate) fn slept_ns(&self) -> u64 {
        self.slept_ns
    }

    pub(crate) fn begin_step(&mut self) {
        self.host_calls = 0;
        self.output.clear();
    }

    /// Ends a step: accounts its fuel as time, and hands over its output.
    pub(crate) fn end_step(&mut self, fuel: u64) -> Vec<u8> {
        self.fuel_before = self.fuel_before.saturating_add(fuel);
        std::mem::take(&mut self.output)
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let desired = desired as u64;
        if desired > self.limits.memory_bytes_max {
            // A trap rather than a refused growth: CPython's state after a
            // failed allocation deep inside it is not worth relying on.
            return Err(Stop::MemoryExceeded.into());
        }
        self.memory_bytes_peak = self.memory_bytes_peak.max(desired);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The guest's one table is made once and never grows.
        Ok(current == 0)
    }
}

/// A call from the guest.
type Call<'a> = Caller<'a, Host>;

/// Counts a call against its limit. Every import begins with this.
fn enter(call: &mut Call<'_>) -> wasmtime::Result<()> {
    let host = call.data_mut();
    host.host_calls += 1;
    if host.host_calls > host.limits.host_calls_max {
        return Err(Stop::HostCallsExceeded.into());
    }
    Ok(())
}

/// Burns fuel for work that the host does on the guest's behalf, one unit for
/// each byte: what fuel does not count, no limit would.
fn charge(call: &mut Call<'_>, bytes: u64) -> wasmtime::Result<()> {
    let left = call.get_fuel()?.checked_sub(bytes);
    call.set_fuel(left.unwrap_or_default())?;
    if left.is_none() {
        return Err(Trap::OutOfFuel.into());
    }
    Ok(())
}

/// Defines every import of the guest.
pub(crate) fn link(linker: &mut Linker<Host>, module: &Module) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    for import in module.imports().filter(|import| import.module() == MODULE) {
        let Some(kind) = import.ty().func().cloned() else { continue };
        let name = import.name().to_owned();
        if name.contains("#[resource-drop]") {
            // Streams, errors and the like are constants of the host.
            linker.func_wrap(MODULE, &name, |mut call: Call<'_>, _: u32| enter(&mut call))?;
        } else {
            let refused = name.clone();
            linker.func_new(MODULE, &name, kind, move |_, _, _| {
                Err(Stop::Refused(refused.clone()).into())
            })?;
        }
    }
    clocks::link(linker)?;
    streams::link(linker)?;
    filesystem::link(linker)?;
    surroundings::link(linker)
}
