use gyre_types::{RolloutId, RunId, TaskId};

use crate::cells::{convert, read_rollout};
use crate::database::Query;
use crate::read::select_rollouts;
use crate::{RolloutWithVerdict, Store, StoreError};

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

/// Ids of one statement.
const AT_ONCE: usize = 512;

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
        let mut found = Vec::new();
        for tasks in tasks.chunks(AT_ONCE) {
            let mut query = Query::new("SELECT id FROM tasks WHERE run = ");
            query.arg(run.as_str()).push(" AND id IN ");
            push_ids(&mut query, tasks.iter().map(TaskId::as_str));
            found.extend(convert("tasks", self.fetch(query).await?, |row| row.parse())?);
        }
        Ok(found)
    }

    /// Those of some rollouts that a run has, each with its newest verdict, in no
    /// order.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn rollouts_among(
        &self,
        run: &RunId,
        rollouts: &[RolloutId],
    ) -> Result<Vec<RolloutWithVerdict>, StoreError> {
        let mut found = Vec::new();
        for rollouts in rollouts.chunks(AT_ONCE) {
            let mut query = select_rollouts(run);
            query.push(" AND r.id IN ");
            push_ids(&mut query, rollouts.iter().map(RolloutId::as_str));
            found.extend(convert("rollouts", self.fetch(query).await?, read_rollout)?);
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

/// Appends a list of ids. Shorter lists are filled up to a power of two with their
/// last id: a statement of each length would be kept prepared.
fn push_ids<'a>(query: &mut Query, ids: impl ExactSizeIterator<Item = &'a str> + Clone) {
    let (count, last) = (ids.len(), ids.clone().last());
    let filled = ids.chain(last.into_iter().cycle());
    for (at, id) in filled.take(count.next_power_of_two()).enumerate() {
        query.push(if at == 0 { "(" } else { ", " }).arg(id);
    }
    query.push(")");
}
