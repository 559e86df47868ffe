//! One live guest: an instance, its store, and how a step is run in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use gyre_types::{Limits, Seed};
use wasmtime::{Engine, InstancePre, Linker, Module, Store, Trap, TypedFunc};

use crate::bytes::Bytes;
use crate::host::{self, GuestSide, Host, Stop, Workspace};
use crate::prefault::HotPages;
use crate::protocol::{Fault, SessionSpec, StepEnd, Usage, WireSpec, WireStep, WireStepReport};
use crate::{SandboxError, reply};

/// The guest's recursion bound below which its runner could not work.
const RECURSION_MIN: u32 = 50;
/// Bounds of a program or of a function's arguments, in bytes.
const INPUT_BYTES_MAX: usize = 16 << 20;

/// Stands for the programs that policies write when it is asked which pages
/// they all write to.
const TYPICAL_PROGRAM: &str = "def f(x):\n    return [x, str(x)]\n\nprint(sum(range(10)))\n";

/// A compiled guest, linked and ready to be instantiated; no guest has run yet.
pub(crate) struct GuestImage {
    engine: Engine,
    linked: InstancePre<Host>,
    memory_bytes_min: u64,
    hot: Arc<HotPages>,
}

impl GuestImage {
    pub(crate) fn new(engine: Engine, module: &Module) -> Result<Self, SandboxError> {
        let mut linker = Linker::new(&engine);
        let linked = host::link(&mut linker, module).and_then(|()| linker.instantiate_pre(module));
        let linked = linked.map_err(|error| SandboxError::engine("linking the guest", &error))?;
        // The first instance would build the image that all others share.
        module
            .initialize_copy_on_write_image()
            .map_err(|error| SandboxError::engine("mapping the guest", &error))?;
        let pages = module.get_export("memory").and_then(|ty| ty.memory().map(|m| m.minimum()));
        let memory_bytes_min = pages.unwrap_or_default() << 16;
        Ok(Self { engine, linked, memory_bytes_min, hot: Arc::default() })
    }

    /// Runs the first guest, to learn which pages all of them write to. A worker
    /// process does so once it has given up its rights, and no guest before.
    pub(crate) fn run_first_guest(&mut self) -> Result<(), SandboxError> {
        let hot = self.learn_hot_pages().map_err(|fault| SandboxError::Engine {
            doing: "running the first guest",
            message: format!("{fault:?}"),
        })?;
        self.hot = Arc::new(hot);
        Ok(())
    }

    /// Compares a guest that ran a small program with one that did not.
    fn learn_hot_pages(&self) -> Result<HotPages, Fault> {
        let spec = SessionSpec { seed: Seed(0), limits: Limits::default() };
        let spec = WireSpec::new(&spec);
        let fresh = self.start(spec.clone())?;
        let untouched = fresh.memory.data(&fresh.store).to_vec();
        // There may be room for one guest only.
        drop(fresh);
        let mut used = self.start(spec)?;
        used.step(&WireStep::Run { code: TYPICAL_PROGRAM.to_owned() }, u64::MAX)?;
        let arguments = "[3]".to_owned();
        used.step(&WireStep::Call { function: "f".to_owned(), arguments }, u64::MAX)?;
        Ok(HotPages::between(&untouched, used.memory.data(&used.store)))
    }

    /// Makes a fresh guest.
    pub(crate) fn start(&self, spec: WireSpec) -> Result<Guest, Fault> {
        let limits = spec.limits.unpack();
        let given = limits.memory_bytes_max;
        if given < self.memory_bytes_min {
            return Err(Fault::MemoryLimitTooSmall { given, needed: self.memory_bytes_min });
        }
        let refused = |message| Fault::FilesRefused { message };
        let workspace = match limits.workspace.clone() {
            Some(limits) => Some(Workspace::new(limits, &spec.files).map_err(refused)?),
            None if spec.files.is_empty() => None,
            None => return Err(refused("its limits grant no workspace".to_owned())),
        };
        let mut store = Store::new(&self.engine, Host::new(Seed(spec.seed), limits, workspace));
        store.limiter(|host| host);
        self.attach(store).map_err(|error| {
            if error.is::<wasmtime::PoolConcurrencyLimitError>() {
                return Fault::TooManySessions;
            }
            Fault::Engine { message: format!("{error:#}") }
        })
    }

    fn attach(&self, mut store: Store<Host>) -> wasmtime::Result<Guest> {
        let instance = self.linked.instantiate(&mut store)?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| wasmtime::Error::msg("the guest has no memory"))?;
        let realloc = instance.get_typed_func(&mut store, "host_realloc")?;
        store.data_mut().attach(GuestSide { memory, realloc });
        Ok(Guest {
            memory,
            realloc: instance.get_typed_func(&mut store, "cabi_realloc")?,
            run: instance.get_typed_func(&mut store, "run")?,
            call: instance.get_typed_func(&mut store, "call")?,
            after_run: instance.get_typed_func(&mut store, "cabi_post_run")?,
            after_call: instance.get_typed_func(&mut store, "cabi_post_call")?,
            usage: Usage::default(),
            hot: Arc::clone(&self.hot),
            store,
        })
    }
}

/// A live guest. After a fatal outcome it must be dropped.
pub(crate) struct Guest {
    store: Store<Host>,
    memory: wasmtime::Memory,
    realloc: TypedFunc<(u32, u32, u32, u32), u32>,
    run: TypedFunc<(u32, u32, u32, u32), u32>,
    call: TypedFunc<(u32, u32, u32, u32, u32, u32), u32>,
    after_run: TypedFunc<u32, ()>,
    after_call: TypedFunc<u32, ()>,
    usage: Usage,
    hot: Arc<HotPages>,
}

impl Guest {
    pub(crate) fn usage(&self) -> Usage {
        Usage { memory_bytes_peak: self.store.data().memory_bytes_peak(), ..self.usage }
    }

    /// The regular files of its workspace, as they are now.
    pub(crate) fn files(&self) -> BTreeMap<String, Bytes> {
        self.store.data().workspace().map(Workspace::files).unwrap_or_default()
    }

    /// Runs one step, which may burn what its job has left. What the guest does
    /// wrong is in the report.
    pub(crate) fn step(&mut self, step: &WireStep, left: u64) -> Result<WireStepReport, Fault> {
        let limits = self.store.data().limits().clone();
        let fuel_max = limits.fuel_max.min(left);
        let slept_before = self.store.data().slept_ns();
        self.store.data_mut().begin_step();
        if self.usage.steps == 0 {
            self.hot.make_present(self.memory.data_mut(&mut self.store));
        }
        self.store.set_fuel(fuel_max).map_err(engine_fault)?;
        let end = match self.answer(step, &limits) {
            Ok(answer) => StepEnd::Answered(Bytes(answer)),
            Err(error) => stopped(&error)?,
        };
        let left = self.store.get_fuel().map_err(engine_fault)?;
        let fuel = fuel_max.saturating_sub(left);
        let host = self.store.data_mut();
        let output = host.end_step(fuel);
        let slept = host.slept_ns() - slept_before;
        self.usage.steps += 1;
        self.usage.fuel = self.usage.fuel.saturating_add(fuel);
        Ok(WireStepReport {
            end,
            stdout: String::from_utf8_lossy(&output).into_owned(),
            fuel,
            virtual_ns: slept.saturating_add(fuel),
        })
    }

    fn answer(&mut self, step: &WireStep, limits: &Limits) -> wasmtime::Result<Vec<u8>> {
        let result_max = u32::try_from(limits.result_bytes_max).unwrap_or(u32::MAX);
        let depth = limits.recursion_max.max(RECURSION_MIN);
        match step {
            WireStep::Run { code } => {
                let (at, size) = self.give(code)?;
                let result = self.run.call(&mut self.store, (at, size, result_max, depth))?;
                let reply = self.take(result, limits)?;
                self.after_run.call(&mut self.store, result)?;
                Ok(reply)
            }
            WireStep::Call { function, arguments } => {
                let (name, name_size) = self.give(function)?;
                let (at, size) = self.give(arguments)?;
                let given = (name, name_size, at, size, result_max, depth);
                let result = self.call.call(&mut self.store, given)?;
                let reply = self.take(result, limits)?;
                self.after_call.call(&mut self.store, result)?;
                Ok(reply)
            }
        }
    }

    fn give(&mut self, text: &str) -> wasmtime::Result<(u32, u32)> {
        if text.len() > INPUT_BYTES_MAX {
            return Err(Stop::MemoryExceeded.into());
        }
        let size = text.len() as u32;
        let at = self.realloc.call(&mut self.store, (0, 0, 1, size))?;
        let written = self.memory.write(&mut self.store, at as usize, text.as_bytes());
        written.map_err(|_| Stop::Malformed("a bad allocation"))?;
        Ok((at, size))
    }

    /// Copies a reply out, bounded whatever length the guest claims.
    fn take(&self, result: u32, limits: &Limits) -> wasmtime::Result<Vec<u8>> {
        let data = self.memory.data(&self.store);
        let word = |at: u32| -> Option<u32> {
            let bytes = data.get(at as usize..)?.get(..4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let reply = word(result).zip(word(result.wrapping_add(4))).and_then(|(at, size)| {
            let allowed = u64::from(size) <= reply::bytes_max(limits.result_bytes_max);
            data.get(at as usize..)?.get(..size as usize).filter(|_| allowed)
        });
        reply.map(<[u8]>::to_vec).ok_or_else(|| Stop::Malformed("a reply out of bounds").into())
    }
}

/// What a call that did not return says about the guest; an error that says
/// nothing about it is the engine's.
fn stopped(error: &wasmtime::Error) -> Result<StepEnd, Fault> {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return Ok(match stop {
            Stop::MemoryExceeded => StepEnd::MemoryExceeded,
            Stop::OutputExceeded => StepEnd::OutputExceeded,
            Stop::HostCallsExceeded => StepEnd::HostCallsExceeded,
            Stop::Exited | Stop::Refused(_) | Stop::Malformed(_) => {
                StepEnd::Trapped(stop.to_string())
            }
        });
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Ok(StepEnd::FuelExhausted),
        Some(trap) => Ok(StepEnd::Trapped(trap.to_string())),
        None => Err(Fault::Engine { message: format!("{error:#}") }),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn engine_fault(error: wasmtime::Error) -> Fault {
    Fault::Engine { message: format!("{error:#}") }
}
