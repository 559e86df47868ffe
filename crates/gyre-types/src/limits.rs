use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one guest session may use.
///
/// Everything here is counted, never timed, so the same job meets the same
/// limit on any machine under any load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Fuel per step, in wasmtime's units (about one per wasm instruction).
    /// A million-step Python loop costs 1e9 inside a function and 2.3e9 outside
    /// one; a second of work is some 10e9.
    pub fuel_max: u64,
    /// Linear memory of the guest, in bytes, the interpreter's own 17 MiB included.
    pub memory_bytes_max: u64,
    /// Bytes written to stdout and stderr together, per step.
    pub stdout_bytes_max: u64,
    /// Bytes of the encoded result of one step.
    pub result_bytes_max: u64,
    /// Calls from the guest to its host per step: clocks, randomness, streams.
    pub host_calls_max: u64,
    /// Depth of Python's recursion; CPython's own default is 1,000.
    pub recursion_max: u32,
}

impl Default for Limits {
    /// Room for any everyday program, refused to a bomb: 2e9 fuel (about 0.3 s
    /// of work), 128 MiB, 64 KiB of output, 256 KiB of result.
    fn default() -> Self {
        Self {
            fuel_max: 2_000_000_000,
            memory_bytes_max: 128 << 20,
            stdout_bytes_max: 64 << 10,
            result_bytes_max: 256 << 10,
            host_calls_max: 100_000,
            recursion_max: 1_000,
        }
    }
}
