//! Files that rules gave up: their rows stay, and the audit does not miss them.

use std::collections::BTreeSet;

use gyre_types::{RunId, StoredPath};

use crate::cells::convert;
use crate::database::Query;
use crate::{Store, StoreError};

impl Store {
    /// Records that files of a run are given up, by their paths in the lineage,
    /// before they are removed. A crash after it leaves files that are not
    /// missed; giving up twice changes nothing.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn retire(
        &self,
        run: &RunId,
        paths: Vec<StoredPath>,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        if paths.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin_write().await?;
        for path in paths {
            let insert = Query::with(
                "INSERT INTO retired_files (run, path, at_ms) VALUES ($1, $2, $3) \
                 ON CONFLICT (run, path) DO NOTHING",
                [run.as_str().into(), path.as_text().into(), at_ms.into()],
            );
            transaction.execute(insert).await.map_err(|failure| self.fail(failure))?;
        }
        transaction.commit().await.map_err(|failure| self.fail(failure))
    }

    /// The files of a run that were given up, by their paths in the lineage.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn retired(&self, run: &RunId) -> Result<BTreeSet<StoredPath>, StoreError> {
        let query =
            Query::with("SELECT path FROM retired_files WHERE run = $1", [run.as_str().into()]);
        let paths = convert("retired_files", self.fetch(query).await?, |row| {
            row.text().map(StoredPath::new)
        })?;
        Ok(paths.into_iter().collect())
    }

    /// The rounds whose gate was decided again after a revocation.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn reviewed_rounds(&self, run: &RunId) -> Result<BTreeSet<u32>, StoreError> {
        let query = Query::with(
            "SELECT DISTINCT round FROM gate_reviews WHERE run = $1",
            [run.as_str().into()],
        );
        let rounds = convert("gate_reviews", self.fetch(query).await?, |row| row.int())?;
        Ok(rounds.into_iter().collect())
    }
}
