use std::collections::HashMap;

use gyre_types::{CheckpointId, PartId, RolloutId, RunId, ShardId, TaskId};
use serde_json::Value;

use crate::cells::{
    CHECKPOINT, EVENT, GATE, NEWEST_VERDICT, PART, PROMOTION, ROLLOUT, SHARD, VERDICT, convert,
    read_checkpoint, read_event, read_gate, read_part, read_promotion, read_rollout, read_shard,
    read_task, read_verdict,
};
use crate::database::Query;
use crate::page::{PAGE_ROWS_MAX, page, push_after, push_among, push_page};
use crate::rows::{
    CheckpointRow, EventRow, GateRow, PartRow, PromotionRow, RolloutWithVerdict, ShardRow,
    ShardRowRef, TaskRow, VerdictRow,
};
use crate::{All, Cursor, Page, Store, StoreError, TaskFilter};

/// Checkpoints whose shards are asked for at once: bounds a statement's arguments.
const EDGES_OF: usize = 500;

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

    /// All events of a run, in order.
    pub fn events(&self, run: &RunId) -> All<EventRow> {
        let run = run.clone();
        All::new(self, move |store, after, rows| {
            let run = run.clone();
            Box::pin(async move {
                // The cursor's id is the number, which outgrows a round's.
                let seq = after.and_then(|cursor| cursor.id.parse().ok()).unwrap_or(0);
                let events = store.events_after(&run, seq, rows.saturating_add(1)).await?;
                Ok(page(events, rows, |event| (event.round, event.seq.to_string())))
            })
        })
    }

    /// At most `limit` events after number `after_seq`, in order.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn events_after(
        &self,
        run: &RunId,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>, StoreError> {
        let mut query = select(EVENT, "events", run);
        query.push(" AND seq > ").arg(after_seq).push(" ORDER BY seq LIMIT ");
        query.arg(limit.min(PAGE_ROWS_MAX + 1));
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

    /// All tasks that a filter lets through, by round and id, each with its grading key.
    /// The keys stay on the host.
    pub fn tasks_with_keys(&self, run: &RunId, filter: &TaskFilter) -> All<(TaskRow, Value)> {
        let run = run.clone();
        let filter = filter.clone();
        All::new(self, move |store, after, rows| {
            let run = run.clone();
            let filter = filter.clone();
            Box::pin(async move {
                store.tasks_with_keys_page(&run, &filter, after.as_ref(), rows).await
            })
        })
    }

    /// Tasks as [`Store::tasks_page`] lists them, each with its grading key. The keys
    /// stay on the host.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn tasks_with_keys_page(
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

    /// The verdicts of a run by rollout and revision, a page at a time.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn verdicts_page(
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

    /// All files of rollout bodies, by id.
    pub fn parts(&self, run: &RunId) -> All<PartRow> {
        let run = run.clone();
        All::new(self, move |store, after, rows| {
            let run = run.clone();
            Box::pin(async move { store.parts_page(&run, after.as_ref(), rows).await })
        })
    }

    async fn parts_page(
        &self,
        run: &RunId,
        after: Option<&Cursor>,
        rows: u32,
    ) -> Result<Page<PartRow>, StoreError> {
        let mut query = select(PART, "parts", run);
        let rows = push_after(&mut query, "id", after.map(|cursor| cursor.id.as_str()), rows);
        let found = convert("parts", self.fetch(query).await?, read_part)?;
        Ok(page(found, rows, |part| (0, part.id.to_string())))
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

    /// All published shards, by round and id.
    pub fn shards(&self, run: &RunId) -> All<ShardRow> {
        let run = run.clone();
        All::new(self, move |store, after, rows| {
            let run = run.clone();
            Box::pin(async move { store.shards_page(&run, after.as_ref(), rows).await })
        })
    }

    /// Published shards by round and id, a page at a time.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn shards_page(
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

    /// What the rows of a shard came from, in order.
    pub fn shard_rows(&self, run: &RunId, shard: &ShardId) -> All<ShardRowRef> {
        let (run, shard) = (run.clone(), shard.clone());
        All::new(self, move |store, after, rows| {
            let (run, shard) = (run.clone(), shard.clone());
            Box::pin(async move { store.shard_rows_page(&run, &shard, after.as_ref(), rows).await })
        })
    }

    async fn shard_rows_page(
        &self,
        run: &RunId,
        shard: &ShardId,
        after: Option<&Cursor>,
        rows: u32,
    ) -> Result<Page<ShardRowRef>, StoreError> {
        let mut query = select("row_index, rollout", "shard_rows", run);
        query.push(" AND shard = ").arg(shard.as_str());
        let rows = push_after(&mut query, "row_index", after.map(|cursor| cursor.round), rows);
        let found = convert("shard_rows", self.fetch(query).await?, |row| {
            Ok(ShardRowRef { shard: shard.clone(), row: row.int()?, rollout: row.parse()? })
        })?;
        Ok(page(found, rows, |row| (row.row, String::new())))
    }

    /// All checkpoints by round and id, each with the shards that it was trained on.
    pub fn checkpoints(&self, run: &RunId) -> All<CheckpointRow> {
        let run = run.clone();
        All::new(self, move |store, after, rows| {
            let run = run.clone();
            Box::pin(async move { store.checkpoints_page(&run, after.as_ref(), rows).await })
        })
    }

    /// Checkpoints by round and id, a page at a time.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn checkpoints_page(
        &self,
        run: &RunId,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<CheckpointRow>, StoreError> {
        let mut query = select(CHECKPOINT, "checkpoints", run);
        let limit = push_page(&mut query, ("round", "id"), after, limit);
        let rows = convert("checkpoints", self.fetch(query).await?, read_checkpoint)?;
        let mut page = page(rows, limit, |row| (row.round, row.id.to_string()));
        for checkpoints in page.rows.chunks_mut(EDGES_OF) {
            let mut query = select("checkpoint, shard", "checkpoint_shards", run);
            push_among(&mut query, "checkpoint", checkpoints.iter().map(|row| row.id.as_str()));
            query.push(" ORDER BY checkpoint, shard");
            let edges = convert("checkpoint_shards", self.fetch(query).await?, |row| {
                Ok((row.parse::<CheckpointId>()?, row.parse::<ShardId>()?))
            })?;
            let mut shards: HashMap<CheckpointId, Vec<ShardId>> = HashMap::new();
            for (checkpoint, shard) in edges {
                shards.entry(checkpoint).or_default().push(shard);
            }
            for checkpoint in checkpoints {
                checkpoint.shards = shards.remove(&checkpoint.id).unwrap_or_default();
            }
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

    /// All gates' decisions, one a round, by round.
    pub fn gates(&self, run: &RunId) -> All<GateRow> {
        let run = run.clone();
        All::new(self, move |store, after, rows| {
            let run = run.clone();
            Box::pin(async move { store.gates_page(&run, after.as_ref(), rows).await })
        })
    }

    async fn gates_page(
        &self,
        run: &RunId,
        after: Option<&Cursor>,
        rows: u32,
    ) -> Result<Page<GateRow>, StoreError> {
        let mut query = select(GATE, "gates", run);
        let rows = push_after(&mut query, "round", after.map(|cursor| cursor.round), rows);
        let found = convert("gates", self.fetch(query).await?, read_gate)?;
        Ok(page(found, rows, |gate| (gate.round, String::new())))
    }

    /// The decision of a round's gate, if there is one.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn gate(&self, run: &RunId, round: u32) -> Result<Option<GateRow>, StoreError> {
        let mut query = select(GATE, "gates", run);
        query.push(" AND round = ").arg(round);
        Ok(convert("gates", self.fetch(query).await?, read_gate)?.pop())
    }

    /// All changes of champion, in order.
    pub fn promotions(&self, run: &RunId) -> All<PromotionRow> {
        let run = run.clone();
        All::new(self, move |store, after, rows| {
            let run = run.clone();
            Box::pin(async move { store.promotions_page(&run, after.as_ref(), rows).await })
        })
    }

    async fn promotions_page(
        &self,
        run: &RunId,
        after: Option<&Cursor>,
        rows: u32,
    ) -> Result<Page<PromotionRow>, StoreError> {
        let mut query = select(PROMOTION, "promotions", run);
        let rows = push_after(&mut query, "ordinal", after.map(|cursor| cursor.round), rows);
        let found = convert("promotions", self.fetch(query).await?, read_promotion)?;
        Ok(page(found, rows, |promotion| (promotion.ordinal, String::new())))
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
