//! One live guest: an instance, its store, and how a step is run in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use gyre_types::{Limits, Seed};
use wasmtime::{Engine, Global, InstancePre, Linker, Module, Store, Trap, TypedFunc};

use crate::artefact::STACK_POINTER;
use crate::bytes::Bytes;
use crate::engine::Memories;
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
const TYPICAL_PROGRAM: &str = "\
def f(x):
    kept = sorted(str(y) for y in range(x) if y % 2)
    table = {y: y * 1.5 for y in kept}
    return [x, len(table), ' '.join(kept).upper()[::-1], [y * y for y in range(x)]]

class Point:
    def __init__(self, x):
        self.x = x

print(sum(range(10)), f'{Point(3).x!r:>4}')
";

/// A compiled guest, linked and ready to be instantiated; no guest has run yet.
pub(crate) struct GuestImage {
    engine: Engine,
    linked: InstancePre<Host>,
    memories: Memories,
    memory_bytes_min: u64,
    resets_checked_every: u64,
    hot: Arc<HotPages>,
    /// A guest that never runs: its memory is the image, whose pages it shares.
    untouched: Option<Guest>,
}

impl GuestImage {
    pub(crate) fn new(
        engine: Engine,
        memories: Memories,
        module: &Module,
        resets_checked_every: u64,
    ) -> Result<Self, SandboxError> {
        let mut linker = Linker::new(&engine);
        let linked = host::link(&mut linker, module).and_then(|()| linker.instantiate_pre(module));
        let linked = linked.map_err(|error| SandboxError::engine("linking the guest", &error))?;
        // The first instance would build the image that all others share.
        module
            .initialize_copy_on_write_image()
            .map_err(|error| SandboxError::engine("mapping the guest", &error))?;
        let pages = module.get_export("memory").and_then(|ty| ty.memory().map(|m| m.minimum()));
        let memory_bytes_min = pages.unwrap_or_default() << 16;
        Ok(Self {
            engine,
            linked,
            memories,
            memory_bytes_min,
            resets_checked_every,
            hot: Arc::default(),
            untouched: None,
        })
    }

    /// Runs the first guest, to learn which pages all of them write to. A worker
    /// process does so once it has given up its rights, and no guest before.
    pub(crate) fn run_first_guest(&mut self) -> Result<(), SandboxError> {
        self.learn_hot_pages().map_err(|fault| SandboxError::Engine {
            doing: "running the first guest",
            message: format!("{fault:?}"),
        })
    }

    /// Compares a guest that ran a small program with one that did not.
    fn learn_hot_pages(&mut self) -> Result<(), Fault> {
        let spec = SessionSpec { seed: Seed(0), limits: Limits::default() };
        let spec = WireSpec::new(&spec);
        let fresh = self.start(self.host(spec.clone())?)?;
        let image = fresh.memory().to_vec();
        match self.memories {
            Memories::Pooled => self.untouched = Some(fresh),
            // There may be room for one guest only.
            Memories::OnDemand => drop(fresh),
        }
        let mut used = self.start(self.host(spec)?)?;
        used.step(&WireStep::Run { code: TYPICAL_PROGRAM.to_owned() }, u64::MAX)?;
        let arguments = "[30]".to_owned();
        used.step(&WireStep::Call { function: "f".to_owned(), arguments }, u64::MAX)?;
        self.hot = Arc::new(HotPages::between(&image, used.memory()));
        Ok(())
    }

    /// The guest that never runs; none where memories are taken one by one.
    pub(crate) fn untouched(&self) -> Option<&Guest> {
        self.untouched.as_ref()
    }

    pub(crate) fn resets_checked_every(&self) -> u64 {
        self.resets_checked_every
    }

    pub(crate) fn hot(&self) -> &HotPages {
        &self.hot
    }

    /// The host's side of a guest.
    pub(crate) fn host(&self, spec: WireSpec) -> Result<Host, Fault> {
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
        Ok(Host::new(Seed(spec.seed), limits, workspace))
    }

    /// Makes a guest in an instance of its own.
    pub(crate) fn start(&self, host: Host) -> Result<Guest, Fault> {
        let mut store = Store::new(&self.engine, host);
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
        let stack_pointer = instance
            .get_global(&mut store, STACK_POINTER)
            .ok_or_else(|| wasmtime::Error::msg("the guest's stack pointer is not exported"))?;
        let realloc = instance.get_typed_func(&mut store, "host_realloc")?;
        store.data_mut().attach(GuestSide { memory, realloc });
        Ok(Guest {
            memory,
            stack_pointer,
            stack_at_rest: stack_pointer.get(&mut store).i32(),
            realloc: instance.get_typed_func(&mut store, "cabi_realloc")?,
            run: instance.get_typed_func(&mut store, "run")?,
            call: instance.get_typed_func(&mut store, "call")?,
            after_run: instance.get_typed_func(&mut store, "cabi_post_run")?,
            after_call: instance.get_typed_func(&mut store, "cabi_post_call")?,
            usage: Usage::default(),
            hot: Some(Arc::clone(&self.hot)),
            store,
        })
    }
}

/// A live guest. After a fatal outcome it must be dropped.
pub(crate) struct Guest {
    store: Store<Host>,
    memory: wasmtime::Memory,
    stack_pointer: Global,
    stack_at_rest: Option<i32>,
    realloc: TypedFunc<(u32, u32, u32, u32), u32>,
    run: TypedFunc<(u32, u32, u32, u32), u32>,
    call: TypedFunc<(u32, u32, u32, u32, u32, u32), u32>,
    after_run: TypedFunc<u32, ()>,
    after_call: TypedFunc<u32, ()>,
    usage: Usage,
    /// Pages to make present before its first step; none in an instance that ran
    /// before, where they are.
    hot: Option<Arc<HotPages>>,
}

impl Guest {
    fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    /// Makes this instance, which was reset, the next guest.
    pub(crate) fn become_next(&mut self, host: Host) {
        let memory_bytes = self.memory().len() as u64;
        self.store.data_mut().replace(host, memory_bytes);
        self.usage = Usage::default();
        self.hot = None;
    }

    /// Gives the instance the memory of a guest that never ran. Says whether that
    /// could be done.
    pub(crate) fn reset(&mut self, fresh: &Self, hot: &HotPages) -> bool {
        self.is_at_rest() && hot.restore(self.memory.data_mut(&mut self.store), fresh.memory())
    }

    /// Whether all that a guest can change is as in one that never ran.
    pub(crate) fn is_like(&mut self, fresh: &Self) -> bool {
        self.is_at_rest() && self.memory() == fresh.memory()
    }

    /// Whether its stack pointer is where it was at first.
    fn is_at_rest(&mut self) -> bool {
        self.stack_pointer.get(&mut self.store).i32() == self.stack_at_rest
    }
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
        if let Some(hot) = self.hot.take() {
            hot.make_present(self.memory.data_mut(&mut self.store));
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
