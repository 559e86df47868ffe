use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// The newest version that this binary knows, in both databases.
pub(crate) const VERSION: i64 = 6;

/// Reads the version that a database has; fails where it has none.
pub(crate) const READ_VERSION: &str = "SELECT MAX(version) FROM _sqlx_migrations WHERE success";

/// The migrations of SQLite, carried by the binary.
pub(crate) fn sqlite() -> Migrator {
    migrator(&[
        (1, "lineage", include_str!("../../../migrations/sqlite/0001_lineage.sql")),
        (2, "verifiers", include_str!("../../../migrations/sqlite/0002_verifiers.sql")),
        (4, "schedules", include_str!("../../../migrations/sqlite/0004_schedules.sql")),
        (5, "views", include_str!("../../../migrations/sqlite/0005_views.sql")),
        (6, "workers", include_str!("../../../migrations/sqlite/0006_workers.sql")),
    ])
}

/// The migrations of PostgreSQL, carried by the binary.
pub(crate) fn postgres() -> Migrator {
    migrator(&[
        (1, "lineage", include_str!("../../../migrations/postgres/0001_lineage.sql")),
        (2, "verifiers", include_str!("../../../migrations/postgres/0002_verifiers.sql")),
        (4, "schedules", include_str!("../../../migrations/postgres/0004_schedules.sql")),
        (5, "views", include_str!("../../../migrations/postgres/0005_views.sql")),
        (6, "workers", include_str!("../../../migrations/postgres/0006_workers.sql")),
    ])
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
    }
}
