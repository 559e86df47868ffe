//! People's own SQL: it runs as a role that can read the views and nothing else.

use futures_util::TryStreamExt;
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::{
    AssertSqlSafe, Column, Connection, Executor, Postgres, SqlSafeStr, Statement, TypeInfo,
};

use super::connect::failure;
use crate::database::{Failure, FailureClass};
use crate::query::{self, QueryLimits, QueryRows, Room};

/// Makes the role and its function; see there for why it takes a function.
const MAKE: &str = include_str!("reader.sql");

/// Whether the function is there, and runs as a role that has no power of its own.
const IS_MADE: &str = "SELECT EXISTS (SELECT FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner \
    WHERE p.oid = to_regprocedure('gyre_query(text, integer, bigint, bigint)') \
    AND p.prosecdef AND r.rolname = 'gyre_reader' AND NOT r.rolsuper AND NOT r.rolcreaterole \
    AND NOT r.rolcreatedb AND NOT r.rolreplication AND NOT r.rolbypassrls \
    AND NOT EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid))";

/// Makes or renews the role and its function, in one transaction.
pub(super) async fn install(connection: &mut PgConnection) -> Result<(), Failure> {
    let unconfined = |failure: Failure| match failure.class {
        FailureClass::Denied => Failure { class: FailureClass::Unconfined, ..failure },
        _ => failure,
    };
    let mut transaction = connection.begin().await.map_err(failure)?;
    // Two that begin at once would change the same rows of the catalog.
    let lock = "SELECT pg_advisory_xact_lock(hashtext('gyre_reader'))";
    transaction.execute(lock).await.map_err(failure)?;
    transaction.execute(sqlx::raw_sql(MAKE)).await.map_err(failure).map_err(unconfined)?;
    transaction.commit().await.map_err(failure)?;
    if is_installed(connection).await? {
        return Ok(());
    }
    let why = "the role gyre_reader has powers of its own; take them away, or drop the role";
    Err(Failure::new(FailureClass::Unconfined, why))
}

pub(super) async fn is_installed(connection: &mut PgConnection) -> Result<bool, Failure> {
    sqlx::query_scalar(IS_MADE).fetch_one(connection).await.map_err(failure)
}

/// Answers a statement. This connection only reads its grammar, to know the
/// columns; it is carried out by the function.
pub(super) async fn answer(
    connection: &mut PgConnection,
    statement: &str,
    limits: &QueryLimits,
) -> Result<QueryRows, Failure> {
    let slow = |error: sqlx::Error| match error.as_database_error().and_then(|e| e.code()) {
        Some(code) if code == "57014" => Failure::too_slow(limits),
        _ => failure(error),
    };
    if !is_installed(connection).await? {
        let why = "the function gyre_query that runs as it is missing";
        return Err(Failure::new(FailureClass::Unconfined, why));
    }
    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {}",
        limits.timeout.as_millis().max(1)
    );
    connection.execute(sqlx::raw_sql(AssertSqlSafe(begin))).await.map_err(failure)?;
    let text = AssertSqlSafe(statement.to_owned()).into_sql_str();
    let prepared = connection.prepare(text).await.map_err(slow)?;
    let columns = prepared.columns();
    let types: Vec<_> = columns.iter().map(|column| column.type_info().name().to_owned()).collect();
    let names = columns.iter().map(|column| column.name().to_owned());
    let mut answer = QueryRows::new(names.collect());
    let mut room = Room::new(limits);
    let bytes_max = i64::try_from(limits.bytes_max).unwrap_or(i64::MAX);
    let mut rows = sqlx::query_scalar::<Postgres, Option<Vec<Option<String>>>>(
        "SELECT * FROM gyre_query($1, $2, $3, $4)",
    )
    .bind(statement.to_owned())
    // A statement has at most 1,664 columns.
    .bind(i32::try_from(types.len()).unwrap_or(i32::MAX))
    .bind(i64::from(limits.rows_max))
    .bind(bytes_max)
    .fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(slow)? {
        // The function stopped before the end.
        let Some(row) = row else {
            answer.truncated = true;
            break;
        };
        let values = row.into_iter().zip(&types).map(|(text, kind)| value(text, kind));
        if !room.take(&mut answer, values.collect()) {
            break;
        }
    }
    Ok(answer)
}

/// A value as JSON has it, from the server's text. A whole `numeric`, such as
/// the sum of a column, is a whole number.
fn value(text: Option<String>, kind: &str) -> Value {
    let Some(text) = text else { return Value::Null };
    let number = |text: &str| match text.parse::<i64>() {
        Ok(whole) => Value::from(whole),
        Err(_) => text.parse::<f64>().map_or_else(|_| Value::from(text), query::real),
    };
    match kind {
        "BOOL" => Value::from(text == "t"),
        "INT2" | "INT4" | "INT8" | "OID" | "NUMERIC" => number(&text),
        "FLOAT4" | "FLOAT8" => text.parse().map_or_else(|_| Value::from(text), query::real),
        _ => Value::from(text),
    }
}
