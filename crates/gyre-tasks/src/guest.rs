//! Runs a family's generator: many calls per guest, resumed after a death.

use std::collections::BTreeMap;

use gyre_types::{Digest, GuestOutcome, Limits, SandboxJob, SandboxReport, Seed, Step, Value};

use crate::TaskError;

/// Executes jobs: one result for each, in order. Faults are texts by here.
pub(crate) type Execute<'a> = dyn Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, String>> + 'a;

/// What one call of a generator may use. Loading a family and making one task
/// of it take a small part of this.
const GENERATOR_FUEL_MAX: u64 = 2_000_000_000;

/// Calls in one guest: enough that loading the generator is a small part of
/// the work, and few enough that cores share a batch evenly.
const CALLS_PER_JOB_MIN: usize = 8;
const CALLS_PER_JOB_MAX: usize = 256;
const JOBS_WANTED: usize = 8;

/// Lets `generate.py` import its neighbours, and holds the options once for
/// all calls of a guest.
const PRELUDE: &str = include_str!("guest/prelude.py");

/// A loaded generator.
pub(crate) struct Generator<'a> {
    pub(crate) family: &'a str,
    pub(crate) main: &'a str,
    pub(crate) modules: &'a BTreeMap<String, String>,
}

/// Which function of the contract is called.
#[derive(Clone, Copy)]
pub(crate) enum Function {
    /// `compose(seed, difficulty, options)`
    Compose,
    /// `generate(spec)`
    Generate,
}

impl Generator<'_> {
    /// Calls a function once for each list of arguments, in guests that share
    /// the work, and gives the outcomes in order.
    pub(crate) fn call_all(
        &self,
        function: Function,
        options: &Value,
        calls: &[Vec<Value>],
        execute: &Execute<'_>,
    ) -> Result<Vec<GuestOutcome>, TaskError> {
        let mut outcomes: Vec<Option<GuestOutcome>> = vec![None; calls.len()];
        let mut open: Vec<usize> = (0..calls.len()).collect();
        while !open.is_empty() {
            let size = open.len().div_ceil(JOBS_WANTED);
            let chunks: Vec<&[usize]> =
                open.chunks(size.clamp(CALLS_PER_JOB_MIN, CALLS_PER_JOB_MAX)).collect();
            let job = |chunk: &&[usize]| self.job(function, options, chunk, calls);
            let reports = run_jobs(chunks.iter().map(job).collect(), execute)?;
            for (chunk, report) in chunks.iter().zip(reports) {
                for (&call, outcome) in chunk.iter().zip(self.outcomes(report)?) {
                    outcomes[call] = Some(outcome);
                }
            }
            // A guest that died leaves the calls after the fatal one open.
            open.retain(|&call| outcomes[call].is_none());
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    fn job(
        &self,
        function: Function,
        options: &Value,
        chunk: &[usize],
        calls: &[Vec<Value>],
    ) -> SandboxJob {
        let name = match function {
            Function::Compose => "__gyre_compose__",
            Function::Generate => "generate",
        };
        let call = |&at: &usize| Step::Call { function: name.to_owned(), args: calls[at].clone() };
        let mut steps = self.load_steps(options);
        steps.extend(chunk.iter().map(call));
        SandboxJob {
            seed: Seed(Digest::of(self.family.as_bytes()).to_u64()),
            limits: Limits { fuel_max: GENERATOR_FUEL_MAX, ..Limits::default() },
            steps,
            files: BTreeMap::new(),
        }
    }

    fn load_steps(&self, options: &Value) -> Vec<Step> {
        let entry = |(name, source): (&String, &String)| {
            (Value::Str(name.clone()), Value::Str(source.clone()))
        };
        let modules = Value::Dict(self.modules.iter().map(entry).collect());
        vec![
            Step::Run { code: PRELUDE.to_owned() },
            Step::Call {
                function: "__gyre_prepare__".to_owned(),
                args: vec![modules, options.clone()],
            },
            Step::Run { code: self.main.to_owned() },
        ]
    }

    /// The outcomes of a report's calls; fewer than were planned when one
    /// killed the guest.
    fn outcomes(&self, report: SandboxReport) -> Result<Vec<GuestOutcome>, TaskError> {
        let mut steps = report.steps.into_iter().map(|step| step.outcome);
        for _ in 0..LOAD_STEPS {
            match steps.next() {
                Some(GuestOutcome::Value { .. }) => {}
                Some(other) => return Err(self.cannot_load(&other)),
                None => return Err(incomplete()),
            }
        }
        let outcomes: Vec<_> = steps.collect();
        // No progress would repeat the same job for ever.
        if outcomes.is_empty() { Err(incomplete()) } else { Ok(outcomes) }
    }

    fn cannot_load(&self, outcome: &GuestOutcome) -> TaskError {
        TaskError::Generator { family: self.family.to_owned(), detail: explain(outcome) }
    }
}

const LOAD_STEPS: usize = 3;

fn incomplete() -> TaskError {
    TaskError::Sandbox { detail: "a report ends before its job does".to_owned() }
}

/// What a generator did wrong, with its own lines named as its file.
pub(crate) fn explain(outcome: &GuestOutcome) -> String {
    match outcome {
        // `generate.py` is the third step of its session.
        GuestOutcome::Exception(exception) if !exception.traceback.is_empty() => {
            exception.traceback.trim_end().replace("<turn 3>", "generate.py")
        }
        other => other.describe(),
    }
}

/// Executes jobs; any fault among them is an error.
pub(crate) fn run_jobs(
    jobs: Vec<SandboxJob>,
    execute: &Execute<'_>,
) -> Result<Vec<SandboxReport>, TaskError> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let planned = jobs.len();
    let reports: Vec<SandboxReport> = execute(jobs)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|detail| TaskError::Sandbox { detail })?;
    if reports.len() == planned {
        Ok(reports)
    } else {
        let detail = format!("{} reports came for {planned} jobs", reports.len());
        Err(TaskError::Sandbox { detail })
    }
}
