use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::preview;
use crate::{Limits, Seed, Value};

/// Work for one fresh guest: planned purely, executed by the sandbox, judged
/// purely from its [`SandboxReport`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SandboxJob {
    /// Seeds the guest's randomness.
    pub seed: Seed,
    /// What the guest may use.
    pub limits: Limits,
    /// What to do, in order, in one session; the first step whose guest died
    /// (see [`GuestOutcome::is_fatal`]) ends the job. All steps together may burn
    /// [`Limits::job_fuel_max`], and give [`Limits::job_bytes_max`].
    pub steps: Vec<Step>,
    /// Files that are in the workspace before the first step, by their paths
    /// in it. Only with [`Limits::workspace`], and within those bounds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Runs jobs, each in a fresh guest.
///
/// Reports are handed over as they arrive, in any order, so that no more of them
/// are held than one is working on.
pub trait Executor {
    /// Runs each job and tells `each` what came of it, by its position among the
    /// jobs: a report, or what of the infrastructure failed. `jobs` may be asked
    /// for more after earlier ones were told of. `each` must not run jobs itself.
    fn execute_each(
        &self,
        jobs: &mut dyn Iterator<Item = SandboxJob>,
        each: &mut dyn FnMut(usize, Result<SandboxReport, String>),
    );
}

/// One thing to do in a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Executes source text in the session's namespace. Gives [`Value::Null`].
    Run {
        /// The program.
        code: String,
    },
    /// Calls a function of the session's namespace.
    Call {
        /// The function's name.
        function: String,
        /// Its positional arguments.
        args: Vec<Value>,
    },
}

/// What a job's guest did, step by step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SandboxReport {
    /// One report for each step that was begun.
    pub steps: Vec<StepReport>,
    /// Fuel burnt by all steps.
    pub fuel: u64,
    /// Largest size of the guest's linear memory, in bytes.
    pub memory_bytes_peak: u64,
    /// The regular files that are in the workspace after the last step, by
    /// their paths in it, such as `out/table.csv`. Never evidence of more than
    /// what the guest wrote.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Vec<u8>>,
}

impl SandboxReport {
    /// The report of the last step that was begun.
    pub fn last(&self) -> Option<&StepReport> {
        self.steps.last()
    }
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// How it ended.
    pub outcome: GuestOutcome,
    /// What it wrote to stdout and stderr, in order; bytes that are not UTF-8
    /// are replaced. Never evidence.
    pub stdout: String,
    /// Fuel burnt by this step.
    pub fuel: u64,
    /// Nanoseconds by which the guest's virtual clock moved.
    pub virtual_ns: u64,
}

/// How a step ended. What a guest does wrong is data, never an error of ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum GuestOutcome {
    /// It returned this value.
    Value {
        /// The value, typed exactly.
        value: Value,
    },
    /// It raised, and the session goes on.
    Exception(GuestException),
    /// It returned something that the typed channel does not carry: an object
    /// of a class of its own, a cycle, a text with lone surrogates, a result
    /// beyond the limits.
    Unrepresentable {
        /// What could not be carried.
        reason: String,
    },
    /// The guest trapped.
    Trap {
        /// The trap's name, without addresses.
        message: String,
    },
    /// It burnt all its fuel.
    FuelExhausted,
    /// It asked for more memory than it may have.
    MemoryExceeded,
    /// It wrote more than it may.
    OutputExceeded,
    /// It called its host more often than it may.
    HostCallsExceeded,
}

impl GuestOutcome {
    /// Whether the guest is dead after this: its session takes no more steps.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Value { .. } | Self::Exception(_) | Self::Unrepresentable { .. } => false,
            Self::Trap { .. }
            | Self::FuelExhausted
            | Self::MemoryExceeded
            | Self::OutputExceeded
            | Self::HostCallsExceeded => true,
        }
    }

    /// The value, where there is one.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Value { value } => Some(value),
            _ => None,
        }
    }

    /// One line for people, such as `raised ValueError: bad digit`.
    pub fn describe(&self) -> String {
        match self {
            Self::Value { value } => format!("returned {}", value.preview(200)),
            Self::Exception(e) if e.message.is_empty() => format!("raised {}", e.kind),
            Self::Exception(e) => format!("raised {}: {}", e.kind, preview(&e.message, 200)),
            Self::Unrepresentable { reason } => {
                format!("returned no comparable value: {}", preview(reason, 200))
            }
            Self::Trap { message } => format!("trapped: {}", preview(message, 200)),
            Self::FuelExhausted => "ran out of fuel".to_owned(),
            Self::MemoryExceeded => "ran out of memory".to_owned(),
            Self::OutputExceeded => "wrote too much output".to_owned(),
            Self::HostCallsExceeded => "made too many host calls".to_owned(),
        }
    }
}

/// An exception that left the guest's program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuestException {
    /// The exception's type, such as `ValueError`.
    pub kind: String,
    /// Its text.
    pub message: String,
    /// The traceback through the program's own frames.
    pub traceback: String,
}
