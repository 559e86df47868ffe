mod address;
mod connect;
mod reader;
mod session;

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Connection, Postgres, Row as _, TypeInfo};

use crate::database::{Cell, Database, Failure, FailureClass, Query, Row, Transaction};
use crate::migrations;
use crate::query::{QueryLimits, QueryRows};
use crate::schema::{Table, Type};
use crate::transport::{ServerTls, TlsMode, Transport};
use address::Address;
use connect::{CONNECT_TIMEOUT, connect, failure};
use session::{SCHEMA, Session};

/// Rows per `INSERT`; bounds the memory of one statement on both sides.
const ROWS_PER_INSERT: usize = 5_000;

pub(crate) struct PostgresDatabase {
    pool: PgPool,
    options: PgConnectOptions,
    session: Arc<Session>,
    address: Address,
    /// Decided when the database was opened, and kept from then on.
    tls: TlsMode,
}

impl PostgresDatabase {
    pub(crate) async fn open(url: &str) -> Result<Self, Failure> {
        let address = Address::read(url)?;
        // The pool would go on trying a closed port; one connection says at once.
        let (mut connection, tls) = first_connection(&address).await?;
        let options = address.with(tls);
        session::refuse_shared(&mut connection, &options).await?;
        connection.close().await.map_err(failure)?;
        let session = Arc::new(address.session.clone());
        let begun = Arc::clone(&session);
        let pool = PgPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(CONNECT_TIMEOUT)
            .after_connect(move |connection, _| {
                let session = Arc::clone(&begun);
                Box::pin(async move { session.begin(connection).await })
            })
            .connect_lazy_with(options.clone());
        Ok(Self { pool, options, session, address, tls })
    }

    /// The URL for whoever else connects: with the protection that was decided on.
    pub(crate) fn url(&self) -> String {
        self.address.url(self.tls)
    }

    async fn connect(&self) -> Result<PgConnection, Failure> {
        self.connect_with(&self.options).await
    }

    async fn connect_with(&self, options: &PgConnectOptions) -> Result<PgConnection, Failure> {
        let mut connection = connect(options).await?;
        self.session.begin(&mut connection).await.map_err(failure)?;
        Ok(connection)
    }

    /// The schema's version; none in a new database.
    pub(crate) async fn version(&self) -> Result<Option<i64>, Failure> {
        let table = "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('_sqlx_migrations')";
        let count: i64 = sqlx::query_scalar(table).fetch_one(&self.pool).await.map_err(failure)?;
        if count == 0 {
            self.refuse_misplaced().await?;
            return Ok(None);
        }
        sqlx::query_scalar(migrations::READ_VERSION).fetch_one(&self.pool).await.map_err(failure)
    }

    /// Refuses to begin anew beside a lineage that an older Gyre put into
    /// `public`, behind a pooler that passed over what it was told.
    async fn refuse_misplaced(&self) -> Result<(), Failure> {
        let misplaced = "SELECT COUNT(*) FROM pg_class WHERE oid IN \
            (to_regclass('public.grading_keys'), to_regclass('public.checkpoint_shards'))";
        let misplaced: i64 =
            sqlx::query_scalar(misplaced).fetch_one(&self.pool).await.map_err(failure)?;
        if self.session.owns_schema() && misplaced == 2 {
            let why = "its lineage lies in the schema public, where a pooler had an older gyre put \
                it; docs/operations.md says how to move it to the schema gyre";
            return Err(Failure::new(FailureClass::Other, why));
        }
        Ok(())
    }

    /// Migrates under an advisory lock, on a connection of its own that may
    /// wait for as long as another process migrates. It takes as long as there
    /// are rows, which is no news for a log.
    pub(crate) async fn migrate(&self, version: i64) -> Result<(), Failure> {
        let options = self.options.clone().disable_statement_logging();
        let mut connection = self.connect_with(&options).await?;
        let mut migrator = migrations::postgres();
        if self.session.owns_schema() {
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

/// Makes a connection in the mode that is asked for. Where TLS is only
/// preferred, this decides whether it is used from now on.
async fn first_connection(address: &Address) -> Result<(PgConnection, TlsMode), Failure> {
    let tried = match address.tls {
        TlsMode::Prefer => TlsMode::Require,
        asked => asked,
    };
    match connect(&address.with(tried)).await {
        Ok(connection) => Ok((connection, tried)),
        Err(failure) if !offers_no_tls(&failure) => Err(failure),
        Err(_) if address.tls == TlsMode::Prefer => {
            if !address.is_local {
                let host = address.options.get_host();
                tracing::warn!(
                    host,
                    "the database's server offers no TLS: what is said to it can be read on the \
                     way, as sslmode=prefer allows"
                );
            }
            Ok((connect(&address.with(TlsMode::Disable)).await?, TlsMode::Disable))
        }
        Err(_) => {
            let why = "the server offers no TLS, and what is said to it could be read on the way; \
                turn TLS on there, or allow plaintext with sslmode=disable";
            Err(Failure::new(FailureClass::Tls, why))
        }
    }
}

/// Whether the server answered that it has no TLS: the driver has no type for it.
fn offers_no_tls(failure: &Failure) -> bool {
    let said = matches!(failure.cause.downcast_ref::<sqlx::Error>(), Some(sqlx::Error::Tls(said))
        if said.to_string() == "server does not support TLS");
    failure.class == FailureClass::Tls && said
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
        let answered = reader::answer(&mut connection, statement, limits).await;
        // The answer is whole, or an error: nothing hangs on a clean goodbye.
        let _ = connection.close().await;
        answered
    }

    async fn confine_queries(&self) -> Result<(), Failure> {
        let mut connection = self.connect().await?;
        let done = reader::install(&mut connection).await;
        let _ = connection.close().await;
        done
    }

    async fn are_queries_confined(&self) -> Result<bool, Failure> {
        let mut connection = self.pool.acquire().await.map_err(failure)?;
        reader::is_installed(&mut connection).await
    }

    async fn bound_memory(&self, _bytes: u64) -> Result<(), Failure> {
        Ok(())
    }

    async fn transport(&self) -> Result<Option<Transport>, Failure> {
        let own = "SELECT version, cipher, client_dn FROM pg_stat_ssl \
            WHERE pid = pg_backend_pid() AND ssl";
        let row = sqlx::query(own).fetch_optional(&self.pool).await.map_err(failure)?;
        let server = row.map(|row| {
            Ok::<_, sqlx::Error>(ServerTls {
                version: row.try_get(0)?,
                cipher: row.try_get(1)?,
                client: row.try_get::<Option<String>, _>(2)?.filter(|name| !name.is_empty()),
            })
        });
        let server = server.transpose().map_err(failure)?;
        Ok(Some(Transport { mode: self.tls, is_local: self.address.is_local, server }))
    }

    async fn close(&self) {
        self.pool.close().await;
    }
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
