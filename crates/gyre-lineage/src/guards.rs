use gyre_types::{
    CheckResult, CheckpointId, Digest, RolloutId, RunId, TaskId, Verdict, canonical_json,
};
use serde_json::Value;

use crate::cells::{Reason, convert, read_outcome};
use crate::counts::count;
use crate::database::{Cell, Query, Row};
use crate::page::{PAGE_ROWS_MAX, page, push_page};
use crate::{All, Cursor, Page, Store, StoreError, VerdictCount};

/// An attempt at an impossible task.
#[derive(Debug, Clone, PartialEq)]
pub struct CanaryRow {
    /// The attempt.
    pub rollout: RolloutId,
    /// The round.
    pub round: u32,
    /// The impossible task.
    pub task: TaskId,
    /// The ordinary task that it was made from.
    pub made_from: TaskId,
    /// Who attempted it.
    pub checkpoint: CheckpointId,
    /// What the verifier said.
    pub verdict: Verdict,
    /// The verifier.
    pub verifier_digest: Digest,
    /// The checks that the verdict rests on.
    pub checks: Vec<CheckResult>,
    /// The whole attempt.
    pub body: Value,
    /// What it was judged by. Stays on the host.
    pub grading_key: Value,
}

/// Something that a round noticed of its verifiers.
#[derive(Debug, Clone, PartialEq)]
pub struct AlarmRow {
    /// The round.
    pub round: u32,
    /// Which kind of alarm.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// The evidence.
    pub body: Value,
}

/// Why rollouts have no verdict, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCount {
    /// The round.
    pub round: u32,
    /// One of [`gyre_types::InvalidReason::KINDS`].
    pub kind: String,
    /// The commonest detail.
    pub detail: String,
    /// Rollouts.
    pub rollouts: u64,
}

/// How many rollouts of a round have no verdict for one kind of reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidKind {
    /// The round.
    pub round: u32,
    /// As in [`InvalidCount`].
    pub kind: String,
    /// Rollouts.
    pub rollouts: u64,
}

const CANARY: &str = "rollout, round, task, made_from, checkpoint, verdict, score, reason, \
    verifier_digest, checks, body, grading_key";

impl Store {
    /// All attempts at impossible tasks of one round, or of every round, by round.
    pub fn canaries(&self, run: &RunId, round: Option<u32>) -> All<CanaryRow> {
        let run = run.clone();
        All::new(self, move |store, after, rows| {
            let run = run.clone();
            Box::pin(async move { store.canaries_page(&run, round, after.as_ref(), rows).await })
        })
    }

    async fn canaries_page(
        &self,
        run: &RunId,
        round: Option<u32>,
        after: Option<&Cursor>,
        rows: u32,
    ) -> Result<Page<CanaryRow>, StoreError> {
        let mut query = Query::new(&format!("SELECT {CANARY} FROM canaries WHERE run = "));
        query.arg(run.as_str());
        if let Some(round) = round {
            query.push(" AND round = ").arg(round);
        }
        let rows = push_page(&mut query, ("round", "rollout"), after, rows);
        let found = convert("canaries", self.fetch(query).await?, read_canary)?;
        Ok(page(found, rows, |row| (row.round, row.rollout.to_string())))
    }

    /// How the attempts at impossible tasks ended, by round.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn canary_counts(&self, run: &RunId) -> Result<Vec<(u32, VerdictCount)>, StoreError> {
        let query = Query::with(
            "SELECT round, COUNT(*), \
             CAST(SUM(CASE WHEN verdict = 'pass' THEN 1 ELSE 0 END) AS BIGINT), \
             CAST(SUM(CASE WHEN verdict = 'fail' THEN 1 ELSE 0 END) AS BIGINT), \
             CAST(SUM(CASE WHEN verdict = 'invalid' THEN 1 ELSE 0 END) AS BIGINT) \
             FROM canaries WHERE run = $1 GROUP BY round ORDER BY round",
            [run.as_str().into()],
        );
        convert("canaries", self.fetch(query).await?, |row| Ok((row.int()?, count(row)?)))
    }

    /// Why rollouts have no verdict, by their newest one: the kinds alone, which
    /// are kept counted.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn invalid_kinds(&self, run: &RunId) -> Result<Vec<InvalidKind>, StoreError> {
        let query = Query::with(
            "SELECT round, reason, CAST(SUM(rollouts) AS BIGINT) FROM index_cells \
             WHERE run = $1 AND verdict = 'invalid' AND rollouts > 0 \
             GROUP BY round, reason ORDER BY round, reason",
            [run.as_str().into()],
        );
        convert("index_cells", self.fetch(query).await?, |row| {
            Ok(InvalidKind { round: row.int()?, kind: row.text()?, rollouts: row.int()? })
        })
    }

    /// All that a run's rounds noticed of their verifiers, by round.
    pub fn alarms(&self, run: &RunId) -> All<AlarmRow> {
        let run = run.clone();
        All::new(self, move |store, after, rows| {
            let run = run.clone();
            Box::pin(async move { store.alarms_page(&run, after.as_ref(), rows).await })
        })
    }

    async fn alarms_page(
        &self,
        run: &RunId,
        after: Option<&Cursor>,
        rows: u32,
    ) -> Result<Page<AlarmRow>, StoreError> {
        let mut query = Query::new("SELECT round, kind, subject, body FROM alarms WHERE run = ");
        query.arg(run.as_str());
        // No kind holds a line's end, so that both parts fit in the cursor's id.
        if let Some((cursor, (kind, subject))) =
            after.and_then(|cursor| Some((cursor, cursor.id.split_once('\n')?)))
        {
            query.push(" AND (round, kind, subject) > (").arg(cursor.round).push(", ");
            query.arg(kind).push(", ").arg(subject).push(")");
        }
        let rows = rows.clamp(1, PAGE_ROWS_MAX);
        query.push(" ORDER BY round, kind, subject LIMIT ").arg(rows + 1);
        let found = convert("alarms", self.fetch(query).await?, |row| {
            Ok(AlarmRow {
                round: row.int()?,
                kind: row.text()?,
                subject: row.text()?,
                body: row.json()?,
            })
        })?;
        Ok(page(found, rows, |row| (row.round, format!("{}\n{}", row.kind, row.subject))))
    }

    /// Why rollouts have no verdict, by their newest one: one entry for each
    /// round and kind, with the detail that is most frequent.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn invalid_reasons(&self, run: &RunId) -> Result<Vec<InvalidCount>, StoreError> {
        let query = Query::with(
            "SELECT r.round, v.reason, COUNT(*) FROM rollouts r JOIN verdicts v \
             ON v.run = r.run AND v.rollout = r.id AND v.revision = (SELECT MAX(w.revision) \
             FROM verdicts w WHERE w.run = r.run AND w.rollout = r.id) \
             WHERE r.run = $1 AND v.verdict = 'invalid' GROUP BY r.round, v.reason \
             ORDER BY r.round, COUNT(*) DESC, v.reason",
            [run.as_str().into()],
        );
        let mut counts: Vec<InvalidCount> = Vec::new();
        for count in convert("verdicts", self.fetch(query).await?, read_invalid)? {
            let same = |c: &&mut InvalidCount| (c.round, &c.kind) == (count.round, &count.kind);
            match counts.iter_mut().find(same) {
                Some(known) => known.rollouts += count.rollouts,
                None => counts.push(count),
            }
        }
        Ok(counts)
    }
}

pub(crate) fn canary_cells(run: &RunId, row: &CanaryRow, at_ms: i64) -> Vec<Cell> {
    let reason = match &row.verdict {
        Verdict::Invalid { reason } => canonical_json(reason).into(),
        Verdict::Pass | Verdict::Fail { .. } => Cell::Null,
    };
    vec![
        run.as_str().into(),
        row.rollout.as_str().into(),
        row.round.into(),
        row.task.as_str().into(),
        row.made_from.as_str().into(),
        row.checkpoint.as_str().into(),
        row.verdict.name().into(),
        row.verdict.score().map(gyre_types::Score::get).into(),
        reason,
        row.verifier_digest.to_hex().into(),
        canonical_json(&row.checks).into(),
        canonical_json(&row.body).into(),
        canonical_json(&row.grading_key).into(),
        at_ms.into(),
    ]
}

pub(crate) fn alarm_cells(run: &RunId, row: &AlarmRow, at_ms: i64) -> Vec<Cell> {
    vec![
        run.as_str().into(),
        row.round.into(),
        row.kind.as_str().into(),
        row.subject.as_str().into(),
        canonical_json(&row.body).into(),
        at_ms.into(),
    ]
}

fn read_canary(row: &mut Row) -> Result<CanaryRow, Reason> {
    Ok(CanaryRow {
        rollout: row.parse()?,
        round: row.int()?,
        task: row.parse()?,
        made_from: row.parse()?,
        checkpoint: row.parse()?,
        verdict: read_outcome(row)?,
        verifier_digest: row.parse()?,
        checks: row.json()?,
        body: row.json()?,
        grading_key: row.json()?,
    })
}

fn read_invalid(row: &mut Row) -> Result<InvalidCount, Reason> {
    let round = row.int()?;
    let reason: Value = row.json()?;
    let text = |key: &str| reason[key].as_str().unwrap_or_default().to_owned();
    Ok(InvalidCount { round, kind: text("kind"), detail: text("detail"), rollouts: row.int()? })
}
