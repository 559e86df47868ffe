use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use gyre_lineage::{DatabaseUrl, Store};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

#[derive(Clone, Copy)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// A database of its own for one test, gone after it.
pub(crate) struct TestDatabase {
    pub(crate) url: DatabaseUrl,
    pub(crate) store: Store,
    folder: tempfile::TempDir,
    /// The server's own database, and the name of ours there.
    server: Option<(String, String)>,
}

/// The server that tests use.
#[expect(clippy::disallowed_methods, reason = "the caller chooses the server")]
pub(crate) fn postgres_server() -> String {
    std::env::var("GYRE_TEST_POSTGRES_URL").expect(
        "GYRE_TEST_POSTGRES_URL is not set; start a server with: \
         export GYRE_TEST_POSTGRES_URL=$(.ci/postgres up)",
    )
}

/// An empty database of its own for one test.
pub(crate) struct Place {
    pub(crate) url: DatabaseUrl,
    folder: tempfile::TempDir,
    server: Option<(String, String)>,
}

impl Place {
    pub(crate) async fn make(backend: Backend) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (url, server) = match backend {
            Backend::Sqlite => (DatabaseUrl::Sqlite(folder.path().join("lineage.db")), None),
            Backend::Postgres => {
                static NEXT: AtomicU32 = AtomicU32::new(0);
                let ordinal = NEXT.fetch_add(1, Ordering::Relaxed);
                let name = format!("gyre_test_{}_{ordinal}", std::process::id());
                let server = postgres_server();
                let (base, _) = server.rsplit_once('/').unwrap();
                execute_postgres(&server, &format!("CREATE DATABASE {name}")).await;
                let url = format!("{base}/{name}").parse().unwrap();
                (url, Some((server, name)))
            }
        };
        Self { url, folder, server }
    }

    /// Runs a test on it and takes it away.
    pub(crate) async fn with(self, test: impl AsyncFnOnce(&DatabaseUrl)) {
        test(&self.url).await;
        if let Some((server, name)) = &self.server {
            execute_postgres(server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
        self.folder.close().unwrap();
    }
}

impl TestDatabase {
    pub(crate) async fn create(backend: Backend) -> Self {
        let Place { url, folder, server } = Place::make(backend).await;
        let store = Store::open(&url).await.unwrap();
        store.confine_queries().await.unwrap();
        Self { url, store, folder, server }
    }

    /// Runs statements that the API would refuse, with constraints off.
    pub(crate) async fn plant(&self, sql: &str) {
        match &self.url {
            DatabaseUrl::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path).foreign_keys(false);
                let mut connection: SqliteConnection = options.connect().await.unwrap();
                connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
                connection.close().await.unwrap();
            }
            DatabaseUrl::Postgres(url) => {
                let sql = format!(
                    "SET search_path = gyre; SET session_replication_role = replica; {sql}"
                );
                execute_postgres(url, &sql).await;
            }
        }
    }

    pub(crate) async fn drop(self) {
        self.store.close().await;
        if let Some((server, name)) = &self.server {
            execute_postgres(server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
        self.folder.close().unwrap();
    }
}

/// The first column of what a statement gives, whatever the schema's version.
pub(crate) async fn texts(url: &DatabaseUrl, sql: &str) -> Vec<String> {
    let sql = AssertSqlSafe(sql.to_owned());
    match url {
        DatabaseUrl::Sqlite(path) => {
            let options = SqliteConnectOptions::new().filename(path);
            let mut connection: SqliteConnection = options.connect().await.unwrap();
            let texts = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            texts
        }
        DatabaseUrl::Postgres(url) => {
            let mut connection = PgConnection::connect(url).await.unwrap();
            connection.execute("SET search_path = gyre").await.unwrap();
            let texts = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            texts
        }
    }
}

/// Brings an empty database to an older version of the schema.
pub(crate) async fn migrate_to(url: &DatabaseUrl, version: i64) {
    let folder = match url {
        DatabaseUrl::Sqlite(_) => "sqlite",
        DatabaseUrl::Postgres(_) => "postgres",
    };
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(folder);
    let migrator = Migrator::new(migrations).await.unwrap();
    match url {
        DatabaseUrl::Sqlite(path) => {
            let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
            let mut connection: SqliteConnection = options.connect().await.unwrap();
            migrator.run_direct(Some(version), &mut connection, false).await.unwrap();
            connection.close().await.unwrap();
        }
        DatabaseUrl::Postgres(url) => {
            let mut connection = PgConnection::connect(url).await.unwrap();
            connection.execute("CREATE SCHEMA gyre; SET search_path = gyre").await.unwrap();
            migrator.run_direct(Some(version), &mut connection, false).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

/// The versions of the schema, oldest first.
pub(crate) async fn versions() -> Vec<i64> {
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/sqlite");
    Migrator::new(migrations).await.unwrap().iter().map(|migration| migration.version).collect()
}

/// Runs statements as they are.
pub(crate) async fn execute(url: &DatabaseUrl, sql: &str) {
    match url {
        DatabaseUrl::Sqlite(path) => {
            let options = SqliteConnectOptions::new().filename(path);
            let mut connection: SqliteConnection = options.connect().await.unwrap();
            connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
            connection.close().await.unwrap();
        }
        DatabaseUrl::Postgres(url) => {
            execute_postgres(url, &format!("SET search_path = gyre; {sql}")).await;
        }
    }
}

async fn execute_postgres(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    connection.close().await.unwrap();
}

/// Runs one asynchronous test on its own threads.
pub(crate) fn block_on<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}

pub(crate) fn on(backend: Backend, test: impl AsyncFnOnce(&TestDatabase)) {
    block_on(async {
        let database = TestDatabase::create(backend).await;
        test(&database).await;
        database.drop().await;
    });
}

/// As [`on`], with a database that has no schema yet.
pub(crate) fn on_place(backend: Backend, test: impl AsyncFnOnce(&DatabaseUrl)) {
    block_on(async { Place::make(backend).await.with(test).await });
}

/// Makes each test twice: once for each database.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $test() { crate::support::on(crate::support::Backend::Sqlite, super::$test); })+
        }
        mod postgres {
            $(#[test] fn $test() { crate::support::on(crate::support::Backend::Postgres, super::$test); })+
        }
    };
}
pub(crate) use on_both;
