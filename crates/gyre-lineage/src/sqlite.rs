use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use serde_json::Value;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, Executor, Row as _, SqlSafeStr, Sqlite,
    Statement, TypeInfo, ValueRef,
};

use crate::database::{Cell, Database, Failure, FailureClass, Query, Row, Transaction};
use crate::migrations;
use crate::query::{self, QueryLimits, QueryRows, Room};
use crate::schema::Table;
use crate::transport::Transport;

/// How long a statement waits for another process's write to end. Our own
/// writes take milliseconds; a backup or a stopped process may take longer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Rows per `INSERT`: enough that the hop to the database's thread no longer
/// counts, and within SQLite's bound of 32,766 arguments at 17 columns.
const ROWS_PER_INSERT: usize = 256;

/// The page cache of the writer, in SQLite's notation for KiB. Ids are random, so
/// inserts touch pages all over the indexes; the default of 2 MB thrashes. A cache
/// grows with the database until it is full, so its bound is what a long run takes.
const CACHE_KIB: &str = "-32768";

/// The page cache of a reader: what it reads again lies in the system's cache.
const READER_CACHE_KIB: &str = "-4096";

/// Pages in the log before they are copied to the file (32 MiB): a commit of
/// thousands of rows touches more than the default of 1,000.
const CHECKPOINT_PAGES: &str = "8000";

/// One writer, so that this process's writes queue fairly here and not in
/// SQLite's polling; readers beside it, which a write-ahead log never blocks.
pub(crate) struct SqliteDatabase {
    path: PathBuf,
    options: SqliteConnectOptions,
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteDatabase {
    pub(crate) async fn open(path: &Path) -> Result<Self, Failure> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("cache_size", CACHE_KIB)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES);
        let pool = |size, cache_kib: &'static str| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .acquire_timeout(BUSY_TIMEOUT + Duration::from_secs(5))
                .connect_lazy_with(options.clone().pragma("cache_size", cache_kib))
        };
        let (writer, readers) = (pool(1, CACHE_KIB), pool(4, READER_CACHE_KIB));
        let database = Self { path: path.to_owned(), options, writer, readers };
        database.connect().await?;
        Ok(database)
    }

    /// Makes the first connection, which turns the write-ahead log on. SQLite
    /// does not wait for its lock there, so a start at the same moment as
    /// another process's is tried again.
    async fn connect(&self) -> Result<(), Failure> {
        let mut attempts_left = 50;
        loop {
            let failure = match self.writer.acquire().await.map_err(failure) {
                Ok(_) => return Ok(()),
                Err(failure) => failure,
            };
            attempts_left -= 1;
            if failure.class != FailureClass::Locked || attempts_left == 0 {
                return Err(failure);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The schema's version; none in a new file.
    pub(crate) async fn version(&self) -> Result<Option<i64>, Failure> {
        let tables = "SELECT COUNT(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
        let count: i64 =
            sqlx::query_scalar(tables).fetch_one(&self.readers).await.map_err(failure)?;
        if count == 0 {
            return Ok(None);
        }
        sqlx::query_scalar(migrations::READ_VERSION).fetch_one(&self.readers).await.map_err(failure)
    }

    /// Migrates inside one writing transaction, so that processes which start
    /// together migrate once. It takes as long as there are rows, which is no
    /// news for a log.
    pub(crate) async fn migrate(&self, version: i64) -> Result<(), Failure> {
        let options = self.options.clone().disable_statement_logging();
        let mut connection = options.connect().await.map_err(failure)?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failure)?;
        let migrated =
            migrations::sqlite().run_direct(Some(version), &mut *transaction, false).await;
        migrated.map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error)
            | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => failure(error),
            other => Failure::new(FailureClass::Other, other),
        })?;
        transaction.commit().await.map_err(failure)?;
        connection.close().await.map_err(failure)
    }
}

/// Steps of SQLite's machine between two looks at whether to stop.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

impl SqliteDatabase {
    /// A connection that can only read, and whose statements end once `stop` is set.
    async fn connect_reading(&self, stop: &Arc<AtomicBool>) -> Result<SqliteConnection, Failure> {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .read_only(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("query_only", "ON");
        let mut connection = options.connect().await.map_err(failure)?;
        let stop = Arc::clone(stop);
        let mut handle = connection.lock_handle().await.map_err(failure)?;
        handle.set_progress_handler(STEPS_BETWEEN_LOOKS, move || !stop.load(Ordering::Relaxed));
        drop(handle);
        Ok(connection)
    }
}

async fn answer(
    connection: &mut SqliteConnection,
    statement: &str,
    limits: &QueryLimits,
) -> Result<QueryRows, Failure> {
    // Safe: the connection can only read, and what it reads is the asker's.
    let text = || AssertSqlSafe(statement.to_owned());
    let prepared = connection.prepare(text().into_sql_str()).await.map_err(failure)?;
    let names = prepared.columns().iter().map(|column| column.name().to_owned());
    let mut answer = QueryRows::new(names.collect());
    let mut room = Room::new(limits);
    let mut rows = sqlx::query(text()).fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(failure)? {
        let values = (0..row.len()).map(|index| value(&row, index)).collect::<Result<_, _>>();
        if !room.take(&mut answer, values.map_err(failure)?) {
            break;
        }
    }
    Ok(answer)
}

/// A value as JSON has it, by its own type: SQLite's columns have none.
fn value(row: &SqliteRow, index: usize) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "INTEGER" => row.try_get_unchecked::<i64, _>(index)?.into(),
        "REAL" => query::real(row.try_get_unchecked(index)?),
        "BLOB" => query::bytes(row.try_get_unchecked::<&[u8], _>(index)?),
        _ => row.try_get_unchecked::<String, _>(index)?.into(),
    })
}

#[async_trait]
impl Database for SqliteDatabase {
    async fn fetch(&self, query: Query) -> Result<Vec<Row>, Failure> {
        let rows = prepare(query).fetch_all(&self.readers).await.map_err(failure)?;
        rows.iter().map(read).collect()
    }

    async fn begin_write(&self) -> Result<Box<dyn Transaction>, Failure> {
        let transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failure)?;
        Ok(Box::new(SqliteTransaction(transaction)))
    }

    async fn begin_read(&self) -> Result<Box<dyn Transaction>, Failure> {
        let transaction = self.readers.begin().await.map_err(failure)?;
        Ok(Box::new(SqliteTransaction(transaction)))
    }

    fn row_lock(&self) -> &'static str {
        ""
    }

    fn matching(&self, words: &[String]) -> (&'static str, String, &'static str) {
        let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"*")).collect();
        ("SELECT rowid FROM index_words WHERE index_words MATCH ", words.join(" "), "")
    }

    fn look_again(&self) -> Option<&'static str> {
        None
    }

    fn catalog(&self) -> (&'static str, &'static str) {
        (
            "SELECT name FROM sqlite_schema WHERE type = 'table' \
             AND name NOT LIKE 'sqlite~_%' ESCAPE '~' AND name NOT LIKE 'index~_%' ESCAPE '~' \
             AND name <> '_sqlx_migrations' ORDER BY name",
            "SELECT name, pk FROM pragma_table_info($1) ORDER BY cid",
        )
    }

    async fn query(&self, statement: &str, limits: &QueryLimits) -> Result<QueryRows, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut connection = self.connect_reading(&stop).await?;
        let answered =
            tokio::time::timeout(limits.timeout, answer(&mut connection, statement, limits));
        match answered.await {
            Ok(answered) => answered,
            Err(_elapsed) => {
                stop.store(true, Ordering::Relaxed);
                Err(Failure::too_slow(limits))
            }
        }
    }

    async fn confine_queries(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn are_queries_confined(&self) -> Result<bool, Failure> {
        Ok(true)
    }

    async fn bound_memory(&self, bytes: u64) -> Result<(), Failure> {
        let bound = format!("PRAGMA hard_heap_limit = {bytes}");
        let bound = sqlx::query(AssertSqlSafe(bound)).fetch_all(&self.readers).await;
        bound.map(drop).map_err(failure)
    }

    async fn transport(&self) -> Result<Option<Transport>, Failure> {
        Ok(None)
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

struct SqliteTransaction(sqlx::Transaction<'static, Sqlite>);

#[async_trait]
impl Transaction for SqliteTransaction {
    async fn fetch(&mut self, query: Query) -> Result<Vec<Row>, Failure> {
        let rows = prepare(query).fetch_all(&mut *self.0).await.map_err(failure)?;
        rows.iter().map(read).collect()
    }

    async fn execute(&mut self, query: Query) -> Result<u64, Failure> {
        let done = prepare(query).execute(&mut *self.0).await.map_err(failure)?;
        Ok(done.rows_affected())
    }

    async fn insert(
        &mut self,
        table: &'static Table,
        mut rows: Vec<Vec<Cell>>,
        or_ignore: bool,
    ) -> Result<u64, Failure> {
        // In the order of their keys, rows fill one page after the other.
        rows.sort_by(|a, b| text(a, 1).cmp(&text(b, 1)));
        let mut inserted = 0;
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let batch: Vec<_> = rows.by_ref().take(ROWS_PER_INSERT).collect();
            let text = insert_text(table, batch.len(), or_ignore);
            // Only the full batch's text comes again and is worth keeping.
            let persistent = batch.len() == ROWS_PER_INSERT;
            let query = Query { text, args: batch.into_iter().flatten().collect() };
            let done = prepare(query).persistent(persistent).execute(&mut *self.0).await;
            inserted += done.map_err(failure)?.rows_affected();
        }
        Ok(inserted)
    }

    async fn defer_foreign_keys(&mut self) -> Result<(), Failure> {
        self.execute(Query::new("PRAGMA defer_foreign_keys = ON")).await.map(drop)
    }

    async fn check_foreign_keys(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), Failure> {
        self.0.commit().await.map_err(failure)
    }

    /// There is no connection to lose: what is left of it is that nothing is
    /// committed.
    async fn lose(self: Box<Self>) -> Failure {
        drop(self);
        gyre_fault::Fault::ConnectionLost.into()
    }
}

/// A cell's text; nothing where it is none, so that sorting keeps the order.
fn text(row: &[Cell], index: usize) -> Option<&str> {
    match row.get(index) {
        Some(Cell::Text(text)) => Some(text),
        _ => None,
    }
}

fn insert_text(table: &Table, rows: usize, or_ignore: bool) -> String {
    let columns: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
    let tuple = format!("({})", vec!["?"; columns.len()].join(", "));
    let tuples = vec![tuple.as_str(); rows].join(", ");
    let conflict = if or_ignore { " ON CONFLICT DO NOTHING" } else { "" };
    format!("INSERT INTO {} ({}) VALUES {tuples}{conflict}", table.name, columns.join(", "))
}

fn prepare(query: Query) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
    // Safe: every text in this crate is a constant, with values bound apart.
    let prepared = sqlx::query(AssertSqlSafe(query.text));
    query.args.into_iter().fold(prepared, |prepared, cell| match cell {
        Cell::Null => prepared.bind(None::<i64>),
        Cell::Int(value) => prepared.bind(value),
        Cell::Real(value) => prepared.bind(value),
        Cell::Text(value) => prepared.bind(value),
    })
}

fn read(row: &SqliteRow) -> Result<Row, Failure> {
    let cells = (0..row.len()).map(|index| {
        let value = row.try_get_raw(index)?;
        if value.is_null() {
            return Ok(Cell::Null);
        }
        let kind = value.type_info().name().to_owned();
        Ok(match kind.as_str() {
            "INTEGER" => Cell::Int(row.try_get(index)?),
            "REAL" => Cell::Real(row.try_get(index)?),
            _ => Cell::Text(utf8(row.try_get_unchecked(index)?)),
        })
    });
    cells.collect::<Result<_, sqlx::Error>>().map(Row::new).map_err(failure)
}

/// A text, which SQLite does not check: one that is not UTF-8 was put there by
/// somebody else, and is read as what no row of ours holds.
fn utf8(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("\u{0}not UTF-8: {}", String::from_utf8_lossy(bytes)),
    }
}

/// Sorts SQLite's result codes (<https://www.sqlite.org/rescode.html>); the low
/// byte of an extended code is the primary one.
fn failure(error: sqlx::Error) -> Failure {
    let code = match &error {
        sqlx::Error::Database(e) => e.code().and_then(|code| code.parse::<i32>().ok()),
        sqlx::Error::PoolTimedOut => Some(5),
        _ => None,
    };
    // The log's index could not grow: what a full disk says first, at a start.
    const SHARED_MEMORY_SIZE: i32 = 4874;
    let class = match code.map(|code| if code == SHARED_MEMORY_SIZE { 13 } else { code & 0xff }) {
        Some(5 | 6) => FailureClass::Locked,
        Some(13) => FailureClass::DiskFull,
        Some(3 | 8 | 10 | 14 | 23) => FailureClass::Unwritable,
        Some(11 | 26) => FailureClass::Corrupt,
        Some(19) => FailureClass::Constraint,
        Some(7) => FailureClass::Memory,
        _ => FailureClass::Other,
    };
    Failure::new(class, error)
}
