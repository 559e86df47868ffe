use std::fmt::Display;

use gyre_types::{SandboxJob, SandboxReport};

use crate::admitted::{AdmissionReport, AdmittedTask, KnownTasks, Seen, TaskRequest};
use crate::attempt::{self, Sampled};
use crate::guest::Execute;
use crate::{Family, Refusal, TaskError};

/// What came of a batch of requests.
#[derive(Debug, Clone)]
pub struct Generation {
    /// For each request, in order, its task or why its last attempt was refused.
    pub tasks: Vec<Result<AdmittedTask, Refusal>>,
    /// The yields of the gates.
    pub report: AdmissionReport,
}

/// Generates and admits one task for each request.
///
/// An attempt that is refused is followed by the next, from a seed of its own,
/// up to [`ATTEMPTS_MAX`](crate::ATTEMPTS_MAX), or to the fourth that shows the family at fault.
/// Tasks whose digest is in `known`, or that an earlier attempt of this call
/// already gave, are refused as duplicates. `execute`
/// gives one result for each job, in order.
///
/// # Errors
///
/// When a request is outside the family's levels, the generator cannot be
/// loaded, or the sandbox fails.
pub fn generate_tasks<E: Display>(
    family: &Family,
    requests: &[TaskRequest],
    known: &impl KnownTasks,
    execute: impl Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, E>>,
) -> Result<Generation, TaskError> {
    generate_sampled(family, requests, known, Sampled::Share, &stringify(&execute))
}

/// Turns faults into texts, so that what lies below is compiled once.
pub(crate) fn stringify<'a, E: Display>(
    execute: &'a impl Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, E>>,
) -> impl Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, String>> + 'a {
    let text = |result: Result<SandboxReport, E>| result.map_err(|fault| fault.to_string());
    move |jobs| execute(jobs).into_iter().map(text).collect()
}

pub(crate) fn generate_sampled(
    family: &Family,
    requests: &[TaskRequest],
    known: &dyn KnownTasks,
    sampled: Sampled,
    execute: &Execute<'_>,
) -> Result<Generation, TaskError> {
    require_levels(family, requests)?;
    let mut seen = Seen::new(known);
    let mut report = AdmissionReport { requested: requests.len() as u64, ..Default::default() };
    let mut state = attempt::State::new(requests);
    while state.is_open() {
        attempt::wave(family, requests, sampled, execute, &mut state, &mut seen, &mut report)?;
    }
    Ok(Generation { tasks: state.into_results(), report })
}

fn require_levels(family: &Family, requests: &[TaskRequest]) -> Result<(), TaskError> {
    let levels = family.manifest.difficulty;
    let outside = |r: &&TaskRequest| r.difficulty < levels.min || r.difficulty > levels.max;
    match requests.iter().find(outside) {
        None => Ok(()),
        Some(request) => Err(TaskError::Request {
            family: family.name().to_owned(),
            detail: format!(
                "difficulty {} is outside its levels {} to {}",
                request.difficulty, levels.min, levels.max
            ),
        }),
    }
}
