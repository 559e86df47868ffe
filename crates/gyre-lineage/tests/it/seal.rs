//! What is changed, added or taken away past the store is found and named.

use std::collections::BTreeSet;

use gyre_lineage::{
    AlarmRow, CanaryRow, CorrectionStep, GateDecision, GateReview, NewRevocation, NewVerifier,
    RevocationTarget, RunStatus, SealChain, ShardRewrite, Store, VerdictRow, VerifierKind,
};
use gyre_types::{Digest, RolloutId, RunId, StoredPath, Verdict};
use serde_json::json;

use crate::scenario::{Recorded, digest, judgement, rows_of, shard, write};
use crate::support::{
    Backend, TestDatabase, block_on, execute, migrate_to, on_both, on_place, texts,
};

on_both!(
    what_the_store_records_is_sealed,
    every_tampering_is_named,
    any_changed_column_is_found,
    rows_of_the_registry_are_sealed,
    a_change_past_the_store_is_not_sealed_with_the_next,
    runs_do_not_disturb_each_other,
);

fn chain(run: &RunId) -> SealChain {
    SealChain::Run(run.clone())
}

/// What an audit of a chain finds: codes and the rows that they are about.
async fn found(store: &Store, chain: &SealChain) -> Vec<(&'static str, String)> {
    let audit = store.audit_seals(chain).await.unwrap();
    let ids = |finding: &gyre_lineage::Finding| finding.ids.first().cloned().unwrap_or_default();
    audit.findings.iter().map(|finding| (finding.code, ids(finding))).collect()
}

/// A run with rows in every table that a run records.
async fn everything(db: &TestDatabase, name: &str) -> Recorded {
    let store = &db.store;
    let mut recorded = write(store, name).await;
    let reason = "it raised".to_owned();
    let invalid =
        Verdict::Invalid { reason: gyre_types::InvalidReason::Verifier { detail: reason } };
    let canary = |number: u32, verdict: Verdict| CanaryRow {
        rollout: RolloutId::from_digest(&digest(&format!("canary {number}"))),
        round: 1,
        task: recorded.tasks[1].task.id.clone(),
        made_from: recorded.tasks[0].task.id.clone(),
        checkpoint: recorded.base.id.clone(),
        verdict,
        verifier_digest: digest("verifier"),
        checks: vec![],
        body: json!({"answer": "no"}),
        grading_key: json!({"hidden": []}),
    };
    let score = gyre_types::Score::new(0.1).unwrap();
    let mut commit = recorded.commit();
    commit.canaries = vec![canary(0, Verdict::Fail { score }), canary(1, invalid)];
    commit.alarms = vec![AlarmRow {
        round: 1,
        kind: "accept_rate".to_owned(),
        subject: "chain skill keep_odd/0".to_owned(),
        body: json!({"detail": "it jumped"}),
    }];
    store.commit(commit).await.unwrap();

    let target = RevocationTarget::Task(recorded.tasks[0].task.id.clone());
    let why = "it was wrong".to_owned();
    let new = NewRevocation { target, why, replacement: None, at_ms: 60 };
    let revocation = store.revoke(&new).await.unwrap().ordinal;
    let corrected = &recorded.rollouts[0].id;
    let revised = shard(&format!("{name}-revised"), 1, 1);
    let mut commit = recorded.commit();
    let failed = judgement(Verdict::Fail { score });
    let correction =
        VerdictRow::of(corrected.clone(), failed, digest("verifier"), digest("sandbox"));
    commit.verdicts = vec![VerdictRow { revision: 1, ..correction }];
    commit.shard_rows = rows_of(&revised, &[&recorded.rollouts[3]]);
    commit.shards = vec![revised.clone()];
    commit.correction = Some(CorrectionStep {
        revocation,
        rewrites: vec![ShardRewrite {
            shard: recorded.shard.id.clone(),
            moved_to: StoredPath::new(format!("runs/{name}/superseded/old.parquet")),
            successor: Some(revised.id.clone()),
        }],
        reviews: vec![GateReview {
            round: 1,
            decision: GateDecision::Rejected,
            record: json!({"p": 1.0}),
        }],
        report: Some(json!({"rows": 1})),
    });
    commit.run_status = Some(RunStatus::Finished);
    recorded.last_seq = store.commit(commit).await.unwrap();
    let paths = ["a", "b", "a"].map(|name| StoredPath::new(format!("runs/{name}.parquet")));
    store.retire(&recorded.run, paths.to_vec(), 70).await.unwrap();
    recorded
}

async fn what_the_store_records_is_sealed(db: &TestDatabase) {
    let recorded = everything(db, "r").await;
    let run = chain(&recorded.run);
    // Said again: what is there stays, and stays sealed.
    let paths = vec![StoredPath::new("runs/a.parquet")];
    db.store.retire(&recorded.run, paths, 80).await.unwrap();
    let mut commit = recorded.commit();
    commit.tasks = recorded.tasks.clone();
    db.store.commit(commit).await.unwrap();
    let audit = db.store.audit_seals(&run).await.unwrap();
    assert_eq!(audit.findings, []);
    // Created, three steps of the scenario, canaries, the correction, the files, the tasks again.
    let head = audit.head.unwrap();
    assert_eq!((head.seq, audit.adopted), (8, false));
    assert_eq!(db.store.seal_head(&run).await.unwrap(), Some(head));
    assert_eq!(db.store.seal_digest(&run, 8).await.unwrap(), Some(head.digest));
    assert_eq!(db.store.seal_digest(&run, 9).await.unwrap(), None);
    let counted = "SELECT CAST(SUM(n) AS TEXT) FROM (SELECT COUNT(*) AS n FROM runs";
    let counted = TABLES.iter().skip(1).fold(counted.to_owned(), |sql, (table, _)| {
        format!("{sql} UNION ALL SELECT COUNT(*) FROM {table}")
    });
    let counted = texts(&db.url, &format!("{counted}) x")).await;
    assert_eq!(counted, [audit.rows.to_string()]);
    // The same on either database: what a row is does not depend on who keeps it.
    assert_eq!(head.digest, SEAL_OF_EVERYTHING.parse::<Digest>().unwrap(), "{}", head.digest);
}

/// The last seal of [`everything`] and what is said again after it. Tasks are of
/// version 2 of their form.
const SEAL_OF_EVERYTHING: &str = "a86deabb653a61f8bd7d8ac16d5a5d89107528863dd920d3506ffa6e497f47c5";

/// Every table that a run records, and its key.
const TABLES: [(&str, &str); 20] = [
    ("runs", "run"),
    ("events", "seq"),
    ("tasks", "id"),
    ("grading_keys", "task"),
    ("parts", "id"),
    ("checkpoints", "id"),
    ("rollouts", "id"),
    ("verdicts", "rollout"),
    ("shards", "id"),
    ("shard_rows", "rollout"),
    ("checkpoint_shards", "shard"),
    ("gates", "round"),
    ("promotions", "ordinal"),
    ("canaries", "rollout"),
    ("alarms", "subject"),
    ("corrections", "rollout"),
    ("rewrites", "shard"),
    ("gate_reviews", "round"),
    ("revocation_runs", "revocation"),
    ("retired_files", "path"),
];

/// What is done to the rows of a run, what is found, and of which table.
const TAMPERINGS: &[(&str, &str, &str)] = &[
    ("UPDATE runs SET seed = '2'", "row_changed", "runs"),
    ("UPDATE runs SET config = '{}'", "row_changed", "runs"),
    ("UPDATE runs SET config = 'no JSON'", "row_changed", "runs"),
    ("UPDATE runs SET fingerprint = 'ff'", "row_changed", "runs"),
    ("UPDATE runs SET sandbox_digest = 'ff'", "row_changed", "runs"),
    ("UPDATE runs SET status = 'active'", "row_changed", "runs"),
    ("UPDATE runs SET last_seq = 3", "row_changed", "runs"),
    ("UPDATE runs SET created_at_ms = created_at_ms + 1", "row_changed", "runs"),
    ("DELETE FROM runs", "row_missing", "runs"),
    ("UPDATE events SET body = '{}' WHERE seq = 2", "row_changed", "events"),
    ("UPDATE events SET body = body || ' ' WHERE seq = 2", "row_changed", "events"),
    ("UPDATE events SET at_ms = 0 WHERE seq = 2", "row_changed", "events"),
    ("DELETE FROM events WHERE seq = 4", "row_missing", "events"),
    ("UPDATE events SET seq = 9 WHERE seq = 4", "row_unsealed", "events"),
    (
        "UPDATE tasks SET body = REPLACE(body, 'do ', 'undo ') WHERE split = 'gate'",
        "row_changed",
        "tasks",
    ),
    ("UPDATE tasks SET difficulty = difficulty + 1", "row_changed", "tasks"),
    ("UPDATE grading_keys SET body = REPLACE(body, '3.5', '4.5')", "row_changed", "grading_keys"),
    ("DELETE FROM grading_keys", "row_missing", "grading_keys"),
    ("UPDATE parts SET sha256 = 'ff'", "row_changed", "parts"),
    ("UPDATE checkpoints SET parent = NULL WHERE round = 1", "row_changed", "checkpoints"),
    ("UPDATE checkpoints SET parent = '' WHERE round = 0", "row_changed", "checkpoints"),
    ("UPDATE checkpoints SET digest = policy_digest", "row_changed", "checkpoints"),
    ("UPDATE checkpoints SET report = '{}'", "row_changed", "checkpoints"),
    ("DELETE FROM checkpoint_shards", "row_missing", "checkpoint_shards"),
    ("UPDATE rollouts SET answer_digest = chain", "row_changed", "rollouts"),
    ("UPDATE rollouts SET chain = answer_digest", "row_changed", "rollouts"),
    ("UPDATE rollouts SET seed = '1'", "row_changed", "rollouts"),
    ("UPDATE rollouts SET tokens = tokens + 1", "row_changed", "rollouts"),
    ("UPDATE verdicts SET verifier_digest = sandbox_digest", "row_changed", "verdicts"),
    ("UPDATE verdicts SET sandbox_digest = verifier_digest", "row_changed", "verdicts"),
    (
        "UPDATE verdicts SET verdict = 'pass', score = 1.0 WHERE verdict = 'fail'",
        "row_changed",
        "verdicts",
    ),
    (
        "UPDATE verdicts SET score = 0.30000000000000004 WHERE verdict = 'fail'",
        "row_changed",
        "verdicts",
    ),
    ("UPDATE verdicts SET checks = '[]'", "row_changed", "verdicts"),
    ("DELETE FROM verdicts WHERE revision = 1", "row_missing", "verdicts"),
    ("UPDATE shards SET superseded = 0", "row_changed", "shards"),
    ("UPDATE shards SET kind = 'groups' WHERE superseded = 0", "row_changed", "shards"),
    ("UPDATE shard_rows SET row_index = row_index + 9", "row_unsealed", "shard_rows"),
    ("UPDATE gates SET decision = 'rejected'", "row_changed", "gates"),
    ("DELETE FROM promotions WHERE ordinal = 2", "row_missing", "promotions"),
    (
        "UPDATE canaries SET verdict = 'invalid', score = NULL WHERE verdict = 'fail'",
        "row_changed",
        "canaries",
    ),
    ("DELETE FROM canaries", "row_missing", "canaries"),
    ("DELETE FROM alarms", "row_missing", "alarms"),
    ("DELETE FROM corrections", "row_missing", "corrections"),
    ("UPDATE rewrites SET successor = NULL", "row_changed", "rewrites"),
    ("UPDATE gate_reviews SET record = '{}'", "row_changed", "gate_reviews"),
    ("DELETE FROM revocation_runs", "row_missing", "revocation_runs"),
    ("DELETE FROM retired_files WHERE path = 'runs/a.parquet'", "row_missing", "retired_files"),
    ("DELETE FROM seals WHERE seq = 3", "seal_missing", "CHAIN"),
    ("UPDATE seals SET digest = previous WHERE seq = 3", "seal_broken", "CHAIN"),
    ("UPDATE seals SET previous = digest WHERE seq = 3", "seal_broken", "CHAIN"),
    ("UPDATE seals SET body = '{\"rows\":{}}' WHERE seq = 3", "seal_broken", "CHAIN"),
    ("UPDATE seals SET body = '' WHERE seq = 3", "seal_broken", "CHAIN"),
    ("UPDATE seals SET seq = 99 WHERE seq = 7", "seal_missing", "CHAIN"),
];

/// A statement on the rows of one run alone. `WHERE` stands last in all of them.
fn of_run(sql: &str, run: &RunId) -> String {
    let column = if sql.contains(" seals ") { "chain" } else { "run" };
    let word = if sql.contains(" WHERE ") { "AND" } else { "WHERE" };
    format!("{sql} {word} {column} = '{run}'")
}

async fn every_tampering_is_named(db: &TestDatabase) {
    for (number, (sql, code, table)) in TAMPERINGS.iter().enumerate() {
        let recorded = everything(db, &format!("r{number}")).await;
        let run = chain(&recorded.run);
        assert_eq!(found(&db.store, &run).await, []);
        let sql = of_run(sql, &recorded.run);
        db.plant(&sql).await;
        let named = found(&db.store, &run).await;
        let place = if *table == "CHAIN" { recorded.run.as_str() } else { table };
        assert!(
            named.iter().any(|(found, id)| found == code && id.split('/').next() == Some(place)),
            "{sql}\ngave {named:?}"
        );
        // Every row that it hit is named, and the rest is left alone.
        let tables: BTreeSet<_> = named
            .iter()
            .filter(|(code, _)| code.starts_with("row_"))
            .filter_map(|(_, id)| id.split('/').next())
            .collect();
        assert!(*table == "CHAIN" || tables == BTreeSet::from([*table]), "{sql}: {named:?}");
    }
}

/// Columns of every table, each changed in one row and put back.
async fn any_changed_column_is_found(db: &TestDatabase) {
    let recorded = everything(db, "r").await;
    let run = chain(&recorded.run);
    if matches!(db.url, gyre_lineage::DatabaseUrl::Sqlite(_)) {
        // They would count what is put back; PostgreSQL's are off while a test plants.
        let drops = ["task", "rollout", "verdict"].map(|row| format!("DROP TRIGGER index_a_{row}"));
        db.plant(&drops.join("; ")).await;
    }
    let mut changed = 0;
    for (table, key) in TABLES {
        for column in columns(db, table).await.into_iter().filter(|column| column != "run") {
            // Keys of other rows may stand in the way of a changed one.
            let value = match column.as_str() {
                "status" => "'failed'".to_owned(),
                "decision" => {
                    "CASE decision WHEN 'promoted' THEN 'rejected' ELSE 'promoted' END".to_owned()
                }
                "verdict" => "CASE verdict WHEN 'pass' THEN 'fail' ELSE 'pass' END".to_owned(),
                "split" | "purpose" => "'test'".to_owned(),
                "superseded" => "1 - superseded".to_owned(),
                "kind" if table == "shards" => "'groups'".to_owned(),
                "score" => "COALESCE(score, 0) + 0.25".to_owned(),
                column if INTEGERS.contains(&column) => format!("{column} + 1000"),
                column => format!("COALESCE({column}, '') || '.'"),
            };
            let row =
                format!("{key} = (SELECT MIN({key}) FROM {table} WHERE run = '{}')", recorded.run);
            let keep = format!("CREATE TABLE kept AS SELECT * FROM {table}");
            let put_back = format!(
                "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept; DROP TABLE kept"
            );
            let sql = format!("UPDATE {table} SET {column} = {value} WHERE {row}");
            db.plant(&format!("{keep}; {sql}")).await;
            let named = found(&db.store, &run).await;
            db.plant(&put_back).await;
            let is_named = named.iter().any(|(_, id)| id.split('/').next() == Some(table));
            assert!(is_named, "{sql}\ngave {named:?}");
            changed += 1;
        }
    }
    assert!(changed > 120, "only {changed} columns were changed");
    assert_eq!(found(&db.store, &run).await, []);
}

const INTEGERS: [&str; 19] = [
    "ordinal",
    "created_at_ms",
    "last_seq",
    "seq",
    "round",
    "at_ms",
    "family_version",
    "difficulty",
    "bytes",
    "row_count",
    "sample",
    "part_row",
    "turns",
    "tokens",
    "fuel",
    "guests",
    "revision",
    "row_index",
    "revocation",
];

async fn columns(db: &TestDatabase, table: &str) -> Vec<String> {
    let sql = match db.url {
        gyre_lineage::DatabaseUrl::Sqlite(_) => {
            format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid")
        }
        gyre_lineage::DatabaseUrl::Postgres(_) => format!(
            "SELECT column_name::text FROM information_schema.columns \
             WHERE table_schema = 'gyre' AND table_name = '{table}' ORDER BY ordinal_position"
        ),
    };
    texts(&db.url, &sql).await
}

fn verifier(name: &str) -> NewVerifier {
    NewVerifier {
        digest: digest(name),
        name: name.to_owned(),
        kind: VerifierKind::Python,
        trusted: false,
        scorecard: json!({"golden": 1.0}),
        registered_at_ms: 5,
    }
}

async fn rows_of_the_registry_are_sealed(db: &TestDatabase) {
    let store = &db.store;
    for name in ["first", "second", "first"] {
        store.register_verifier(&verifier(name)).await.unwrap();
    }
    let target = RevocationTarget::Verifier(digest("second"));
    let why = "it was wrong".to_owned();
    let new = NewRevocation { target, why, replacement: None, at_ms: 6 };
    store.revoke(&new).await.unwrap();
    store.revoke(&new).await.unwrap();
    let audit = store.audit_seals(&SealChain::Registry).await.unwrap();
    assert_eq!((audit.head.unwrap().seq, audit.rows), (4, 3));
    assert_eq!(audit.findings, []);
    for (sql, code, table) in [
        ("UPDATE verifiers SET status = 'active'", "row_changed", "verifiers"),
        ("UPDATE verifiers SET revoked_why = ''", "row_changed", "verifiers"),
        ("UPDATE verifiers SET scorecard = '{}'", "row_changed", "verifiers"),
        ("DELETE FROM verifiers", "row_missing", "verifiers"),
        ("DELETE FROM revocations", "row_missing", "revocations"),
        ("UPDATE revocations SET why = 'so'", "row_changed", "revocations"),
    ] {
        let keep = format!("CREATE TABLE kept AS SELECT * FROM {table}");
        db.plant(&format!("{keep}; {sql}")).await;
        let named = found(store, &SealChain::Registry).await;
        let put_back =
            format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept; DROP TABLE kept");
        db.plant(&put_back).await;
        let is_it = |id: &str| id.split('/').next() == Some(table);
        let is_named = named.iter().any(|(found, id)| *found == code && is_it(id));
        assert!(is_named, "{sql}\ngave {named:?}");
    }
    assert_eq!(found(store, &SealChain::Registry).await, []);
    assert_eq!(store.run_ids().await.unwrap(), [], "the registry is no run");
}

/// A step that changes a row does not make good what was done to it before.
async fn a_change_past_the_store_is_not_sealed_with_the_next(db: &TestDatabase) {
    let recorded = write(&db.store, "r").await;
    let run = chain(&recorded.run);
    db.plant(&format!("UPDATE runs SET seed = '2' WHERE run = '{}'", recorded.run)).await;
    db.store.commit(recorded.commit()).await.unwrap();
    db.store.commit(recorded.commit()).await.unwrap();
    assert_eq!(found(&db.store, &run).await, [("row_changed", "runs".to_owned())]);
    // A task that is given again is not sealed as it was found.
    let task = &recorded.tasks[0].task.id;
    db.plant(&format!("UPDATE grading_keys SET body = '{{}}' WHERE task = '{task}'")).await;
    let mut commit = recorded.commit();
    commit.tasks = recorded.tasks.clone();
    db.store.commit(commit).await.unwrap();
    let named = found(&db.store, &run).await;
    assert!(named.contains(&("row_changed", format!("grading_keys/{task}"))), "{named:?}");
}

async fn runs_do_not_disturb_each_other(db: &TestDatabase) {
    let names: Vec<_> = (0..4).map(|number| format!("r{number}")).collect();
    let runs = futures(names.iter().map(|name| write(&db.store, name))).await;
    // Files are given up without a lease, while steps are recorded under it.
    let recorded = &runs[0];
    let steps = async {
        for _ in 0..10 {
            db.store.commit(recorded.commit()).await.unwrap();
        }
    };
    let retired = async {
        for number in 0..10 {
            let path = StoredPath::new(format!("runs/{number}"));
            db.store.retire(&recorded.run, vec![path], number).await.unwrap();
        }
    };
    tokio::join!(steps, retired);
    for recorded in &runs {
        assert_eq!(found(&db.store, &chain(&recorded.run)).await, []);
    }
    let head = db.store.seal_head(&chain(&recorded.run)).await.unwrap().unwrap();
    assert_eq!(head.seq, 24);
}

async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut done = Vec::new();
    for future in all {
        done.push(future.await);
    }
    done
}

/// A run that was begun before there were seals is sealed by its next step.
async fn an_older_run_is_sealed_by_its_next_step(url: &gyre_lineage::DatabaseUrl) {
    migrate_to(url, 9).await;
    let digest = "a".repeat(64);
    execute(
        url,
        &format!(
            "INSERT INTO runs VALUES ('r-1', 'r', 1, '{digest}', '7', '{{}}', '{digest}', 1, \
             'active', 1); \
             INSERT INTO events VALUES ('r-1', 1, 0, 'run_started', '{{}}', 1)"
        ),
    )
    .await;
    let store = Store::open(url).await.unwrap();
    let run: RunId = "r-1".parse().unwrap();
    let audit = store.audit_seals(&chain(&run)).await.unwrap();
    assert_eq!((audit.head, audit.rows, audit.findings), (None, 0, vec![]));
    let lease = store.acquire_lease(&run, "tester", 0, 1_000_000).await.unwrap();
    let mut commit = gyre_lineage::Commit::new(run.clone(), lease.epoch, 1, 10);
    commit.events = vec![crate::scenario::event(0, "base_ready")];
    store.commit(commit).await.unwrap();
    let audit = store.audit_seals(&chain(&run)).await.unwrap();
    assert_eq!((audit.adopted, audit.rows, audit.findings), (true, 3, vec![]));
    execute(url, "UPDATE events SET kind = 'base_ready' WHERE seq = 1").await;
    let named = found(&store, &chain(&run)).await;
    assert_eq!(named, [("row_changed", "events/1".to_owned())]);
    store.close().await;
}

#[test]
fn an_older_run_is_sealed_by_its_next_step_on_sqlite() {
    on_place(Backend::Sqlite, an_older_run_is_sealed_by_its_next_step);
}

#[test]
fn an_older_run_is_sealed_by_its_next_step_on_postgres() {
    on_place(Backend::Postgres, an_older_run_is_sealed_by_its_next_step);
}

/// SQLite takes texts that are not UTF-8, and zero bytes.
#[test]
fn bytes_that_are_no_text_are_found() {
    block_on(async {
        let db = TestDatabase::create(Backend::Sqlite).await;
        let recorded = write(&db.store, "r").await;
        let run = chain(&recorded.run);
        for value in ["CAST(x'7bff7d' AS TEXT)", "body || char(0)", "char(0) || body"] {
            let kept = "CREATE TABLE kept AS SELECT * FROM events";
            db.plant(&format!("{kept}; UPDATE events SET body = {value} WHERE seq = 2")).await;
            let named = found(&db.store, &run).await;
            assert_eq!(named, [("row_changed", "events/2".to_owned())], "{value}");
            let put_back = "DELETE FROM events; INSERT INTO events SELECT * FROM kept; \
                            DROP TABLE kept";
            db.plant(put_back).await;
        }
        db.drop().await;
    });
}
