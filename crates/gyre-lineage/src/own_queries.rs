//! People's own SQL over the views that docs/sql.md describes.

use crate::database::FailureClass;
use crate::query::{QueryLimits, QueryRows};
use crate::statement::single_reading;
use crate::{Store, StoreError};

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
