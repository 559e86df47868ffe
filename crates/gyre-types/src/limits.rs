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
    /// A million-step Python loop costs 1e9 inside a function and 2.5e9 outside
    /// one; a second of work is some 10e9.
    pub fuel_max: u64,
    /// Linear memory of the guest, in bytes, the interpreter's own 24 MiB included.
    pub memory_bytes_max: u64,
    /// Bytes written to stdout and stderr together, per step.
    pub stdout_bytes_max: u64,
    /// Bytes of the encoded result of one step.
    pub result_bytes_max: u64,
    /// Calls from the guest to its host per step: clocks, randomness, streams.
    pub host_calls_max: u64,
    /// Depth of Python's recursion; CPython's own default is 1,000.
    pub recursion_max: u32,
    /// A folder of the guest's own, empty at first unless the job brings files;
    /// without it there are no files at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceLimits>,
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
            workspace: None,
        }
    }
}

/// Steps of a job that may each burn all their fuel: what more steps burn in
/// all is bounded by this many.
const JOB_STEPS_AT_FULL_FUEL: u64 = 64;
/// Results and output of a job together, unless one step alone may give more.
const JOB_BYTES_MAX: u64 = 8 << 20;

impl Limits {
    /// Fuel that all steps of one job may burn together, and so may all cases of
    /// one answer, which are jobs of their own.
    pub fn job_fuel_max(&self) -> u64 {
        self.fuel_max.saturating_mul(JOB_STEPS_AT_FULL_FUEL)
    }

    /// Bytes of results and output that all steps of one job may give together.
    pub fn job_bytes_max(&self) -> u64 {
        JOB_BYTES_MAX.max(self.result_bytes_max.saturating_add(self.stdout_bytes_max))
    }
}

/// What a guest may keep in its workspace, a tree of files in the host's memory
/// that is as old as the guest and has no way out.
///
/// What would exceed a bound fails inside the guest as an `OSError`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkspaceLimits {
    /// Bytes of all files together.
    pub bytes_max: u64,
    /// Files and folders together.
    pub entries_max: u32,
    /// Names in a path, so the depth of the tree.
    pub path_depth_max: u32,
    /// Bytes of one name.
    pub name_bytes_max: u32,
    /// Files and folders open at one time.
    pub open_max: u32,
}

impl Default for WorkspaceLimits {
    /// Room for what a small program writes: 1 MiB in 256 files and folders,
    /// eight deep, names of 100 bytes, 32 open at one time.
    fn default() -> Self {
        Self {
            bytes_max: 1 << 20,
            entries_max: 256,
            path_depth_max: 8,
            name_bytes_max: 100,
            open_max: 32,
        }
    }
}
