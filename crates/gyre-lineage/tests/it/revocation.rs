use gyre_lineage::{
    AlarmRow, AuditRules, CanaryRow, CorrectionStep, GateDecision, GateReview, Kind, NewRevocation,
    Node, RevocationRow, RevocationTarget, ShardRewrite, Touched, VerdictRow, nobody,
};
use gyre_types::{InvalidReason, Judgement, Purpose, RolloutId, StoredPath, TaskId, Verdict};
use serde_json::json;

use crate::scenario::{Recorded, digest, judgement, rows_of, shard, verdict, write};
use crate::support::{TestDatabase, on_both};

on_both!(
    a_revoked_task_is_put_right_step_by_step,
    a_verifier_touches_what_it_said_and_what_rests_on_it,
    a_row_that_was_put_right_is_not_touched_again,
    canaries_and_alarms_read_back,
    invalid_rollouts_are_counted_by_reason,
);

async fn revoked(db: &TestDatabase, target: RevocationTarget) -> RevocationRow {
    let why = "it was wrong".to_owned();
    db.store.revoke(&NewRevocation { target, why, replacement: None, at_ms: 60 }).await.unwrap()
}

/// The codes that the audit gives, each once.
async fn codes(db: &TestDatabase, recorded: &Recorded) -> Vec<&'static str> {
    let findings = db.store.audit_rows(&recorded.run, AuditRules::default()).await.unwrap();
    let mut codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    codes.dedup();
    codes
}

fn correction(rollout: &RolloutId, revision: u32) -> VerdictRow {
    let reason = InvalidReason::Revoked { detail: "it was wrong".to_owned() };
    let verdict = Verdict::Invalid { reason };
    let judgement = Judgement { verdict, checks: vec![], fuel: 0, guests: 0 };
    let row = VerdictRow::of(rollout.clone(), judgement, nobody(), digest("sandbox"));
    VerdictRow { revision, ..row }
}

/// The rollouts of the shard's rows, in order.
fn published(recorded: &Recorded) -> Vec<RolloutId> {
    recorded.shard_rows.iter().map(|row| row.rollout.clone()).collect()
}

async fn a_revoked_task_is_put_right_step_by_step(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    let other = write(store, "other").await;
    let run = &recorded.run;
    let task = recorded.tasks[0].task.id.clone();
    let row = revoked(db, RevocationTarget::Task(task.clone())).await;

    let touched = store.touched(run, &row).await.unwrap();
    let [count] = touched.verdicts.as_slice() else { panic!("{touched:?}") };
    assert_eq!((count.round, count.purpose, count.verdicts), (1, Purpose::Train, 2));
    assert_eq!(touched.rows, recorded.shard_rows[..1]);
    assert_eq!(touched.shards, std::slice::from_ref(&recorded.shard.id));
    assert_eq!(touched.checkpoints.len(), 1);
    assert_eq!(touched.checkpoints[0].id, recorded.candidate.id);
    assert_eq!(touched.checkpoints[0].shards, touched.shards);
    assert_eq!((touched.gates.clone(), touched.promotions.clone()), (vec![1], vec![2]));
    assert_eq!(codes(db, &recorded).await, ["revoked_verdict_stands", "revocation_unfinished"]);

    let open = store.uncorrected(run, &row, 100).await.unwrap();
    let ids: Vec<_> = open.iter().map(|row| row.rollout.id.clone()).collect();
    let mut expected = vec![recorded.rollouts[0].id.clone(), recorded.rollouts[1].id.clone()];
    expected.sort();
    assert_eq!(ids, expected);
    assert_eq!(store.uncorrected(run, &row, 1).await.unwrap().len(), 1);

    let mut commit = recorded.commit();
    commit.verdicts = ids.iter().map(|id| correction(id, 1)).collect();
    commit.correction = Some(CorrectionStep::new(row.ordinal));
    store.commit(commit).await.unwrap();
    assert_eq!(store.uncorrected(run, &row, 100).await.unwrap(), []);
    assert_eq!(
        codes(db, &recorded).await,
        ["published_not_passed", "revocation_unfinished", "row_behind_verdict"]
    );

    let left = published(&recorded)[1..].to_vec();
    let new = shard("train-round-0001-revised-01", 1, left.len());
    let mut commit = recorded.commit();
    let rollouts: Vec<_> =
        recorded.rollouts.iter().filter(|rollout| left.contains(&rollout.id)).collect();
    commit.shard_rows = rows_of(&new, &rollouts);
    commit.shards = vec![new.clone()];
    let mut step = CorrectionStep::new(row.ordinal);
    let moved_to = StoredPath::new("runs/r-1/dataset/superseded/train-round-0001.parquet");
    let successor = Some(new.id.clone());
    let old = recorded.shard.id.clone();
    step.rewrites =
        vec![ShardRewrite { shard: old.clone(), moved_to: moved_to.clone(), successor }];
    commit.correction = Some(step);
    store.commit(commit.clone()).await.unwrap();
    assert!(store.commit(commit).await.is_err(), "a shard is superseded once");
    assert_eq!(codes(db, &recorded).await, ["revocation_unfinished"]);
    let rewrites = store.rewrites(run).await.unwrap();
    assert_eq!(rewrites, [(old.clone(), Some(new.id.clone()), 1)]);
    let shards = store.shards(run).collect().await.unwrap();
    let superseded = shards.iter().find(|shard| shard.id == old).unwrap();
    assert_eq!((superseded.superseded, &superseded.path), (true, &moved_to));

    let mut step = CorrectionStep::new(row.ordinal);
    let record = json!({"p": 1.0});
    step.reviews = vec![GateReview { round: 1, decision: GateDecision::Rejected, record }];
    step.report = Some(json!({"rows": 1}));
    let mut commit = recorded.commit();
    commit.correction = Some(step);
    store.commit(commit.clone()).await.unwrap();
    // A process that was killed before it heard of it says it again.
    store.commit(commit).await.unwrap();
    assert_eq!(codes(db, &recorded).await, [""; 0]);
    assert_eq!(store.revocation_report(run, 1).await.unwrap(), Some(json!({"rows": 1})));

    // What it touched is what it was, and the other run still waits.
    assert_eq!(store.touched(run, &row).await.unwrap(), touched);
    let said = store.corrections(run, 1).await.unwrap();
    let said: Vec<_> = said.iter().map(|((a, b), n)| (a.as_str(), b.as_str(), *n)).collect();
    assert_eq!(said, [("fail", "invalid", 1), ("pass", "invalid", 1)]);
    assert!(codes(db, &other).await.contains(&"revocation_unfinished"));
    assert!(!store.touched(&other.run, &row).await.unwrap().is_empty());
}

async fn a_verifier_touches_what_it_said_and_what_rests_on_it(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    let run = &recorded.run;
    let wrong = digest("wrong");
    let row = revoked(db, RevocationTarget::Verifier(wrong)).await;
    assert_eq!(store.touched(run, &row).await.unwrap(), Touched::default());
    assert_eq!(codes(db, &recorded).await, [""; 0]);

    // Of a gate task, by the champion of the time: no row, and yet a decision.
    let held_out = &recorded.rollouts[12];
    assert_eq!(held_out.purpose, Purpose::Gate);
    db.plant(&format!(
        "UPDATE verdicts SET verifier_digest = '{wrong}' WHERE run = '{run}' AND rollout = '{}'",
        held_out.id
    ))
    .await;
    let touched = store.touched(run, &row).await.unwrap();
    assert_eq!((touched.rows.as_slice(), touched.checkpoints.as_slice()), (&[][..], &[][..]));
    assert_eq!((touched.gates, touched.promotions), (vec![1], vec![2]));

    let published = published(&recorded);
    db.plant(&format!(
        "UPDATE verdicts SET verifier_digest = '{wrong}' WHERE run = '{run}' \
         AND rollout IN ('{}', '{}')",
        published[1], published[2]
    ))
    .await;
    let touched = store.touched(run, &row).await.unwrap();
    assert_eq!(touched.rows, recorded.shard_rows[1..3]);
    assert_eq!(touched.checkpoints[0].id, recorded.candidate.id);
    let verdicts = store.touched_verdicts(run, &row).collect().await.unwrap();
    assert_eq!(verdicts.len(), 3);
    let one_by_one = store.touched_verdicts(run, &row).rows_at_a_time(1);
    assert_eq!(one_by_one.collect().await.unwrap(), verdicts);
    assert_eq!(store.judges(&wrong.to_hex()[..10]).await.unwrap(), [wrong]);
    assert_eq!(store.judges("ffff").await.unwrap(), []);

    for (node, expected) in [
        (Node::Rollout(published[1].to_string()), true),
        (Node::Rollout(published[0].to_string()), false),
        (Node::Verdict(published[1].to_string(), 0), true),
        (Node::Verdict(published[1].to_string(), 1), false),
        (Node::Shard(recorded.shard.id.to_string()), true),
        (Node::Checkpoint(recorded.candidate.id.to_string()), true),
        (Node::Checkpoint(recorded.base.id.to_string()), false),
        (Node::Gate(1), true),
        (Node::Promotion(2), true),
        (Node::Promotion(1), false),
        (Node::Task(recorded.tasks[0].task.id.to_string()), false),
    ] {
        let is = store.is_touched(run, &row, &touched, &node).await.unwrap();
        assert_eq!(is, expected, "{node}");
    }
}

/// Two revocations, one after the other: the second touches only what the first
/// made of it.
async fn a_row_that_was_put_right_is_not_touched_again(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    let run = &recorded.run;
    let first = revoked(db, RevocationTarget::Verifier(digest("verifier"))).await;
    let replacement = digest("replacement");
    let open = store.uncorrected(run, &first, 100).await.unwrap();
    assert_eq!(open.len(), 16);
    let mut commit = recorded.commit();
    commit.verdicts = open
        .iter()
        .map(|row| {
            let verdict = row.verdict.clone().unwrap().verdict;
            let row = VerdictRow::of(
                row.rollout.id.clone(),
                judgement(verdict),
                replacement,
                digest("sandbox"),
            );
            VerdictRow { revision: 1, ..row }
        })
        .collect();
    let new = shard("revised", 1, recorded.shard_rows.len());
    let published = published(&recorded);
    let of = |id: &RolloutId| recorded.rollouts.iter().find(|rollout| rollout.id == *id).unwrap();
    let rollouts: Vec<_> = published.iter().map(of).collect();
    commit.shard_rows = rows_of(&new, &rollouts);
    commit.shards = vec![new.clone()];
    let mut step = CorrectionStep::new(first.ordinal);
    step.rewrites = vec![ShardRewrite {
        shard: recorded.shard.id.clone(),
        moved_to: StoredPath::new("superseded/old"),
        successor: Some(new.id.clone()),
    }];
    step.report = Some(json!({}));
    commit.correction = Some(step);
    store.commit(commit).await.unwrap();
    assert_eq!(codes(db, &recorded).await, [""; 0]);
    let touched = store.touched(run, &first).await.unwrap();
    assert_eq!(touched.shards, std::slice::from_ref(&recorded.shard.id));

    let second = revoked(db, RevocationTarget::Verifier(replacement)).await;
    let touched = store.touched(run, &second).await.unwrap();
    assert_eq!(touched.shards, std::slice::from_ref(&new.id));
    assert_eq!(touched.rows.len(), published.len());
    // The candidate learned from the first shard, which the second did not touch;
    // and its gate rests on verdicts that were given in the place of others.
    assert_eq!(touched.checkpoints, []);
    assert_eq!(touched.gates, [1]);
    assert_eq!(store.uncorrected(run, &second, 100).await.unwrap().len(), 16);
    assert_eq!(store.uncorrected(run, &first, 100).await.unwrap(), []);
}

async fn canaries_and_alarms_read_back(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    let canary = |number: u32, verdict: Verdict| CanaryRow {
        rollout: RolloutId::from_digest(&digest(&format!("canary {number}"))),
        round: 1 + number / 3,
        task: TaskId::from_digest(&digest(&format!("impossible {number}"))),
        made_from: recorded.tasks[0].task.id.clone(),
        checkpoint: recorded.base.id.clone(),
        checks: judgement(verdict.clone()).checks,
        verdict,
        verifier_digest: digest("verifier"),
        body: json!({"answer": "def solve(x):\n    return x"}),
        grading_key: json!({"hidden": [9_007_199_254_740_993_i64]}),
    };
    let canaries: Vec<_> = (0..6).map(|n| canary(n, verdict(n as usize))).collect();
    let alarm = |round: u32, kind: &str| AlarmRow {
        round,
        kind: kind.to_owned(),
        subject: "chain level 1".to_owned(),
        body: json!({"detail": "π", "x": 0.1}),
    };
    let alarms = vec![alarm(1, "accept_rate"), alarm(1, "canary"), alarm(2, "accept_rate")];
    let mut commit = recorded.commit();
    commit.canaries = canaries.clone();
    commit.alarms = alarms.clone();
    store.commit(commit.clone()).await.unwrap();
    assert!(store.commit(commit).await.is_err(), "each is recorded once");
    let mut expected = canaries[..3].to_vec();
    expected.sort_by(|a, b| a.rollout.cmp(&b.rollout));
    assert_eq!(store.canaries(&recorded.run, Some(1)).collect().await.unwrap(), expected);
    assert_eq!(store.canaries(&recorded.run, None).collect().await.unwrap().len(), 6);
    assert_eq!(store.alarms(&recorded.run).collect().await.unwrap(), alarms);
    let found = store.find(canaries[0].rollout.as_str()).await.unwrap();
    assert_eq!(found.iter().map(|found| found.kind).collect::<Vec<_>>(), [Kind::Canary]);
    // They are no rollouts: nothing that counts, trains or decides meets one.
    assert_eq!(store.verdict_counts(&recorded.run).await.unwrap()[1].3.rollouts, 12);
    assert_eq!(codes(db, &recorded).await, [""; 0]);
}

async fn invalid_rollouts_are_counted_by_reason(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    let mut commit = recorded.commit();
    commit.verdicts = vec![correction(&recorded.rollouts[1].id, 1)];
    store.commit(commit).await.unwrap();
    let counts = store.invalid_reasons(&recorded.run).await.unwrap();
    let counts: Vec<_> =
        counts.iter().map(|c| (c.round, c.kind.as_str(), c.detail.as_str(), c.rollouts)).collect();
    assert_eq!(
        counts,
        [(1, "infrastructure", "lost \u{0} worker", 5), (1, "revoked", "it was wrong", 1)]
    );
}
