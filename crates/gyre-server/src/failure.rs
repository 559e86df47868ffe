use axum::http::StatusCode;
use gyre_lineage::StoreError;
use gyre_orchestrator::Error;
use gyre_types::{DigestParseError, IdError};

/// Why a request was not answered: a status, a stable code for programs, and a
/// sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) detail: String,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    pub(crate) fn bad(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        let id: String = id.chars().take(80).collect();
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {what} {id:?} here"))
    }

    /// There is no room for the request now.
    pub(crate) fn busy(code: &'static str, detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// Something of ours failed; the cause is for the log.
    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        let detail = "something failed on our side; the service's log says what";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl From<IdError> for Failure {
    fn from(error: IdError) -> Self {
        Self::bad("bad_id", error.to_string())
    }
}

impl From<DigestParseError> for Failure {
    fn from(error: DigestParseError) -> Self {
        Self::bad("bad_id", error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Cursor { .. } => Self::bad("bad_cursor", error.to_string()),
            StoreError::UnknownRun { run } => Self::not_found("run", run.as_str()),
            StoreError::UnknownSchedule { name } => Self::not_found("schedule", name),
            StoreError::Held { .. } => {
                let detail = "another process works on the run; try again in a moment";
                Self::new(StatusCode::CONFLICT, "run_held", detail)
            }
            StoreError::Row { .. } | StoreError::Corrupt { .. } => damaged(&error),
            StoreError::Unreachable { .. }
            | StoreError::Refused { .. }
            | StoreError::Locked { .. } => {
                tracing::warn!(%error, "the database did not answer");
                let detail = "the database does not answer; try again";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", detail)
            }
            _ => Self::internal(&error),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            Error::NotFound { what, id, .. } => Self::not_found(what, &id),
            Error::NotAwaited { .. } => {
                Self::new(StatusCode::CONFLICT, "not_awaited", error.to_string())
            }
            Error::ApprovalExpired { .. } => {
                Self::new(StatusCode::CONFLICT, "approval_expired", error.to_string())
            }
            Error::Dataset(_) | Error::Recorded { .. } | Error::Illegal { .. } => damaged(&error),
            error => Self::internal(&error),
        }
    }
}

pub(crate) fn damaged(cause: &dyn std::fmt::Display) -> Failure {
    tracing::error!(%cause, "what is recorded cannot be read");
    let detail = "what is recorded cannot be read; `gyre audit` tells more";
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged", detail)
}
