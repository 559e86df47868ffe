//! Makes the tasks of a round.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gyre_lineage::NewTask;
use gyre_round::{RoundEvent, RoundPlan, RoundState, TaskSlot};
use gyre_tasks::{AdmissionReport, AdmittedTask, Reason, TaskRequest};
use gyre_types::{Digest, Split, Value};

use super::admission::{Admission, FamilyRequest};
use super::store::TaskStore;
use crate::config::HeldOutConfig;
use crate::error::Error;
use crate::progress::Observer;
use crate::run::context::RunContext;
use crate::run::event_log::LogEntry;
use crate::run::recorded::planned;
use crate::stored;

/// How often a held-out part is topped up before it is given up.
const HELD_OUT_PASSES: u32 = 20;

/// Makes the tasks of a round.
pub(crate) struct TaskGenerator<'a> {
    pub(crate) run: &'a RunContext,
    pub(crate) tasks: &'a mut TaskStore,
    pub(crate) observer: &'a mut dyn Observer,
}

impl TaskGenerator<'_> {
    /// # Errors
    ///
    /// When too few tasks are admitted, or a generator or the store fails.
    pub(crate) fn generate(&mut self, state: &RoundState) -> Result<LogEntry, Error> {
        let plan = planned(state);
        let mut admission = Admission::new(self.run, self.observer, plan.round);
        let tasks = if plan.round == 0 {
            base_tasks(self.run, &mut admission)?
        } else {
            admission.admit(slot_requests(plan))?
        };
        let entry = generated(self.run, plan.round, tasks, admission.report())?;
        self.tasks.forget_set();
        Ok(entry)
    }
}

/// The event of tasks that were made, with their rows.
fn generated(
    run: &RunContext,
    round: u32,
    tasks: Vec<AdmittedTask>,
    report: &AdmissionReport,
) -> Result<LogEntry, Error> {
    let mut admitted = BTreeMap::<Split, u32>::new();
    for task in &tasks {
        *admitted.entry(task.task.split).or_default() += 1;
    }
    let ids: Vec<_> = tasks.iter().map(|task| &task.task.id).collect();
    let tasks_digest = Digest::of_json(&ids);
    // Another side's composition is no refusal: the split was decided first.
    let refused = report
        .refused
        .iter()
        .filter(|(why, _)| **why != Reason::OtherSplit)
        .map(|(why, n)| (why.code(), *n as u32))
        .collect();
    let event = RoundEvent::TasksGenerated { admitted, refused, tasks_digest };
    let mut entry = LogEntry::new(run, event);
    entry.rows.tasks =
        tasks.into_iter().map(|task| new_task(round, task)).collect::<Result<_, _>>()?;
    Ok(entry)
}

/// The held-out tasks, and the demonstrations that a cold start learns from.
fn base_tasks(run: &RunContext, admission: &mut Admission<'_>) -> Result<Vec<AdmittedTask>, Error> {
    let counts = &run.config.held_out;
    let mut tasks = held_out(run, admission, Split::Gate, counts.gate)?;
    tasks.extend(held_out(run, admission, Split::Test, counts.test)?);
    let requests = match run.config.start.is_default() {
        true => demonstration_requests(run),
        false => vec![],
    };
    tasks.extend(admission.admit(requests)?);
    Ok(tasks)
}

/// One held-out part: families and their levels in turn, with few tasks of
/// each composition. A level that has no more compositions leaves its turns
/// to the others.
///
/// # Errors
///
/// When too few tasks are admitted, or a generator or the store fails.
pub(crate) fn held_out(
    run: &RunContext,
    admission: &mut Admission<'_>,
    split: Split,
    count: u32,
) -> Result<Vec<AdmittedTask>, Error> {
    let HeldOutConfig { seed, tasks_per_composition_max, .. } = run.config.held_out;
    let families = &run.config.curriculum.families;
    let cells: Vec<_> = families
        .iter()
        .flat_map(|f| (f.difficulty_min..=f.difficulty_max).map(|level| (f.family.clone(), level)))
        .collect();
    let mut compositions = HashMap::<Digest, u32>::new();
    let mut tasks = Vec::new();
    let mut turns = (0u64..).zip(cells.iter().cycle());
    for _ in 0..HELD_OUT_PASSES {
        let missing = count as usize - tasks.len();
        if missing == 0 {
            break;
        }
        let mut requests: Vec<_> = turns
            .by_ref()
            .take(missing.max(cells.len()))
            .map(|(turn, (family, difficulty))| {
                let seed = seed.derive(split.as_str(), &[turn]);
                (family.clone(), TaskRequest::new(seed, *difficulty, Some(split)))
            })
            .collect();
        requests.sort_by(|a, b| a.0.cmp(&b.0));
        for task in admission.admit_some(requests)? {
            let composition = task.task.composition.digest(&task.task.family);
            let used = compositions.entry(composition).or_default();
            if *used < tasks_per_composition_max && tasks.len() < count as usize {
                *used += 1;
                tasks.push(task);
            }
        }
    }
    if tasks.len() < count as usize {
        let what = format!("held-out ({split})");
        return Err(admission.too_few(&what, count as usize, tasks.len()));
    }
    Ok(tasks)
}

fn demonstration_requests(run: &RunContext) -> Vec<FamilyRequest> {
    let cold_start = &run.config.cold_start;
    let seed = run.row.seed.derive("demonstrations", &[]);
    let levels = run.config.demonstrations();
    let cells = levels.into_iter().flat_map(|(level, n)| (0..n).map(move |i| (level, i)));
    let options = Arc::new(options_value(&cold_start.options));
    cells
        .map(|(difficulty, index)| {
            let at = [u64::from(difficulty), u64::from(index)];
            let request = TaskRequest {
                difficulty,
                seed: seed.derive("demonstration", &at),
                split: Some(Split::Train),
                options: options.clone(),
            };
            (cold_start.family.clone(), request)
        })
        .collect()
}

fn slot_requests(plan: &RoundPlan) -> Vec<FamilyRequest> {
    let none = Arc::new(Value::Dict(vec![]));
    let weights: BTreeMap<&String, Arc<Value>> = plan
        .skill_weights
        .iter()
        .map(|(family, weights)| {
            let options = serde_json::json!({ "weights": weights.seen });
            (family, Arc::new(Value::from_json(&options)))
        })
        .collect();
    // Family by family, and equal options side by side: such requests share guests.
    let mut slots: Vec<_> = plan.slots.iter().collect();
    slots.sort_by_key(|slot| (&slot.family, slot.weighted));
    let request = |slot: &&TaskSlot| {
        let weights = weights.get(&slot.family).filter(|_| slot.weighted);
        let request = TaskRequest {
            difficulty: slot.difficulty,
            seed: slot.seed,
            split: Some(Split::Train),
            options: weights.unwrap_or(&none).clone(),
        };
        (slot.family.clone(), request)
    };
    slots.iter().map(request).collect()
}

fn options_value(options: &BTreeMap<String, serde_json::Value>) -> Value {
    let entry = |(name, value): (&String, &serde_json::Value)| {
        (Value::Str(name.clone()), Value::from_json(value))
    };
    Value::Dict(options.iter().map(entry).collect())
}

fn new_task(round: u32, admitted: AdmittedTask) -> Result<NewTask, Error> {
    let key = stored::key(&admitted.key)?;
    Ok(NewTask { round, task: admitted.task, key })
}
