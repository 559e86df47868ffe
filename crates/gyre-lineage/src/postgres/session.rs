//! What a connection is told once it stands.
//!
//! Nothing rests on the start-up packet: poolers refuse its `options` or pass
//! over them. A connection is told what it needs afterwards, and is asked
//! whether that holds, before anything else is done on it.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Row};

use super::connect::{CONNECT_TIMEOUT, PathLost, connect, failure};
use crate::database::{Failure, FailureClass};

/// How long a statement waits for another's lock; as with SQLite.
const LOCK_TIMEOUT_MS: u32 = 30_000;

/// The schema that holds Gyre's tables, unless the URL sets a search path.
pub(super) const SCHEMA: &str = "gyre";

/// The settings of a connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Session {
    /// What the URL and the environment ask for.
    search_path: Option<String>,
    asked: Vec<(String, String)>,
}

impl Session {
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let name = name.replace('-', "_").to_ascii_lowercase();
        if name == "search_path" {
            self.search_path = Some(value.to_owned());
        } else {
            self.asked.push((name, value.to_owned()));
        }
    }

    /// Takes the settings (`-c name=value`, `--name=value`) out of what was
    /// meant for the start-up packet, and gives the rest.
    pub(super) fn take(&mut self, options: &str) -> String {
        let mut rest = Vec::new();
        let mut words = words(options).into_iter();
        while let Some(word) = words.next() {
            let setting = match word.as_str() {
                "-c" => words.next(),
                word => word.strip_prefix("--").or(word.strip_prefix("-c")).map(str::to_owned),
            };
            match setting.as_deref().and_then(|setting| setting.split_once('=')) {
                Some((name, value)) => self.set(name, value),
                None => rest.push(word),
            }
        }
        rest.join(" ")
    }

    pub(super) fn search_path(&self) -> &str {
        self.search_path.as_deref().unwrap_or(SCHEMA)
    }

    /// Whether the schema is Gyre's own to make.
    pub(super) fn owns_schema(&self) -> bool {
        self.search_path.is_none()
    }

    /// One text of the simple protocol, which needs no prepared statement. It
    /// begins with what a pooler may have left of whoever was here before.
    pub(super) fn sql(&self) -> String {
        let lock_timeout = LOCK_TIMEOUT_MS.to_string();
        let asked = self.asked.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let settings = asked.chain([
            ("extra_float_digits", "2"),
            ("lock_timeout", lock_timeout.as_str()),
            // A list takes milliseconds: to compile it would take a hundred times that.
            ("jit", "off"),
            ("search_path", self.search_path()),
        ]);
        let set = settings.map(|(name, value)| {
            format!("set_config({}, {}, false)", literal(name), literal(value))
        });
        format!("DEALLOCATE ALL; SELECT {}", set.collect::<Vec<_>>().join(", "))
    }

    /// Sets a connection up, and makes sure that it stays so.
    pub(super) async fn begin(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        connection.execute(sqlx::raw_sql(AssertSqlSafe(self.sql()))).await?;
        let found = "SELECT current_setting('search_path')";
        let found: String = sqlx::raw_sql(found).fetch_one(&mut *connection).await?.try_get(0)?;
        if found == self.search_path() {
            return Ok(());
        }
        // The pool hands on none but the driver's errors.
        Err(sqlx::Error::Configuration(Box::new(PathLost { found })))
    }
}

/// Refuses a pooler that lends a server's process for a transaction at a time:
/// leases, migrations and prepared statements need one for as long as they last.
///
/// Nobody announces it, so two connections that stand at once say which process
/// serves them. With a process each, they say two numbers, each the same twice.
pub(super) async fn refuse_shared(
    one: &mut PgConnection,
    options: &sqlx::postgres::PgConnectOptions,
) -> Result<(), Failure> {
    let mut other = connect(options).await?;
    let mine = process(one).await?;
    let others = (process(&mut other).await?, process(&mut other).await?);
    let again = process(one).await?;
    // Nothing hangs on a clean goodbye.
    let _ = other.close().await;
    if mine == again && others.0 == others.1 && mine != others.0 {
        return Ok(());
    }
    let seen = format!("server processes {mine}, {}, {} and {again}", others.0, others.1);
    Err(Failure::new(
        FailureClass::Pooled,
        format!("two connections at once were served by {seen}"),
    ))
}

/// The server's process, asked for without a prepared statement.
async fn process(connection: &mut PgConnection) -> Result<i32, Failure> {
    let answer = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(connection);
    // A pooler without a second process to lend lets us wait.
    let answer = tokio::time::timeout(CONNECT_TIMEOUT, answer).await;
    let answer = answer.map_err(|_elapsed| {
        let why = "a second connection was given no server process: is the pool of a pooler in \
                   between too small?";
        Failure::new(FailureClass::Unreachable, why)
    })?;
    answer.map_err(failure)?.try_get(0).map_err(failure)
}

fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// Splits at white space that no backslash escapes.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            c if c.is_whitespace() => words.extend(Some(std::mem::take(&mut word))),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}
