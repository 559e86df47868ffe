//! One wave of attempts: every request that is still open makes its next one.

use std::collections::HashSet;

use gyre_types::{GuestOutcome, Seed, Split, Value};
use gyre_verify::Verifier;

use crate::admit::{Draft, admit_all};
use crate::admit_judged::{Stubs, admit_judged};
use crate::admitted::{
    ATTEMPTS_MAX, AdmissionReport, AdmittedTask, Origin, Seen, TaskRequest, assemble,
};
use crate::contract::{Composed, read_composed, read_generated};
use crate::family::FamilySource;
use crate::gates::{require_stub_fails, require_substance, require_unseen};
use crate::guest::{Execute, Function, Generator, explain};
use crate::static_tasks::StaticTask;
use crate::{Family, Reason, Refusal, TaskError, split_of};

/// One task in so many is generated twice, chosen by its digest.
const SAMPLED_ONE_IN: u64 = 32;

/// Compositions tried in one wave: a training side is met four times in five,
/// a held-out one once in ten.
const COMPOSED_AT_ONCE_TRAIN: u32 = 1;
const COMPOSED_AT_ONCE_HELD_OUT: u32 = 8;

/// Attempts of one request that may show the family at fault. Chance is worth
/// many attempts, a fault is not: it would only cost as often.
const FAULTS_MAX: u32 = 4;

/// Which tasks are generated twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sampled {
    /// One in [`SAMPLED_ONE_IN`].
    Share,
    /// All.
    All,
}

/// How far each request has come.
pub(crate) struct State {
    slots: Vec<Slot>,
}

struct Slot {
    /// The attempt that comes next.
    attempt: u32,
    faults: u32,
    last: Option<Refusal>,
    result: Option<Result<AdmittedTask, Refusal>>,
}

impl State {
    pub(crate) fn new(requests: &[TaskRequest]) -> Self {
        let slot = |_| Slot { attempt: 0, faults: 0, last: None, result: None };
        Self { slots: requests.iter().map(slot).collect() }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.slots.iter().any(|slot| slot.result.is_none())
    }

    pub(crate) fn into_results(self) -> Vec<Result<AdmittedTask, Refusal>> {
        self.slots.into_iter().filter_map(|slot| slot.result).collect()
    }

    fn open(&self) -> Vec<usize> {
        (0..self.slots.len()).filter(|&at| self.slots[at].result.is_none()).collect()
    }

    fn refuse(&mut self, at: usize, refusal: Refusal, report: &mut AdmissionReport) {
        report.refuse(&refusal);
        self.slots[at].faults += u32::from(refusal.reason.is_fault());
        self.slots[at].last = Some(refusal);
    }

    /// Gives up on requests that have used all their attempts, or met too many
    /// faults.
    fn give_up(&mut self, attempts_max: impl Fn(usize) -> u32) {
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let used_up = slot.attempt >= attempts_max(at) || slot.faults >= FAULTS_MAX;
            if slot.result.is_none() && used_up {
                let never = || Refusal::new(Reason::OtherSplit, "no task is on that side");
                slot.result = Some(Err(slot.last.take().unwrap_or_else(never)));
            }
        }
    }
}

/// A task on its way through the gates.
struct Candidate {
    request: usize,
    admitted: AdmittedTask,
    /// What it was generated from and what came, to do it again.
    made: Option<Made>,
}

struct Made {
    seed: Seed,
    spec: Value,
    output: Value,
}

/// Makes the next attempt of every open request.
pub(crate) fn wave(
    family: &Family,
    requests: &[TaskRequest],
    sampled: Sampled,
    execute: &Execute<'_>,
    state: &mut State,
    seen: &mut Seen<'_>,
    report: &mut AdmissionReport,
) -> Result<(), TaskError> {
    let mut candidates = match &family.source {
        FamilySource::Generate { main, modules } => {
            let generator = Generator { family: family.name(), main, modules };
            generate(family, &generator, requests, execute, state, report)?
        }
        FamilySource::Static(tasks) => pick(family, tasks, requests, state, report),
    };
    let digests: Vec<_> = candidates.iter().map(|c| c.admitted.task.digest).collect();
    let mut fresh = seen.add(&digests)?.into_iter();
    candidates.retain(|candidate| {
        let fresh = fresh.next().unwrap_or_default();
        if !fresh {
            let detail = format!("{} is there already", candidate.admitted.task.id);
            state.refuse(candidate.request, Refusal::new(Reason::Duplicate, detail), report);
        }
        fresh
    });
    let drafts: Vec<_> =
        candidates.iter().map(|c| Draft { task: &c.admitted.task, key: &c.admitted.key }).collect();
    let verdicts = match &family.verifier {
        Verifier::Cases => admit_all(&drafts, family.manifest.source, execute)?,
        declared => admit_judged(declared, stubs_of(family), &drafts, execute)?,
    };
    let mut passed = Vec::new();
    for (candidate, verdict) in candidates.into_iter().zip(verdicts) {
        match verdict {
            Ok(()) => passed.push(candidate),
            Err(refusal) => state.refuse(candidate.request, refusal, report),
        }
    }
    settle(family, requests, sampled, execute, passed, state, report)?;
    state.give_up(|at| match &family.source {
        FamilySource::Generate { .. } => ATTEMPTS_MAX,
        FamilySource::Static(tasks) => {
            u32::try_from(pool(family, tasks, &requests[at]).count()).unwrap_or(u32::MAX)
        }
    });
    Ok(())
}

/// Gives the tasks that came through to their requests, after generating a
/// share of them again.
fn settle(
    family: &Family,
    requests: &[TaskRequest],
    sampled: Sampled,
    execute: &Execute<'_>,
    passed: Vec<Candidate>,
    state: &mut State,
    report: &mut AdmissionReport,
) -> Result<(), TaskError> {
    let differs = match &family.source {
        FamilySource::Generate { main, modules } => {
            let generator = Generator { family: family.name(), main, modules };
            differing(&generator, requests, sampled, execute, &passed)?
        }
        FamilySource::Static(_) => HashSet::new(),
    };
    for candidate in passed {
        if differs.contains(&candidate.request) {
            let detail = "the same seed gave another task the second time";
            let refusal = Refusal::new(Reason::Nondeterministic, detail);
            state.refuse(candidate.request, refusal, report);
        } else {
            report.admitted += 1;
            state.slots[candidate.request].result = Some(Ok(candidate.admitted));
        }
    }
    Ok(())
}

/// The requests whose task came out differently the second time. The order is
/// reversed, so that what a generator remembers from call to call shows.
fn differing(
    generator: &Generator<'_>,
    requests: &[TaskRequest],
    sampled: Sampled,
    execute: &Execute<'_>,
    passed: &[Candidate],
) -> Result<HashSet<usize>, TaskError> {
    let chosen = |candidate: &&Candidate| {
        sampled == Sampled::All
            || candidate.admitted.task.digest.to_u64().is_multiple_of(SAMPLED_ONE_IN)
    };
    let again: Vec<(&Candidate, &Made)> =
        passed.iter().rev().filter(chosen).filter_map(|c| Some((c, c.made.as_ref()?))).collect();
    let indices: Vec<usize> = again.iter().map(|(candidate, _)| candidate.request).collect();
    let composes = again.iter().map(|(candidate, made)| {
        compose_arguments(made.seed, requests[candidate.request].difficulty)
    });
    let composed = call_grouped(
        generator,
        Function::Compose,
        requests,
        &indices,
        composes.collect(),
        execute,
    )?;
    let generates = again.iter().map(|(_, made)| vec![made.spec.clone()]).collect();
    let generated =
        call_grouped(generator, Function::Generate, requests, &indices, generates, execute)?;
    let equal = |value: &Value, outcome: &GuestOutcome| {
        outcome.value().is_some_and(|again| again.to_wire_text() == value.to_wire_text())
    };
    let mut differs = HashSet::new();
    for (((candidate, made), composed), generated) in again.iter().zip(&composed).zip(&generated) {
        let spec = composed.value().and_then(|value| value.get("spec"));
        let same_spec = spec.is_some_and(|s| s.to_wire_text() == made.spec.to_wire_text());
        if !same_spec || !equal(&made.output, generated) {
            differs.insert(candidate.request);
        }
    }
    Ok(differs)
}

/// Calls a function for requests, those with equal options in shared guests.
fn call_grouped(
    generator: &Generator<'_>,
    function: Function,
    requests: &[TaskRequest],
    indices: &[usize],
    calls: Vec<Vec<Value>>,
    execute: &Execute<'_>,
) -> Result<Vec<GuestOutcome>, TaskError> {
    let mut outcomes = Vec::with_capacity(calls.len());
    let mut start = 0;
    while start < calls.len() {
        let options = &requests[indices[start]].options;
        let alike = |&&at: &&usize| {
            std::sync::Arc::ptr_eq(options, &requests[at].options)
                || *options == requests[at].options
        };
        let end = start + indices[start..].iter().take_while(alike).count();
        outcomes.extend(generator.call_all(function, options, &calls[start..end], execute)?);
        start = end;
    }
    Ok(outcomes)
}

/// Of tasks that people wrote, only doing nothing must fail.
fn stubs_of(family: &Family) -> Stubs {
    match &family.source {
        FamilySource::Generate { .. } => Stubs::All,
        FamilySource::Static(_) => Stubs::NoOp,
    }
}

fn compose_arguments(seed: Seed, difficulty: u32) -> Vec<Value> {
    vec![Value::Int(seed_for_python(seed)), Value::Int(i64::from(difficulty))]
}

/// A generator's seed is not negative and fits 63 bits.
fn seed_for_python(seed: Seed) -> i64 {
    i64::try_from(seed.0 >> 1).unwrap_or(i64::MAX)
}

fn generate(
    family: &Family,
    generator: &Generator<'_>,
    requests: &[TaskRequest],
    execute: &Execute<'_>,
    state: &mut State,
    report: &mut AdmissionReport,
) -> Result<Vec<Candidate>, TaskError> {
    let chosen = compose(family, generator, requests, execute, state, report)?;
    let indices: Vec<usize> = chosen.iter().map(|chosen| chosen.request).collect();
    let calls = chosen.iter().map(|chosen| vec![chosen.composed.spec.clone()]).collect();
    let outcomes = call_grouped(generator, Function::Generate, requests, &indices, calls, execute)?;
    let manifest = &family.manifest;
    let mut candidates = Vec::new();
    for (chosen, outcome) in chosen.into_iter().zip(outcomes) {
        let content = value_of(&outcome).and_then(|value| {
            let content = read_generated(value, &manifest.entry, manifest.interface)?;
            report.generated += 1;
            match &family.verifier {
                Verifier::Cases => require_substance(&content, &manifest.comparison)?,
                // What passes without thought is for the verifier to say.
                _ => require_unseen(&content)?,
            }
            Ok((content, value.clone()))
        });
        match content {
            Ok((content, output)) => {
                let Composed { composition, skills, spec } = chosen.composed;
                let origin = Origin {
                    manifest,
                    seed: chosen.seed,
                    difficulty: requests[chosen.request].difficulty,
                    composition,
                    skills,
                    comparison: manifest.comparison,
                };
                let admitted = assemble(content, origin);
                let made = Some(Made { seed: chosen.seed, spec, output });
                candidates.push(Candidate { request: chosen.request, admitted, made });
            }
            Err(refusal) => state.refuse(chosen.request, refusal, report),
        }
    }
    Ok(candidates)
}

/// A composition on the side that its request wants.
struct Chosen {
    request: usize,
    seed: Seed,
    composed: Composed,
}

/// Composes for every open request until one is on its side, for a bounded
/// number of attempts. How many are tried at once changes nothing: the first
/// that fits is taken, and those after it are as if never made.
fn compose(
    family: &Family,
    generator: &Generator<'_>,
    requests: &[TaskRequest],
    execute: &Execute<'_>,
    state: &mut State,
    report: &mut AdmissionReport,
) -> Result<Vec<Chosen>, TaskError> {
    let mut planned: Vec<(usize, Seed)> = Vec::new();
    for at in state.open() {
        let request = &requests[at];
        let count = match request.split {
            None => 1,
            Some(Split::Train) => COMPOSED_AT_ONCE_TRAIN,
            Some(Split::Gate | Split::Test) => COMPOSED_AT_ONCE_HELD_OUT,
        };
        let first = state.slots[at].attempt;
        let attempts = first..(first + count).min(ATTEMPTS_MAX);
        planned.extend(attempts.map(|a| (at, request.seed.derive("task", &[u64::from(a)]))));
    }
    let indices: Vec<usize> = planned.iter().map(|(at, _)| *at).collect();
    let calls = planned.iter().map(|(at, seed)| compose_arguments(*seed, requests[*at].difficulty));
    let outcomes =
        call_grouped(generator, Function::Compose, requests, &indices, calls.collect(), execute)?;
    let mut chosen: Vec<Chosen> = Vec::new();
    for ((request, seed), outcome) in planned.into_iter().zip(outcomes) {
        if chosen.last().is_some_and(|chosen| chosen.request == request) {
            continue;
        }
        report.attempts += 1;
        state.slots[request].attempt += 1;
        match fitting(family, &outcome, requests[request].split) {
            Ok(composed) => chosen.push(Chosen { request, seed, composed }),
            Err(refusal) => state.refuse(request, refusal, report),
        }
    }
    Ok(chosen)
}

fn fitting(
    family: &Family,
    outcome: &GuestOutcome,
    wanted: Option<Split>,
) -> Result<Composed, Refusal> {
    let composed = read_composed(value_of(outcome)?)?;
    let split = split_of(family.name(), &composed.composition);
    match wanted {
        Some(wanted) if wanted != split => {
            let detail = format!("{} is on the side {split}", composed.composition);
            Err(Refusal::new(Reason::OtherSplit, detail))
        }
        _ => Ok(composed),
    }
}

fn value_of(outcome: &GuestOutcome) -> Result<&Value, Refusal> {
    match outcome {
        GuestOutcome::Value { value } => Ok(value),
        GuestOutcome::Exception(_) => Err(Refusal::new(Reason::GeneratorRaised, explain(outcome))),
        GuestOutcome::Unrepresentable { .. } => {
            Err(Refusal::new(Reason::Schema, outcome.describe()))
        }
        _ => Err(Refusal::new(Reason::GeneratorDied, outcome.describe())),
    }
}

/// The written tasks that a request may get.
fn pool<'a>(
    family: &'a Family,
    tasks: &'a [StaticTask],
    request: &TaskRequest,
) -> impl Iterator<Item = &'a StaticTask> {
    let (difficulty, split) = (request.difficulty, request.split);
    tasks.iter().filter(move |task| {
        let side = || split_of(family.name(), &task.composition());
        task.difficulty == difficulty && split.is_none_or(|split| split == side())
    })
}

/// Each open request takes the next written task from a place of its own.
fn pick(
    family: &Family,
    tasks: &[StaticTask],
    requests: &[TaskRequest],
    state: &mut State,
    report: &mut AdmissionReport,
) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for at in state.open() {
        let request = &requests[at];
        let pool: Vec<&StaticTask> = pool(family, tasks, request).collect();
        if pool.is_empty() {
            continue;
        }
        let start = request.seed.derive("task", &[]).0;
        let place = start.wrapping_add(u64::from(state.slots[at].attempt)) % pool.len() as u64;
        let task = pool[usize::try_from(place).unwrap_or(0)];
        state.slots[at].attempt += 1;
        report.attempts += 1;
        report.generated += 1;
        let stub_fails = match &family.verifier {
            Verifier::Cases => {
                require_stub_fails(&task.content(), &task.comparison_in(&family.manifest))
            }
            _ => Ok(()),
        };
        match stub_fails {
            Ok(()) => {
                let admitted = task.admitted(&family.manifest, request.seed);
                candidates.push(Candidate { request: at, admitted, made: None });
            }
            Err(refusal) => state.refuse(at, refusal, report),
        }
    }
    candidates
}
