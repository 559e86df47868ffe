//! People's own SQL: the views answer, and nothing can be written.

use std::time::Duration;

use gyre_lineage::{DatabaseUrl, QueryLimits, QueryRows, StoreError};
use serde_json::json;

use crate::scenario::write;
use crate::support::{TestDatabase, execute, on_both, texts};

on_both!(
    the_views_tell_what_the_store_tells,
    every_view_is_documented_and_answers,
    values_of_every_type_arrive,
    what_would_write_is_refused,
    a_query_reads_the_views_and_nothing_else,
    a_query_without_its_role_is_refused,
    answers_are_bounded,
    a_query_that_takes_too_long_is_ended,
);

async fn ask(db: &TestDatabase, sql: &str) -> QueryRows {
    db.store.query(sql, &QueryLimits::default()).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
}

async fn refused(db: &TestDatabase, sql: &str) -> String {
    match db.store.query(sql, &QueryLimits::default()).await {
        Err(StoreError::Query { reason }) => reason,
        other => panic!("{sql}: {other:?}"),
    }
}

async fn the_views_tell_what_the_store_tells(db: &TestDatabase) {
    let recorded = write(&db.store, "r").await;
    let rollouts = ask(db, "SELECT COUNT(*) FROM gyre_v1_rollouts").await;
    assert_eq!(rollouts.rows, [[json!(recorded.rollouts.len())]]);
    let newest = "SELECT champion FROM gyre_v1_promotions WHERE newest = 1";
    assert_eq!(ask(db, newest).await.rows, [[json!(recorded.candidate.id)]]);
    let published = ask(db, "SELECT rollout FROM gyre_v1_shard_rows ORDER BY row_index").await;
    let expected: Vec<_> = recorded.shard_rows.iter().map(|row| vec![json!(row.rollout)]).collect();
    assert_eq!(published.rows, expected);
    let rounds = ask(
        db,
        "SELECT round, rollouts, passed + failed + invalid + pending, published_rows, decision \
         FROM gyre_v1_rounds WHERE round = 1",
    )
    .await;
    let trained = recorded.rollouts.iter().filter(|r| r.purpose.as_str() == "train").count();
    let expected = json!([1, trained, trained, recorded.shard.rows, "promoted"]);
    assert_eq!(json!(rounds.rows), json!([expected]));
    let verdicts = ask(
        db,
        "SELECT verdict, COUNT(*) FROM gyre_v1_verdicts WHERE newest = 1 GROUP BY verdict \
         ORDER BY verdict",
    )
    .await;
    assert_eq!(verdicts.columns.first().map(String::as_str), Some("verdict"));
    assert!(verdicts.rows.len() > 1, "{verdicts:?}");
}

/// A view is a promise: each is described, column by column, and each works.
async fn every_view_is_documented_and_answers(db: &TestDatabase) {
    write(&db.store, "r").await;
    let views = match &db.url {
        DatabaseUrl::Sqlite(_) => "SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY 1",
        DatabaseUrl::Postgres(_) => {
            "SELECT viewname::text FROM pg_views WHERE schemaname = 'gyre' ORDER BY 1"
        }
    };
    let views = texts(&db.url, views).await;
    assert!(views.len() >= 17, "{views:?}");
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sql.md");
    let document = std::fs::read_to_string(document).unwrap();
    for view in views {
        let answer = ask(db, &format!("SELECT * FROM {view}")).await;
        let section = document.split_once(&format!("### `{view}`")).map(|(_, rest)| rest);
        let section = section.unwrap_or_else(|| panic!("docs/sql.md does not describe {view}"));
        let section = section.split("\n### ").next().unwrap();
        for column in answer.columns {
            assert!(section.contains(&format!("`{column}`")), "{view}.{column} is not described");
            assert!(
                !["body_of_key", "grading_key"].contains(&column.as_str()),
                "{view} tells keys"
            );
        }
    }
}

async fn values_of_every_type_arrive(db: &TestDatabase) {
    let common = ask(
        db,
        "SELECT 9223372036854775807 AS big, -1 AS small, 0.1e0 AS real, 'a\"π' AS text, \
         NULL AS none, CAST(NULL AS TEXT) AS no_text, '' AS empty",
    )
    .await;
    assert_eq!(common.columns, ["big", "small", "real", "text", "none", "no_text", "empty"]);
    let values = json!(common.rows[0]);
    let real = &values[2];
    assert_eq!(real.as_f64(), Some(0.1));
    assert_eq!(values, json!([i64::MAX, -1, real, "a\"π", null, null, ""]),);
    match &db.url {
        DatabaseUrl::Sqlite(_) => {
            let own = "SELECT x'00ff' AS bytes, 1e999 AS high, -1e999 AS low, 1 = 1 AS truth, 1.0";
            let own = ask(db, own).await;
            assert_eq!(json!(own.rows), json!([["\\x00ff", "Infinity", "-Infinity", 1, 1.0]]));
        }
        DatabaseUrl::Postgres(_) => {
            let own = "SELECT '\\x00ff'::bytea, 'Infinity'::float8, 'NaN'::float4, true, false, \
                1::int2, 2::int4, 3::oid, 10::numeric, 0.5::numeric, 1::float8, \
                '12345678901234567890'::numeric, \
                '{\"a\": 1}'::jsonb, '2026-01-02'::date, ARRAY[1, 2], 'n'::name, 'x'::\"char\", \
                '00000000-0000-0000-0000-000000000001'::uuid, interval '1 day', NULL::bool";
            let own = json!(ask(db, own).await.rows[0]);
            assert_eq!(
                own.as_array().unwrap()[..11],
                json!(["\\x00ff", "Infinity", "NaN", true, false, 1, 2, 3, 10, 0.5, 1.0])
                    .as_array()
                    .unwrap()[..]
            );
            assert_eq!(
                own.as_array().unwrap()[12..],
                json!([
                    "{\"a\": 1}",
                    "2026-01-02",
                    "{1,2}",
                    "n",
                    "x",
                    "00000000-0000-0000-0000-000000000001",
                    "1 day",
                    null
                ])
                .as_array()
                .unwrap()[..]
            );
        }
    }
    let none = ask(db, "SELECT run, round FROM gyre_v1_rounds WHERE 1 = 0").await;
    assert_eq!((none.columns.len(), none.rows.len(), none.truncated), (2, 0, false));
}

async fn what_would_write_is_refused(db: &TestDatabase) {
    let recorded = write(&db.store, "r").await;
    for (sql, why) in [
        ("DELETE FROM runs", "only reading"),
        ("UPDATE runs SET status = 'failed'", "only reading"),
        ("DROP VIEW gyre_v1_runs", "only reading"),
        ("ATTACH 'x.db' AS x", "only reading"),
        ("PRAGMA query_only = OFF", "only reading"),
        ("SET TRANSACTION READ WRITE", "only reading"),
        ("SELECT 1; DELETE FROM runs", "more than one"),
        ("SELECT 1; COMMIT; DELETE FROM runs", "more than one"),
        ("SELECT * FROM no_such_view", "no_such_view"),
        ("SELECT FROM WHERE", "syntax"),
        ("WITH gone AS (SELECT 1) DELETE FROM runs", ""),
    ] {
        let reason = refused(db, sql).await;
        assert!(reason.contains(why), "{sql}: {reason}");
    }
    if let DatabaseUrl::Postgres(_) = &db.url {
        for sql in [
            "WITH gone AS (DELETE FROM runs RETURNING run) SELECT * FROM gone",
            "SELECT run INTO copy FROM runs",
            "SELECT run FROM runs FOR UPDATE",
            "SELECT set_config('transaction_read_only', 'off', false)",
            "SELECT $1",
        ] {
            refused(db, sql).await;
        }
    }
    if let DatabaseUrl::Postgres(_) = &db.url {
        // Some versions let this through in a transaction that only reads: then
        // it is gone with the transaction, which is never committed.
        let made = db.store.query("SELECT lo_create(0)", &QueryLimits::default()).await;
        let left = ask(db, "SELECT COUNT(*) FROM pg_largeobject_metadata").await;
        assert_eq!(left.rows, [[json!(0)]], "{made:?}");
    }
    let runs = db.store.runs().collect().await.unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].id, recorded.run);
    let kept = "SELECT COUNT(*) FROM gyre_v1_rollouts";
    assert_eq!(ask(db, kept).await.rows, [[json!(recorded.rollouts.len())]]);
}

/// The login of these tests is a superuser: none of its powers is left to a query,
/// and none can be taken back from within one.
async fn a_query_reads_the_views_and_nothing_else(db: &TestDatabase) {
    write(&db.store, "r").await;
    if let DatabaseUrl::Sqlite(_) = &db.url {
        return;
    }
    for (sql, why) in [
        ("SELECT * FROM grading_keys", "denied for table grading_keys"),
        ("SELECT pg_read_file('/etc/passwd')", "permission denied"),
        ("SELECT lo_import('/etc/passwd')", "permission denied"),
        ("SELECT pg_create_physical_replication_slot('gyre')", "replication"),
        (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gyre'",
            "terminate",
        ),
        ("SELECT set_config('session_authorization', 'gyre', true)", "security-definer"),
        (
            "SELECT set_config('role', 'none', true), \
             query_to_xml('SELECT pg_read_file(''/etc/passwd'')', true, true, '')",
            "security-definer",
        ),
        ("SELECT 1) q --", "syntax"),
    ] {
        let reason = refused(db, sql).await;
        assert!(reason.contains(why), "{sql}: {reason}");
    }
    let slots = ask(db, "SELECT COUNT(*) FROM pg_replication_slots WHERE slot_name = 'gyre'").await;
    assert_eq!(slots.rows, [[json!(0)]]);
    let duplicate = ask(db, "SELECT 1 AS a, 2 AS a -- a comment at the end").await;
    assert_eq!((duplicate.columns.len(), json!(duplicate.rows)), (2, json!([[1, 2]])));
}

async fn a_query_without_its_role_is_refused(db: &TestDatabase) {
    if let DatabaseUrl::Sqlite(_) = &db.url {
        return;
    }
    assert!(db.store.are_queries_confined().await.unwrap());
    execute(&db.url, "DROP FUNCTION gyre_query(text, integer, bigint, bigint)").await;
    assert!(!db.store.are_queries_confined().await.unwrap());
    let refused = db.store.query("SELECT 1", &QueryLimits::default()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unconfined { .. }), "{refused:?}");
    assert!(refused.to_string().contains("`gyre db migrate` does it"), "{refused}");
    // Made again, as often as one likes.
    db.store.confine_queries().await.unwrap();
    db.store.confine_queries().await.unwrap();
    assert_eq!(ask(db, "SELECT COUNT(*) FROM gyre_v1_runs").await.rows, [[json!(0)]]);
}

const MANY: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
    SELECT i, 'text' FROM n";

async fn answers_are_bounded(db: &TestDatabase) {
    for (rows_max, bytes_max, rows, truncated) in [
        (3, 1 << 20, 3, true),
        (600, 1 << 20, 600, true),
        (5_000, 1 << 20, 5_000, false),
        (9_000, 120, 10, true),
    ] {
        let limits = QueryLimits { rows_max, bytes_max, ..QueryLimits::default() };
        let answer = db.store.query(MANY, &limits).await.unwrap();
        assert_eq!((answer.rows.len(), answer.truncated), (rows, truncated));
    }
}

async fn a_query_that_takes_too_long_is_ended(db: &TestDatabase) {
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i > 0) \
        SELECT COUNT(*) FROM n";
    let limits = QueryLimits { timeout: Duration::from_millis(200), ..QueryLimits::default() };
    let error = db.store.query(endless, &limits).await.unwrap_err().to_string();
    assert!(error.contains("longer than"), "{error}");
    assert_eq!(ask(db, "SELECT 1").await.rows.len(), 1);
}
