use gyre_types::{CheckpointId, PartId, RolloutId, RunId, ShardId, TaskId};
use serde_json::Value;

use crate::cells::{
    CHECKPOINT, EVENT, GATE, NEWEST_VERDICT, PART, PROMOTION, ROLLOUT, SHARD, VERDICT, convert,
    read_checkpoint, read_event, read_gate, read_part, read_promotion, read_rollout, read_shard,
    read_task, read_verdict,
};
use crate::database::Query;
use crate::page::{PAGE_ROWS_MAX, page};
use crate::rows::{
    CheckpointRow, EventRow, GateRow, PartRow, PromotionRow, RolloutWithVerdict, ShardRow,
    ShardRowRef, TaskRow, VerdictRow,
};
use crate::{Cursor, Page, Store, StoreError, TaskFilter};

// What every list shares: a limit above `PAGE_ROWS_MAX` counts as that.
impl Store {
    /// All events of a round, in order.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn round_events(&self, run: &RunId, round: u32) -> Result<Vec<EventRow>, StoreError> {
        let mut query = select(EVENT, "events", run);
        query.push(" AND round = ").arg(round).push(" ORDER BY seq");
        convert("events", self.fetch(query).await?, read_event)
    }

    /// At most `limit` events after number `after_seq`, in order.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn events(
        &self,
        run: &RunId,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>, StoreError> {
        let mut query = select(EVENT, "events", run);
        query.push(" AND seq > ").arg(after_seq).push(" ORDER BY seq LIMIT ");
        query.arg(limit.min(PAGE_ROWS_MAX));
        convert("events", self.fetch(query).await?, read_event)
    }

    /// All events of a run by round and number, but for the bodies of plans,
    /// which are long: theirs are null.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn events_without_plans(&self, run: &RunId) -> Result<Vec<EventRow>, StoreError> {
        let columns = "seq, round, kind, CASE WHEN kind = 'planned' THEN 'null' ELSE body END, \
            at_ms";
        let mut query = select(columns, "events", run);
        query.push(" ORDER BY round, seq");
        convert("events", self.fetch(query).await?, read_event)
    }

    /// Tasks as [`Store::tasks`] lists them, each with its grading key. The keys
    /// stay on the host.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn tasks_with_keys(
        &self,
        run: &RunId,
        filter: &TaskFilter,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<(TaskRow, Value)>, StoreError> {
        let mut query = Query::with(
            "SELECT t.round, t.body, k.body FROM tasks t \
             JOIN grading_keys k ON k.run = t.run AND k.task = t.id WHERE t.run = $1",
            [run.as_str().into()],
        );
        self.push_task_filter(&mut query, filter);
        let limit = push_page(&mut query, ("t.round", "t.id"), after, limit);
        let read = |row: &mut _| Ok((read_task(row)?, row.json()?));
        let rows = convert("tasks", self.fetch(query).await?, read)?;
        Ok(page(rows, limit, |(row, _)| (row.round, row.task.id.to_string())))
    }

    /// A task with its grading key, if the run has it. The key stays on the host.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn task(
        &self,
        run: &RunId,
        id: &TaskId,
    ) -> Result<Option<(TaskRow, Value)>, StoreError> {
        let query = Query::with(
            "SELECT t.round, t.body, k.body FROM tasks t \
             JOIN grading_keys k ON k.run = t.run AND k.task = t.id \
             WHERE t.run = $1 AND t.id = $2",
            [run.as_str().into(), id.as_str().into()],
        );
        let read = |row: &mut _| Ok((read_task(row)?, row.json()?));
        Ok(convert("tasks", self.fetch(query).await?, read)?.pop())
    }

    /// A rollout with its newest verdict, if the run has it.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn rollout(
        &self,
        run: &RunId,
        id: &RolloutId,
    ) -> Result<Option<RolloutWithVerdict>, StoreError> {
        let mut query = select_rollouts(run);
        query.push(" AND r.id = ").arg(id.as_str());
        Ok(convert("rollouts", self.fetch(query).await?, read_rollout)?.pop())
    }

    /// All verdicts of a rollout, the terminal one first.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn verdicts(
        &self,
        run: &RunId,
        rollout: &RolloutId,
    ) -> Result<Vec<VerdictRow>, StoreError> {
        let mut query = Query::new("SELECT ");
        query.push(VERDICT).push(" FROM verdicts v WHERE v.run = ").arg(run.as_str());
        query.push(" AND v.rollout = ").arg(rollout.as_str()).push(" ORDER BY v.revision");
        let rows = convert("verdicts", self.fetch(query).await?, read_verdict)?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// All verdicts of a run by rollout and revision.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn verdicts_of_run(
        &self,
        run: &RunId,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<VerdictRow>, StoreError> {
        let mut query = Query::new("SELECT ");
        query.push(VERDICT).push(" FROM verdicts v WHERE v.run = ").arg(run.as_str());
        if let Some(cursor) = after {
            query.push(" AND (v.rollout, v.revision) > (").arg(cursor.id.as_str());
            query.push(", ").arg(cursor.round).push(")");
        }
        let limit = limit.clamp(1, PAGE_ROWS_MAX);
        query.push(" ORDER BY v.rollout, v.revision LIMIT ").arg(limit + 1);
        let rows = convert("verdicts", self.fetch(query).await?, read_verdict)?;
        let rows = rows.into_iter().flatten().collect();
        Ok(page(rows, limit, |row: &VerdictRow| (row.revision, row.rollout.to_string())))
    }

    /// Files of rollout bodies, by id. `after` is the last id of the page before.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn parts(
        &self,
        run: &RunId,
        after: Option<&PartId>,
        limit: u32,
    ) -> Result<Vec<PartRow>, StoreError> {
        let mut query = select(PART, "parts", run);
        push_after(&mut query, "id", after.map(PartId::as_str), limit);
        convert("parts", self.fetch(query).await?, read_part)
    }

    /// A file of rollout bodies, if the run has it.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn part(&self, run: &RunId, id: &PartId) -> Result<Option<PartRow>, StoreError> {
        let mut query = select(PART, "parts", run);
        query.push(" AND id = ").arg(id.as_str());
        Ok(convert("parts", self.fetch(query).await?, read_part)?.pop())
    }

    /// Published shards by round and id.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn shards(
        &self,
        run: &RunId,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<ShardRow>, StoreError> {
        let mut query = select(SHARD, "shards", run);
        let limit = push_page(&mut query, ("round", "id"), after, limit);
        let rows = convert("shards", self.fetch(query).await?, read_shard)?;
        Ok(page(rows, limit, |row| (row.round, row.id.to_string())))
    }

    /// What the rows of a shard came from, in order, from row `from` on.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn shard_rows(
        &self,
        run: &RunId,
        shard: &ShardId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<ShardRowRef>, StoreError> {
        let mut query = select("row_index, rollout", "shard_rows", run);
        query.push(" AND shard = ").arg(shard.as_str());
        query.push(" AND row_index >= ").arg(from).push(" ORDER BY row_index LIMIT ");
        query.arg(limit.min(PAGE_ROWS_MAX));
        convert("shard_rows", self.fetch(query).await?, |row| {
            Ok(ShardRowRef { shard: shard.clone(), row: row.int()?, rollout: row.parse()? })
        })
    }

    /// Checkpoints by round and id, each with the shards that it was trained on.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn checkpoints(
        &self,
        run: &RunId,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<CheckpointRow>, StoreError> {
        let mut query = select(CHECKPOINT, "checkpoints", run);
        let limit = push_page(&mut query, ("round", "id"), after, limit);
        let rows = convert("checkpoints", self.fetch(query).await?, read_checkpoint)?;
        let mut page = page(rows, limit, |row| (row.round, row.id.to_string()));
        for checkpoint in &mut page.rows {
            checkpoint.shards = self.checkpoint_shards(run, &checkpoint.id).await?;
        }
        Ok(page)
    }

    /// A checkpoint, if the run has it.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn checkpoint(
        &self,
        run: &RunId,
        id: &CheckpointId,
    ) -> Result<Option<CheckpointRow>, StoreError> {
        let mut query = select(CHECKPOINT, "checkpoints", run);
        query.push(" AND id = ").arg(id.as_str());
        let rows = convert("checkpoints", self.fetch(query).await?, read_checkpoint)?;
        let Some(checkpoint) = rows.into_iter().next() else {
            return Ok(None);
        };
        let shards = self.checkpoint_shards(run, id).await?;
        Ok(Some(CheckpointRow { shards, ..checkpoint }))
    }

    async fn checkpoint_shards(
        &self,
        run: &RunId,
        id: &CheckpointId,
    ) -> Result<Vec<ShardId>, StoreError> {
        let mut query = select("shard", "checkpoint_shards", run);
        query.push(" AND checkpoint = ").arg(id.as_str()).push(" ORDER BY shard");
        convert("checkpoint_shards", self.fetch(query).await?, |row| row.parse())
    }

    /// The gates' decisions, one a round, after round `after`.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn gates(
        &self,
        run: &RunId,
        after: Option<u32>,
        limit: u32,
    ) -> Result<Vec<GateRow>, StoreError> {
        let mut query = select(GATE, "gates", run);
        push_after(&mut query, "round", after, limit);
        convert("gates", self.fetch(query).await?, read_gate)
    }

    /// The changes of champion, in order, after ordinal `after`.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn promotions(
        &self,
        run: &RunId,
        after: Option<u32>,
        limit: u32,
    ) -> Result<Vec<PromotionRow>, StoreError> {
        let mut query = select(PROMOTION, "promotions", run);
        push_after(&mut query, "ordinal", after, limit);
        convert("promotions", self.fetch(query).await?, read_promotion)
    }

    /// The promotion that made the present champion; none before the base's.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn champion(&self, run: &RunId) -> Result<Option<PromotionRow>, StoreError> {
        let mut query = select(PROMOTION, "promotions", run);
        query.push(" ORDER BY ordinal DESC LIMIT 1");
        Ok(convert("promotions", self.fetch(query).await?, read_promotion)?.pop())
    }
}

fn select(columns: &str, table: &str, run: &RunId) -> Query {
    let mut query = Query::new("SELECT ");
    query.push(columns).push(" FROM ").push(table).push(" WHERE run = ").arg(run.as_str());
    query
}

pub(crate) fn select_rollouts(run: &RunId) -> Query {
    let mut query = Query::new("SELECT ");
    query.push(ROLLOUT).push(", ").push(VERDICT).push(" FROM rollouts r ");
    query.push(NEWEST_VERDICT).push(" WHERE r.run = ").arg(run.as_str());
    query
}

/// Orders by round and id, starts after the cursor, and asks for one row more
/// than the page holds. Gives the page's size.
pub(crate) fn push_page(
    query: &mut Query,
    (round, id): (&str, &str),
    after: Option<&Cursor>,
    limit: u32,
) -> u32 {
    let limit = limit.clamp(1, PAGE_ROWS_MAX);
    if let Some(cursor) = after {
        query.push(&format!(" AND ({round}, {id}) > (")).arg(cursor.round).push(", ");
        query.arg(cursor.id.as_str()).push(")");
    }
    query.push(&format!(" ORDER BY {round}, {id} LIMIT ")).arg(limit + 1);
    limit
}

/// Orders by one column and starts after a value of it.
fn push_after(
    query: &mut Query,
    column: &str,
    after: Option<impl Into<crate::database::Cell>>,
    limit: u32,
) {
    if let Some(after) = after {
        query.push(" AND ").push(column).push(" > ").arg(after);
    }
    query.push(" ORDER BY ").push(column).push(" LIMIT ").arg(limit.min(PAGE_ROWS_MAX));
}
