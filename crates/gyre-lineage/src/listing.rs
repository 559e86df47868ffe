//! Lists of tasks and rollouts by what they are.
//!
//! The index tables (see `migrations/*/0007_index.sql`) say how many rollouts a
//! round has that a filter lets through, so that a list reads what it shows and
//! little more, however many rollouts there are: few are found by their cells,
//! and among many the next ones are soon met in the list's own order.

use gyre_types::RunId;

use crate::cells::{convert, read_rollout, read_task};
use crate::database::{Query, Transaction};
use crate::page::{PAGE_ROWS_MAX, page, push_among, push_page};
use crate::read::select_rollouts;
use crate::rows::{RolloutWithVerdict, TaskRow};
use crate::words::{FEW, Named};
use crate::{All, Cursor, Page, RolloutFilter, Store, StoreError, TaskFilter, VerdictFilter};

/// Pages above this are read straight from the rollouts: whoever asks for
/// thousands of rows wants most of them.
const INDEXED_ROWS_MAX: u32 = 1_000;

impl Store {
    /// All tasks that a filter lets through, by round and id, without their
    /// grading keys.
    pub fn tasks(&self, run: &RunId, filter: &TaskFilter) -> All<TaskRow> {
        let run = run.clone();
        let filter = filter.clone();
        All::new(self, move |store, after, rows| {
            let run = run.clone();
            let filter = filter.clone();
            Box::pin(async move { store.tasks_page(&run, &filter, after.as_ref(), rows).await })
        })
    }

    /// Tasks by round and id, without their grading keys, a page at a time.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn tasks_page(
        &self,
        run: &RunId,
        filter: &TaskFilter,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<TaskRow>, StoreError> {
        let mut query = Query::with(
            "SELECT t.round, t.body FROM tasks t WHERE t.run = $1",
            [run.as_str().into()],
        );
        let mut filter = filter.clone();
        if let Some(text) = &filter.text
            && let Named::Few(tasks) = self.tasks_named(run, text).await?
        {
            filter.text = None;
            push_among(&mut query, "t.id", tasks.iter().map(String::as_str));
        }
        self.push_task_filter(&mut query, &filter);
        let limit = push_page(&mut query, ("t.round", "t.id"), after, limit);
        let rows = convert("tasks", self.fetch(query).await?, read_task)?;
        Ok(page(rows, limit, |row| (row.round, row.task.id.to_string())))
    }

    /// All rollouts that a filter lets through, by round and id, each with its newest
    /// verdict.
    pub fn rollouts(&self, run: &RunId, filter: &RolloutFilter) -> All<RolloutWithVerdict> {
        let run = run.clone();
        let filter = filter.clone();
        All::new(self, move |store, after, rows| {
            let run = run.clone();
            let filter = filter.clone();
            Box::pin(async move { store.rollouts_page(&run, &filter, after.as_ref(), rows).await })
        })
    }

    /// Rollouts by round and id, each with its newest verdict, a page at a time.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn rollouts_page(
        &self,
        run: &RunId,
        filter: &RolloutFilter,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<RolloutWithVerdict>, StoreError> {
        let limit = limit.clamp(1, PAGE_ROWS_MAX);
        let plain = RolloutFilter { round: filter.round, ..RolloutFilter::default() };
        let rows = if *filter == plain || filter.task.is_some() || limit > INDEXED_ROWS_MAX {
            let mut query = select_rollouts(run);
            self.push_rollout_filter(&mut query, filter);
            push_page(&mut query, ("r.round", "r.id"), after, limit);
            self.fetch(query).await?
        } else {
            let named = match &filter.text {
                Some(text) => Some(self.tasks_named(run, text).await?),
                None => None,
            };
            let mut snapshot = self.begin_read().await?;
            let mut listing =
                Listing { store: self, snapshot: &mut *snapshot, run, filter, named, after };
            let ids = listing.ids(limit as usize + 1).await?;
            listing.read(&ids).await?
        };
        let rows = convert("rollouts", rows, read_rollout)?;
        Ok(page(rows, limit, |row| (row.rollout.round, row.rollout.id.to_string())))
    }

    pub(crate) fn push_task_filter(&self, query: &mut Query, filter: &TaskFilter) {
        if let Some(round) = filter.round {
            query.push(" AND t.round = ").arg(round);
        }
        if let Some(family) = &filter.family {
            query.push(" AND t.family = ").arg(family.as_str());
        }
        if let Some(split) = filter.split {
            query.push(" AND t.split = ").arg(split.as_str());
        }
        if let Some(difficulty) = filter.difficulty {
            query.push(" AND t.difficulty = ").arg(difficulty);
        }
        if let Some(text) = &filter.text {
            self.push_words(query, ("t.run", "t.id"), text);
        }
    }

    /// All of a filter, on rollouts `r` with their newest verdicts `v`.
    fn push_rollout_filter(&self, query: &mut Query, filter: &RolloutFilter) {
        if let Some(round) = filter.round {
            query.push(" AND r.round = ").arg(round);
        }
        if let Some(purpose) = filter.purpose {
            query.push(" AND r.purpose = ").arg(purpose.as_str());
        }
        if let Some(task) = &filter.task {
            query.push(" AND r.task = ").arg(task.as_str());
        }
        if let Some(checkpoint) = &filter.checkpoint {
            query.push(" AND r.checkpoint = ").arg(checkpoint.as_str());
        }
        match filter.verdict {
            None => {}
            Some(VerdictFilter::Pending) => drop(query.push(" AND v.verdict IS NULL")),
            Some(verdict) => drop(query.push(" AND v.verdict = ").arg(stored(verdict))),
        }
        if let Some(reason) = &filter.reason {
            // Reasons are stored as canonical JSON, in which this text stands once.
            let part = format!("\"kind\":{}", serde_json::Value::from(reason.as_str()));
            query.push(" AND v.reason LIKE ").arg(containing(&part)).push(" ESCAPE '!'");
        }
        for (operator, bound) in filter.score.comparisons() {
            query.push(" AND v.score ").push(operator).push(" ").arg(bound);
        }
        if let Some(policy) = &filter.policy {
            query.push(" AND r.policy_digest = ").arg(policy.to_string());
        }
        if let Some(family) = &filter.family {
            query.push(" AND EXISTS (SELECT 1 FROM tasks t WHERE t.run = r.run AND t.id = r.task");
            query.push(" AND t.family = ").arg(family.as_str()).push(")");
        }
        if let Some(text) = &filter.text {
            self.push_words(query, ("r.run", "r.task"), text);
        }
    }
}

/// One page of rollouts, on its way.
struct Listing<'a> {
    store: &'a Store,
    snapshot: &'a mut dyn Transaction,
    run: &'a RunId,
    filter: &'a RolloutFilter,
    /// The tasks that the filter's text names.
    named: Option<Named>,
    after: Option<&'a Cursor>,
}

/// Rounds that are looked at together, and how.
struct Batch {
    rounds: (u32, u32),
    rollouts: u64,
}

impl Listing<'_> {
    /// The next ids by round and id, at most `limit`.
    async fn ids(&mut self, limit: usize) -> Result<Vec<String>, StoreError> {
        let mut ids = Vec::new();
        if let Some(Named::Few(tasks)) = &self.named
            && tasks.is_empty()
        {
            return Ok(ids);
        }
        let batches = match &self.named {
            // Few rollouts are found by their tasks, in all rounds at once.
            Some(Named::Few(_)) => vec![Batch { rounds: (0, u32::MAX), rollouts: 0 }],
            _ => batches(self.rounds().await?),
        };
        for batch in batches {
            if ids.len() == limit {
                break;
            }
            let query = self.ids_of(&batch, limit - ids.len()).await?;
            let rows = self.fetch(query).await?;
            ids.extend(convert("index_rollouts", rows, |row| row.text())?);
        }
        Ok(ids)
    }

    /// How many rollouts each round has that the cells let through.
    async fn rounds(&mut self) -> Result<Vec<(u32, u64)>, StoreError> {
        let mut query = Query::new("SELECT c.round, CAST(SUM(c.rollouts) AS BIGINT)");
        self.push_cells(&mut query, (0, u32::MAX));
        query.push(" GROUP BY c.round ORDER BY c.round");
        convert("index_cells", self.fetch(query).await?, |row| Ok((row.int()?, row.int()?)))
    }

    /// Asks for the ids of a batch. Few are found by their cells; among many,
    /// whole rounds are walked in the list's order until enough are met.
    async fn ids_of(&mut self, batch: &Batch, limit: usize) -> Result<Query, StoreError> {
        let by_task = matches!(self.named, Some(Named::Few(_)));
        let by_cell = self.filters_cells() && !by_task && batch.rollouts <= FEW;
        let mut query = Query::new("SELECT x.id FROM index_rollouts x");
        if by_task {
            query.push(" JOIN rollouts r ON r.run = x.run AND r.id = x.id AND r.round = x.round");
        }
        query.push(" WHERE 1 = 1");
        if !by_cell {
            let (first, last) = batch.rounds;
            let (first, last) = self.filter.round.map_or((first, last), |round| (round, round));
            query.push(" AND x.run = ").arg(self.run.as_str());
            query.push(" AND x.round >= ").arg(first).push(" AND x.round <= ").arg(last);
        }
        if let Some(Named::Few(tasks)) = &self.named {
            query.push(" AND r.run = ").arg(self.run.as_str());
            push_among(&mut query, "r.task", tasks.iter().map(String::as_str));
        }
        if self.filters_cells() {
            let cells = self.cells(batch).await?;
            // The sign keeps a database from looking into cells one by one.
            let sign = if by_cell { "" } else { "+" };
            query.push(&format!(" AND {sign}x.cell IN ({})", cells.join(", ")));
        }
        for (operator, bound) in self.filter.score.comparisons() {
            query.push(" AND x.score ").push(operator).push(" ").arg(bound);
        }
        if let (Some(Named::Many), Some(text)) = (&self.named, &self.filter.text) {
            query.push(" AND EXISTS (SELECT 1 FROM rollouts r WHERE r.run = x.run AND r.id = x.id");
            self.store.push_words(&mut query, ("r.run", "r.task"), text);
            query.push(")");
        }
        if let Some(cursor) = self.after {
            query.push(" AND (x.round, x.id) > (").arg(cursor.round).push(", ");
            query.arg(cursor.id.as_str()).push(")");
        }
        query.push(" ORDER BY x.round, x.id LIMIT ").arg(limit as u64);
        Ok(query)
    }

    /// The cells of some rounds that the filter lets through; one that is no
    /// cell's where it lets none.
    async fn cells(&mut self, batch: &Batch) -> Result<Vec<String>, StoreError> {
        let mut query = Query::new("SELECT c.cell");
        self.push_cells(&mut query, batch.rounds);
        let rows = self.fetch(query).await?;
        let cells = convert("index_cells", rows, |row| row.int::<i64>())?;
        Ok(cells.into_iter().chain([-1]).map(|cell| cell.to_string()).collect())
    }

    /// Whether anything that cells tell apart is asked for, but for the round.
    fn filters_cells(&self) -> bool {
        let f = self.filter;
        f.purpose.is_some()
            || f.checkpoint.is_some()
            || f.verdict.is_some()
            || f.family.is_some()
            || f.policy.is_some()
            || f.reason.is_some()
            || f.score.comparisons().next().is_some()
    }

    fn push_cells(&self, query: &mut Query, (first, last): (u32, u32)) {
        let filter = self.filter;
        query.push(" FROM index_cells c WHERE c.rollouts > 0 AND c.run = ").arg(self.run.as_str());
        let first = first.max(self.after.map_or(0, |cursor| cursor.round));
        let (first, last) = match filter.round {
            Some(round) => (first.max(round), last.min(round)),
            None => (first, last),
        };
        query.push(" AND c.round >= ").arg(first).push(" AND c.round <= ").arg(last);
        let texts = [
            ("purpose", filter.purpose.map(|purpose| purpose.as_str().to_owned())),
            ("checkpoint", filter.checkpoint.as_ref().map(ToString::to_string)),
            ("policy_digest", filter.policy.map(|policy| policy.to_string())),
            ("family", filter.family.clone()),
            ("verdict", filter.verdict.map(|verdict| stored(verdict).to_owned())),
            ("reason", filter.reason.clone()),
        ];
        for (column, value) in texts {
            if let Some(value) = value {
                query.push(" AND c.").push(column).push(" = ").arg(value);
            }
        }
        for (operator, bound) in filter.score.comparisons() {
            let operator = if operator.starts_with('>') { ">=" } else { "<=" };
            query.push(" AND c.tenths >= 0 AND c.tenths ").push(operator).push(" ");
            query.arg((bound * 10.0).floor() as i64);
        }
    }

    async fn read(&mut self, ids: &[String]) -> Result<Vec<crate::database::Row>, StoreError> {
        let mut query = select_rollouts(self.run);
        push_among(&mut query, "r.id", ids.iter().map(String::as_str));
        query.push(" ORDER BY r.round, r.id");
        self.fetch(query).await
    }

    async fn fetch(&mut self, query: Query) -> Result<Vec<crate::database::Row>, StoreError> {
        self.snapshot.fetch(query).await.map_err(|failure| self.store.fail(failure))
    }
}

/// Rounds with few rollouts are looked at together, others one by one.
fn batches(rounds: Vec<(u32, u64)>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for (round, rollouts) in rounds {
        match batches.last_mut() {
            Some(last) if last.rollouts + rollouts <= FEW => {
                last.rounds.1 = round;
                last.rollouts += rollouts;
            }
            _ => batches.push(Batch { rounds: (round, round), rollouts }),
        }
    }
    batches
}

/// How a verdict is stored in cells.
fn stored(verdict: VerdictFilter) -> &'static str {
    match verdict {
        VerdictFilter::Pending => "",
        VerdictFilter::Pass => "pass",
        VerdictFilter::Fail => "fail",
        VerdictFilter::Invalid => "invalid",
    }
}

/// A pattern for `LIKE … ESCAPE '!'` that finds a text anywhere.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
