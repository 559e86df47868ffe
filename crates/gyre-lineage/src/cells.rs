//! Domain types to cells and back. The order of cells is that of the tables in
//! `schema` and of the column lists here.

use std::fmt::Display;
use std::str::FromStr;

use gyre_env::{task_from_stored, task_to_stored};
use gyre_types::{JsonError, RunId, Score, Seed, StopReason, StoredPath, Verdict, canonical_json};
use serde::de::DeserializeOwned;

use crate::StoreError;
use crate::database::{Cell, Row};
use crate::rows::{
    CheckpointRow, EventRow, GateRow, NewTask, PartRow, PromotionRow, RolloutRow,
    RolloutWithVerdict, RunRow, ShardRow, ShardRowRef, TaskRow, VerdictRow,
};

pub(crate) const RUN: &str = "run, name, fingerprint, seed, config, sandbox_digest, \
    created_at_ms, status, last_seq";
pub(crate) const EVENT: &str = "seq, round, kind, body, at_ms";
pub(crate) const PART: &str = "id, path, sha256, bytes, row_count";
pub(crate) const ROLLOUT: &str = "r.id, r.round, r.purpose, r.task, r.sample, r.seed, \
    r.checkpoint, r.policy_digest, r.part, r.part_row, r.answer_digest, r.stop, r.turns, \
    r.tokens, r.fuel, r.chain";
pub(crate) const VERDICT: &str = "v.rollout, v.revision, v.verdict, v.score, v.reason, \
    v.verifier_digest, v.sandbox_digest, v.checks, v.fuel, v.guests";
pub(crate) const SHARD: &str = "id, round, path, sha256, bytes, row_count, superseded, kind";
pub(crate) const CHECKPOINT: &str = "id, round, parent, path, digest, policy_digest, report";
pub(crate) const GATE: &str = "round, candidate, champion, decision, record, digest";
pub(crate) const PROMOTION: &str = "ordinal, round, champion, previous, gate_digest, at_ms";

/// Joins each rollout `r` with its newest verdict `v`.
pub(crate) const NEWEST_VERDICT: &str = "LEFT JOIN verdicts v ON v.run = r.run \
    AND v.rollout = r.id AND v.revision = (SELECT MAX(w.revision) FROM verdicts w \
    WHERE w.run = r.run AND w.rollout = r.id)";

fn text(value: &(impl Display + ?Sized)) -> Cell {
    Cell::Text(value.to_string())
}

fn optional(value: Option<&impl Display>) -> Cell {
    value.map_or(Cell::Null, text)
}

pub(crate) fn task_cells(run: &RunId, new: &NewTask) -> Result<Vec<Cell>, JsonError> {
    let task = &new.task;
    Ok(vec![
        text(run),
        text(&task.id),
        new.round.into(),
        text(&task.family),
        task.family_version.into(),
        task.difficulty.into(),
        text(&canonical_json(&task.composition)),
        text(&task.split),
        text(&task.seed),
        text(&task.digest),
        text(&task.key_digest),
        text(&canonical_json(&task_to_stored(task)?)),
    ])
}

pub(crate) fn key_cells(run: &RunId, new: &NewTask) -> Vec<Cell> {
    vec![text(run), text(&new.task.id), text(&canonical_json(&new.key))]
}

pub(crate) fn part_cells(run: &RunId, part: &PartRow) -> Vec<Cell> {
    vec![
        text(run),
        text(&part.id),
        text(&part.path),
        text(&part.sha256),
        part.bytes.into(),
        part.rows.into(),
    ]
}

pub(crate) fn rollout_cells(run: &RunId, row: &RolloutRow) -> Vec<Cell> {
    vec![
        text(run),
        text(&row.id),
        row.round.into(),
        text(&row.purpose),
        text(&row.task),
        row.sample.into(),
        text(&row.seed),
        row.checkpoint.as_ref().map_or_else(|| text(""), text),
        text(&row.policy_digest),
        text(&row.part),
        row.part_row.into(),
        text(&row.answer_digest),
        text(row.stop.as_str()),
        row.turns.into(),
        row.tokens.into(),
        row.fuel.into(),
        text(&row.chain),
    ]
}

pub(crate) fn verdict_cells(run: &RunId, row: &VerdictRow, at_ms: i64) -> Vec<Cell> {
    let reason = match &row.verdict {
        Verdict::Invalid { reason } => text(&canonical_json(reason)),
        Verdict::Pass | Verdict::Fail { .. } => Cell::Null,
    };
    vec![
        text(run),
        text(&row.rollout),
        row.revision.into(),
        text(row.verdict.name()),
        row.verdict.score().map(Score::get).into(),
        reason,
        text(&row.verifier_digest),
        text(&row.sandbox_digest),
        text(&canonical_json(&row.checks)),
        row.fuel.into(),
        row.guests.into(),
        at_ms.into(),
    ]
}

pub(crate) fn shard_cells(run: &RunId, shard: &ShardRow) -> Vec<Cell> {
    vec![
        text(run),
        text(&shard.id),
        shard.round.into(),
        text(&shard.path),
        text(&shard.sha256),
        shard.bytes.into(),
        shard.rows.into(),
        i64::from(shard.superseded).into(),
        text(shard.kind.as_str()),
    ]
}

pub(crate) fn shard_row_cells(run: &RunId, row: &ShardRowRef) -> Vec<Cell> {
    vec![text(run), text(&row.shard), row.row.into(), text(&row.rollout)]
}

pub(crate) fn checkpoint_cells(run: &RunId, row: &CheckpointRow) -> Vec<Cell> {
    vec![
        text(run),
        text(&row.id),
        row.round.into(),
        optional(row.parent.as_ref()),
        text(&row.path),
        text(&row.digest),
        text(&row.policy_digest),
        text(&canonical_json(&row.report)),
    ]
}

pub(crate) fn gate_cells(run: &RunId, gate: &GateRow) -> Vec<Cell> {
    vec![
        text(run),
        gate.round.into(),
        text(&gate.candidate),
        text(&gate.champion),
        text(&gate.decision),
        text(&canonical_json(&gate.record)),
        text(&gate.digest),
    ]
}

pub(crate) fn promotion_cells(run: &RunId, row: &PromotionRow) -> Vec<Cell> {
    vec![
        text(run),
        row.ordinal.into(),
        row.round.into(),
        text(&row.champion),
        optional(row.previous.as_ref()),
        optional(row.gate_digest.as_ref()),
        row.at_ms.into(),
    ]
}

/// Why a cell is not what was expected.
pub(crate) type Reason = String;

impl Row {
    pub(crate) fn text(&mut self) -> Result<String, Reason> {
        match self.next() {
            Cell::Text(value) => Ok(value),
            other => Err(format!("{other:?} is no text")),
        }
    }

    pub(crate) fn int<T: TryFrom<i64>>(&mut self) -> Result<T, Reason> {
        match self.next() {
            Cell::Int(value) => {
                T::try_from(value).map_err(|_| format!("the number {value} is out of range"))
            }
            other => Err(format!("{other:?} is no whole number")),
        }
    }

    pub(crate) fn parse<T: FromStr<Err: Display>>(&mut self) -> Result<T, Reason> {
        self.text()?.parse().map_err(|error: T::Err| error.to_string())
    }

    pub(crate) fn optional<T: FromStr<Err: Display>>(&mut self) -> Result<Option<T>, Reason> {
        match self.next() {
            Cell::Null => Ok(None),
            Cell::Text(value) => value.parse().map(Some).map_err(|error: T::Err| error.to_string()),
            other => Err(format!("{other:?} is no text")),
        }
    }

    pub(crate) fn optional_int<T: TryFrom<i64>>(&mut self) -> Result<Option<T>, Reason> {
        match self.next() {
            Cell::Null => Ok(None),
            Cell::Int(value) => T::try_from(value)
                .map(Some)
                .map_err(|_| format!("the number {value} is out of range")),
            other => Err(format!("{other:?} is no whole number")),
        }
    }

    pub(crate) fn json<T: DeserializeOwned>(&mut self) -> Result<T, Reason> {
        serde_json::from_str(&self.text()?).map_err(|error| error.to_string())
    }

    fn seed(&mut self) -> Result<Seed, Reason> {
        self.parse().map(Seed)
    }
}

/// Converts rows, naming the table in the error.
pub(crate) fn convert<T>(
    table: &'static str,
    rows: Vec<Row>,
    read: impl Fn(&mut Row) -> Result<T, Reason>,
) -> Result<Vec<T>, StoreError> {
    let convert = |mut row| read(&mut row).map_err(|reason| StoreError::Row { table, reason });
    rows.into_iter().map(convert).collect()
}

pub(crate) fn read_run(row: &mut Row) -> Result<RunRow, Reason> {
    Ok(RunRow {
        id: row.parse()?,
        name: row.text()?,
        fingerprint: row.parse()?,
        seed: row.seed()?,
        config: row.json()?,
        sandbox_digest: row.parse()?,
        created_at_ms: row.int()?,
        status: row.parse()?,
        last_seq: row.int()?,
    })
}

pub(crate) fn read_event(row: &mut Row) -> Result<EventRow, Reason> {
    Ok(EventRow {
        seq: row.int()?,
        round: row.int()?,
        kind: row.text()?,
        body: row.json()?,
        at_ms: row.int()?,
    })
}

pub(crate) fn read_task(row: &mut Row) -> Result<TaskRow, Reason> {
    let round = row.int()?;
    let task = task_from_stored(row.json()?).map_err(|error| error.to_string())?;
    Ok(TaskRow { round, task })
}

pub(crate) fn read_part(row: &mut Row) -> Result<PartRow, Reason> {
    Ok(PartRow {
        id: row.parse()?,
        path: StoredPath::new(row.text()?),
        sha256: row.parse()?,
        bytes: row.int()?,
        rows: row.int()?,
    })
}

pub(crate) fn read_rollout(row: &mut Row) -> Result<RolloutWithVerdict, Reason> {
    let rollout = RolloutRow {
        id: row.parse()?,
        round: row.int()?,
        purpose: row.parse()?,
        task: row.parse()?,
        sample: row.int()?,
        seed: row.seed()?,
        checkpoint: match row.text()? {
            none if none.is_empty() => None,
            id => Some(id.parse().map_err(|error: gyre_types::IdError| error.to_string())?),
        },
        policy_digest: row.parse()?,
        part: row.parse()?,
        part_row: row.int()?,
        answer_digest: row.parse()?,
        stop: read_stop(&row.text()?)?,
        turns: row.int()?,
        tokens: row.int()?,
        fuel: row.int()?,
        chain: row.parse()?,
    };
    Ok(RolloutWithVerdict { rollout, verdict: read_verdict(row)? })
}

fn read_stop(text: &str) -> Result<StopReason, Reason> {
    StopReason::ALL
        .into_iter()
        .find(|stop| stop.as_str() == text)
        .ok_or_else(|| format!("{text:?} is no reason to stop"))
}

/// Reads [`VERDICT`]'s columns, all of which are null where there is none.
pub(crate) fn read_verdict(row: &mut Row) -> Result<Option<VerdictRow>, Reason> {
    let Some(rollout) = row.optional()? else {
        return Ok(None);
    };
    let revision = row.int()?;
    let verdict = read_outcome(row)?;
    Ok(Some(VerdictRow {
        rollout,
        revision,
        verdict,
        verifier_digest: row.parse()?,
        sandbox_digest: row.parse()?,
        checks: row.json()?,
        fuel: row.int()?,
        guests: row.int()?,
    }))
}

/// Reads what was said, with its score or reason.
pub(crate) fn read_outcome(row: &mut Row) -> Result<Verdict, Reason> {
    let name = row.text()?;
    let score = match row.next() {
        Cell::Real(score) => Some(Score::new(score).map_err(|error| error.to_string())?),
        _ => None,
    };
    match (name.as_str(), score, row.optional::<String>()?) {
        ("pass", Some(_), None) => Ok(Verdict::Pass),
        ("fail", Some(score), None) => Ok(Verdict::Fail { score }),
        ("invalid", None, Some(reason)) => {
            let reason = serde_json::from_str(&reason).map_err(|error| error.to_string())?;
            Ok(Verdict::Invalid { reason })
        }
        _ => Err(format!("the verdict {name:?} lacks its score or reason")),
    }
}

pub(crate) fn read_shard(row: &mut Row) -> Result<ShardRow, Reason> {
    Ok(ShardRow {
        id: row.parse()?,
        round: row.int()?,
        path: StoredPath::new(row.text()?),
        sha256: row.parse()?,
        bytes: row.int()?,
        rows: row.int()?,
        superseded: row.int::<i64>()? != 0,
        kind: row.parse()?,
    })
}

/// Reads a checkpoint without its shards, which are rows of their own.
pub(crate) fn read_checkpoint(row: &mut Row) -> Result<CheckpointRow, Reason> {
    Ok(CheckpointRow {
        id: row.parse()?,
        round: row.int()?,
        parent: row.optional()?,
        path: StoredPath::new(row.text()?),
        digest: row.parse()?,
        policy_digest: row.parse()?,
        shards: Vec::new(),
        report: row.json()?,
    })
}

pub(crate) fn read_gate(row: &mut Row) -> Result<GateRow, Reason> {
    Ok(GateRow {
        round: row.int()?,
        candidate: row.parse()?,
        champion: row.parse()?,
        decision: row.parse()?,
        record: row.json()?,
        digest: row.parse()?,
    })
}

pub(crate) fn read_promotion(row: &mut Row) -> Result<PromotionRow, Reason> {
    Ok(PromotionRow {
        ordinal: row.int()?,
        round: row.int()?,
        champion: row.parse()?,
        previous: row.optional()?,
        gate_digest: row.optional()?,
        at_ms: row.int()?,
    })
}
