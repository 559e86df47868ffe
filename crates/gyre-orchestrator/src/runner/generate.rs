//! Generates and admits the tasks of a round.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use gyre_lineage::{NewTask, RevocationRow, RevocationTarget, StoreError, TaskFilter};
use gyre_round::{RoundEvent, RoundPlan, RoundState, TaskSlot};
use gyre_tasks::{AdmissionReport, AdmittedTask, KnownTasks, Reason, TaskRequest, generate_tasks};
use gyre_types::{Digest, Split, Task, TaskId, Value};

use super::{Done, Runner};
use crate::config::HeldOutConfig;
use crate::error::Error;
use crate::stored;

/// Tasks per call of the generator. Each call loads the family into a few dozen
/// guests, 20 ms each, whatever its size: large batches share that.
const BATCH: usize = 2_000;

/// How often a held-out part is topped up before it is given up.
const HELD_OUT_PASSES: u32 = 20;

/// A request, and the family that it is for.
type FamilyRequest = (String, TaskRequest);

/// The tasks of one round and side, with their keys, by id.
#[derive(Debug)]
pub(crate) struct TaskSet {
    pub(crate) round: u32,
    pub(crate) split: Split,
    pub(crate) tasks: BTreeMap<TaskId, AdmittedTask>,
}

impl Runner<'_> {
    pub(super) fn generate(&mut self, state: &RoundState) -> Result<Done, Error> {
        let plan = planned(state);
        let mut known = HashSet::new();
        let (tasks, report) = if plan.round == 0 {
            let mut report = AdmissionReport::default();
            let held_out = self.config.held_out.clone();
            let mut tasks = self.held_out(Split::Gate, held_out.gate, &mut known, &mut report)?;
            tasks.extend(self.held_out(Split::Test, held_out.test, &mut known, &mut report)?);
            let requests = match self.config.start.checkpoint {
                Some(_) => vec![],
                None => self.demonstration_requests(),
            };
            tasks.extend(self.admit(0, requests, &mut known, &mut report)?);
            (tasks, report)
        } else {
            let mut report = AdmissionReport::default();
            (self.admit(plan.round, slot_requests(plan), &mut known, &mut report)?, report)
        };

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
        let mut done = Done {
            event: RoundEvent::TasksGenerated { admitted, refused, tasks_digest },
            rows: self.empty_commit(),
        };
        done.rows.tasks =
            tasks.into_iter().map(|task| new_task(plan.round, task)).collect::<Result<_, _>>()?;
        self.tasks = None;
        Ok(done)
    }

    /// One held-out part: families and their levels in turn, with few tasks of
    /// each composition. A level that has no more compositions leaves its turns
    /// to the others.
    fn held_out(
        &mut self,
        split: Split,
        count: u32,
        known: &mut HashSet<Digest>,
        report: &mut AdmissionReport,
    ) -> Result<Vec<AdmittedTask>, Error> {
        let HeldOutConfig { seed, tasks_per_composition_max, .. } = self.config.held_out;
        let families = &self.config.curriculum.families;
        let cells: Vec<_> = families
            .iter()
            .flat_map(|f| {
                (f.difficulty_min..=f.difficulty_max).map(|level| (f.family.clone(), level))
            })
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
            for task in self.admit_some(0, requests, known, report)? {
                let composition = task.task.composition.digest(&task.task.family);
                let used = compositions.entry(composition).or_default();
                if *used < tasks_per_composition_max && tasks.len() < count as usize {
                    *used += 1;
                    tasks.push(task);
                }
            }
        }
        if tasks.len() < count as usize {
            return Err(too_few(
                &format!("held-out ({split})"),
                count as usize,
                tasks.len(),
                report,
            ));
        }
        Ok(tasks)
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
        report: &mut AdmissionReport,
    ) -> Result<Vec<AdmittedTask>, Error> {
        let asked = requests.len();
        let tasks = self.admit_some(round, requests, known, report)?;
        // Some slots cannot be filled: a level may have few distinct tasks. A
        // round that has lost more than half of them is no longer what was planned.
        if tasks.len() * 2 < asked {
            return Err(too_few(&format!("round {round}"), asked, tasks.len(), report));
        }
        Ok(tasks)
    }

    fn admit_some(
        &mut self,
        round: u32,
        requests: Vec<FamilyRequest>,
        known: &mut HashSet<Digest>,
        report: &mut AdmissionReport,
    ) -> Result<Vec<AdmittedTask>, Error> {
        let total = requests.len() as u64;
        let revoked = self.revoked_tasks()?;
        let mut tasks = Vec::with_capacity(requests.len());
        for batch in requests.chunk_by(|a, b| a.0 == b.0).flat_map(|r| r.chunks(BATCH)) {
            if self.cancel.is_cancelled() {
                return Err(Error::Interrupted);
            }
            let Some(family) = self.workshop.families.get(&batch[0].0) else { continue };
            let requests: Vec<_> = batch.iter().map(|(_, request)| request.clone()).collect();
            let sandbox = &self.workshop.sandbox;
            let all = AllTasks { runner: self, made: known, failed: RefCell::new(None) };
            let made = generate_tasks(family, &requests, &all, |jobs| sandbox.execute(jobs));
            if let Some(error) = all.failed.into_inner() {
                return Err(error.into());
            }
            let made = made?;
            add(report, made.report);
            for task in made.tasks.into_iter().flatten() {
                known.insert(task.task.digest);
                if !revoked.contains(&task.task.id) {
                    tasks.push(task);
                }
            }
            self.working(round, "generating tasks", tasks.len() as u64, total);
        }
        Ok(tasks)
    }

    /// Tasks that were found wrong, in whatever run: no later one has them.
    fn revoked_tasks(&self) -> Result<HashSet<TaskId>, Error> {
        let revocations = self.project.wait(self.project.store.revocations())?;
        let task = |row: RevocationRow| match row.target {
            RevocationTarget::Task(task) => Some(task),
            RevocationTarget::Verifier(_) => None,
        };
        Ok(revocations.into_iter().filter_map(task).collect())
    }

    fn all_tasks(&self, filter: &TaskFilter) -> Result<Vec<Task>, Error> {
        let (store, run) = (&self.project.store, &self.run.id);
        let rows = self.project.wait(store.tasks(run, filter).collect())?;
        Ok(rows.into_iter().map(|row| row.task).collect())
    }

    /// The tasks of a round and side, without keys.
    pub(super) fn load_tasks(
        &self,
        round: u32,
        split: Split,
    ) -> Result<BTreeMap<TaskId, Task>, Error> {
        let filter = TaskFilter { round: Some(round), split: Some(split), ..TaskFilter::default() };
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
        let filter = TaskFilter { round: Some(round), split: Some(split), ..TaskFilter::default() };
        let (store, run) = (&self.project.store, &self.run.id);
        let mut tasks = BTreeMap::new();
        let mut all = store.tasks_with_keys(run, &filter);
        while let Some(rows) = self.project.wait(all.next())? {
            for (row, key) in rows {
                let key = stored::read_key(run, &row.task.id, key)?;
                tasks.insert(row.task.id.clone(), AdmittedTask { task: row.task, key });
            }
        }
        Ok(tasks)
    }
}

/// The tasks of a run, and those that were made since. The run's are asked for a
/// batch at a time: there are as many as its rounds have made.
struct AllTasks<'a, 'o> {
    runner: &'a Runner<'o>,
    made: &'a HashSet<Digest>,
    /// Why the lineage could not be asked.
    failed: RefCell<Option<StoreError>>,
}

impl KnownTasks for AllTasks<'_, '_> {
    fn known_among(&self, digests: &[Digest]) -> Result<HashSet<Digest>, String> {
        let project = &self.runner.project;
        let by_id: HashMap<_, _> =
            digests.iter().map(|digest| (TaskId::from_digest(digest), *digest)).collect();
        let ids: Vec<_> = by_id.keys().cloned().collect();
        let recorded = project.wait(project.store.tasks_among(&self.runner.run.id, &ids));
        let recorded = recorded.map_err(|error| {
            let why = error.to_string();
            *self.failed.borrow_mut() = Some(error);
            why
        })?;
        let recorded = recorded.iter().filter_map(|id| by_id.get(id)).copied();
        let made = digests.iter().filter(|digest| self.made.contains(*digest)).copied();
        Ok(recorded.chain(made).collect())
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

fn too_few(what: &str, asked: usize, admitted: usize, report: &AdmissionReport) -> Error {
    let refused = report.refused.iter().map(|(why, n)| format!("{n} {}", why.code()));
    Error::TooFewTasks {
        what: what.to_owned(),
        asked,
        admitted,
        refused: refused.collect::<Vec<_>>().join(", "),
    }
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

fn new_task(round: u32, admitted: AdmittedTask) -> Result<NewTask, Error> {
    let key = stored::key(&admitted.key)?;
    Ok(NewTask { round, task: admitted.task, key })
}
