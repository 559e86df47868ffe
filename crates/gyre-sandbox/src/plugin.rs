//! Verifiers that are WebAssembly components of `sandboxes/wit/verifier.wit`.
//!
//! A verifier is a stranger's program too, and its word is a label, so it gets
//! less than a guest does: no import at all, hence no clock, randomness, file
//! or network to differ by; a worker of its own and a fresh instance for each
//! call, hence no memory of the call before; and fuel, memory, tables and the
//! size of its report are bounded. What it lacks is said in words before any of
//! it runs; what it does wrong when it runs is a [`VerifierFault`], which is
//! data.

mod contract;
mod inside;
mod inspect;
mod interface;
pub(crate) mod loaded;
pub(crate) mod verification;
mod weight;
mod wit;

use std::path::Path;
use std::sync::Arc;

use gyre_types::Digest;
use wasmtime::Engine;

use crate::cache::{self, CompiledGuest, OpenProgress};
use crate::link::{Launch, WorkerKind};
use crate::pool::{self, Answer, Envelope, Pool, PoolSpec, Recipient, Reply, ReplyTo, collect};
use crate::protocol::Request;
use crate::sandbox::SandboxConfig;
use crate::worker::{Code, Hello};
use crate::{SandboxError, engine};

use loaded::LoadedVerifier;
use verification::refused;

pub use inspect::ComponentProblem;
pub use interface::{CONTRACT_VERSION, INTERFACE, WIT};
pub use verification::{ComponentError, Verification, VerifierFault, VerifierLimits};

/// CPython with its standard library is a component of some 40 MB.
const COMPONENT_BYTES_MAX: usize = 128 << 20;
/// A verifier that workers of its own hold, ready to be called from any thread.
#[derive(Clone)]
pub struct ComponentVerifier {
    pool: Arc<Pool>,
    digest: Digest,
    limits: VerifierLimits,
}

impl ComponentVerifier {
    /// Names the verifier that these bytes are: their SHA-256, since they name
    /// the version of the contract that they speak.
    pub fn digest_of(bytes: &[u8]) -> Digest {
        Digest::of(bytes)
    }

    /// Loads a component into a worker, compiling it into the cache folder
    /// first where there is no intact compiled one.
    ///
    /// # Errors
    ///
    /// When it is no verifier, or the infrastructure failed.
    pub fn load(
        bytes: &[u8],
        cache_dir: &Path,
        worker_kind: &WorkerKind,
    ) -> Result<Self, ComponentError> {
        Self::load_with(bytes, cache_dir, worker_kind, VerifierLimits::default(), &|_| {})
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
        worker_kind: &WorkerKind,
        limits: VerifierLimits,
        progress: &dyn Fn(OpenProgress),
    ) -> Result<Self, ComponentError> {
        let functions = inspect::inspect(bytes, COMPONENT_BYTES_MAX)
            .map_err(|problems| ComponentError::Refused { problems })?;
        let engine = engine::for_components()?;
        let compiled = compiled(&engine, bytes, cache_dir, functions, progress)?;
        // What does not fit the interface is told before a worker has it.
        loaded::fits(&engine, &compiled)?;
        let launch = match worker_kind {
            WorkerKind::Process(program) => {
                let hello = Hello::Verifier { limits };
                Launch::Process { program: program.clone(), compiled, hello }
            }
            WorkerKind::Thread => {
                let verifier = LoadedVerifier::load(&compiled, limits)?;
                Launch::Thread { code: Code::Verifier(Arc::new(verifier)) }
            }
        };
        let patience = SandboxConfig::PATIENCE_DEFAULT;
        // A worker answers one verifier's call after the other.
        let reports_bytes_max = 0;
        let spec = PoolSpec { launch, workers: 1, patience, live_max: 1, reports_bytes_max };
        let pool = Arc::new(Pool::new(spec)?);
        let verifier = Self { pool, digest: Self::digest_of(bytes), limits };
        match verifier.ask(Request::Rehearse)? {
            Reply::Rehearsed(Ok(())) => Ok(verifier),
            Reply::Rehearsed(Err(problem)) => Err(refused(problem)),
            _ => Err(SandboxError::WorkerLost.into()),
        }
    }

    /// Names this verifier, as [`digest_of`](Self::digest_of) does.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The processes of the workers that hold it; none where they are threads.
    pub fn worker_processes(&self) -> Vec<u32> {
        self.pool.processes()
    }

    /// Shows an outcome to a fresh instance and takes its report. The outcome
    /// is the contract's JSON; the report is JSON too, still to be judged. A
    /// worker that dies over it is replaced, and asked once more.
    ///
    /// # Errors
    ///
    /// When the infrastructure failed, or the outcome is not of the contract.
    pub fn verify(&self, outcome_json: &str) -> Result<Verification, SandboxError> {
        match self.ask(Request::Verify(outcome_json.to_owned()))? {
            Reply::Verified(verification) => Ok(verification),
            _ => Err(SandboxError::WorkerLost),
        }
    }

    fn ask(&self, request: Request) -> Answer {
        let (reply_to, answers) = pool::replies();
        let envelope = Envelope {
            request,
            result_bytes_max: self.limits.report_bytes_max as u64,
            fuel_max: self.limits.fuel_max,
            job_bytes_max: self.limits.report_bytes_max as u64,
            counted: false,
            life: None,
            ticket: 0,
            reply_to: ReplyTo::Call(reply_to),
        };
        self.pool.send(vec![(Recipient::Anyone, envelope)]);
        collect(&answers, 1).pop().unwrap_or(Err(SandboxError::WorkerLost))
    }
}

/// Refuses what would take the compiler beyond its bounds, or this process
/// beyond its memory.
fn weigh(bytes: &[u8]) -> Result<(), ComponentError> {
    let heaviest = weight::heaviest(bytes)
        .map_err(|error| refused(ComponentProblem::Invalid { message: error.to_string() }))?;
    match heaviest {
        Some(weight::Heavy { function, values }) if values > weight::VALUES_MAX => {
            let values_max = weight::VALUES_MAX;
            Err(refused(ComponentProblem::FunctionTooLarge { function, values, values_max }))
        }
        _ => Ok(()),
    }
}

/// The compiled component: from the cache, or made and put there.
fn compiled(
    engine: &Engine,
    bytes: &[u8],
    cache_dir: &Path,
    functions_total: u32,
    progress: &dyn Fn(OpenProgress),
) -> Result<CompiledGuest, ComponentError> {
    progress(OpenProgress::Loading);
    let content = Digest::of(bytes);
    let compatibility = engine::compatibility(engine);
    let key = Digest::of_parts([content.as_bytes().as_slice(), compatibility.as_bytes()]);
    let compile = || {
        weigh(bytes)?;
        cache::compile(functions_total, progress, |engine| engine.precompile_component(bytes))?
            .map_err(|error| refused(ComponentProblem::Invalid { message: format!("{error:#}") }))
    };
    let name = format!("verifier-{}", cache::short(key));
    // Whether it is a verifier is asked of what was loaded, by the caller.
    cache::obtain(cache_dir, &name, &|_| Ok(()), compile, progress)
}
