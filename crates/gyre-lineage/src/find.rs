use gyre_types::{RunId, TaskId};

use crate::cells::convert;
use crate::database::Query;
use crate::{Store, StoreError};

/// What an id may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A run.
    Run,
    /// A task.
    Task,
    /// A file of rollout bodies.
    Part,
    /// A rollout.
    Rollout,
    /// A shard of the dataset.
    Shard,
    /// A checkpoint.
    Checkpoint,
    /// An attempt at an impossible task.
    Canary,
}

impl Kind {
    const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Run, "runs", "run"),
        (Self::Task, "tasks", "id"),
        (Self::Part, "parts", "id"),
        (Self::Rollout, "rollouts", "id"),
        (Self::Shard, "shards", "id"),
        (Self::Checkpoint, "checkpoints", "id"),
        (Self::Canary, "canaries", "rollout"),
    ];

    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Task => "task",
            Self::Part => "part",
            Self::Rollout => "rollout",
            Self::Shard => "shard",
            Self::Checkpoint => "checkpoint",
            Self::Canary => "canary",
        }
    }
}

/// Something that an id names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// In which run.
    pub run: RunId,
    /// Its full id.
    pub id: String,
}

/// How many matches are told, of each kind.
const FOUND_MAX: u32 = 20;

impl Store {
    /// Those of some tasks that a run has, in no order.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn tasks_among(
        &self,
        run: &RunId,
        tasks: &[TaskId],
    ) -> Result<Vec<TaskId>, StoreError> {
        /// Tasks of one statement. Shorter lists are filled up to a power of two with
        /// their last task: a statement of each length would be kept prepared.
        const AT_ONCE: usize = 512;
        let mut found = Vec::new();
        for tasks in tasks.chunks(AT_ONCE) {
            let mut query = Query::new("SELECT id FROM tasks WHERE run = ");
            query.arg(run.as_str()).push(" AND id IN (");
            let filled = tasks.iter().chain(std::iter::repeat(&tasks[tasks.len() - 1]));
            for (at, task) in filled.take(tasks.len().next_power_of_two()).enumerate() {
                query.push(if at == 0 { "" } else { ", " }).arg(task.as_str());
            }
            query.push(")");
            found.extend(convert("tasks", self.fetch(query).await?, |row| row.parse())?);
        }
        Ok(found)
    }

    /// What an id names, in which runs, newest run first. A text that is the
    /// start of ids, such as `roll-0a1b`, gives the first few of them.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn find(&self, text: &str) -> Result<Vec<Found>, StoreError> {
        let mut found = Vec::new();
        if text.is_empty() {
            return Ok(found);
        }
        for (kind, table, column) in Kind::ALL {
            // `~` sorts after everything that an id may hold.
            let query = Query::with(
                &format!(
                    "SELECT x.run, x.{column} FROM {table} x JOIN runs u ON u.run = x.run \
                     WHERE x.{column} >= $1 AND x.{column} < $2 \
                     ORDER BY u.created_at_ms DESC, x.run DESC, x.{column} LIMIT $3"
                ),
                [text.into(), format!("{text}~").into(), FOUND_MAX.into()],
            );
            let rows = self.fetch(query).await?;
            found.extend(convert(table, rows, |row| {
                Ok(Found { kind, run: row.parse()?, id: row.text()? })
            })?);
        }
        if found.iter().any(|found| found.id == text) {
            found.retain(|found| found.id == text);
        }
        Ok(found)
    }
}
