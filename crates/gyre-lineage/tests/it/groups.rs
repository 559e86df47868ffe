//! Whole groups beside the accepted rows: what the audit asks of them, and what a
//! revocation touches.

use gyre_lineage::{
    AuditRules, CorrectionStep, NewRevocation, Node, QueryLimits, RevocationTarget, ShardKind,
    ShardRewrite, ShardRow, VerdictRow,
};
use gyre_types::{InvalidReason, Purpose, RolloutId, StoredPath, Verdict};
use serde_json::json;

use crate::scenario::{Recorded, group_shard, rows_of, verdict_of, write};
use crate::support::{TestDatabase, on_both};

on_both!(
    groups_lie_beside_accepted_rows,
    what_is_wrong_with_groups_is_found,
    a_revocation_touches_groups_by_their_round,
);

/// The train rollouts of the scenario that passed or failed.
fn judged(recorded: &Recorded) -> Vec<usize> {
    let is_judged = |at: &usize| {
        recorded.rollouts[*at].purpose == Purpose::Train
            && !recorded.verdicts[*at].verdict.is_invalid()
    };
    (0..recorded.rollouts.len()).filter(is_judged).collect()
}

/// The scenario, with the whole groups of its round.
async fn grouped(db: &TestDatabase, name: &str) -> (Recorded, ShardRow) {
    let mut recorded = write(&db.store, name).await;
    let rollouts: Vec<_> = judged(&recorded).iter().map(|at| &recorded.rollouts[*at]).collect();
    let shard = group_shard(name, 1, rollouts.len());
    let mut commit = recorded.commit();
    commit.shard_rows = rows_of(&shard, &rollouts);
    commit.shards = vec![shard.clone()];
    recorded.last_seq = db.store.commit(commit).await.unwrap();
    (recorded, shard)
}

async fn codes(db: &TestDatabase, recorded: &Recorded) -> Vec<&'static str> {
    let findings = db.store.audit_rows(&recorded.run, AuditRules::default()).await.unwrap();
    findings.iter().map(|finding| finding.code).collect()
}

async fn groups_lie_beside_accepted_rows(db: &TestDatabase) {
    let (recorded, shard) = grouped(db, "r").await;
    assert!(judged(&recorded).len() > recorded.shard_rows.len(), "some failed");
    assert_eq!(codes(db, &recorded).await, [""; 0]);
    let mut shards = db.store.shards(&recorded.run).collect().await.unwrap();
    shards.sort_by_key(|shard| shard.kind.as_str());
    assert_eq!(shards, [recorded.shard.clone(), shard.clone()]);
    assert!(
        shards[0].is_current(ShardKind::Accepted) && !shards[1].is_current(ShardKind::Accepted)
    );

    db.store.confine_queries().await.unwrap();
    for (count, sql) in [
        (recorded.shard_rows.len(), "SELECT COUNT(*) FROM gyre_v1_shard_rows"),
        (recorded.shard_rows.len(), "SELECT published_rows FROM gyre_v1_rounds WHERE round = 1"),
        (1, "SELECT COUNT(*) FROM gyre_v1_shards"),
        (shard.rows as usize, "SELECT COUNT(*) FROM gyre_v1_group_rows WHERE round = 1"),
        (shard.rows as usize, "SELECT SUM(row_count) FROM gyre_v1_group_shards"),
    ] {
        let given = db.store.query(sql, &QueryLimits::default()).await.unwrap();
        let given = given.rows[0][0].to_string();
        assert_eq!(given.trim_matches('"'), count.to_string(), "{sql}");
    }
}

/// `SHARD`, `PASSED`, `FAILED` and `INVALID` stand for ids of the scenario.
const CORRUPTIONS: &[(&str, &str)] = &[
    (
        "UPDATE shard_rows SET rollout = 'INVALID' WHERE rollout = 'FAILED' AND shard = 'SHARD'",
        "group_row_not_judged",
    ),
    (
        "UPDATE shard_rows SET rollout = 'INVALID' WHERE rollout = 'FAILED' AND shard = 'SHARD'",
        "group_incomplete",
    ),
    (
        "UPDATE verdicts SET verdict = 'invalid', score = NULL WHERE rollout = 'FAILED'",
        "group_row_not_judged",
    ),
    (
        "UPDATE verdicts SET verdict = 'fail', score = 0.0 WHERE rollout = 'INVALID'",
        "group_incomplete",
    ),
    (
        "UPDATE shard_rows SET rollout = 'PASSED' WHERE rollout = 'FAILED' AND shard = 'SHARD'",
        "doubled_row",
    ),
    ("UPDATE shards SET round = 0 WHERE id = 'SHARD'", "group_row_not_judged"),
    ("UPDATE shards SET kind = 'accepted' WHERE id = 'SHARD'", "published_not_passed"),
    ("UPDATE shards SET kind = 'accepted' WHERE id = 'SHARD'", "doubled_row"),
    ("UPDATE shards SET kind = 'groups'", "group_incomplete"),
    ("UPDATE tasks SET split = 'test' WHERE split = 'train'", "held_out_in_training"),
];

async fn what_is_wrong_with_groups_is_found(db: &TestDatabase) {
    for (number, (sql, code)) in CORRUPTIONS.iter().enumerate() {
        let (recorded, shard) = grouped(db, &format!("r{number}")).await;
        let of = |fits: &dyn Fn(&Verdict) -> bool| {
            let train = |at: &usize| recorded.rollouts[*at].purpose == Purpose::Train;
            let mut all = (0..recorded.rollouts.len()).filter(train);
            let found = all.find(|at| fits(&recorded.verdicts[*at].verdict)).unwrap();
            recorded.rollouts[found].id.to_string()
        };
        assert_eq!(codes(db, &recorded).await, [""; 0]);
        let sql = sql
            .replace("SHARD", shard.id.as_str())
            .replace("PASSED", &of(&Verdict::is_pass))
            .replace("FAILED", &of(&|verdict| matches!(verdict, Verdict::Fail { .. })))
            .replace("INVALID", &of(&Verdict::is_invalid));
        let word = if sql.contains("WHERE") { "AND" } else { "WHERE" };
        db.plant(&format!("{sql} {word} run = '{}'", recorded.run)).await;
        let found = codes(db, &recorded).await;
        assert!(found.contains(code), "{sql}\ngave {found:?}");
    }
}

/// A rollout that was invalid is in no row, and belongs there once it is judged
/// again: so its round's shard is touched, and what stands in its place is not.
async fn a_revocation_touches_groups_by_their_round(db: &TestDatabase) {
    let (mut recorded, shard) = grouped(db, "r").await;
    let run = recorded.run.clone();
    let invalid = (0..recorded.rollouts.len())
        .find(|at| {
            recorded.rollouts[*at].purpose == Purpose::Train
                && recorded.verdicts[*at].verdict.is_invalid()
        })
        .unwrap();
    let task = recorded.rollouts[invalid].task.clone();
    let touched_by_task = recorded.rollouts.iter().filter(|row| row.task == task).count() as u64;
    let target = RevocationTarget::Task(task.clone());
    let why = "it was wrong".to_owned();
    let new = NewRevocation { target, why, replacement: None, at_ms: 60 };
    let row = db.store.revoke(&new).await.unwrap();

    let touched = db.store.touched(&run, &row).await.unwrap();
    let groups: Vec<_> = touched.groups.iter().map(|(id, count)| (id.clone(), *count)).collect();
    assert_eq!(groups, [(shard.id.clone(), touched_by_task)]);
    let accepted = |id: &RolloutId| recorded.shard_rows.iter().any(|known| known.rollout == *id);
    assert!(touched.rows.iter().all(|row| accepted(&row.rollout)), "{touched:?}");
    let node = Node::Shard(shard.id.to_string());
    assert!(db.store.is_touched(&run, &row, &touched, &node).await.unwrap());

    // All that is said of the task is taken back, and its attempts leave both kinds.
    let mut commit = recorded.commit();
    let reason = InvalidReason::Revoked { detail: "it was wrong".to_owned() };
    let of_task = recorded.rollouts.iter().filter(|rollout| rollout.task == task);
    let corrected = of_task.map(|rollout| {
        let verdict = verdict_of(rollout, Verdict::Invalid { reason: reason.clone() });
        VerdictRow { revision: 1, ..verdict }
    });
    commit.verdicts = corrected.collect();
    commit.correction = Some(CorrectionStep::new(row.ordinal));
    recorded.last_seq = db.store.commit(commit).await.unwrap();
    let left: Vec<_> = judged(&recorded)
        .into_iter()
        .map(|at| &recorded.rollouts[at])
        .filter(|rollout| rollout.task != task)
        .collect();
    let successor = group_shard("revised", 1, left.len());
    let mut commit = recorded.commit();
    commit.shard_rows = rows_of(&successor, &left);
    commit.shards = vec![successor.clone()];
    let mut step = CorrectionStep::new(row.ordinal);
    step.rewrites = vec![ShardRewrite {
        shard: shard.id.clone(),
        moved_to: StoredPath::new("runs/r-1/superseded/groups.parquet"),
        successor: Some(successor.id.clone()),
    }];
    step.report = Some(json!({}));
    commit.correction = Some(step);
    db.store.commit(commit).await.unwrap();
    let again = db.store.touched(&run, &row).await.unwrap();
    assert_eq!(again.groups, touched.groups, "carrying it out does not change it");
    let left = codes(db, &recorded).await;
    assert!(!left.iter().any(|code| code.starts_with("group")), "{left:?}");
}
