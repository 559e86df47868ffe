//! Schemas move forward with their rows, and only where someone meant it.

use expect_test::expect_file;
use gyre_lineage::{DatabaseUrl, Store};

use crate::support::{Backend, execute, migrate_to, on_place, texts, versions};

/// Rows of each version's tables, as that version's program wrote them.
const ROWS: &[(i64, &str)] = &[
    (
        1,
        "INSERT INTO runs VALUES ('old-1', 'old', 1, 'f', '18446744073709551615', '{}', 's', 1, 'finished', 1);
         INSERT INTO leases VALUES ('old-1', 3, 'me', 1, 2, 1);
         INSERT INTO events VALUES ('old-1', 1, 0, 'planned', '{\"x\":0.1}', 5);
         INSERT INTO tasks VALUES ('old-1', 'task-1', 0, 'compose', 1, 2, '[\"sum\"]', 'train', '7', 'd', 'k', '{\"a\":\"π\"}');
         INSERT INTO grading_keys VALUES ('old-1', 'task-1', '{\"hidden\":[]}');
         INSERT INTO parts VALUES ('old-1', 'part-1', 'p', 's', 10, 1);
         INSERT INTO checkpoints VALUES ('old-1', 'ckpt-1', 0, NULL, 'c', 'd', 'p', '{}');
         INSERT INTO checkpoints VALUES ('old-1', 'ckpt-2', 1, 'ckpt-1', 'c2', 'd', 'p', '{}');
         INSERT INTO rollouts VALUES ('old-1', 'roll-1', 1, 'train', 'task-1', 0, '9', 'ckpt-1', 'p', 'part-1', 0, 'a', 'submitted', 1, 12, 345, 'c');
         INSERT INTO verdicts VALUES ('old-1', 'roll-1', 0, 'fail', 0.1, NULL, 'v', 's', '[]', 3, 1, 6);
         INSERT INTO shards (run, id, round, path, sha256, bytes, row_count, superseded) VALUES ('old-1', 'shard-1', 1, 'data', 's', 10, 1, 0);
         INSERT INTO shard_rows VALUES ('old-1', 'shard-1', 0, 'roll-1');
         INSERT INTO checkpoint_shards VALUES ('old-1', 'ckpt-2', 'shard-1');
         INSERT INTO gates VALUES ('old-1', 1, 'ckpt-2', 'ckpt-1', 'promoted', '{}', 'd');
         INSERT INTO promotions VALUES ('old-1', 1, 0, 'ckpt-1', NULL, NULL, 7);",
    ),
    (
        2,
        "INSERT INTO verifiers VALUES ('v', 'mine', 'python', 0, '{}', 'active', 1, NULL, NULL, NULL);
         INSERT INTO revocations VALUES (1, 'task', 'task-1', 'wrong', NULL, 9);
         INSERT INTO revocation_runs VALUES (1, 'old-1', '{}', 9);
         INSERT INTO corrections VALUES ('old-1', 'roll-1', 0, 1);
         INSERT INTO rewrites VALUES ('old-1', 'shard-1', NULL, 1);
         INSERT INTO gate_reviews VALUES ('old-1', 1, 1, 'rejected', '{}', 'd');
         INSERT INTO canaries VALUES ('old-1', 'roll-c', 1, 'task-c', 'task-1', 'ckpt-1', 'fail', 0.0, NULL, 'v', '[]', '{}', '{}', 8);
         INSERT INTO alarms VALUES ('old-1', 1, 'jump', 'cell', '{}', 8);",
    ),
];

/// A query for all rows of each table, in the columns that this version has;
/// what follows from other rows is left out.
pub(crate) async fn row_queries(url: &DatabaseUrl) -> Vec<(String, String)> {
    let (tables, columns) = match url {
        DatabaseUrl::Sqlite(_) => (
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
            "SELECT name FROM pragma_table_info('TABLE')",
        ),
        DatabaseUrl::Postgres(_) => (
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'gyre'",
            "SELECT column_name::text FROM information_schema.columns \
             WHERE table_schema = 'gyre' AND table_name = 'TABLE' ORDER BY ordinal_position",
        ),
    };
    let mut queries = Vec::new();
    for table in texts(url, tables).await {
        if table != "_sqlx_migrations" && !table.starts_with("index_") {
            let columns = texts(url, &columns.replace("TABLE", &table)).await.join(", ");
            let query = format!("SELECT concat_ws('|', {columns}) FROM {table} ORDER BY 1");
            queries.push((table, query));
        }
    }
    queries.sort();
    queries
}

async fn older_versions_come_forward_with_their_rows(backend: Backend) {
    let all = versions().await;
    let (newest, older) = all.split_last().unwrap();
    for &version in older {
        crate::support::Place::make(backend)
            .await
            .with(async |url| {
                migrate_to(url, version).await;
                for (_, sql) in ROWS.iter().filter(|(since, _)| *since <= version) {
                    execute(url, sql).await;
                }
                let queries = row_queries(url).await;
                let mut before = Vec::new();
                for (_, query) in &queries {
                    before.push(texts(url, query).await);
                }
                assert!(before.iter().flatten().count() >= 15, "{before:?}");

                let store = Store::open(url).await.unwrap();
                store.close().await;

                for ((table, query), before) in queries.iter().zip(&before) {
                    assert_eq!(&texts(url, query).await, before, "{table} since {version}");
                }
                let reached = "SELECT CAST(MAX(version) AS TEXT) FROM _sqlx_migrations";
                assert_eq!(texts(url, reached).await, [newest.to_string()]);
                let view = "SELECT CONCAT(family, verdict, score) FROM gyre_v1_rollouts";
                assert_eq!(texts(url, view).await, ["composefail0.1"]);
                let cells = "SELECT CONCAT(family, ' ', verdict, ' ', tenths, ' ', rollouts) \
                    FROM index_cells WHERE rollouts > 0";
                assert_eq!(texts(url, cells).await, ["compose fail 1 1"]);
                let counted = "SELECT CONCAT(task, ' ', rollouts, ' ', failed) FROM index_tasks";
                assert_eq!(texts(url, counted).await, ["task-1 1 1"]);
            })
            .await;
    }
}

#[test]
fn older_versions_come_forward_with_their_rows_on_sqlite() {
    crate::support::block_on(older_versions_come_forward_with_their_rows(Backend::Sqlite));
}

#[test]
fn older_versions_come_forward_with_their_rows_on_postgres() {
    crate::support::block_on(older_versions_come_forward_with_their_rows(Backend::Postgres));
}

/// What the newest schema consists of: a change shows in the golden file, which
/// `UPDATE_EXPECT=1` writes anew.
#[test]
fn the_schema_of_sqlite_is_the_golden_one() {
    on_place(Backend::Sqlite, async |url| {
        Store::open(url).await.unwrap().close().await;
        let objects = "SELECT type || ' ' || name || ': ' || COALESCE(sql, 'automatic') \
            FROM sqlite_schema WHERE name NOT LIKE '\\_sqlx%' ESCAPE '\\' \
            AND name NOT LIKE 'sqlite%' ORDER BY type, name";
        let shown: Vec<_> = texts(url, objects).await.iter().map(|sql| plain(sql)).collect();
        expect_file!["schema/sqlite.txt"].assert_eq(&format!("{}\n", shown.join("\n")));
    });
}

#[test]
fn the_schema_of_postgres_is_the_golden_one() {
    on_place(Backend::Postgres, async |url| {
        Store::open(url).await.unwrap().close().await;
        let mut shown = Vec::new();
        for objects in [
            "SELECT CONCAT('column ', table_name, '.', column_name, ' ', data_type, \
             CASE is_nullable WHEN 'NO' THEN ' not null' END, ' ', collation_name) \
             FROM information_schema.columns WHERE table_schema = 'gyre' \
             AND table_name <> '_sqlx_migrations' \
             ORDER BY table_name COLLATE \"C\", ordinal_position",
            "SELECT CONCAT('constraint ', conrelid::regclass, ' ', pg_get_constraintdef(oid)) \
             FROM pg_constraint WHERE connamespace = 'gyre'::regnamespace AND contype <> 'n' \
             AND conrelid <> '_sqlx_migrations'::regclass \
             ORDER BY CONCAT(conrelid::regclass, ' ', pg_get_constraintdef(oid)) COLLATE \"C\"",
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'gyre' \
             AND tablename <> '_sqlx_migrations' ORDER BY indexdef COLLATE \"C\"",
        ] {
            shown.extend(texts(url, objects).await.iter().map(|line| line.trim_end().to_owned()));
        }
        expect_file!["schema/postgres.txt"].assert_eq(&format!("{}\n", shown.join("\n")));
    });
}

/// A definition on one line, without its comments.
fn plain(sql: &str) -> String {
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}
