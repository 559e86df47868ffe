//! What is said to a worker and what it answers: plain data of this crate's
//! own, so that a worker can be a process.
//!
//! What a guest answered travels as the bytes that it gave; this side of the
//! wire parses them, strictly.

use std::collections::BTreeMap;

use gyre_types::{
    GuestOutcome, Limits, SandboxJob, SandboxReport, Seed, Step, StepReport, Value, ValueLimits,
    WorkspaceLimits,
};
use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::plugin::verification::{Rehearsal, Verification};
use crate::reply;

/// What a session is started with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionSpec {
    /// Seeds the guest's randomness.
    pub seed: Seed,
    /// What the guest may use; what is counted is counted per step.
    pub limits: Limits,
}

/// What a session used, all steps together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Steps that were begun.
    pub steps: u32,
    /// Fuel burnt.
    pub fuel: u64,
    /// Largest size of the guest's linear memory, in bytes.
    pub memory_bytes_peak: u64,
}

/// Names a session to the worker that holds it.
pub(crate) type SessionKey = u64;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Execute(WireJob),
    Start(SessionKey, WireSpec),
    Step(SessionKey, WireStep),
    End(SessionKey),
    /// To a worker that holds a verifier: start an instance, and drop it.
    Rehearse,
    /// To a worker that holds a verifier: judge this outcome, as JSON.
    Verify(String),
}

/// A [`SandboxJob`] on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireJob {
    pub(crate) spec: WireSpec,
    pub(crate) steps: Vec<WireStep>,
    /// Whether the other steps make no sense where the first gave no value.
    pub(crate) first_decides: bool,
}

/// What a guest is started with, on the wire.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WireSpec {
    pub(crate) seed: u64,
    pub(crate) limits: WireLimits,
    pub(crate) files: BTreeMap<String, Bytes>,
}

/// A [`Step`] on the wire, its arguments as the guest takes them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum WireStep {
    Run { code: String },
    Call { function: String, arguments: String },
}

/// [`Limits`] on the wire, whose fields are all there.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct WireLimits {
    fuel_max: u64,
    memory_bytes_max: u64,
    stdout_bytes_max: u64,
    result_bytes_max: u64,
    host_calls_max: u64,
    recursion_max: u32,
    workspace: Option<(u64, u32, u32, u32, u32)>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    Executed(WireReport),
    Started,
    Stepped(WireStepReport),
    Ended(Usage),
    Rehearsed(Rehearsal),
    Verified(Verification),
    Failed(Fault),
}

/// A [`SandboxReport`] on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireReport {
    pub(crate) steps: Vec<WireStepReport>,
    pub(crate) usage: Usage,
    pub(crate) files: BTreeMap<String, Bytes>,
}

/// A [`StepReport`] on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireStepReport {
    pub(crate) end: StepEnd,
    pub(crate) stdout: String,
    pub(crate) fuel: u64,
    pub(crate) virtual_ns: u64,
}

/// How a step ended: with an answer, or with the guest's death.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum StepEnd {
    Answered(Bytes),
    Trapped(String),
    FuelExhausted,
    MemoryExceeded,
    OutputExceeded,
    HostCallsExceeded,
}

/// An infrastructure fault, as a worker reports it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Fault {
    Engine { message: String },
    SessionDead,
    TooManySessions,
    MemoryLimitTooSmall { given: u64, needed: u64 },
    FilesRefused { message: String },
    ReportTooLarge { bytes: u64 },
    Outcome { message: String },
    Panicked,
}

impl WireJob {
    pub(crate) fn new(job: SandboxJob, first_decides: bool) -> Self {
        let spec = WireSpec {
            seed: job.seed.0,
            limits: WireLimits::new(&job.limits),
            files: job.files.into_iter().map(|(path, content)| (path, Bytes(content))).collect(),
        };
        let steps = job.steps.into_iter().map(WireStep::new).collect();
        Self { spec, steps, first_decides }
    }
}

impl WireSpec {
    pub(crate) fn new(spec: &SessionSpec) -> Self {
        let limits = WireLimits::new(&spec.limits);
        Self { seed: spec.seed.0, limits, files: BTreeMap::new() }
    }
}

impl WireStep {
    fn bytes(&self) -> u64 {
        match self {
            Self::Run { code } => code.len() as u64,
            Self::Call { function, arguments } => (function.len() + arguments.len()) as u64,
        }
    }

    pub(crate) fn new(step: Step) -> Self {
        match step {
            Step::Run { code } => Self::Run { code },
            Step::Call { function, args } => {
                Self::Call { function, arguments: Value::List(args).to_wire_text() }
            }
        }
    }
}

impl WireLimits {
    pub(crate) fn new(limits: &Limits) -> Self {
        let Limits {
            fuel_max,
            memory_bytes_max,
            stdout_bytes_max,
            result_bytes_max,
            host_calls_max,
            recursion_max,
            workspace,
        } = limits;
        let workspace = workspace.as_ref().map(|workspace| {
            let WorkspaceLimits {
                bytes_max,
                entries_max,
                path_depth_max,
                name_bytes_max,
                open_max,
            } = workspace;
            (*bytes_max, *entries_max, *path_depth_max, *name_bytes_max, *open_max)
        });
        Self {
            fuel_max: *fuel_max,
            memory_bytes_max: *memory_bytes_max,
            stdout_bytes_max: *stdout_bytes_max,
            result_bytes_max: *result_bytes_max,
            host_calls_max: *host_calls_max,
            recursion_max: *recursion_max,
            workspace,
        }
    }

    pub(crate) fn unpack(self) -> Limits {
        let workspace = self.workspace.map(|(bytes, entries, depth, name, open)| WorkspaceLimits {
            bytes_max: bytes,
            entries_max: entries,
            path_depth_max: depth,
            name_bytes_max: name,
            open_max: open,
        });
        Limits {
            fuel_max: self.fuel_max,
            memory_bytes_max: self.memory_bytes_max,
            stdout_bytes_max: self.stdout_bytes_max,
            result_bytes_max: self.result_bytes_max,
            host_calls_max: self.host_calls_max,
            recursion_max: self.recursion_max,
            workspace,
        }
    }
}

impl Request {
    /// The fuel that may be burnt before this is answered.
    pub(crate) fn fuel_max(&self, of_session: u64) -> u64 {
        match self {
            Self::Execute(job) => {
                let limits = job.spec.limits.unpack();
                let steps = job.steps.len().max(1) as u64;
                limits.fuel_max.saturating_mul(steps).min(limits.job_fuel_max())
            }
            Self::Step(..) | Self::Rehearse | Self::Verify(_) => of_session,
            Self::Start(..) | Self::End(_) => 0,
        }
    }

    /// Its size, nearly.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Execute(job) => {
                let files: usize =
                    job.spec.files.values().map(|Bytes(content)| content.len()).sum();
                job.steps.iter().map(WireStep::bytes).sum::<u64>() + files as u64
            }
            Self::Step(_, step) => step.bytes(),
            Self::Verify(outcome) => outcome.len() as u64,
            Self::Start(..) | Self::End(_) | Self::Rehearse => 0,
        }
    }

    /// Whether any worker can answer it.
    pub(crate) fn is_for_anyone(&self) -> bool {
        matches!(self, Self::Execute(_) | Self::Rehearse | Self::Verify(_))
    }

    /// Whether it can be asked of another worker after one died over it.
    pub(crate) fn can_be_repeated(&self) -> bool {
        matches!(self, Self::Execute(_) | Self::Start(..) | Self::Rehearse | Self::Verify(_))
    }
}

impl Response {
    /// Fuel that was burnt for it.
    pub(crate) fn fuel(&self) -> u64 {
        match self {
            Self::Executed(report) => report.usage.fuel,
            Self::Stepped(step) => step.fuel,
            Self::Verified(verification) => verification.fuel,
            Self::Started | Self::Ended(_) | Self::Rehearsed(_) | Self::Failed(_) => 0,
        }
    }

    /// Its size, nearly.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Executed(report) => {
                let files: usize = report.files.values().map(|Bytes(content)| content.len()).sum();
                report.steps.iter().map(WireStepReport::bytes).sum::<u64>() + files as u64
            }
            Self::Stepped(step) => step.bytes(),
            Self::Verified(verification) => {
                verification.report.as_ref().map_or(0, |report| report.len() as u64)
            }
            Self::Started | Self::Ended(_) | Self::Rehearsed(_) | Self::Failed(_) => 0,
        }
    }
}

impl WireReport {
    /// Ends the report with the step that brings results and output of all steps
    /// beyond the bound: the guest wrote too much.
    pub(crate) fn cut(&mut self, job_bytes_max: u64) {
        let mut bytes = 0_u64;
        for at in 0..self.steps.len() {
            bytes = bytes.saturating_add(self.steps[at].bytes());
            if bytes > job_bytes_max {
                self.steps[at].end = StepEnd::OutputExceeded;
                self.steps[at].stdout.clear();
                self.steps.truncate(at + 1);
                return;
            }
        }
    }

    /// Memory that it may take once it is read, in bytes, nearly.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let files: usize = self.files.values().map(|Bytes(content)| content.len()).sum();
        self.steps.iter().map(WireStepReport::memory_bytes).sum::<u64>() + files as u64
    }

    /// Reads what the guest answered, within the limits on one result and on all
    /// of them: a worker is not believed to have kept them.
    pub(crate) fn read(mut self, result_bytes_max: u64, job_bytes_max: u64) -> SandboxReport {
        self.cut(job_bytes_max);
        let steps = self.steps.into_iter().map(|step| step.read(result_bytes_max)).collect();
        SandboxReport {
            steps,
            fuel: self.usage.fuel,
            memory_bytes_peak: self.usage.memory_bytes_peak,
            files: self.files.into_iter().map(|(path, content)| (path, content.0)).collect(),
        }
    }
}

impl WireStepReport {
    pub(crate) fn memory_bytes(&self) -> u64 {
        match &self.end {
            StepEnd::Answered(Bytes(answer)) => {
                ValueLimits::MEMORY_PER_BYTE * answer.len() as u64 + self.stdout.len() as u64
            }
            _ => self.stdout.len() as u64,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        let answer =
            if let StepEnd::Answered(Bytes(answer)) = &self.end { answer.len() } else { 0 };
        (answer + self.stdout.len()) as u64
    }

    /// Whether it looks as if the guest gave a value; reading it has the last word.
    pub(crate) fn gave_value(&self) -> bool {
        matches!(&self.end, StepEnd::Answered(Bytes(answer)) if reply::looks_like_value(answer))
    }

    /// Whether the guest is dead after this.
    pub(crate) fn is_fatal(&self) -> bool {
        !matches!(self.end, StepEnd::Answered(_))
    }

    /// Reads what the guest answered, within the limit on one result.
    pub(crate) fn read(self, result_bytes_max: u64) -> StepReport {
        let outcome = match self.end {
            StepEnd::Answered(Bytes(answer)) => reply::read(&answer, result_bytes_max),
            StepEnd::Trapped(message) => GuestOutcome::Trap { message },
            StepEnd::FuelExhausted => GuestOutcome::FuelExhausted,
            StepEnd::MemoryExceeded => GuestOutcome::MemoryExceeded,
            StepEnd::OutputExceeded => GuestOutcome::OutputExceeded,
            StepEnd::HostCallsExceeded => GuestOutcome::HostCallsExceeded,
        };
        StepReport { outcome, stdout: self.stdout, fuel: self.fuel, virtual_ns: self.virtual_ns }
    }
}
