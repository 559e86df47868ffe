use gyre_lineage::AuditRules;

use crate::scenario::write;
use crate::support::{TestDatabase, on_both};

on_both!(every_planted_corruption_is_found, unverified_runs_may_publish_what_failed);

/// Each corruption on a fresh run of the same database, with what must be found.
/// `RUN`, `ROLL0` and so on stand for ids of the scenario.
const CORRUPTIONS: &[(&str, u8, &str)] = &[
    (
        "UPDATE shard_rows SET rollout = 'roll-0000000000000000' WHERE run = 'RUN' AND row_index = 0",
        1,
        "row_without_rollout",
    ),
    (
        "UPDATE shard_rows SET rollout = 'ROLL0' WHERE run = 'RUN' AND row_index = 1",
        1,
        "doubled_row",
    ),
    ("DELETE FROM shards WHERE run = 'RUN'", 1, "row_without_shard"),
    (
        "UPDATE verdicts SET verdict = 'fail', score = 0.0 WHERE run = 'RUN' AND rollout = 'ROLL0'",
        1,
        "published_not_passed",
    ),
    ("DELETE FROM rollouts WHERE run = 'RUN' AND id = 'ROLL1'", 2, "verdict_without_rollout"),
    (
        "UPDATE verdicts SET revision = 2 WHERE run = 'RUN' AND rollout = 'ROLL1'",
        2,
        "verdict_revisions",
    ),
    ("UPDATE shards SET row_count = 9 WHERE run = 'RUN'", 3, "shard_row_count"),
    ("DELETE FROM shard_rows WHERE run = 'RUN' AND row_index = 0", 3, "shard_row_count"),
    ("UPDATE rollouts SET part_row = 3 WHERE run = 'RUN' AND id = 'ROLL1'", 3, "part_row_count"),
    (
        "INSERT INTO promotions (run, ordinal, round, champion, previous, gate_digest, at_ms) \
         VALUES ('RUN', 3, 1, 'BASE', 'BASE', NULL, 1)",
        4,
        "second_champion",
    ),
    (
        "INSERT INTO promotions (run, ordinal, round, champion, previous, gate_digest, at_ms) \
         VALUES ('RUN', 3, 2, 'BASE', 'CANDIDATE', NULL, 1)",
        4,
        "promotion_without_gate",
    ),
    ("UPDATE gates SET record = '{\"p\":0}' WHERE run = 'RUN'", 4, "gate_changed"),
    ("DELETE FROM promotions WHERE run = 'RUN' AND ordinal = 2", 4, "gate_without_promotion"),
    (
        "DELETE FROM checkpoints WHERE run = 'RUN' AND id = 'CANDIDATE'",
        4,
        "champion_without_checkpoint",
    ),
    (
        "UPDATE tasks SET split = 'test' WHERE run = 'RUN' AND id = 'TASK0'",
        5,
        "held_out_in_training",
    ),
    (
        "UPDATE shard_rows SET rollout = 'HELD_OUT' WHERE run = 'RUN' AND row_index = 0",
        5,
        "held_out_in_training",
    ),
    (
        "UPDATE rollouts SET purpose = 'test' WHERE run = 'RUN' AND id = 'ROLL1'",
        5,
        "purpose_crosses_split",
    ),
    (
        "UPDATE verdicts SET checks = '[]' WHERE run = 'RUN' AND rollout = 'ROLL0'",
        6,
        "accept_without_evidence",
    ),
    ("DELETE FROM parts WHERE run = 'RUN'", 6, "accept_without_evidence"),
    ("DELETE FROM grading_keys WHERE run = 'RUN' AND task = 'TASK0'", 6, "task_without_key"),
    ("DELETE FROM tasks WHERE run = 'RUN' AND id = 'TASK0'", 6, "rollout_without_task"),
    ("DELETE FROM checkpoints WHERE run = 'RUN' AND id = 'BASE'", 6, "rollout_without_checkpoint"),
    ("DELETE FROM verdicts WHERE run = 'RUN' AND rollout = 'ROLL0'", 7, "published_not_terminal"),
    ("DELETE FROM events WHERE run = 'RUN' AND seq = 2", 8, "event_gap"),
    (
        "DELETE FROM verdicts WHERE run = 'RUN' AND rollout = 'ROLL1'; \
         UPDATE runs SET status = 'finished' WHERE run = 'RUN'",
        9,
        "rollout_without_verdict",
    ),
];

async fn every_planted_corruption_is_found(db: &TestDatabase) {
    for (sql, invariant, code) in CORRUPTIONS {
        let recorded = write(&db.store, "r").await;
        let run = &recorded.run;
        assert_eq!(db.store.audit_rows(run, AuditRules::default()).await.unwrap(), []);
        let sql = sql
            .replace("RUN", run.as_str())
            .replace("ROLL0", recorded.rollouts[0].id.as_str())
            .replace("ROLL1", recorded.rollouts[1].id.as_str())
            .replace("HELD_OUT", recorded.rollouts[12].id.as_str())
            .replace("TASK0", recorded.tasks[0].task.id.as_str())
            .replace("BASE", recorded.base.id.as_str())
            .replace("CANDIDATE", recorded.candidate.id.as_str());
        db.plant(&sql).await;
        let findings = db.store.audit_rows(run, AuditRules::default()).await.unwrap();
        assert!(
            findings.iter().any(|f| f.invariant == *invariant && f.code == *code),
            "{sql}\ngave {findings:?}"
        );
    }
}

async fn unverified_runs_may_publish_what_failed(db: &TestDatabase) {
    let recorded = write(&db.store, "r").await;
    let sql =
        format!("UPDATE verdicts SET verdict = 'fail', score = 0.0 WHERE run = '{}'", recorded.run);
    db.plant(&sql).await;
    let rules = AuditRules { published_passed: false };
    assert_eq!(db.store.audit_rows(&recorded.run, rules).await.unwrap(), []);
}
