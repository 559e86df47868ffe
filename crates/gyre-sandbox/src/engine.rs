//! The engine's settings: everything that determinism and the limits rest on.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use gyre_types::Digest;
use sha2::{Digest as _, Sha256};
use wasmtime::WasmFeatures;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::SandboxError;

/// Native stack that a guest may use. The guest bounds the stack in its own
/// memory, of 1 MiB, and each of its functions that can recurse takes room there
/// in proportion to what it may take here (`sandboxes/python/stack.py`): 32 bytes
/// here for each there, at most. This is twice that, so it is never exhausted
/// first, whatever the processor's frames. What is not touched costs nothing.
pub(crate) const GUEST_STACK_BYTES: usize = 64 << 20;
/// Native stack of a verifier, which meets no other bound.
const VERIFIER_STACK_BYTES: usize = 2 << 20;
/// Native stack of a worker thread: the guest's and room for the host's calls.
pub(crate) const THREAD_STACK_BYTES: usize = GUEST_STACK_BYTES + (4 << 20);
/// No guest grows beyond this, whatever its limits say: address space of a
/// pool slot is set aside for it.
const POOLED_MEMORY_BYTES_MAX: usize = 2 << 30;
/// The guest has about 5,700 table elements and never grows its table.
const TABLE_ELEMENTS_MAX: usize = 8_192;
/// The image of the guest's memory, about 22 MiB, must fit, or it is not
/// shared copy-on-write.
const IMAGE_BYTES_MAX: u64 = 64 << 20;
/// Raised when the host's answers to a guest change, so that the sandbox has
/// another digest.
const HOST_REVISION: u32 = 2;
/// What of the engine can change a result or its fuel.
const ENGINE: &str = "wasmtime 50; fuel; canonical NaN; deterministic relaxed SIMD; 64 MiB stack";

/// Where the memories of guests come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memories {
    /// All were set aside when the engine was made.
    Pooled,
    /// Each is taken when its guest starts.
    OnDemand,
}

/// Makes the engine that runs guests, with room for `live_max` of them.
pub(crate) fn for_running(live_max: u32) -> Result<(Engine, Memories), SandboxError> {
    let mut pool = PoolingAllocationConfig::new();
    // One more guest never runs: what the others are reset to.
    let instances = live_max.saturating_add(1);
    pool.total_core_instances(instances)
        .total_memories(instances)
        .total_tables(instances)
        .max_memory_size(POOLED_MEMORY_BYTES_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_unused_warm_slots(live_max.min(64));
    let mut config = base();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    match Engine::new(&config) {
        Ok(engine) => Ok((engine, Memories::Pooled)),
        Err(error) => {
            // Some machines do not lend that much address space.
            tracing::warn!(%error, "no pool of guest memories; allocating each on demand");
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            make(&config).map(|engine| (engine, Memories::OnDemand))
        }
    }
}

/// Makes an engine that loads what [`for_running`] can load, and runs nothing.
pub(crate) fn for_checking() -> Result<Engine, SandboxError> {
    make(&base())
}

/// Makes the engine that runs verifiers: components, allocated on demand, since
/// each has other memories and tables.
pub(crate) fn for_components() -> Result<Engine, SandboxError> {
    let mut config = base();
    config.max_wasm_stack(VERIFIER_STACK_BYTES);
    make(&config)
}

/// Makes an engine that compiles for the other engines and reports each function
/// that it has compiled to `progress`.
pub(crate) fn for_compiling(
    progress: Arc<dyn wasmtime::CacheStore>,
) -> Result<Engine, SandboxError> {
    let mut config = base();
    config
        .enable_incremental_compilation(progress)
        .map_err(|error| SandboxError::engine("configuring it", &error))?;
    make(&config)
}

fn make(config: &Config) -> Result<Engine, SandboxError> {
    Engine::new(config).map_err(|error| SandboxError::engine("starting", &error))
}

/// What no guest and no verifier uses, though the engine would take it: the
/// less there is, the less can be wrong with it.
const LEFT_OUT: WasmFeatures = WasmFeatures::GC
    .union(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::EXCEPTIONS);

fn base() -> Config {
    let mut config = Config::new();
    config
        .wasm_features(LEFT_OUT, false)
        .consume_fuel(true)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .cranelift_opt_level(OptLevel::Speed)
        // The engine wants no less for stacks of asynchronous calls, though
        // nothing here makes any.
        .async_stack_size(GUEST_STACK_BYTES)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .memory_init_cow(true)
        .memory_guaranteed_dense_image_size(IMAGE_BYTES_MAX)
        // A trap's message holds no frames: they would differ between builds.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .debug_symbols(false)
        .native_unwind_info(false);
    config
}

/// What decides whether a compiled guest can be loaded by this engine.
pub(crate) fn compatibility(engine: &Engine) -> Digest {
    let mut hasher = DigestHasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    Digest::from_bytes(hasher.0.finalize().into())
}

/// What decides the results of a job: the guest, the engine's settings and the
/// host. The same on every machine.
pub(crate) fn sandbox_digest(guest: Digest) -> Digest {
    Digest::of_parts([
        b"gyre-sandbox".as_slice(),
        guest.as_bytes(),
        ENGINE.as_bytes(),
        &HOST_REVISION.to_le_bytes(),
    ])
}

/// Hashes by SHA-256, since a 64-bit hash is too short to name a file by.
struct DigestHasher(Sha256);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
