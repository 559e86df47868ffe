//! What a query of people's own may take, and what it gave.

use std::time::Duration;

use serde_json::Value;

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

/// What people are told when a query takes too long.
pub(crate) fn too_slow(limits: &QueryLimits) -> String {
    format!(
        "it ran longer than {} seconds; ask for less, or give it more time",
        limits.timeout.as_secs()
    )
}
