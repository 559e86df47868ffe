use gyre_types::{CheckpointId, Purpose, RunId, TaskId};

use crate::cells::{NEWEST_VERDICT, Reason, convert};
use crate::database::{Query, Row};
use crate::page::{PAGE_ROWS_MAX, push_among};
use crate::{Store, StoreError};

/// Sums over rollouts by their newest verdict.
const COUNTS: &str = "COUNT(*), \
    CAST(SUM(CASE WHEN v.verdict = 'pass' THEN 1 ELSE 0 END) AS BIGINT), \
    CAST(SUM(CASE WHEN v.verdict = 'fail' THEN 1 ELSE 0 END) AS BIGINT), \
    CAST(SUM(CASE WHEN v.verdict = 'invalid' THEN 1 ELSE 0 END) AS BIGINT)";

/// How the rollouts of some group ended; the rest waits for a verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerdictCount {
    /// All rollouts.
    pub rollouts: u64,
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Without a usable verdict.
    pub invalid: u64,
}

impl VerdictCount {
    /// Rollouts without any verdict yet.
    pub fn pending(&self) -> u64 {
        self.rollouts.saturating_sub(self.passed + self.failed + self.invalid)
    }

    /// The share that passed of those judged; none where none was.
    pub fn pass_rate(&self) -> Option<f64> {
        let judged = self.passed + self.failed;
        (judged > 0).then(|| self.passed as f64 / judged as f64)
    }
}

/// The counts of one round, purpose, checkpoint, family and difficulty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellRate {
    /// The round.
    pub round: u32,
    /// What the rollouts were made for.
    pub purpose: Purpose,
    /// Who acted; none where the policy has no checkpoint.
    pub checkpoint: Option<CheckpointId>,
    /// The tasks' family.
    pub family: String,
    /// The tasks' difficulty.
    pub difficulty: u32,
    /// How they ended.
    pub count: VerdictCount,
}

/// The counts of one task over all rounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRate {
    /// The task.
    pub task: TaskId,
    /// How its rollouts ended.
    pub count: VerdictCount,
}

impl Store {
    /// Counts per round, purpose and checkpoint, in this order.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn verdict_counts(
        &self,
        run: &RunId,
    ) -> Result<Vec<(u32, Purpose, Option<CheckpointId>, VerdictCount)>, StoreError> {
        let group = "r.round, r.purpose, r.checkpoint";
        let mut query = Query::new(&format!(
            "SELECT {group}, {COUNTS} FROM rollouts r {NEWEST_VERDICT} WHERE r.run = "
        ));
        query.arg(run.as_str()).push(&format!(" GROUP BY {group} ORDER BY {group}"));
        convert("rollouts", self.fetch(query).await?, |row| {
            Ok((row.int()?, row.parse()?, checkpoint(row)?, count(row)?))
        })
    }

    /// Counts per round, purpose, checkpoint, family and difficulty, in this order.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn cell_rates(&self, run: &RunId) -> Result<Vec<CellRate>, StoreError> {
        let group = "c.round, c.purpose, c.checkpoint, c.family, c.difficulty";
        let mut query = Query::new(&format!("SELECT {group}, CAST(SUM(c.rollouts) AS BIGINT)"));
        for verdict in ["pass", "fail", "invalid"] {
            query.push(&format!(
                ", CAST(SUM(CASE WHEN c.verdict = '{verdict}' THEN c.rollouts ELSE 0 END) AS BIGINT)"
            ));
        }
        query.push(" FROM index_cells c WHERE c.rollouts > 0 AND c.run = ").arg(run.as_str());
        query.push(&format!(" GROUP BY {group} ORDER BY {group}"));
        convert("index_cells", self.fetch(query).await?, |row| {
            Ok(CellRate {
                round: row.int()?,
                purpose: row.parse()?,
                checkpoint: checkpoint(row)?,
                family: row.text()?,
                difficulty: row.int()?,
                count: count(row)?,
            })
        })
    }

    /// Counts per task by id, over all rounds, of rollouts made for `purpose`.
    /// `after` is the last task of the page before.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn task_rates(
        &self,
        run: &RunId,
        purpose: Purpose,
        after: Option<&TaskId>,
        limit: u32,
    ) -> Result<Vec<TaskRate>, StoreError> {
        let mut query = Query::new(&format!(
            "SELECT r.task, {COUNTS} FROM rollouts r {NEWEST_VERDICT} WHERE r.run = "
        ));
        query.arg(run.as_str()).push(" AND r.purpose = ").arg(purpose.as_str());
        if let Some(after) = after {
            query.push(" AND r.task > ").arg(after.as_str());
        }
        query.push(" GROUP BY r.task ORDER BY r.task LIMIT ").arg(limit.min(PAGE_ROWS_MAX));
        convert("rollouts", self.fetch(query).await?, |row| {
            Ok(TaskRate { task: row.parse()?, count: count(row)? })
        })
    }
}

impl Store {
    /// Counts of the named tasks over all rounds and purposes, by id; tasks
    /// without rollouts are left out.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn rates_of_tasks(
        &self,
        run: &RunId,
        tasks: &[TaskId],
    ) -> Result<Vec<TaskRate>, StoreError> {
        let mut query = Query::new(
            "SELECT k.task, k.rollouts, k.passed, k.failed, k.invalid FROM index_tasks k \
             WHERE k.rollouts > 0 AND k.run = ",
        );
        query.arg(run.as_str());
        let tasks = tasks.iter().take(PAGE_ROWS_MAX as usize).map(TaskId::as_str);
        push_among(&mut query, "k.task", tasks);
        query.push(" ORDER BY k.task");
        convert("index_tasks", self.fetch(query).await?, |row| {
            Ok(TaskRate { task: row.parse()?, count: count(row)? })
        })
    }
}

pub(crate) fn count(row: &mut Row) -> Result<VerdictCount, Reason> {
    Ok(VerdictCount {
        rollouts: row.int()?,
        passed: row.int()?,
        failed: row.int()?,
        invalid: row.int()?,
    })
}

pub(crate) fn checkpoint(row: &mut Row) -> Result<Option<CheckpointId>, Reason> {
    match row.text()? {
        none if none.is_empty() => Ok(None),
        id => id.parse().map(Some).map_err(|error: gyre_types::IdError| error.to_string()),
    }
}
