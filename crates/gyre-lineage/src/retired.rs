//! Files that rules gave up: their rows stay, and the audit does not miss them.

use std::collections::BTreeSet;

use gyre_types::{RunId, StoredPath};

use crate::cells::convert;
use crate::database::Query;
use crate::schema;
use crate::seal::{Sealed, Sealer, keys_among};
use crate::{SealChain, Store, StoreError};

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
        let chain = SealChain::Run(run.clone());
        let mut sealer = Sealer::resume(self, &mut *transaction, chain.clone()).await?;
        let paths: BTreeSet<_> = paths.iter().map(StoredPath::as_text).collect();
        let cells = |path: &str| vec![run.as_str().into(), path.into(), at_ms.into()];
        let rows: Vec<_> = paths.into_iter().map(cells).collect();
        let sealed = Sealed::of_table(&schema::RETIRED_FILES);
        let known = keys_among(self, &mut *transaction, sealed, &chain, &rows).await?;
        let is_new = |row: &Vec<_>| !known.contains(&sealed.key_text(row));
        let rows: Vec<_> = rows.into_iter().filter(is_new).collect();
        sealer.added(&schema::RETIRED_FILES, &rows);
        let inserted = transaction.insert(&schema::RETIRED_FILES, rows, false).await;
        inserted.map_err(|failure| self.fail(failure))?;
        sealer.append(self, &mut *transaction).await?;
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
