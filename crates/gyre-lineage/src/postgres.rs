use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, Executor, Postgres, Row as _, SqlSafeStr,
    Statement, TypeInfo, ValueRef,
};

use crate::database::{Cell, Database, Failure, FailureClass, Query, Row, Transaction};
use crate::migrations;
use crate::query::{self, QueryLimits, QueryRows, Room};
use crate::schema::{Table, Type};

/// How long the first connection may take before the server counts as unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a statement waits for another's lock; as with SQLite.
const LOCK_TIMEOUT_MS: u32 = 30_000;

/// Rows per `INSERT`; bounds the memory of one statement on both sides.
const ROWS_PER_INSERT: usize = 5_000;

/// The schema that holds Gyre's tables, unless the URL sets a search path.
const SCHEMA: &str = "gyre";

pub(crate) struct PostgresDatabase {
    pool: PgPool,
    options: PgConnectOptions,
    owns_schema: bool,
}

impl PostgresDatabase {
    pub(crate) async fn open(url: &str) -> Result<Self, Failure> {
        let options: PgConnectOptions = url.parse().map_err(failure)?;
        let set = options.get_options().unwrap_or_default();
        let owns_schema = !set.contains("search_path");
        let mut options = options
            .application_name("gyre")
            // A list takes milliseconds: to compile it would take a hundred times that.
            .options([("lock_timeout", LOCK_TIMEOUT_MS.to_string().as_str()), ("jit", "off")]);
        if owns_schema {
            options = options.options([("search_path", SCHEMA)]);
        }
        let pool = PgPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(options.clone());
        let database = Self { pool, options, owns_schema };
        // The pool would go on trying a closed port; one connection says at once.
        database.connect().await?.close().await.map_err(failure)?;
        Ok(database)
    }

    async fn connect(&self) -> Result<PgConnection, Failure> {
        connect(&self.options).await
    }

    /// The schema's version; none in a new database.
    pub(crate) async fn version(&self) -> Result<Option<i64>, Failure> {
        let table = "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('_sqlx_migrations')";
        let count: i64 = sqlx::query_scalar(table).fetch_one(&self.pool).await.map_err(failure)?;
        if count == 0 {
            return Ok(None);
        }
        sqlx::query_scalar(migrations::READ_VERSION).fetch_one(&self.pool).await.map_err(failure)
    }

    /// Migrates under an advisory lock, on a connection of its own that may
    /// wait for as long as another process migrates. It takes as long as there
    /// are rows, which is no news for a log.
    pub(crate) async fn migrate(&self, version: i64) -> Result<(), Failure> {
        let options = self.options.clone().disable_statement_logging();
        let mut connection = connect(&options).await?;
        let mut migrator = migrations::postgres();
        if self.owns_schema {
            migrator.create_schema(SCHEMA);
        }
        let migrated = migrator.run_direct(Some(version), &mut connection, false).await;
        migrated.map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error)
            | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => failure(error),
            other => Failure::new(FailureClass::Other, other),
        })?;
        connection.close().await.map_err(failure)
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Failure> {
    match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(connected) => connected.map_err(failure),
        Err(elapsed) => Err(Failure::new(FailureClass::Unreachable, elapsed)),
    }
}

#[async_trait]
impl Database for PostgresDatabase {
    async fn fetch(&self, query: Query) -> Result<Vec<Row>, Failure> {
        let rows = prepare(query)?.fetch_all(&self.pool).await.map_err(failure)?;
        rows.iter().map(read).collect()
    }

    async fn begin_write(&self) -> Result<Box<dyn Transaction>, Failure> {
        let transaction = self.pool.begin().await.map_err(failure)?;
        Ok(Box::new(PostgresTransaction(transaction)))
    }

    async fn begin_read(&self) -> Result<Box<dyn Transaction>, Failure> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let transaction = self.pool.begin_with(begin).await.map_err(failure)?;
        Ok(Box::new(PostgresTransaction(transaction)))
    }

    fn row_lock(&self) -> &'static str {
        " FOR UPDATE"
    }

    fn matching(&self, words: &[String]) -> (&'static str, String, &'static str) {
        let words: Vec<_> = words.iter().map(|word| format!("'{word}':*")).collect();
        let before = "SELECT key FROM index_words WHERE words @@ CAST(CAST(";
        (before, words.join(" & "), " AS TEXT) AS TSQUERY)")
    }

    fn look_again(&self) -> Option<&'static str> {
        Some("ANALYZE")
    }

    fn catalog(&self) -> (&'static str, &'static str) {
        (
            "SELECT table_name::text FROM information_schema.tables \
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' \
             AND table_name <> '_sqlx_migrations' AND table_name NOT LIKE 'index~_%' ESCAPE '~' \
             ORDER BY table_name::text COLLATE \"C\"",
            "SELECT c.column_name::text, COALESCE(k.ordinal_position, 0)::bigint \
             FROM information_schema.columns c \
             LEFT JOIN information_schema.table_constraints t \
             ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
             AND t.constraint_type = 'PRIMARY KEY' \
             LEFT JOIN information_schema.key_column_usage k \
             ON k.constraint_schema = t.constraint_schema \
             AND k.constraint_name = t.constraint_name AND k.table_name = t.table_name \
             AND k.column_name = c.column_name \
             WHERE c.table_schema = current_schema() AND c.table_name = $1 \
             ORDER BY c.ordinal_position",
        )
    }

    async fn query(&self, statement: &str, limits: &QueryLimits) -> Result<QueryRows, Failure> {
        let mut connection = self.connect().await?;
        let answered = answer(&mut connection, statement, limits).await;
        // The answer is whole, or an error: nothing hangs on a clean goodbye.
        let _ = connection.close().await;
        answered
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

/// Rows asked of a cursor at a time.
const ROWS_PER_FETCH: u32 = 500;

/// Reads through a cursor: it takes one statement that only reads, and no more
/// rows are made than are asked for.
async fn answer(
    connection: &mut PgConnection,
    statement: &str,
    limits: &QueryLimits,
) -> Result<QueryRows, Failure> {
    let slow = |error: sqlx::Error| match error.as_database_error().and_then(|e| e.code()) {
        Some(code) if code == "57014" => query::too_slow(limits),
        _ => failure(error),
    };
    let begin = format!(
        "SET statement_timeout = {}; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        limits.timeout.as_millis().max(1)
    );
    connection.execute(sqlx::raw_sql(AssertSqlSafe(begin))).await.map_err(failure)?;
    // Safe: the transaction can only read, and what it reads is the asker's.
    let text = AssertSqlSafe(statement.to_owned()).into_sql_str();
    let prepared = connection.prepare(text).await.map_err(slow)?;
    let names = prepared.columns().iter().map(|column| column.name().to_owned());
    let mut answer = QueryRows::new(names.collect());
    let declare = format!("DECLARE gyre_query NO SCROLL CURSOR FOR {statement}");
    sqlx::query(AssertSqlSafe(declare)).execute(&mut *connection).await.map_err(slow)?;
    let fetch = format!("FETCH FORWARD {ROWS_PER_FETCH} FROM gyre_query");
    let mut room = Room::new(limits);
    loop {
        // Asked in this way, the server sends every type as its text.
        let rows = sqlx::raw_sql(AssertSqlSafe(fetch.clone())).fetch_all(&mut *connection);
        let rows = rows.await.map_err(slow)?;
        for row in &rows {
            let values = (0..row.len()).map(|index| value(row, index)).collect::<Result<_, _>>();
            if !room.take(&mut answer, values.map_err(failure)?) {
                return Ok(answer);
            }
        }
        if rows.is_empty() {
            return Ok(answer);
        }
    }
}

/// A value as JSON has it, from the server's text. A whole `numeric`, such as
/// the sum of a column, is a whole number.
fn value(row: &PgRow, index: usize) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let text = raw.as_str().map_err(sqlx::Error::Decode)?;
    let number = |text: &str| match text.parse::<i64>() {
        Ok(whole) => Value::from(whole),
        Err(_) => text.parse::<f64>().map_or_else(|_| Value::from(text), query::real),
    };
    Ok(match row.column(index).type_info().name() {
        "BOOL" => Value::from(text == "t"),
        "INT2" | "INT4" | "INT8" | "OID" | "NUMERIC" => number(text),
        "FLOAT4" | "FLOAT8" => text.parse().map_or_else(|_| Value::from(text), query::real),
        _ => Value::from(text),
    })
}

struct PostgresTransaction(sqlx::Transaction<'static, Postgres>);

impl PostgresTransaction {
    async fn alter_foreign_keys(&mut self, to: &str) -> Result<(), Failure> {
        let constraints = "SELECT format('ALTER TABLE %s ALTER CONSTRAINT %I', \
            conrelid::regclass, conname) FROM pg_constraint WHERE contype = 'f' \
            AND connamespace = current_schema()::regnamespace AND conparentid = 0";
        for mut row in self.fetch(Query::new(constraints)).await? {
            if let Cell::Text(alter) = row.next() {
                self.execute(Query::new(&format!("{alter} {to}"))).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Transaction for PostgresTransaction {
    async fn fetch(&mut self, query: Query) -> Result<Vec<Row>, Failure> {
        let rows = prepare(query)?.fetch_all(&mut *self.0).await.map_err(failure)?;
        rows.iter().map(read).collect()
    }

    async fn execute(&mut self, query: Query) -> Result<u64, Failure> {
        let done = prepare(query)?.execute(&mut *self.0).await.map_err(failure)?;
        Ok(done.rows_affected())
    }

    /// Sends each column as one array, so that the statement's text and the
    /// number of its arguments do not depend on the number of rows.
    async fn insert(
        &mut self,
        table: &'static Table,
        rows: Vec<Vec<Cell>>,
        or_ignore: bool,
    ) -> Result<u64, Failure> {
        let text = insert_text(table, or_ignore);
        let mut inserted = 0;
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let columns = columns(table, rows.by_ref().take(ROWS_PER_INSERT))?;
            let prepared = sqlx::query(AssertSqlSafe(text.clone()));
            let prepared = columns.into_iter().fold(prepared, |prepared, column| match column {
                Array::Int(values) => prepared.bind(values),
                Array::Real(values) => prepared.bind(values),
                Array::Text(values) => prepared.bind(values),
            });
            inserted += prepared.execute(&mut *self.0).await.map_err(failure)?.rows_affected();
        }
        Ok(inserted)
    }

    /// Constraints that cannot wait are made to, within this transaction.
    async fn defer_foreign_keys(&mut self) -> Result<(), Failure> {
        self.alter_foreign_keys("DEFERRABLE INITIALLY DEFERRED").await
    }

    async fn check_foreign_keys(&mut self) -> Result<(), Failure> {
        self.execute(Query::new("SET CONSTRAINTS ALL IMMEDIATE")).await?;
        self.alter_foreign_keys("NOT DEFERRABLE").await
    }

    async fn commit(self: Box<Self>) -> Result<(), Failure> {
        self.0.commit().await.map_err(failure)
    }

    /// Has the server close this connection, and then commits.
    async fn lose(mut self: Box<Self>) -> Failure {
        let end = sqlx::query("SELECT pg_terminate_backend(pg_backend_pid())");
        let ended = end.execute(&mut *self.0).await;
        match self.commit().await {
            Err(failure) => failure,
            Ok(()) => Failure::new(FailureClass::Other, format!("the server went on: {ended:?}")),
        }
    }
}

enum Array {
    Int(Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
}

fn columns(table: &Table, rows: impl Iterator<Item = Vec<Cell>>) -> Result<Vec<Array>, Failure> {
    let empty = |kind: &Type| match kind {
        Type::Int => Array::Int(Vec::new()),
        Type::Real => Array::Real(Vec::new()),
        Type::Text => Array::Text(Vec::new()),
    };
    let mut columns: Vec<_> = table.columns.iter().map(|(_, kind)| empty(kind)).collect();
    for cell_and_column in rows.flat_map(|row| row.into_iter().enumerate()) {
        let (index, cell) = cell_and_column;
        match (&mut columns[index], cell) {
            (Array::Int(values), Cell::Int(value)) => values.push(Some(value)),
            (Array::Real(values), Cell::Real(value)) => values.push(Some(value)),
            (Array::Text(values), Cell::Text(value)) => values.push(Some(value)),
            (Array::Int(values), Cell::Null) => values.push(None),
            (Array::Real(values), Cell::Null) => values.push(None),
            (Array::Text(values), Cell::Null) => values.push(None),
            (_, cell) => {
                let (column, kind) = table.columns[index];
                let mismatch = format!("{}.{column} takes {kind:?}, not {cell:?}", table.name);
                return Err(Failure::new(FailureClass::Other, mismatch));
            }
        }
    }
    Ok(columns)
}

fn insert_text(table: &Table, or_ignore: bool) -> String {
    let names: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
    let arrays = table.columns.iter().enumerate().map(|(index, (_, kind))| {
        let kind = match kind {
            Type::Int => "bigint",
            Type::Real => "double precision",
            Type::Text => "text",
        };
        format!("${}::{kind}[]", index + 1)
    });
    let arrays: Vec<_> = arrays.collect();
    let conflict = if or_ignore { " ON CONFLICT DO NOTHING" } else { "" };
    format!(
        "INSERT INTO {} ({}) SELECT * FROM UNNEST({}){conflict}",
        table.name,
        names.join(", "),
        arrays.join(", ")
    )
}

fn prepare(query: Query) -> Result<sqlx::query::Query<'static, Postgres, PgArguments>, Failure> {
    // Safe: every text in this crate is a constant, with values bound apart.
    let prepared = sqlx::query(AssertSqlSafe(query.text));
    query.args.into_iter().try_fold(prepared, |prepared, cell| match cell {
        Cell::Null => Err(Failure::new(FailureClass::Other, "a null argument has no type")),
        Cell::Int(value) => Ok(prepared.bind(value)),
        Cell::Real(value) => Ok(prepared.bind(value)),
        Cell::Text(value) => Ok(prepared.bind(value)),
    })
}

fn read(row: &PgRow) -> Result<Row, Failure> {
    let cells = row.columns().iter().enumerate().map(|(index, column)| {
        Ok(match column.type_info().name() {
            "INT8" => row.try_get::<Option<i64>, _>(index)?.into(),
            "INT4" => row.try_get::<Option<i32>, _>(index)?.map(i64::from).into(),
            "FLOAT8" => row.try_get::<Option<f64>, _>(index)?.into(),
            _ => row.try_get::<Option<String>, _>(index)?.into(),
        })
    });
    cells.collect::<Result<_, sqlx::Error>>().map(Row::new).map_err(failure)
}

/// Sorts SQLSTATE codes (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn failure(error: sqlx::Error) -> Failure {
    let class = match &error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed => FailureClass::Unreachable,
        sqlx::Error::Configuration(_) => FailureClass::Refused,
        sqlx::Error::Database(e) => match e.code().as_deref() {
            Some("28000" | "28P01" | "3D000" | "42501") => FailureClass::Refused,
            Some("53100") => FailureClass::DiskFull,
            Some("55P03" | "40P01" | "40001") => FailureClass::Locked,
            Some("53300" | "57P01" | "57P02" | "57P03") => FailureClass::Unreachable,
            Some("XX001" | "XX002") => FailureClass::Corrupt,
            Some("25006") => FailureClass::Unwritable,
            Some(code) if code.starts_with("23") => FailureClass::Constraint,
            // The server is there, and was sent what it cannot take.
            Some("08P01") => FailureClass::Other,
            Some(code) if code.starts_with("08") => FailureClass::Unreachable,
            _ => FailureClass::Other,
        },
        _ => FailureClass::Other,
    };
    Failure::new(class, error)
}
