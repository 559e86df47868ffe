use std::io::ErrorKind;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::database::{Failure, FailureClass};

/// How long the first connection may take before the server counts as unreachable.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that does not keep what it is told.
#[derive(Debug, thiserror::Error)]
#[error("the search path that was set on the connection did not last: it is {found:?}")]
pub(super) struct PathLost {
    pub(super) found: String,
}

/// Connects, within [`CONNECT_TIMEOUT`].
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Failure> {
    let connected = match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(connected) => connected.map_err(failure),
        Err(elapsed) => Err(Failure::new(FailureClass::Unreachable, elapsed)),
    };
    connected.map_err(|failure| match failure.class {
        // The right to connect to this database.
        FailureClass::Denied => Failure { class: FailureClass::Refused, ..failure },
        _ => failure,
    })
}

/// Sorts SQLSTATE codes (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
pub(super) fn failure(error: sqlx::Error) -> Failure {
    let class = match &error {
        sqlx::Error::Tls(_) => FailureClass::Tls,
        // A handshake that failed; nothing else says so of a server's bytes.
        sqlx::Error::Io(error) if error.kind() == ErrorKind::InvalidData => FailureClass::Tls,
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
            FailureClass::Unreachable
        }
        sqlx::Error::Configuration(error) if error.is::<PathLost>() => FailureClass::Pooled,
        sqlx::Error::Configuration(_) => FailureClass::Refused,
        sqlx::Error::Database(e) => match e.code().as_deref() {
            Some("28000" | "28P01" | "3D000") => FailureClass::Refused,
            Some("42501") => FailureClass::Denied,
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
