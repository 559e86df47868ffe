//! Loads the tasks of a run, and keeps those last worked on.

use std::collections::BTreeMap;
use std::sync::Arc;

use gyre_lineage::TaskFilter;
use gyre_tasks::AdmittedTask;
use gyre_types::{Split, Task, TaskId};

use crate::error::Error;
use crate::run::context::RunContext;
use crate::stored;

/// The tasks of one round and side, with their keys, by id.
#[derive(Debug)]
pub(crate) struct TaskSet {
    pub(crate) round: u32,
    pub(crate) split: Split,
    pub(crate) tasks: BTreeMap<TaskId, AdmittedTask>,
}

impl TaskSet {
    /// A task of the set.
    ///
    /// # Errors
    ///
    /// When the set has no such task.
    pub(crate) fn get(&self, run: &RunContext, id: &TaskId) -> Result<&AdmittedTask, Error> {
        self.tasks.get(id).ok_or_else(|| missing(run, id))
    }
}

/// The tasks of one phase, in order of their ids.
struct PhaseTaskIds {
    round: u32,
    phase: u32,
    tasks: Arc<[TaskId]>,
}

/// Keeps the tasks last worked on. They are made again from the lineage when others
/// were asked for.
#[derive(Default)]
pub(crate) struct TaskStore {
    set: Option<Arc<TaskSet>>,
    phase: Option<PhaseTaskIds>,
}

impl TaskStore {
    /// The tasks of a round and side with their keys, kept until others are asked for.
    ///
    /// # Errors
    ///
    /// When the store fails, or a key cannot be read.
    pub(crate) fn set(
        &mut self,
        run: &RunContext,
        round: u32,
        split: Split,
    ) -> Result<Arc<TaskSet>, Error> {
        let known = self.set.as_ref().filter(|set| (set.round, set.split) == (round, split));
        if let Some(known) = known {
            return Ok(known.clone());
        }
        // The last set goes first: there may be memory for one of them.
        self.set = None;
        let tasks = load_admitted(run, round, split)?;
        let set = Arc::new(TaskSet { round, split, tasks });
        self.set = Some(set.clone());
        Ok(set)
    }

    /// Drops the tasks that are kept with their keys.
    pub(crate) fn forget_set(&mut self) {
        self.set = None;
    }

    /// The tasks of a phase, from `find` where they are not those last asked for.
    ///
    /// # Errors
    ///
    /// What `find` fails with.
    pub(crate) fn phase(
        &mut self,
        (round, phase): (u32, u32),
        find: impl FnOnce() -> Result<Vec<TaskId>, Error>,
    ) -> Result<Arc<[TaskId]>, Error> {
        let known = self.phase.as_ref().filter(|p| (p.round, p.phase) == (round, phase));
        if let Some(known) = known {
            return Ok(known.tasks.clone());
        }
        let tasks: Arc<[TaskId]> = find()?.into();
        self.phase = Some(PhaseTaskIds { round, phase, tasks: tasks.clone() });
        Ok(tasks)
    }
}

/// The tasks of a round and side, without keys.
///
/// # Errors
///
/// When the store fails.
pub(crate) fn load_tasks(
    run: &RunContext,
    round: u32,
    split: Split,
) -> Result<BTreeMap<TaskId, Task>, Error> {
    let rows = run.wait(run.store().tasks(run.id(), &of(round, split)).collect())?;
    Ok(rows.into_iter().map(|row| (row.task.id.clone(), row.task)).collect())
}

/// The tasks of a round and side, with their keys.
///
/// # Errors
///
/// When the store fails, or a key cannot be read.
pub(crate) fn load_admitted(
    run: &RunContext,
    round: u32,
    split: Split,
) -> Result<BTreeMap<TaskId, AdmittedTask>, Error> {
    let mut tasks = BTreeMap::new();
    let mut all = run.store().tasks_with_keys(run.id(), &of(round, split));
    while let Some(rows) = run.wait(all.next())? {
        for (row, key) in rows {
            let key = stored::read_key(run.id(), &row.task.id, key)?;
            tasks.insert(row.task.id.clone(), AdmittedTask { task: row.task, key });
        }
    }
    Ok(tasks)
}

/// An error about a task that a round should have.
pub(crate) fn missing(run: &RunContext, id: &TaskId) -> Error {
    run.unreadable(id.to_string(), "it is not among the round's tasks")
}

fn of(round: u32, split: Split) -> TaskFilter {
    TaskFilter { round: Some(round), split: Some(split), ..TaskFilter::default() }
}
