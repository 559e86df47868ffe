//! People's own SQL over the views that docs/sql.md describes.

use std::time::Duration;

use serde_json::Value;

use crate::database::{Failure, FailureClass};
use crate::statement::single_reading;
use crate::{Store, StoreError};

/// What a query may take.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryLimits {
    /// Rows that are given, at most; the rest is cut off and told of.
    pub rows_max: u32,
    /// Bytes of text in those rows, at most; as with rows.
    pub bytes_max: u64,
    /// How long it may run before it is refused.
    pub timeout: Duration,
}

impl Default for QueryLimits {
    /// 1,000 rows, 64 MiB, 30 seconds.
    fn default() -> Self {
        Self { rows_max: 1_000, bytes_max: 64 << 20, timeout: Duration::from_secs(30) }
    }
}

/// What a query gave.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct QueryRows {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// One value for each column: a number, a text, a truth value or null. What
    /// JSON has no form for is the database's own text, bytes are `\x…`.
    pub rows: Vec<Vec<Value>>,
    /// Whether there were more rows than the limits allow.
    pub truncated: bool,
}

impl QueryRows {
    pub(crate) fn new(columns: Vec<String>) -> Self {
        Self { columns, rows: Vec::new(), truncated: false }
    }
}

/// What is left of a query's limits.
pub(crate) struct Room {
    rows: u32,
    bytes: u64,
}

impl Room {
    pub(crate) fn new(limits: &QueryLimits) -> Self {
        Self { rows: limits.rows_max, bytes: limits.bytes_max }
    }

    /// Adds a row if there is room for it; whether there was.
    pub(crate) fn take(&mut self, into: &mut QueryRows, row: Vec<Value>) -> bool {
        let text = |value: &Value| value.as_str().map_or(8, str::len) as u64;
        let bytes: u64 = row.iter().map(text).sum();
        if self.rows == 0 || bytes > self.bytes {
            into.truncated = true;
            return false;
        }
        self.rows -= 1;
        self.bytes -= bytes;
        into.rows.push(row);
        true
    }
}

/// A real number, or its name where JSON has none.
pub(crate) fn real(value: f64) -> Value {
    let named = || {
        let name = match (value.is_nan(), value > 0.0) {
            (true, _) => "NaN",
            (false, true) => "Infinity",
            (false, false) => "-Infinity",
        };
        Value::from(name)
    };
    serde_json::Number::from_f64(value).map_or_else(named, Value::Number)
}

/// Bytes as PostgreSQL writes them.
pub(crate) fn bytes(value: &[u8]) -> Value {
    let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    Value::from(format!("\\x{digits}"))
}

pub(crate) fn refused(reason: impl Into<String>) -> Failure {
    Failure::new(FailureClass::Query, reason.into())
}

/// What a database says when a query takes too long.
pub(crate) fn too_slow(limits: &QueryLimits) -> Failure {
    refused(format!(
        "it ran longer than {} seconds; ask for less, or give it more time",
        limits.timeout.as_secs()
    ))
}

impl Store {
    /// Makes or renews the role that [`Store::query`] runs as, with the right to
    /// read the views and nothing else. In SQLite there is nothing to do.
    ///
    /// A crash leaves all of it or nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unconfined`] where the login may not make roles and nobody
    /// made this one; or when the database fails.
    pub async fn confine_queries(&self) -> Result<(), StoreError> {
        self.database.confine_queries().await.map_err(|failure| self.fail(failure))
    }

    /// Whether [`Store::query`] has its role.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn are_queries_confined(&self) -> Result<bool, StoreError> {
        self.database.are_queries_confined().await.map_err(|failure| self.fail(failure))
    }

    /// Bounds the memory that SQLite takes in this process, for all of its
    /// connections and from now on: for processes that answer a query and end.
    /// In PostgreSQL the memory is the server's, and this does nothing.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn bound_memory(&self, bytes: u64) -> Result<(), StoreError> {
        self.database.bound_memory(bytes).await.map_err(|failure| self.fail(failure))
    }

    /// Answers one `SELECT` over the views that docs/sql.md describes, on a
    /// connection of its own that can only read, and in PostgreSQL as a role that
    /// can read nothing but them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`] where it is not one reading statement, cannot be
    /// understood, would write, reads what it may not, or takes too long;
    /// [`StoreError::Unconfined`] before [`Store::confine_queries`]; or when the
    /// database fails.
    pub async fn query(&self, sql: &str, limits: &QueryLimits) -> Result<QueryRows, StoreError> {
        let statement = single_reading(sql).map_err(|reason| StoreError::Query { reason })?;
        self.database.query(statement, limits).await.map_err(|failure| match failure.class {
            FailureClass::Unwritable => {
                StoreError::Query { reason: format!("it would write: {}", failure.cause) }
            }
            FailureClass::Denied => StoreError::Query {
                reason: format!("it may read the views alone: {}", failure.cause),
            },
            FailureClass::Memory => StoreError::Query {
                reason: "it takes more memory than a query may; ask for less at a time".to_owned(),
            },
            FailureClass::Query | FailureClass::Constraint | FailureClass::Other => {
                StoreError::Query { reason: failure.cause.to_string() }
            }
            _ => self.fail(failure),
        })
    }
}
