//! Verifiers that are WebAssembly components of `sandboxes/wit/verifier.wit`.
//!
//! A verifier is a stranger's program too, and its word is a label, so it gets
//! less than a guest does: no import at all, hence no clock, randomness, file
//! or network to differ by; a fresh instance for each call, hence no memory of
//! the call before; and fuel, memory, tables and the size of its report are
//! bounded. What it lacks is said in words before any of it runs; what it does
//! wrong when it runs is a [`VerifierFault`], which is data.

mod contract;
mod inside;
mod inspect;
mod wit;

use std::path::Path;
use std::thread;

use gyre_types::Digest;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store, Trap};

use crate::cache::{self, Entry, OpenProgress};
use crate::{SandboxError, engine};
use inside::{Inside, Stop};
use wit::VerifierPre;

pub use inspect::ComponentProblem;

/// The version of the contract that outcomes and reports follow.
pub const CONTRACT_VERSION: u32 = 1;
/// The interface that a verifier exports.
pub const INTERFACE: &str = "gyre:verifier/grading@1.0.0";
/// The world and its interface, as authors give it to their tools.
pub const WIT: &str = include_str!("../../../sandboxes/wit/verifier.wit");

/// CPython with its standard library is a component of some 40 MB.
const COMPONENT_BYTES_MAX: usize = 128 << 20;

/// What one call of a verifier may use. Counted, never timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifierLimits {
    /// Fuel, instantiation included; a second of work is some 10e9.
    pub fuel_max: u64,
    /// Linear memories together, in bytes.
    pub memory_bytes_max: u64,
    /// Elements of tables together.
    pub table_elements_max: u64,
    /// What is copied out as the report, in bytes.
    pub report_bytes_max: usize,
}

impl Default for VerifierLimits {
    /// About a second of work, 256 MiB, 2^18 elements, 1 MiB of report.
    fn default() -> Self {
        Self {
            fuel_max: 10_000_000_000,
            memory_bytes_max: 256 << 20,
            table_elements_max: 1 << 18,
            report_bytes_max: 1 << 20,
        }
    }
}

/// Why a component was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// It is no verifier. Everything that is known to be wrong is listed.
    #[error("not a verifier of this version of Gyre: {}", list(problems))]
    Refused {
        /// What it lacks or wrongly has, at least one.
        problems: Vec<ComponentProblem>,
    },
    /// The infrastructure failed; nothing is said of the component.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// What a verifier did wrong in one call. Whatever it judged has no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierFault {
    /// It did not come to an end.
    #[error("the verifier used up its {fuel_max} units of fuel: it loops, or does too much")]
    FuelExhausted {
        /// The bound.
        fuel_max: u64,
    },
    /// It asked for more memory than it may have.
    #[error("the verifier asked for more than its {bytes_max} bytes of memory")]
    MemoryExceeded {
        /// The bound, in bytes.
        bytes_max: u64,
    },
    /// It asked for more table elements than it may have.
    #[error("the verifier asked for more than its {elements_max} elements of tables")]
    TablesExceeded {
        /// The bound.
        elements_max: u64,
    },
    /// It trapped: a panic, an unreachable instruction, a stack overflow.
    #[error("the verifier trapped: {message}")]
    Trapped {
        /// The engine's own words.
        message: String,
    },
    /// Its report is too large to be copied out.
    #[error("the verifier's report takes more than the {bytes_max} bytes that it may have")]
    ReportTooLarge {
        /// The bound, in bytes.
        bytes_max: usize,
    },
    /// What it gave back is no report: bad pointers or texts, NaN, a name twice.
    #[error("the verifier's report is malformed: {detail}")]
    Malformed {
        /// What is wrong.
        detail: String,
    },
    /// It said itself that it cannot judge this.
    #[error("the verifier gave an error instead of a report: {message}")]
    Declined {
        /// Its own words, cut to a bounded length.
        message: String,
    },
}

/// What one call of a verifier came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    /// The report as JSON, still to be judged, or what the verifier did wrong.
    pub report: Result<String, VerifierFault>,
    /// Fuel burnt.
    pub fuel: u64,
    /// Largest size of its memories together, in bytes.
    pub memory_bytes_peak: u64,
}

/// A loaded verifier, ready to be called from any thread.
#[derive(Clone)]
pub struct ComponentVerifier {
    engine: Engine,
    linked: VerifierPre<Inside>,
    digest: Digest,
    limits: VerifierLimits,
}

impl ComponentVerifier {
    /// Names the verifier that these bytes are: their SHA-256, since they name
    /// the version of the contract that they speak.
    pub fn digest_of(bytes: &[u8]) -> Digest {
        Digest::of(bytes)
    }

    /// Loads a component, compiling it into the cache folder first where there
    /// is no intact compiled one.
    ///
    /// # Errors
    ///
    /// When it is no verifier, or the infrastructure failed.
    pub fn load(bytes: &[u8], cache_dir: &Path) -> Result<Self, ComponentError> {
        Self::load_with(bytes, cache_dir, VerifierLimits::default(), &|_| {})
    }

    /// As [`load`](Self::load), with limits of one's own, and told how the
    /// compilation goes: ten seconds for a verifier in Python, once.
    ///
    /// # Errors
    ///
    /// When it is no verifier, or the infrastructure failed.
    pub fn load_with(
        bytes: &[u8],
        cache_dir: &Path,
        limits: VerifierLimits,
        progress: &dyn Fn(OpenProgress),
    ) -> Result<Self, ComponentError> {
        let functions = inspect::inspect(bytes, COMPONENT_BYTES_MAX)
            .map_err(|problems| ComponentError::Refused { problems })?;
        let engine = engine::for_components()?;
        let component = compiled(&engine, bytes, cache_dir, functions, progress)?;
        let linked = link(&engine, &component)?;
        let verifier = Self { engine, linked, digest: Self::digest_of(bytes), limits };
        match on_deep_stack(|| verifier.rehearse())? {
            Ok(()) => Ok(verifier),
            Err(problem) => Err(refused(problem)),
        }
    }

    /// Names this verifier, as [`digest_of`](Self::digest_of) does.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Shows an outcome to a fresh instance and takes its report. The outcome
    /// is the contract's JSON; the report is JSON too, still to be judged.
    ///
    /// # Errors
    ///
    /// When the infrastructure failed, or the outcome is not of the contract.
    pub fn verify(&self, outcome_json: &str) -> Result<Verification, SandboxError> {
        let outcome = contract::read(outcome_json)?;
        on_deep_stack(|| self.call(&outcome))?
    }

    fn store(&self) -> wasmtime::Result<Store<Inside>> {
        let mut store = Store::new(&self.engine, Inside::new(self.limits));
        store.limiter(|inside| inside);
        store.set_fuel(self.limits.fuel_max)?;
        store.set_hostcall_fuel(self.limits.report_bytes_max);
        Ok(store)
    }

    /// Instantiates it once, so that what cannot work is known before it is
    /// relied upon.
    fn rehearse(&self) -> Result<(), ComponentProblem> {
        let started = self
            .store()
            .and_then(|mut store| self.linked.instance_pre().instantiate(&mut store).map(|_| ()));
        started.map_err(|error| ComponentProblem::DoesNotStart {
            message: self.limits.what_it_did(&error).to_string(),
        })?;
        self.start()
            .map(|_| ())
            .map_err(|error| ComponentProblem::WrongType { message: format!("{error:#}") })
    }

    fn start(&self) -> wasmtime::Result<(Store<Inside>, wit::Verifier)> {
        let mut store = self.store()?;
        let instance = self.linked.instantiate(&mut store)?;
        Ok((store, instance))
    }

    fn call(&self, outcome: &wit::Outcome) -> Result<Verification, SandboxError> {
        let failed = |error| SandboxError::engine("starting a verifier", &error);
        // It did start when it was loaded, so what fails here is the machine.
        let (mut store, instance) = self.start().map_err(failed)?;
        let called = instance.gyre_verifier_grading().call_verify(&mut store, outcome);
        let left = store.get_fuel().map_err(failed)?;
        if let Err(error) = &called
            && let Some(Stop::NoMemory { message }) = error.downcast_ref()
        {
            let message = message.clone();
            return Err(SandboxError::Engine { doing: "growing a verifier's memory", message });
        }
        let report = match called {
            Ok(Ok(report)) => contract::write(&report),
            Ok(Err(message)) => Err(VerifierFault::Declined { message: contract::cut(&message) }),
            Err(error) => Err(self.limits.what_it_did(&error)),
        };
        Ok(Verification {
            report,
            fuel: self.limits.fuel_max.saturating_sub(left),
            memory_bytes_peak: store.data().memory_bytes_peak(),
        })
    }
}

impl VerifierLimits {
    /// What a call that did not return says about the verifier.
    fn what_it_did(&self, error: &wasmtime::Error) -> VerifierFault {
        match error.downcast_ref::<Stop>() {
            Some(Stop::MemoryExceeded) => {
                return VerifierFault::MemoryExceeded { bytes_max: self.memory_bytes_max };
            }
            Some(Stop::TablesExceeded) => {
                return VerifierFault::TablesExceeded { elements_max: self.table_elements_max };
            }
            Some(Stop::NoMemory { .. }) | None => {}
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => VerifierFault::FuelExhausted { fuel_max: self.fuel_max },
            Some(trap @ Trap::UnreachableCodeReached) => {
                VerifierFault::Trapped { message: format!("{trap}: so ends a panic") }
            }
            Some(trap) => VerifierFault::Trapped { message: trap.to_string() },
            None => self.what_it_gave(&error.root_cause().to_string()),
        }
    }

    /// What cannot be copied out is no trap: the engine has only words for it.
    fn what_it_gave(&self, words: &str) -> VerifierFault {
        if words.contains("fuel allocated for hostcalls") {
            VerifierFault::ReportTooLarge { bytes_max: self.report_bytes_max }
        } else {
            VerifierFault::Malformed { detail: contract::cut(words) }
        }
    }
}

fn list(problems: &[ComponentProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn refused(problem: ComponentProblem) -> ComponentError {
    ComponentError::Refused { problems: vec![problem] }
}

/// Nothing is defined in the linker: a verifier imports nothing.
fn link(engine: &Engine, component: &Component) -> Result<VerifierPre<Inside>, ComponentError> {
    let wrong = |error: wasmtime::Error| {
        refused(ComponentProblem::WrongType { message: format!("{error:#}") })
    };
    let interface = component.get_export_index(None, INTERFACE);
    let interface = interface
        .ok_or_else(|| refused(ComponentProblem::MissingInterface { exports: Vec::new() }))?;
    if component.get_export_index(Some(&interface), "verify").is_none() {
        return Err(refused(ComponentProblem::MissingFunction));
    }
    let linked = Linker::new(engine).instantiate_pre(component).map_err(wrong)?;
    VerifierPre::new(linked).map_err(wrong)
}

/// The compiled component: from the cache, or made and put there.
fn compiled(
    engine: &Engine,
    bytes: &[u8],
    cache_dir: &Path,
    functions_total: u32,
    progress: &dyn Fn(OpenProgress),
) -> Result<Component, ComponentError> {
    progress(OpenProgress::Loading);
    let content = Digest::of(bytes);
    let compatibility = engine::compatibility(engine);
    let key = Digest::of_parts([content.as_bytes().as_slice(), compatibility.as_bytes()]);
    let folder = cache_dir.join(cache::FOLDER);
    cache::make_private(&folder)?;
    let entry = Entry::new(&folder, "verifier", key);
    match entry.read().and_then(|found| found.map(|(_, code)| load(engine, &code)).transpose()) {
        Ok(Some(component)) => {
            progress(OpenProgress::Ready { from_cache: true });
            return Ok(component);
        }
        Ok(None) => {}
        Err(reason) => {
            tracing::warn!(path = %entry.compiled.display(), reason, "discarding a compiled verifier");
            entry.remove()?;
            progress(OpenProgress::Discarded { path: entry.compiled.clone(), reason });
        }
    }
    cache::make_folder(&folder)?;
    let code =
        cache::compile(functions_total, progress, |engine| engine.precompile_component(bytes))?
            .map_err(|error| {
                refused(ComponentProblem::Invalid { message: format!("{error:#}") })
            })?;
    entry.store(&code)?;
    let component = load(engine, &code).map_err(|message| SandboxError::Engine {
        doing: "loading a verifier that it compiled",
        message,
    })?;
    progress(OpenProgress::Ready { from_cache: false });
    Ok(component)
}

#[expect(
    unsafe_code,
    reason = "loading machine code is what a compilation cache is for. These bytes are what the \
              compiler of this process just gave, or the content of a file in a folder that only \
              this user may write, which matched the digest that was written after compiling it"
)]
fn load(engine: &Engine, code: &[u8]) -> Result<Component, String> {
    // SAFETY: see the reason above; the bytes checked are the bytes loaded.
    unsafe { Component::deserialize(engine, code) }.map_err(|error| format!("{error:#}"))
}

/// Runs wasm on a thread whose stack holds all that wasm may use: callers'
/// threads may have less, and running over theirs would end the process.
fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, SandboxError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("verifier".to_owned())
            .stack_size(engine::THREAD_STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|error| SandboxError::Engine {
                doing: "starting a thread for a verifier",
                message: error.to_string(),
            })?;
        thread.join().map_err(|_| SandboxError::WorkerLost)
    })
}
