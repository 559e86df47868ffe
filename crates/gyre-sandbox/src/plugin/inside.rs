//! What the host keeps for one instance of a verifier: its bounds.

use std::fmt;

use wasmtime::ResourceLimiter;

use super::verification::VerifierLimits;

/// A component is made of several core instances: CPython's of some thirty.
const INSTANCES_MAX: usize = 256;
/// Each memory sets address space aside.
const MEMORIES_MAX: usize = 16;

pub(super) struct Inside {
    limits: VerifierLimits,
    memory_bytes: u64,
    memory_bytes_peak: u64,
    table_elements: u64,
}

/// Why the host stopped a verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    MemoryExceeded,
    TablesExceeded,
    /// The machine had no memory to give, which says nothing of the verifier.
    NoMemory {
        message: String,
    },
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemoryExceeded => f.write_str("too much memory was asked for"),
            Self::TablesExceeded => f.write_str("too many table elements were asked for"),
            Self::NoMemory { message } => write!(f, "the machine gave no memory: {message}"),
        }
    }
}

impl std::error::Error for Stop {}

impl Inside {
    pub(super) fn new(limits: VerifierLimits) -> Self {
        Self { limits, memory_bytes: 0, memory_bytes_peak: 0, table_elements: 0 }
    }

    pub(super) fn memory_bytes_peak(&self) -> u64 {
        self.memory_bytes_peak
    }
}

impl ResourceLimiter for Inside {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Its own maximum: it is told that it cannot grow, as everywhere.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let together = self.memory_bytes.saturating_add(desired.saturating_sub(current) as u64);
        if together > self.limits.memory_bytes_max {
            return Err(Stop::MemoryExceeded.into());
        }
        self.memory_bytes = together;
        self.memory_bytes_peak = self.memory_bytes_peak.max(together);
        Ok(true)
    }

    /// The engine would tell the verifier that memory is short, and its verdict
    /// would depend on the machine.
    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Stop::NoMemory { message: format!("{error:#}") }.into())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let together = self.table_elements.saturating_add(desired.saturating_sub(current) as u64);
        if together > self.limits.table_elements_max {
            return Err(Stop::TablesExceeded.into());
        }
        self.table_elements = together;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}
