//! Generates and admits the tasks of a round.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use gyre_lineage::{NewTask, TaskFilter};
use gyre_round::{RoundEvent, RoundPlan, RoundState};
use gyre_tasks::{AdmittedTask, AdmissionReport, TaskRequest, generate_tasks};
use gyre_types::{Digest, Split, Task, TaskId, Value};

use super::{Done, Runner};
use crate::error::Error;

/// Tasks per call of the generator: often enough to show progress.
const BATCH: usize = 250;

/// Rows per page when the lineage is read.
pub(super) const PAGE: u32 = 5_000;

/// A request, and the family that it is for.
type FamilyRequest = (String, TaskRequest);

/// The tasks of one round and side, with their keys, by id.
#[derive(Debug)]
pub(super) struct TaskSet {
    pub(super) round: u32,
    pub(super) split: Split,
    pub(super) tasks: BTreeMap<TaskId, AdmittedTask>,
}

impl Runner<'_> {
    pub(super) fn generate(&mut self, state: &RoundState) -> Result<Done, Error> {
        let plan = planned(state);
        let requests = if plan.round == 0 { self.base_requests() } else { slot_requests(plan) };
        let mut known = self.known_tasks()?;
        let (tasks, report) = self.admit(plan.round, requests, &mut known)?;

        let mut admitted = BTreeMap::<Split, u32>::new();
        for task in &tasks {
            *admitted.entry(task.task.split).or_default() += 1;
        }
        let ids: Vec<_> = tasks.iter().map(|task| &task.task.id).collect();
        let tasks_digest = Digest::of_json(&ids);
        let refused = report.refused.iter().map(|(why, n)| (why.code(), *n as u32)).collect();
        let mut done = Done {
            event: RoundEvent::TasksGenerated { admitted, refused, tasks_digest },
            rows: self.empty_commit(),
        };
        done.rows.tasks = tasks.into_iter().map(|task| new_task(plan.round, task)).collect();
        self.tasks = None;
        Ok(done)
    }

    /// The requests of the cold start: both held-out parts and the demonstrations.
    fn base_requests(&self) -> Vec<FamilyRequest> {
        let held_out = &self.config.held_out;
        let gate = self.held_out_requests(Split::Gate, held_out.gate);
        let test = self.held_out_requests(Split::Test, held_out.test);
        gate.into_iter().chain(test).chain(self.demonstration_requests()).collect()
    }

    /// Held-out tasks: families and their levels in turn.
    fn held_out_requests(&self, split: Split, count: u32) -> Vec<FamilyRequest> {
        let families = &self.config.curriculum.families;
        let cells: Vec<_> = families
            .iter()
            .flat_map(|f| (f.difficulty_min..=f.difficulty_max).map(|level| (&f.family, level)))
            .collect();
        let seed = self.config.held_out.seed;
        let request = |(index, (family, difficulty)): (u32, &(&String, u32))| {
            let seed = seed.derive(split.as_str(), &[u64::from(index)]);
            ((*family).clone(), TaskRequest::new(seed, *difficulty, Some(split)))
        };
        (0..count).zip(cells.iter().cycle()).map(request).collect()
    }

    fn demonstration_requests(&self) -> Vec<FamilyRequest> {
        let cold_start = &self.config.cold_start;
        let seed = self.run.seed.derive("demonstrations", &[]);
        let levels = self.config.demonstrations();
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

    fn admit(
        &mut self,
        round: u32,
        requests: Vec<FamilyRequest>,
        known: &mut HashSet<Digest>,
    ) -> Result<(Vec<AdmittedTask>, AdmissionReport), Error> {
        let (asked, total) = (requests.len(), requests.len() as u64);
        let mut tasks = Vec::with_capacity(asked);
        let mut report = AdmissionReport::default();
        for batch in requests.chunk_by(|a, b| a.0 == b.0).flat_map(|r| r.chunks(BATCH)) {
            if self.cancel.is_cancelled() {
                return Err(Error::Interrupted);
            }
            let Some(family) = self.workshop.families.get(&batch[0].0) else { continue };
            let requests: Vec<_> = batch.iter().map(|(_, request)| request.clone()).collect();
            let sandbox = &self.workshop.sandbox;
            let made = generate_tasks(family, &requests, known, |jobs| sandbox.execute(jobs))?;
            add(&mut report, made.report);
            for task in made.tasks.into_iter().flatten() {
                known.insert(task.task.digest);
                tasks.push(task);
            }
            self.working(round, "generating tasks", tasks.len() as u64, total);
        }
        // Some slots cannot be filled: a level may have few distinct tasks. A
        // round that has lost more than half of them is no longer what was planned.
        if tasks.len() * 2 < asked {
            let refused: Vec<_> = report.refused.iter().map(|(why, n)| format!("{n} {}", why.code())).collect();
            return Err(Error::TooFewTasks {
                what: format!("round {round}"),
                asked,
                admitted: tasks.len(),
                refused: refused.join(", "),
            });
        }
        Ok((tasks, report))
    }

    /// Digests of every task that the run has.
    fn known_tasks(&self) -> Result<HashSet<Digest>, Error> {
        let tasks = self.all_tasks(&TaskFilter::default())?;
        Ok(tasks.into_iter().map(|task| task.digest).collect())
    }

    fn all_tasks(&self, filter: &TaskFilter) -> Result<Vec<Task>, Error> {
        let (store, run) = (&self.project.store, &self.run.id);
        let mut tasks = Vec::new();
        let mut after = None;
        loop {
            let page = self.project.wait(store.tasks(run, filter, after.as_ref(), PAGE))?;
            tasks.extend(page.rows.into_iter().map(|row| row.task));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(tasks),
            }
        }
    }

    /// The tasks of a round and side, without keys.
    pub(super) fn load_tasks(
        &self,
        round: u32,
        split: Split,
    ) -> Result<BTreeMap<TaskId, Task>, Error> {
        let filter =
            TaskFilter { round: Some(round), split: Some(split), ..TaskFilter::default() };
        let tasks = self.all_tasks(&filter)?;
        Ok(tasks.into_iter().map(|task| (task.id.clone(), task)).collect())
    }

    /// The tasks of a round and side with their keys, kept until others are asked for.
    pub(super) fn task_set(&mut self, round: u32, split: Split) -> Result<&TaskSet, Error> {
        let current = self.tasks.as_ref().is_some_and(|s| (s.round, s.split) == (round, split));
        if !current {
            self.tasks = Some(TaskSet { round, split, tasks: self.load_admitted(round, split)? });
        }
        // Set just above.
        self.tasks.as_ref().ok_or_else(|| self.unreadable("the task set", "it is missing"))
    }

    pub(super) fn load_admitted(
        &self,
        round: u32,
        split: Split,
    ) -> Result<BTreeMap<TaskId, AdmittedTask>, Error> {
        let filter =
            TaskFilter { round: Some(round), split: Some(split), ..TaskFilter::default() };
        let (store, run) = (&self.project.store, &self.run.id);
        let mut tasks = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.project.wait(store.tasks_with_keys(run, &filter, after.as_ref(), PAGE))?;
            for (row, key) in page.rows {
                let key = serde_json::from_value(key)
                    .map_err(|error| self.unreadable(format!("the key of {}", row.task.id), error))?;
                tasks.insert(row.task.id.clone(), AdmittedTask { task: row.task, key });
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(tasks),
            }
        }
    }
}

/// The plan of a round that has one: every action but planning comes after it.
pub(super) fn planned(state: &RoundState) -> &RoundPlan {
    state.plan.as_ref().expect("the state machine gives no action before the plan but planning")
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
    let mut requests: Vec<_> = plan
        .slots
        .iter()
        .map(|slot| {
            let weights = weights.get(&slot.family).filter(|_| slot.weighted);
            let request = TaskRequest {
                difficulty: slot.difficulty,
                seed: slot.seed,
                split: Some(Split::Train),
                options: weights.unwrap_or(&none).clone(),
            };
            (slot.family.clone(), request)
        })
        .collect();
    // Generated family by family; requests that share options share guests.
    requests.sort_by(|a, b| a.0.cmp(&b.0));
    requests
}

fn add(report: &mut AdmissionReport, batch: AdmissionReport) {
    report.requested += batch.requested;
    report.attempts += batch.attempts;
    report.generated += batch.generated;
    report.admitted += batch.admitted;
    for (reason, n) in batch.refused {
        *report.refused.entry(reason).or_default() += n;
    }
}

fn options_value(options: &BTreeMap<String, serde_json::Value>) -> Value {
    let entry = |(name, value): (&String, &serde_json::Value)| {
        (Value::Str(name.clone()), Value::from_json(value))
    };
    Value::Dict(options.iter().map(entry).collect())
}

fn new_task(round: u32, admitted: AdmittedTask) -> NewTask {
    let key = serde_json::to_value(&admitted.key).unwrap_or_default();
    NewTask { round, task: admitted.task, key }
}
