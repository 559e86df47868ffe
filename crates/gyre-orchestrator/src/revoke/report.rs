//! What a revocation touched and came to, for people and programs.

use std::collections::BTreeMap;

use gyre_lineage::{GateDecision, GateReview, RevocationRow, ShardRowRef, Touched};
use gyre_types::{CheckpointId, Digest, RolloutId, RunId, ShardId};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::project::Project;

/// What a revocation touched and came to, run by run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RevocationReport {
    /// Its number; none where nothing was recorded, because it was only asked
    /// what it would touch.
    pub ordinal: Option<u32>,
    /// `verifier` or `task`.
    pub kind: String,
    /// The digest or the id.
    pub target: String,
    /// Why.
    pub why: String,
    /// The verifier that judged again.
    pub replacement: Option<Digest>,
    /// Runs that it touched, newest first.
    pub runs: Vec<RunRevocation>,
}

/// What a revocation touched and came to in one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRevocation {
    /// The run.
    pub run: RunId,
    /// Verdicts touched.
    pub verdicts: u64,
    /// What was said before and is said now, such as `pass to fail`, with counts.
    pub corrected: BTreeMap<String, u64>,
    /// Accepted rows touched.
    pub rows: Vec<TouchedRow>,
    /// Their shards.
    pub shards: Vec<TouchedShard>,
    /// Shards of whole groups; `touched` counts attempts of their rounds, those that
    /// had no verdict included.
    #[serde(default)]
    pub groups: Vec<TouchedShard>,
    /// Checkpoints trained on them, and all that came of these.
    pub checkpoints: Vec<CheckpointId>,
    /// Gates that compared such checkpoints or rest on such verdicts.
    pub gates: Vec<ReviewedGate>,
    /// Promotions that followed.
    pub promotions: Vec<TouchedPromotion>,
}

/// A published row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TouchedRow {
    /// The shard.
    pub shard: ShardId,
    /// The row, from 0.
    pub row: u32,
    /// Its rollout.
    pub rollout: RolloutId,
}

/// A shard that held touched rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TouchedShard {
    /// The shard.
    pub shard: ShardId,
    /// Its rows.
    pub rows: u32,
    /// Touched rows.
    pub touched: u32,
    /// What stands in its place; none where no row was left, or it is not
    /// rewritten yet.
    pub successor: Option<ShardId>,
    /// The rows of that.
    pub successor_rows: u32,
}

/// A gate whose decision was made again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewedGate {
    /// Its round.
    pub round: u32,
    /// What it decided.
    pub decided: String,
    /// What it would decide now; none where that was not asked yet.
    pub now: Option<String>,
    /// Whether that is another.
    pub flips: bool,
}

/// A promotion that rests on what was revoked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TouchedPromotion {
    /// Its place among the run's promotions.
    pub ordinal: u32,
    /// The round.
    pub round: u32,
    /// Who became champion.
    pub champion: CheckpointId,
    /// Whether the gate would promote by the verdicts of today.
    pub stands: bool,
}

impl RevocationReport {
    pub(super) fn of(row: &RevocationRow) -> Self {
        Self {
            ordinal: Some(row.ordinal),
            kind: row.target.kind().to_owned(),
            target: row.target.text(),
            why: row.why.clone(),
            replacement: row.replacement,
            runs: vec![],
        }
    }
}

/// Tells of one run, with the decisions made again.
pub(super) fn describe(
    project: &Project,
    run: &RunId,
    revocation: &RevocationRow,
    touched: &Touched,
    reviews: &[GateReview],
) -> Result<RunRevocation, Error> {
    let store = &project.store;
    let corrected = project.wait(store.corrections(run, revocation.ordinal))?;
    let gates: BTreeMap<u32, GateDecision> = project
        .wait(store.gates(run).collect())?
        .into_iter()
        .map(|gate| (gate.round, gate.decision))
        .collect();
    let now: BTreeMap<u32, GateDecision> =
        reviews.iter().map(|review| (review.round, review.decision)).collect();
    let reviewed = |round: &u32| {
        let decided = *gates.get(round)?;
        let now = now.get(round).copied();
        Some(ReviewedGate {
            round: *round,
            decided: decided.to_string(),
            now: now.map(|now| now.to_string()),
            flips: now.is_some_and(|now| now != decided),
        })
    };
    let promotions = project
        .wait(store.promotions(run).collect())?
        .into_iter()
        .filter(|promotion| touched.promotions.contains(&promotion.ordinal))
        .map(|promotion| TouchedPromotion {
            ordinal: promotion.ordinal,
            round: promotion.round,
            stands: promotion.gate_digest.is_none()
                || now.get(&promotion.round) != Some(&GateDecision::Rejected),
            champion: promotion.champion,
        });
    let (shards, groups) = shards(project, run, touched)?;
    Ok(RunRevocation {
        run: run.clone(),
        verdicts: touched.verdicts.iter().map(|count| count.verdicts).sum(),
        corrected: corrected
            .into_iter()
            .map(|((before, now), n)| (format!("{before} to {now}"), n))
            .collect(),
        rows: touched.rows.iter().map(TouchedRow::of).collect(),
        shards,
        groups,
        checkpoints: touched.checkpoints.iter().map(|c| c.id.clone()).collect(),
        gates: touched.gates.iter().filter_map(reviewed).collect(),
        promotions: promotions.collect(),
    })
}

/// The shards of accepted rows, and those of whole groups.
fn shards(
    project: &Project,
    run: &RunId,
    touched: &Touched,
) -> Result<(Vec<TouchedShard>, Vec<TouchedShard>), Error> {
    let rows: BTreeMap<ShardId, u32> = crate::inspect::shards(project, run)?
        .into_iter()
        .map(|shard| (shard.id, shard.rows))
        .collect();
    let successors: BTreeMap<ShardId, Option<ShardId>> = project
        .wait(project.store.rewrites(run))?
        .into_iter()
        .map(|(shard, successor, _)| (shard, successor))
        .collect();
    let rows_of = |shard: &ShardId| rows.get(shard).copied().unwrap_or(0);
    let shard = |shard: &ShardId, touched: u32| {
        let successor = successors.get(shard).cloned().flatten();
        TouchedShard {
            shard: shard.clone(),
            rows: rows_of(shard),
            touched,
            successor_rows: successor.as_ref().map_or(0, rows_of),
            successor,
        }
    };
    let rows_touched =
        |id: &ShardId| touched.rows.iter().filter(|row| row.shard == *id).count() as u32;
    let accepted = touched.shards.iter().map(|id| shard(id, rows_touched(id)));
    let groups = touched.groups.iter().map(|(id, count)| shard(id, *count as u32));
    Ok((accepted.collect(), groups.collect()))
}

impl TouchedRow {
    fn of(row: &ShardRowRef) -> Self {
        Self { shard: row.shard.clone(), row: row.row, rollout: row.rollout.clone() }
    }
}
