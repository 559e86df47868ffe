use gyre_types::{CheckpointId, Digest, RunId};

use crate::cells::convert;
use crate::database::{Query, Transaction};
use crate::{Store, StoreError};

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its number in the list of `docs/adr/0003-one-commit.md`, 1 to 10.
    pub invariant: u8,
    /// A stable name, such as `row_without_rollout`.
    pub code: &'static str,
    /// What is wrong, for people.
    pub detail: String,
    /// The ids concerned.
    pub ids: Vec<String>,
}

/// What a run promises beyond what all runs do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditRules {
    /// Whether every accepted row must come from a rollout that passed: true
    /// of all runs but those that show what training without a verifier does.
    pub published_passed: bool,
}

impl Default for AuditRules {
    /// Every accepted row must have passed.
    fn default() -> Self {
        Self { published_passed: true }
    }
}

/// Findings of one check, at most; one more row says that there are more.
pub(crate) const FINDINGS_MAX: usize = 100;

/// A query whose rows are all wrong. `$1` is the run; its columns are ids.
struct Check {
    invariant: u8,
    code: &'static str,
    /// What is wrong with the ids, which follow it.
    detail: &'static str,
    sql: &'static str,
}

const fn check(
    invariant: u8,
    code: &'static str,
    detail: &'static str,
    sql: &'static str,
) -> Check {
    Check { invariant, code, detail, sql }
}

const PUBLISHED_NOT_PASSED: Check = check(
    1,
    "published_not_passed",
    "a published row's rollout has no passing newest verdict",
    "SELECT s.shard, s.rollout FROM shard_rows s \
     JOIN shards h ON h.run = s.run AND h.id = s.shard AND h.superseded = 0 \
     AND h.kind = 'accepted' \
     JOIN rollouts r ON r.run = s.run AND r.id = s.rollout \
     LEFT JOIN verdicts v ON v.run = r.run AND v.rollout = r.id \
     AND v.revision = (SELECT MAX(w.revision) FROM verdicts w \
     WHERE w.run = r.run AND w.rollout = r.id) \
     WHERE s.run = $1 AND (v.verdict IS NULL OR v.verdict <> 'pass')",
);

const CHECKS: &[Check] = &[
    check(
        1,
        "row_without_rollout",
        "a published row names a rollout that is not recorded",
        "SELECT s.shard, CAST(s.row_index AS TEXT), s.rollout FROM shard_rows s \
         WHERE s.run = $1 AND NOT EXISTS \
         (SELECT 1 FROM rollouts r WHERE r.run = s.run AND r.id = s.rollout)",
    ),
    check(
        1,
        "doubled_row",
        "a rollout was published more than once",
        "SELECT s.rollout FROM shard_rows s \
         JOIN shards h ON h.run = s.run AND h.id = s.shard AND h.superseded = 0 \
         WHERE s.run = $1 GROUP BY s.rollout, h.kind HAVING COUNT(*) > 1",
    ),
    check(
        1,
        "group_row_not_judged",
        "a row of whole groups is of another round than its shard, or its rollout neither passed \
         nor failed",
        "SELECT s.shard, s.rollout FROM shard_rows s \
         JOIN shards h ON h.run = s.run AND h.id = s.shard AND h.superseded = 0 \
         AND h.kind = 'groups' \
         JOIN rollouts r ON r.run = s.run AND r.id = s.rollout \
         LEFT JOIN verdicts v ON v.run = r.run AND v.rollout = r.id \
         AND v.revision = (SELECT MAX(w.revision) FROM verdicts w \
         WHERE w.run = r.run AND w.rollout = r.id) \
         WHERE s.run = $1 AND (r.round <> h.round OR v.verdict IS NULL OR v.verdict = 'invalid')",
    ),
    check(
        1,
        "group_incomplete",
        "a rollout passed or failed and is missing among its round's whole groups",
        "SELECT h.id, r.id FROM shards h \
         JOIN rollouts r ON r.run = h.run AND r.round = h.round AND r.purpose = 'train' \
         JOIN verdicts v ON v.run = r.run AND v.rollout = r.id AND v.verdict <> 'invalid' \
         AND v.revision = (SELECT MAX(w.revision) FROM verdicts w \
         WHERE w.run = r.run AND w.rollout = r.id) \
         WHERE h.run = $1 AND h.kind = 'groups' AND h.superseded = 0 AND NOT EXISTS \
         (SELECT 1 FROM shard_rows s WHERE s.run = h.run AND s.rollout = r.id \
         AND s.shard = h.id)",
    ),
    check(
        1,
        "row_without_shard",
        "a row belongs to a shard that is not recorded",
        "SELECT DISTINCT s.shard FROM shard_rows s WHERE s.run = $1 AND NOT EXISTS \
         (SELECT 1 FROM shards h WHERE h.run = s.run AND h.id = s.shard)",
    ),
    check(
        2,
        "doubled_rollout",
        "a policy's sample of a task in a round is recorded more than once",
        "SELECT MIN(r.id), r.task FROM rollouts r WHERE r.run = $1 \
         GROUP BY r.round, r.purpose, r.task, r.sample, r.checkpoint HAVING COUNT(*) > 1",
    ),
    check(
        2,
        "verdict_without_rollout",
        "a verdict names a rollout that is not recorded",
        "SELECT v.rollout FROM verdicts v WHERE v.run = $1 AND NOT EXISTS \
         (SELECT 1 FROM rollouts r WHERE r.run = v.run AND r.id = v.rollout)",
    ),
    check(
        2,
        "verdict_revisions",
        "a rollout's verdicts are not numbered from 0 without gaps",
        "SELECT v.rollout FROM verdicts v WHERE v.run = $1 GROUP BY v.rollout \
         HAVING MIN(v.revision) <> 0 OR MAX(v.revision) <> COUNT(*) - 1",
    ),
    check(
        3,
        "shard_row_count",
        "a shard's rows are not those that it says to have",
        "SELECT h.id, CAST(h.row_count AS TEXT), CAST(COUNT(s.row_index) AS TEXT) FROM shards h \
         LEFT JOIN shard_rows s ON s.run = h.run AND s.shard = h.id \
         WHERE h.run = $1 GROUP BY h.id, h.row_count \
         HAVING COUNT(s.row_index) <> h.row_count \
         OR COALESCE(MIN(s.row_index), 0) <> 0 \
         OR COALESCE(MAX(s.row_index), -1) <> h.row_count - 1",
    ),
    check(
        3,
        "part_row_count",
        "a part's rollouts are not those that it says to have",
        // Parts are few: rollouts are counted once over, and joined then.
        "SELECT p.id, CAST(p.row_count AS TEXT), CAST(COALESCE(r.rows, 0) AS TEXT) FROM parts p \
         LEFT JOIN (SELECT x.part, COUNT(*) AS rows, COUNT(DISTINCT x.part_row) AS places, \
         MAX(x.part_row) AS last FROM rollouts x WHERE x.run = $1 GROUP BY x.part) r \
         ON r.part = p.id WHERE p.run = $1 AND (COALESCE(r.rows, 0) <> p.row_count \
         OR COALESCE(r.places, 0) <> p.row_count OR COALESCE(r.last, -1) <> p.row_count - 1)",
    ),
    check(
        4,
        "champion_without_checkpoint",
        "a champion is no recorded checkpoint",
        "SELECT p.champion FROM promotions p WHERE p.run = $1 AND NOT EXISTS \
         (SELECT 1 FROM checkpoints c WHERE c.run = p.run AND c.id = p.champion)",
    ),
    check(
        4,
        "promotion_without_gate",
        "a champion was promoted without the record of a gate that said so",
        "SELECT p.champion, CAST(p.ordinal AS TEXT) FROM promotions p \
         WHERE p.run = $1 AND p.ordinal > 1 AND NOT EXISTS \
         (SELECT 1 FROM gates g WHERE g.run = p.run AND g.round = p.round \
         AND g.digest = p.gate_digest AND g.candidate = p.champion \
         AND g.champion = p.previous AND g.decision = 'promoted')",
    ),
    check(
        4,
        "gate_without_promotion",
        "a gate promoted a candidate that never became champion",
        // One that somebody was asked about becomes champion only if it was approved.
        "SELECT g.candidate, CAST(g.round AS TEXT) FROM gates g \
         WHERE g.run = $1 AND g.decision = 'promoted' AND NOT EXISTS \
         (SELECT 1 FROM promotions p WHERE p.run = g.run AND p.gate_digest = g.digest \
         AND p.champion = g.candidate) AND NOT EXISTS \
         (SELECT 1 FROM approvals a LEFT JOIN approval_answers w ON w.run = a.run \
         AND w.round = a.round WHERE a.run = g.run AND a.round = g.round \
         AND a.gate_digest = g.digest AND (w.answer IS NULL OR w.answer <> 'approved'))",
    ),
    check(
        4,
        "promotion_without_approval",
        "a candidate that somebody was asked about became champion without approval",
        "SELECT p.champion, CAST(p.round AS TEXT) FROM promotions p \
         JOIN approvals a ON a.run = p.run AND a.round = p.round \
         LEFT JOIN approval_answers w ON w.run = a.run AND w.round = a.round \
         WHERE p.run = $1 AND (w.answer IS NULL OR w.answer <> 'approved')",
    ),
    check(
        4,
        "answer_out_of_time",
        "a candidate was approved too late, or its approval expired too early",
        "SELECT a.candidate, w.answer FROM approval_answers w \
         JOIN approvals a ON a.run = w.run AND a.round = w.round WHERE w.run = $1 \
         AND ((w.answer = 'approved' AND w.at_ms >= a.expires_at_ms) \
         OR (w.answer = 'expired' AND w.at_ms < a.expires_at_ms))",
    ),
    check(
        4,
        "handover_without_promotion",
        "a checkpoint was handed over that was not promoted in that round",
        "SELECT h.champion, CAST(h.round AS TEXT), h.target FROM handovers h \
         WHERE h.run = $1 AND NOT EXISTS (SELECT 1 FROM promotions p \
         WHERE p.run = h.run AND p.round = h.round AND p.champion = h.champion)",
    ),
    check(
        4,
        "handover_attempts",
        "the attempts at a hand-over are not numbered from 1 without gaps, or go on after one \
         that delivered",
        "SELECT CAST(a.round AS TEXT), a.target FROM handover_attempts a WHERE a.run = $1 \
         GROUP BY a.round, a.target HAVING MIN(a.ordinal) <> 1 OR MAX(a.ordinal) <> COUNT(*) \
         OR MIN(CASE WHEN a.outcome = 'delivered' THEN a.ordinal ELSE 1000000000 END) \
         < MAX(a.ordinal)",
    ),
    check(
        5,
        "held_out_in_training",
        "a training shard holds a row of a held-out task",
        "SELECT s.shard, s.rollout, t.id FROM shard_rows s \
         JOIN rollouts r ON r.run = s.run AND r.id = s.rollout \
         JOIN tasks t ON t.run = r.run AND t.id = r.task \
         WHERE s.run = $1 AND (t.split <> 'train' OR r.purpose <> 'train')",
    ),
    check(
        5,
        "purpose_crosses_split",
        "a rollout was made for another side than its task's",
        "SELECT r.id, t.id FROM rollouts r JOIN tasks t ON t.run = r.run AND t.id = r.task \
         WHERE r.run = $1 AND r.purpose <> t.split",
    ),
    check(
        6,
        "accept_without_evidence",
        "a rollout passed without checks, digests or a stored body",
        "SELECT v.rollout FROM verdicts v \
         JOIN rollouts r ON r.run = v.run AND r.id = v.rollout \
         LEFT JOIN parts p ON p.run = r.run AND p.id = r.part \
         WHERE v.run = $1 AND v.verdict = 'pass' AND (v.checks = '[]' \
         OR LENGTH(v.verifier_digest) <> 64 OR LENGTH(v.sandbox_digest) <> 64 \
         OR LENGTH(r.seed) = 0 OR p.id IS NULL OR r.part_row >= p.row_count)",
    ),
    check(
        6,
        "task_without_key",
        "a task has no grading key",
        "SELECT t.id FROM tasks t WHERE t.run = $1 AND NOT EXISTS \
         (SELECT 1 FROM grading_keys k WHERE k.run = t.run AND k.task = t.id)",
    ),
    check(
        6,
        "rollout_without_task",
        "a rollout names a task that is not recorded",
        "SELECT r.id, r.task FROM rollouts r WHERE r.run = $1 AND NOT EXISTS \
         (SELECT 1 FROM tasks t WHERE t.run = r.run AND t.id = r.task)",
    ),
    check(
        6,
        "rollout_without_checkpoint",
        "a rollout names a checkpoint that is not recorded",
        "SELECT r.checkpoint, MIN(r.id) FROM rollouts r WHERE r.run = $1 AND r.checkpoint <> '' \
         AND NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.run = r.run AND c.id = r.checkpoint) \
         GROUP BY r.checkpoint",
    ),
    check(
        7,
        "published_not_terminal",
        "a row was published before its rollout had a verdict",
        "SELECT s.shard, s.rollout FROM shard_rows s \
         JOIN rollouts r ON r.run = s.run AND r.id = s.rollout \
         WHERE s.run = $1 AND NOT EXISTS \
         (SELECT 1 FROM verdicts v WHERE v.run = s.run AND v.rollout = s.rollout)",
    ),
    check(
        7,
        "revoked_verdict_stands",
        "a rollout's newest verdict is one that was revoked",
        "SELECT v.rollout, x.target FROM verdicts v \
         JOIN rollouts r ON r.run = v.run AND r.id = v.rollout \
         JOIN revocations x ON (x.kind = 'verifier' AND x.target = v.verifier_digest) \
         OR (x.kind = 'task' AND x.target = r.task) \
         WHERE v.run = $1 AND v.revision = (SELECT MAX(w.revision) FROM verdicts w \
         WHERE w.run = v.run AND w.rollout = v.rollout) \
         AND COALESCE((SELECT c.revocation FROM corrections c WHERE c.run = v.run \
         AND c.rollout = v.rollout AND c.revision = v.revision), 0) < x.ordinal",
    ),
    check(
        7,
        "revocation_unfinished",
        "a revocation touches the run and was not carried out to its end",
        "SELECT DISTINCT x.target FROM revocations x \
         JOIN verdicts v ON v.run = $1 JOIN rollouts r ON r.run = v.run AND r.id = v.rollout \
         WHERE ((x.kind = 'verifier' AND x.target = v.verifier_digest) \
         OR (x.kind = 'task' AND x.target = r.task)) AND NOT EXISTS \
         (SELECT 1 FROM revocation_runs d WHERE d.revocation = x.ordinal AND d.run = $1)",
    ),
    check(
        7,
        "row_behind_verdict",
        "a published row rests on a verdict that was corrected since",
        "SELECT s.shard, s.rollout FROM shard_rows s \
         JOIN shards h ON h.run = s.run AND h.id = s.shard AND h.superseded = 0 \
         JOIN corrections c ON c.run = s.run AND c.rollout = s.rollout \
         WHERE s.run = $1 AND c.revocation > COALESCE((SELECT MAX(x.revocation) \
         FROM rewrites x WHERE x.run = s.run AND x.successor = s.shard), 0)",
    ),
    check(
        7,
        "superseded_without_reason",
        "a shard is marked superseded and no revocation took it out, or the reverse",
        "SELECT h.id FROM shards h LEFT JOIN rewrites x ON x.run = h.run AND x.shard = h.id \
         WHERE h.run = $1 AND ((h.superseded = 1 AND x.shard IS NULL) \
         OR (h.superseded = 0 AND x.shard IS NOT NULL))",
    ),
    check(
        8,
        "event_gap",
        "the log's events are not numbered from 1 to the run's newest",
        "SELECT u.run, CAST(u.last_seq AS TEXT), CAST(COUNT(e.seq) AS TEXT) FROM runs u \
         LEFT JOIN events e ON e.run = u.run WHERE u.run = $1 GROUP BY u.run, u.last_seq \
         HAVING COUNT(e.seq) <> u.last_seq OR COALESCE(MAX(e.seq), 0) <> u.last_seq",
    ),
    check(
        9,
        "rollout_without_verdict",
        "a round is over and a rollout of it has no verdict",
        "SELECT r.id, CAST(r.round AS TEXT) FROM rollouts r JOIN runs u ON u.run = r.run \
         WHERE r.run = $1 AND NOT EXISTS \
         (SELECT 1 FROM verdicts v WHERE v.run = r.run AND v.rollout = r.id) \
         AND (u.status = 'finished' OR r.round < \
         (SELECT MAX(e.round) FROM events e WHERE e.run = r.run))",
    ),
];

impl Store {
    /// Checks what the invariants say of rows, in one snapshot. Files are
    /// checked by their own crates, and planned counts by who knows the plan.
    ///
    /// # Errors
    ///
    /// When the run does not exist or the database fails: a broken invariant
    /// is a finding, not an error.
    pub async fn audit_rows(
        &self,
        run: &RunId,
        rules: AuditRules,
    ) -> Result<Vec<Finding>, StoreError> {
        if self.run(run).await?.is_none() {
            return Err(StoreError::UnknownRun { run: run.clone() });
        }
        let mut snapshot = self.begin_read().await?;
        let mut findings = Vec::new();
        let published = rules.published_passed.then_some(&PUBLISHED_NOT_PASSED);
        for check in CHECKS.iter().chain(published) {
            self.run_check(&mut *snapshot, run, check, &mut findings).await?;
        }
        self.check_gate_digests(&mut *snapshot, run, &mut findings).await?;
        self.check_champions(&mut *snapshot, run, &mut findings).await?;
        findings.sort_by_key(|finding| finding.invariant);
        Ok(findings)
    }

    async fn run_check(
        &self,
        snapshot: &mut dyn Transaction,
        run: &RunId,
        check: &Check,
        findings: &mut Vec<Finding>,
    ) -> Result<(), StoreError> {
        let mut query = Query::with(check.sql, [run.as_str().into()]);
        query.push(" LIMIT ").arg(FINDINGS_MAX as u64 + 1);
        let rows = snapshot.fetch(query).await.map_err(|failure| self.fail(failure))?;
        let more = rows.len() > FINDINGS_MAX;
        let found = convert("audit", rows, |row| {
            let mut ids = Vec::new();
            while let crate::database::Cell::Text(id) = row.next() {
                ids.push(id);
            }
            Ok(ids)
        })?;
        findings.extend(found.into_iter().take(FINDINGS_MAX).map(|ids| Finding {
            invariant: check.invariant,
            code: check.code,
            detail: format!("{}: {}", check.detail, ids.join(", ")),
            ids,
        }));
        if more {
            let detail = format!("{}: more than {FINDINGS_MAX} of these", check.detail);
            let Check { invariant, code, .. } = *check;
            findings.push(Finding { invariant, code, detail, ids: Vec::new() });
        }
        Ok(())
    }

    /// A gate's record is immutable: its digest tells where it was changed.
    async fn check_gate_digests(
        &self,
        snapshot: &mut dyn Transaction,
        run: &RunId,
        findings: &mut Vec<Finding>,
    ) -> Result<(), StoreError> {
        let sql = "SELECT CAST(round AS TEXT), digest, record FROM gates WHERE run = $1";
        let query = Query::with(sql, [run.as_str().into()]);
        let rows = snapshot.fetch(query).await.map_err(|failure| self.fail(failure))?;
        let gates = convert("gates", rows, |row| Ok((row.text()?, row.text()?, row.text()?)))?;
        for (round, digest, record) in gates {
            if Digest::of(record.as_bytes()).to_hex() != digest {
                findings.push(Finding {
                    invariant: 4,
                    code: "gate_changed",
                    detail: format!("the record of round {round}'s gate was changed"),
                    ids: vec![digest],
                });
            }
        }
        Ok(())
    }

    /// Each promotion must replace the champion before it, or there are two.
    async fn check_champions(
        &self,
        snapshot: &mut dyn Transaction,
        run: &RunId,
        findings: &mut Vec<Finding>,
    ) -> Result<(), StoreError> {
        let sql = "SELECT ordinal, champion, previous FROM promotions WHERE run = $1 \
                   ORDER BY ordinal";
        let query = Query::with(sql, [run.as_str().into()]);
        let rows = snapshot.fetch(query).await.map_err(|failure| self.fail(failure))?;
        let promotions = convert("promotions", rows, |row| {
            let ordinal: u32 = row.int()?;
            Ok((ordinal, row.parse::<CheckpointId>()?, row.optional::<CheckpointId>()?))
        })?;
        let mut champion: Option<CheckpointId> = None;
        for (expected, (ordinal, next, previous)) in (1..).zip(promotions) {
            if previous != champion || ordinal != expected {
                let standing = champion.as_ref().map_or("nobody", |id| id.as_str());
                findings.push(Finding {
                    invariant: 4,
                    code: "second_champion",
                    detail: format!(
                        "promotion {ordinal} made {next} champion without replacing {standing}, \
                         who was champion"
                    ),
                    ids: vec![next.to_string()],
                });
            }
            champion = Some(next);
        }
        Ok(())
    }
}
