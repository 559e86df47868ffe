use std::sync::Arc;

use gyre_fault::Fault;

use crate::database::{Database, Query, Row, Transaction};
use crate::error::StoreError;
use crate::migrations;
use crate::postgres::PostgresDatabase;
use crate::sqlite::SqliteDatabase;
use crate::transport::Transport;
use crate::{DatabaseUrl, database::Failure};

/// The lineage of all runs in one database. Cheap to clone; clones share the
/// connections.
///
/// Several processes may open the same database at once.
#[derive(Clone)]
pub struct Store {
    pub(crate) database: Arc<dyn Database>,
    url: DatabaseUrl,
    /// With what was decided when it was opened.
    resolved: DatabaseUrl,
}

impl Store {
    /// Opens a database and brings its schema up to date.
    ///
    /// A crash while it migrates leaves the schema as it was or as it will be:
    /// migrations run in transactions, one process at a time.
    ///
    /// # Errors
    ///
    /// When it cannot be reached, opened or migrated, or is newer than this binary.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        Self::open_at(url, migrations::VERSION).await
    }

    /// Opens a database and brings its schema to a version, if it is behind it.
    pub(crate) async fn open_at(url: &DatabaseUrl, version: i64) -> Result<Self, StoreError> {
        let at = |failure: Failure| failure.at(url);
        let (database, resolved) = match url {
            DatabaseUrl::Sqlite(path) => {
                let database = SqliteDatabase::open(path).await.map_err(at)?;
                if is_behind(url, database.version().await.map_err(at)?, version)? {
                    database.migrate(version).await.map_err(|failure| migration(url, failure))?;
                }
                (Arc::new(database) as Arc<dyn Database>, url.clone())
            }
            DatabaseUrl::Postgres(text) => {
                let database = PostgresDatabase::open(text).await.map_err(at)?;
                if is_behind(url, database.version().await.map_err(at)?, version)? {
                    database.migrate(version).await.map_err(|failure| migration(url, failure))?;
                }
                let resolved = DatabaseUrl::Postgres(database.url());
                (Arc::new(database) as Arc<dyn Database>, resolved)
            }
        };
        Ok(Self { database, url: url.clone(), resolved })
    }

    /// Which database this is; shown without its password.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Where others of this process connect, with the same protection: its
    /// `sslmode` is what was decided when the store was opened.
    pub fn resolved_url(&self) -> &DatabaseUrl {
        &self.resolved
    }

    /// How what is said to the database is protected on its way; nothing where
    /// it is a file.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn transport(&self) -> Result<Option<Transport>, StoreError> {
        self.database.transport().await.map_err(|failure| self.fail(failure))
    }

    /// Closes all connections; clones stop working too.
    pub async fn close(&self) {
        self.database.close().await;
    }

    pub(crate) fn fail(&self, failure: Failure) -> StoreError {
        failure.at(&self.url)
    }

    pub(crate) async fn fetch(&self, query: Query) -> Result<Vec<Row>, StoreError> {
        self.database.fetch(query).await.map_err(|failure| self.fail(failure))
    }

    pub(crate) async fn begin_write(&self) -> Result<Box<dyn Transaction>, StoreError> {
        self.database.begin_write().await.map_err(|failure| self.fail(failure))
    }

    /// Commits a writing transaction. A crash, or a connection that is lost,
    /// means that either nothing or everything of it happened: whoever comes
    /// next reads which. `what` names its failpoints.
    pub(crate) async fn finish(
        &self,
        transaction: Box<dyn Transaction>,
        what: &'static str,
    ) -> Result<(), StoreError> {
        let done = match gyre_fault::fault(&format!("{what}::committing")) {
            None => transaction.commit().await,
            Some(Fault::ConnectionLost) => Err(transaction.lose().await),
            Some(fault) => Err(fault.into()),
        };
        done.map_err(|failure| self.fail(failure))?;
        match gyre_fault::fault(&format!("{what}::committed")) {
            None => Ok(()),
            Some(fault) => Err(self.fail(fault.into())),
        }
    }

    pub(crate) async fn begin_read(&self) -> Result<Box<dyn Transaction>, StoreError> {
        self.database.begin_read().await.map_err(|failure| self.fail(failure))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.url)
    }
}

fn is_behind(url: &DatabaseUrl, found: Option<i64>, version: i64) -> Result<bool, StoreError> {
    let known = migrations::VERSION;
    match found {
        Some(found) if found > known => {
            Err(StoreError::NewerSchema { database: url.clone(), found, known })
        }
        found => Ok(found < Some(version)),
    }
}

fn migration(url: &DatabaseUrl, failure: Failure) -> StoreError {
    use crate::database::FailureClass::{Constraint, Other};
    match failure.class {
        Constraint | Other => StoreError::Migration { database: url.clone(), cause: failure.cause },
        _ => failure.at(url),
    }
}
