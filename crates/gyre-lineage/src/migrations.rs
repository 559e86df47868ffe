use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use crate::DatabaseUrl;

/// The newest version that this binary knows, in both databases.
pub(crate) const VERSION: i64 = 14;

/// Reads the version that a database has; fails where it has none.
pub(crate) const READ_VERSION: &str = "SELECT MAX(version) FROM _sqlx_migrations WHERE success";

/// The migrations of SQLite, carried by the binary.
pub(crate) fn sqlite() -> Migrator {
    migrator(&[
        (1, "lineage", include_str!("../../../migrations/sqlite/0001_lineage.sql")),
        (2, "verifiers", include_str!("../../../migrations/sqlite/0002_verifiers.sql")),
        (4, "schedules", include_str!("../../../migrations/sqlite/0004_schedules.sql")),
        (5, "views", include_str!("../../../migrations/sqlite/0005_views.sql")),
        (7, "index", include_str!("../../../migrations/sqlite/0007_index.sql")),
        (8, "retired_files", include_str!("../../../migrations/sqlite/0008_retired_files.sql")),
        (9, "workers", include_str!("../../../migrations/sqlite/0009_workers.sql")),
        (10, "seals", include_str!("../../../migrations/sqlite/0010_seals.sql")),
        (11, "pruned_work", include_str!("../../../migrations/sqlite/0011_pruned_work.sql")),
        (12, "groups", include_str!("../../../migrations/sqlite/0012_groups.sql")),
        (13, "handovers", include_str!("../../../migrations/sqlite/0013_handovers.sql")),
        (14, "task_words", include_str!("../../../migrations/sqlite/0014_task_words.sql")),
    ])
}

/// The migrations of PostgreSQL, carried by the binary.
pub(crate) fn postgres() -> Migrator {
    migrator(&[
        (1, "lineage", include_str!("../../../migrations/postgres/0001_lineage.sql")),
        (2, "verifiers", include_str!("../../../migrations/postgres/0002_verifiers.sql")),
        (4, "schedules", include_str!("../../../migrations/postgres/0004_schedules.sql")),
        (5, "views", include_str!("../../../migrations/postgres/0005_views.sql")),
        (7, "index", include_str!("../../../migrations/postgres/0007_index.sql")),
        (8, "retired_files", include_str!("../../../migrations/postgres/0008_retired_files.sql")),
        (9, "workers", include_str!("../../../migrations/postgres/0009_workers.sql")),
        (10, "seals", include_str!("../../../migrations/postgres/0010_seals.sql")),
        (11, "pruned_work", include_str!("../../../migrations/postgres/0011_pruned_work.sql")),
        (12, "groups", include_str!("../../../migrations/postgres/0012_groups.sql")),
        (13, "handovers", include_str!("../../../migrations/postgres/0013_handovers.sql")),
        (14, "task_words", include_str!("../../../migrations/postgres/0014_task_words.sql")),
    ])
}

/// The first version that has index tables.
const INDEXED_SINCE: i64 = 7;

/// The statements that fill the index tables of a version from the rows of all
/// others: the ends of the migrations that made them.
pub(crate) fn filling(url: &DatabaseUrl, version: i64) -> Vec<&'static str> {
    let migrations: &[(i64, &'static str)] = match url {
        DatabaseUrl::Sqlite(_) => &[
            (INDEXED_SINCE, include_str!("../../../migrations/sqlite/0007_index.sql")),
            (14, include_str!("../../../migrations/sqlite/0014_task_words.sql")),
        ],
        DatabaseUrl::Postgres(_) => {
            &[(INDEXED_SINCE, include_str!("../../../migrations/postgres/0007_index.sql"))]
        }
    };
    let migrations = migrations.iter().filter(|(since, _)| *since <= version);
    let fillings = migrations.filter_map(|(_, whole)| whole.split_once("-- Filling.\n"));
    let statements = fillings.flat_map(|(_, filling)| filling.split(';').map(str::trim));
    statements.filter(|statement| !statement.is_empty()).collect()
}

fn migrator(files: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = files.iter().map(|&(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_move_together() {
        let list = |migrator: Migrator| -> Vec<_> {
            migrator.iter().map(|m| (m.version, m.description.clone())).collect()
        };
        assert_eq!(list(sqlite()), list(postgres()));
        assert_eq!(list(sqlite()).last().map(|(version, _)| *version), Some(VERSION));
        for url in ["sqlite:x.db", "postgres://x/y"] {
            let url = url.parse().unwrap();
            assert!(filling(&url, VERSION).len() >= 8, "{url}");
            assert!(filling(&url, INDEXED_SINCE - 1).is_empty());
        }
    }
}
