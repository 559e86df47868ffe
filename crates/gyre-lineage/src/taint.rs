//! What rests on something that was revoked.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use gyre_types::{CheckpointId, Digest, Purpose, RolloutId, RunId, ShardId};

use crate::cells::{NEWEST_VERDICT, ROLLOUT, VERDICT, convert, read_rollout};
use crate::database::Query;
use crate::page::{PAGE_ROWS_MAX, page};
use crate::rows::{CheckpointRow, GateRow, PromotionRow, RolloutWithVerdict, ShardRowRef};
use crate::{All, Cursor, Node, Page, RevocationRow, RevocationTarget, Store, StoreError};

/// Everything in one run that rests on a revoked target, whether or not it was
/// put right since. Carrying a revocation out does not change it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Verdicts, by round and purpose.
    pub verdicts: Vec<TouchedVerdicts>,
    /// Accepted rows whose verdict at that time is among them.
    pub rows: Vec<ShardRowRef>,
    /// The shards of these rows.
    pub shards: Vec<ShardId>,
    /// Shards of whole groups of rounds in which rollouts were judged so, each with
    /// how many: what was invalid is in no row, and may be in one once it is judged
    /// again.
    pub groups: BTreeMap<ShardId, u64>,
    /// Checkpoints trained on such a shard, and all that came of them.
    pub checkpoints: Vec<TouchedCheckpoint>,
    /// Rounds whose gate compared such a checkpoint, or rests on such verdicts.
    pub gates: Vec<u32>,
    /// Promotions that followed from such a gate or made such a checkpoint champion.
    pub promotions: Vec<u32>,
}

impl Touched {
    /// Whether the run has nothing to do with it.
    pub fn is_empty(&self) -> bool {
        self.verdicts.is_empty() && self.rows.is_empty()
    }
}

/// Verdicts of one round and purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TouchedVerdicts {
    /// The round.
    pub round: u32,
    /// What the rollouts were made for.
    pub purpose: Purpose,
    /// Who acted; none where the policy has no checkpoint.
    pub checkpoint: Option<CheckpointId>,
    /// Verdicts.
    pub verdicts: u64,
}

/// A checkpoint that learned from what was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TouchedCheckpoint {
    /// The checkpoint.
    pub id: CheckpointId,
    /// Its round.
    pub round: u32,
    /// The touched shards that it was trained on itself; none where only an
    /// ancestor was.
    pub shards: Vec<ShardId>,
}

/// The identity of the verifier of a verdict that a revocation gave where no
/// verifier was there to judge again: nobody's.
pub fn nobody() -> Digest {
    Digest::of(b"gyre: judged by nobody")
}

/// By which revocation a verdict `{v}` was appended; 0 where the run itself did.
const APPENDED_BY: &str = "COALESCE((SELECT c.revocation FROM corrections c WHERE c.run = {v}.run \
    AND c.rollout = {v}.rollout AND c.revision = {v}.revision), 0)";

/// By which revocation a shard `h` was made; 0 where the run itself did.
const MADE_BY: &str = "COALESCE((SELECT MAX(x.revocation) FROM rewrites x WHERE x.run = h.run \
    AND x.successor = h.id), 0)";

impl Store {
    /// What of a run a revocation touches.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn touched(
        &self,
        run: &RunId,
        revocation: &RevocationRow,
    ) -> Result<Touched, StoreError> {
        let verdicts = self.touched_counts(run, revocation).await?;
        let rows = self.touched_rows(run, revocation).await?;
        let groups = self.touched_groups(run, revocation).await?;
        let mut touched = Touched { verdicts, rows, groups, ..Touched::default() };
        if touched.is_empty() {
            return Ok(touched);
        }
        let shards: BTreeSet<_> = touched.rows.iter().map(|row| row.shard.clone()).collect();
        let checkpoints = self.checkpoints(run).collect().await?;
        // A trainer that is a program may have been given whole groups too.
        let given = shards.iter().chain(touched.groups.keys()).cloned().collect();
        touched.checkpoints = descendants(&given, &checkpoints);
        touched.shards = shards.into_iter().collect();
        let gates = self.gates(run).collect().await?;
        let promotions = self.promotions(run).collect().await?;
        follow(&mut touched, &gates, &promotions);
        Ok(touched)
    }

    /// All verdicts that a revocation touches, by rollout.
    pub fn touched_verdicts(
        &self,
        run: &RunId,
        revocation: &RevocationRow,
    ) -> All<(RolloutId, u32)> {
        let (run, revocation) = (run.clone(), revocation.clone());
        All::new(self, move |store, after, rows| {
            let (run, revocation) = (run.clone(), revocation.clone());
            Box::pin(async move {
                store.touched_verdicts_page(&run, &revocation, after.as_ref(), rows).await
            })
        })
    }

    async fn touched_verdicts_page(
        &self,
        run: &RunId,
        revocation: &RevocationRow,
        after: Option<&Cursor>,
        rows: u32,
    ) -> Result<Page<(RolloutId, u32)>, StoreError> {
        let mut query = touched_verdicts("v.rollout, v.revision", run, revocation);
        if let Some(cursor) = after {
            query.push(" AND (v.rollout, v.revision) > (").arg(cursor.id.as_str());
            query.push(", ").arg(cursor.round).push(")");
        }
        let rows = rows.clamp(1, PAGE_ROWS_MAX);
        query.push(" ORDER BY v.rollout, v.revision LIMIT ").arg(rows + 1);
        let found = convert("verdicts", self.fetch(query).await?, |row| {
            Ok((row.parse::<RolloutId>()?, row.int::<u32>()?))
        })?;
        Ok(page(found, rows, |(rollout, revision)| (*revision, rollout.to_string())))
    }

    /// Rollouts whose newest verdict is one that a revocation touches: what is
    /// still to be judged again. At most `limit`, by round and id.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn uncorrected(
        &self,
        run: &RunId,
        revocation: &RevocationRow,
        limit: u32,
    ) -> Result<Vec<RolloutWithVerdict>, StoreError> {
        let appended_by = APPENDED_BY.replace("{v}", "v");
        let target = target(revocation);
        let mut query = Query::with(
            &format!(
                "SELECT {ROLLOUT}, {VERDICT} FROM rollouts r {NEWEST_VERDICT} \
                 WHERE r.run = $1 AND v.verdict IS NOT NULL AND {target} AND {appended_by} < $3 \
                 ORDER BY r.round, r.id LIMIT "
            ),
            arguments(run, revocation),
        );
        query.arg(limit.min(PAGE_ROWS_MAX));
        convert("rollouts", self.fetch(query).await?, read_rollout)
    }

    /// The verdicts that a revocation appended, counted by what was said before
    /// and what is said now.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn corrections(
        &self,
        run: &RunId,
        revocation: u32,
    ) -> Result<BTreeMap<(String, String), u64>, StoreError> {
        let query = Query::with(
            "SELECT b.verdict, v.verdict, COUNT(*) FROM corrections c \
             JOIN verdicts v ON v.run = c.run AND v.rollout = c.rollout \
             AND v.revision = c.revision \
             JOIN verdicts b ON b.run = c.run AND b.rollout = c.rollout \
             AND b.revision = c.revision - 1 \
             WHERE c.run = $1 AND c.revocation = $2 GROUP BY b.verdict, v.verdict",
            [run.as_str().into(), revocation.into()],
        );
        let read =
            |row: &mut crate::database::Row| Ok(((row.text()?, row.text()?), row.int::<u64>()?));
        Ok(convert("corrections", self.fetch(query).await?, read)?.into_iter().collect())
    }

    /// Verifiers that have judged in some run and whose digest starts so.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn judges(&self, start: &str) -> Result<Vec<Digest>, StoreError> {
        let query = Query::with(
            "SELECT DISTINCT verifier_digest FROM verdicts WHERE verifier_digest >= $1 \
             AND verifier_digest < $2 ORDER BY verifier_digest",
            [start.into(), format!("{start}~").into()],
        );
        convert("verdicts", self.fetch(query).await?, |row| row.parse())
    }

    /// The shards that revocations took out of the dataset, each with what
    /// stands in its place and the revocation.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn rewrites(
        &self,
        run: &RunId,
    ) -> Result<Vec<(ShardId, Option<ShardId>, u32)>, StoreError> {
        let query = Query::with(
            "SELECT shard, successor, revocation FROM rewrites WHERE run = $1 \
             ORDER BY revocation, shard",
            [run.as_str().into()],
        );
        convert("rewrites", self.fetch(query).await?, |row| {
            Ok((row.parse()?, row.optional()?, row.int()?))
        })
    }

    /// Whether a node of a run rests on what was revoked. `touched` is what
    /// [`Store::touched`] gave for the run.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn is_touched(
        &self,
        run: &RunId,
        revocation: &RevocationRow,
        touched: &Touched,
        node: &Node,
    ) -> Result<bool, StoreError> {
        let mut query = touched_verdicts("v.rollout", run, revocation);
        match node {
            Node::Task(task) => return Ok(revocation.target.text() == *task),
            Node::Shard(id) => {
                let mut shards = touched.shards.iter().chain(touched.groups.keys());
                return Ok(shards.any(|shard| shard.as_str() == id));
            }
            Node::Checkpoint(id) => {
                return Ok(touched.checkpoints.iter().any(|c| c.id.as_str() == id));
            }
            Node::Gate(round) => return Ok(touched.gates.contains(round)),
            Node::Promotion(ordinal) => return Ok(touched.promotions.contains(ordinal)),
            Node::Rollout(id) => {
                query.push(" AND v.rollout = ").arg(id.as_str());
            }
            Node::Verdict(id, revision) => {
                query.push(" AND v.rollout = ").arg(id.as_str());
                query.push(" AND v.revision = ").arg(*revision);
            }
        }
        query.push(" LIMIT 1");
        Ok(!self.fetch(query).await?.is_empty())
    }

    async fn touched_counts(
        &self,
        run: &RunId,
        revocation: &RevocationRow,
    ) -> Result<Vec<TouchedVerdicts>, StoreError> {
        let group = "r.round, r.purpose, r.checkpoint";
        let mut query = touched_verdicts(&format!("{group}, COUNT(*)"), run, revocation);
        query.push(&format!(" GROUP BY {group} ORDER BY {group}"));
        convert("verdicts", self.fetch(query).await?, |row| {
            Ok(TouchedVerdicts {
                round: row.int()?,
                purpose: row.parse()?,
                checkpoint: crate::counts::checkpoint(row)?,
                verdicts: row.int()?,
            })
        })
    }

    /// Accepted rows whose newest verdict, of those that were there when the shard
    /// was made, is touched.
    async fn touched_rows(
        &self,
        run: &RunId,
        revocation: &RevocationRow,
    ) -> Result<Vec<ShardRowRef>, StoreError> {
        let (of_v, of_w) = (APPENDED_BY.replace("{v}", "v"), APPENDED_BY.replace("{v}", "w"));
        let target = target(revocation);
        let query = Query::with(
            &format!(
                "SELECT s.shard, s.row_index, s.rollout FROM shard_rows s \
                 JOIN shards h ON h.run = s.run AND h.id = s.shard AND h.kind = 'accepted' \
                 JOIN rollouts r ON r.run = s.run AND r.id = s.rollout \
                 JOIN verdicts v ON v.run = s.run AND v.rollout = s.rollout \
                 WHERE s.run = $1 AND {target} AND {of_v} < $3 \
                 AND v.revision = (SELECT MAX(w.revision) FROM verdicts w WHERE w.run = v.run \
                 AND w.rollout = v.rollout AND {of_w} <= {MADE_BY}) \
                 ORDER BY s.shard, s.row_index"
            ),
            arguments(run, revocation),
        );
        convert("shard_rows", self.fetch(query).await?, |row| {
            Ok(ShardRowRef { shard: row.parse()?, row: row.int()?, rollout: row.parse()? })
        })
    }

    /// Shards of whole groups, with the rollouts of their rounds whose newest verdict,
    /// of those that were there when the shard was made, is touched.
    async fn touched_groups(
        &self,
        run: &RunId,
        revocation: &RevocationRow,
    ) -> Result<BTreeMap<ShardId, u64>, StoreError> {
        let (of_v, of_w) = (APPENDED_BY.replace("{v}", "v"), APPENDED_BY.replace("{v}", "w"));
        let target = target(revocation);
        let query = Query::with(
            &format!(
                "SELECT h.id, COUNT(*) FROM shards h \
                 JOIN rollouts r ON r.run = h.run AND r.round = h.round AND r.purpose = 'train' \
                 JOIN verdicts v ON v.run = r.run AND v.rollout = r.id \
                 WHERE h.run = $1 AND h.kind = 'groups' AND {target} AND {of_v} < $3 \
                 AND v.revision = (SELECT MAX(w.revision) FROM verdicts w WHERE w.run = v.run \
                 AND w.rollout = v.rollout AND {of_w} <= {MADE_BY}) GROUP BY h.id"
            ),
            arguments(run, revocation),
        );
        let read =
            |row: &mut crate::database::Row| Ok((row.parse::<ShardId>()?, row.int::<u64>()?));
        Ok(convert("shards", self.fetch(query).await?, read)?.into_iter().collect())
    }
}

/// Selects touched verdicts `v` with their rollouts `r`.
fn touched_verdicts(columns: &str, run: &RunId, revocation: &RevocationRow) -> Query {
    let appended_by = APPENDED_BY.replace("{v}", "v");
    let target = target(revocation);
    Query::with(
        &format!(
            "SELECT {columns} FROM verdicts v JOIN rollouts r ON r.run = v.run \
             AND r.id = v.rollout WHERE v.run = $1 AND {target} AND {appended_by} < $3"
        ),
        arguments(run, revocation),
    )
}

/// The condition, on a verdict `v` of a rollout `r`, that `$2` is meant.
fn target(revocation: &RevocationRow) -> &'static str {
    match revocation.target {
        RevocationTarget::Verifier(_) => "v.verifier_digest = $2",
        RevocationTarget::Task(_) => "r.task = $2",
    }
}

fn arguments(run: &RunId, revocation: &RevocationRow) -> [crate::database::Cell; 3] {
    [run.as_str().into(), revocation.target.text().into(), revocation.ordinal.into()]
}

/// The checkpoints trained on these shards, and their descendants. Parents come
/// before children, as rounds do.
fn descendants(shards: &BTreeSet<ShardId>, all: &[CheckpointRow]) -> Vec<TouchedCheckpoint> {
    let mut touched: Vec<TouchedCheckpoint> = Vec::new();
    let mut known = HashSet::new();
    for row in all {
        let own: Vec<_> =
            row.shards.iter().filter(|shard| shards.contains(shard)).cloned().collect();
        let inherited = row.parent.as_ref().is_some_and(|parent| known.contains(parent));
        if inherited || !own.is_empty() {
            known.insert(row.id.clone());
            touched.push(TouchedCheckpoint { id: row.id.clone(), round: row.round, shards: own });
        }
    }
    touched
}

fn follow(touched: &mut Touched, gates: &[GateRow], promotions: &[PromotionRow]) {
    let checkpoints: HashSet<_> = touched.checkpoints.iter().map(|c| &c.id).collect();
    let judged: HashSet<_> = touched
        .verdicts
        .iter()
        .filter(|count| count.purpose == Purpose::Gate)
        .filter_map(|count| count.checkpoint.as_ref())
        .collect();
    let compared = |gate: &&GateRow| {
        [&gate.candidate, &gate.champion]
            .into_iter()
            .any(|id| checkpoints.contains(id) || judged.contains(id))
    };
    touched.gates = gates.iter().filter(compared).map(|gate| gate.round).collect();
    let followed = |promotion: &&PromotionRow| {
        checkpoints.contains(&promotion.champion)
            || (promotion.gate_digest.is_some() && touched.gates.contains(&promotion.round))
    };
    touched.promotions = promotions.iter().filter(followed).map(|p| p.ordinal).collect();
}
