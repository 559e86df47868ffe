//! What a revocation does to a run, as part of a commit.

use gyre_types::{Digest, ShardId, StoredPath, canonical_json};
use serde_json::Value;

use super::{Writer, run_cell};
use crate::StoreError;
use crate::database::{Cell, Query};
use crate::rows::GateDecision;
use crate::schema;

/// A step of carrying out a revocation. The verdicts of its commit are that
/// revocation's corrections.
#[derive(Debug, Clone, PartialEq)]
pub struct CorrectionStep {
    /// The revocation.
    pub revocation: u32,
    /// Shards taken out of the dataset.
    pub rewrites: Vec<ShardRewrite>,
    /// Decisions made again.
    pub reviews: Vec<GateReview>,
    /// What it came to in this run, once nothing is outstanding there.
    pub report: Option<Value>,
}

impl CorrectionStep {
    /// A step that does nothing yet.
    pub fn new(revocation: u32) -> Self {
        Self { revocation, rewrites: Vec::new(), reviews: Vec::new(), report: None }
    }
}

/// A shard that is superseded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardRewrite {
    /// The shard.
    pub shard: ShardId,
    /// Where its file lies from here on, relative to the data folder.
    pub moved_to: StoredPath,
    /// What stands in its place; nothing where no row was left.
    pub successor: Option<ShardId>,
}

/// A gate's decision made again from corrected evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct GateReview {
    /// The gate's round.
    pub round: u32,
    /// What would be decided now.
    pub decision: GateDecision,
    /// The evidence.
    pub record: Value,
}

impl Writer<'_> {
    pub(super) async fn correct(&mut self, step: &CorrectionStep) -> Result<(), StoreError> {
        let commit = self.commit;
        let correction = |row: &crate::rows::VerdictRow| {
            vec![
                run_cell(&commit.run),
                row.rollout.as_str().into(),
                row.revision.into(),
                step.revocation.into(),
            ]
        };
        let cells = commit.verdicts.iter().map(correction).collect();
        self.insert(&schema::CORRECTIONS, cells).await?;
        for rewrite in &step.rewrites {
            self.supersede(step.revocation, rewrite).await?;
        }
        let review = |review: &GateReview| {
            vec![
                run_cell(&commit.run),
                review.round.into(),
                step.revocation.into(),
                review.decision.as_str().into(),
                canonical_json(&review.record).into(),
                Digest::of_json(&review.record).to_hex().into(),
            ]
        };
        let cells = step.reviews.iter().map(review).collect();
        self.insert_new(&schema::GATE_REVIEWS, cells).await?;
        if let Some(report) = &step.report {
            let cells = vec![
                step.revocation.into(),
                run_cell(&commit.run),
                canonical_json(report).into(),
                commit.at_ms.into(),
            ];
            self.insert_new(&schema::REVOCATION_RUNS, vec![cells]).await?;
        }
        Ok(())
    }

    /// Marks a shard. One that is superseded already is a bug of the caller:
    /// the second mark breaks a key.
    async fn supersede(
        &mut self,
        revocation: u32,
        rewrite: &ShardRewrite,
    ) -> Result<(), StoreError> {
        let run = run_cell(&self.commit.run);
        let successor = rewrite.successor.as_ref().map_or(Cell::Null, |id| id.as_str().into());
        let cells = vec![run.clone(), rewrite.shard.as_str().into(), successor, revocation.into()];
        self.insert(&schema::REWRITES, vec![cells]).await?;
        let mut update = Query::new("UPDATE shards SET superseded = 1, path = ");
        update.arg(rewrite.moved_to.as_text()).push(" WHERE run = ").arg(run);
        update.push(" AND id = ").arg(rewrite.shard.as_str());
        self.update(&schema::SHARDS, &[rewrite.shard.as_str().into()], update).await
    }
}
