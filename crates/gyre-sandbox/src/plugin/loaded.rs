//! A verifier as its worker holds it: linked, and started anew for each call.

use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store, Trap};

use super::inside::{Inside, Stop};
use super::inspect::ComponentProblem;
use super::interface::INTERFACE;
use super::verification::{
    ComponentError, Rehearsal, Verification, VerifierFault, VerifierLimits, refused,
};
use super::wit::VerifierPre;
use super::{contract, wit};
use crate::cache::CompiledGuest;
use crate::protocol::Fault;
use crate::{SandboxError, engine};

/// A linked verifier.
pub(crate) struct LoadedVerifier {
    engine: Engine,
    linked: VerifierPre<Inside>,
    limits: VerifierLimits,
}

/// Whether a compiled component is a verifier by its type.
pub(super) fn fits(engine: &Engine, compiled: &CompiledGuest) -> Result<(), ComponentError> {
    link(engine, &component(engine, compiled)?).map(|_| ())
}

fn component(engine: &Engine, compiled: &CompiledGuest) -> Result<Component, SandboxError> {
    let failed = |message| SandboxError::Engine { doing: "loading a compiled verifier", message };
    let code = compiled.bytes().map_err(|error| failed(error.to_string()))?;
    load(engine, &code).map_err(failed)
}

impl LoadedVerifier {
    pub(crate) fn load(
        compiled: &CompiledGuest,
        limits: VerifierLimits,
    ) -> Result<Self, SandboxError> {
        let failed = |message| SandboxError::Engine { doing: "linking a verifier", message };
        let engine = engine::for_components()?;
        let component = component(&engine, compiled)?;
        // The first instance would make it, when no file can be made any more.
        component.initialize_copy_on_write_image().map_err(|e| failed(format!("{e:#}")))?;
        let linked = link(&engine, &component).map_err(|error| failed(error.to_string()))?;
        Ok(Self { engine, linked, limits })
    }

    /// Shows an outcome to a fresh instance.
    pub(crate) fn verify(&self, outcome_json: &str) -> Result<Verification, Fault> {
        self.call(&contract::read(outcome_json).map_err(|message| Fault::Outcome { message })?)
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
    pub(crate) fn rehearse(&self) -> Rehearsal {
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

    fn call(&self, outcome: &wit::Outcome) -> Result<Verification, Fault> {
        let failed = |error: wasmtime::Error| Fault::Engine { message: format!("{error:#}") };
        // It did start when it was loaded, so what fails here is the machine.
        let (mut store, instance) = self.start().map_err(failed)?;
        let called = instance.gyre_verifier_grading().call_verify(&mut store, outcome);
        let left = store.get_fuel().map_err(failed)?;
        if let Err(error) = &called
            && let Some(Stop::NoMemory { message }) = error.downcast_ref()
        {
            return Err(Fault::Engine { message: message.clone() });
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
