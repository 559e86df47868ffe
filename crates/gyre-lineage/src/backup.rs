//! Backups: the rows of one moment in a file that either database reads.
//!
//! A zstd stream of JSON lines: a header, then for each table a line that names
//! its columns followed by a line for each row, and a last line that counts the
//! rows and digests all lines before it. See docs/adr/0012-backups.md.

mod catalog;
mod file;
mod restore;
mod unusable;

use std::collections::BTreeMap;
use std::io::Write;

use crate::database::{Cell, Query, Transaction};
use crate::{Store, StoreError};

pub use restore::restore;

use catalog::{TableShape, shapes};
use file::{Header, LineWriter};

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct BackupSummary {
    /// The version of the schema that the rows are of.
    pub schema_version: i64,
    /// When it was made, in milliseconds since 1970.
    pub created_at_ms: i64,
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
}

/// Rows read at a time: bounds the memory.
const PAGE_ROWS: usize = 2_000;

impl Store {
    /// The version of the schema.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn schema_version(&self) -> Result<i64, StoreError> {
        let rows = self.fetch(Query::new(crate::migrations::READ_VERSION)).await?;
        let mut rows = crate::cells::convert("_sqlx_migrations", rows, |row| row.int())?;
        Ok(rows.pop().unwrap_or_default())
    }

    /// Writes all rows as they are at one moment; others may go on writing.
    ///
    /// The files of the data folder are not among them. What is named by the
    /// rows lies there already, so they are to be copied after this.
    ///
    /// # Errors
    ///
    /// When the database fails or the backup cannot be written.
    pub async fn backup(
        &self,
        out: &mut (dyn Write + Send),
        created_at_ms: i64,
    ) -> Result<BackupSummary, StoreError> {
        let mut snapshot = self.begin_read().await?;
        let version = snapshot.fetch(Query::new(crate::migrations::READ_VERSION)).await;
        let version = version.map_err(|failure| self.fail(failure))?;
        let version = crate::cells::convert("_sqlx_migrations", version, |row| row.int())?.pop();
        let schema_version = version.unwrap_or_default();
        let mut out = LineWriter::new(out).map_err(unwritten)?;
        out.line(&Header::new(schema_version, created_at_ms)).map_err(unwritten)?;
        let mut rows = BTreeMap::new();
        for shape in shapes(self, snapshot.as_mut()).await? {
            let count = self.back_up_table(snapshot.as_mut(), &shape, &mut out).await?;
            rows.insert(shape.name, count);
        }
        let summary = BackupSummary { schema_version, created_at_ms, rows };
        out.finish(&summary.rows).map_err(unwritten)?;
        Ok(summary)
    }

    async fn back_up_table(
        &self,
        snapshot: &mut dyn Transaction,
        shape: &TableShape,
        out: &mut LineWriter<'_>,
    ) -> Result<u64, StoreError> {
        out.table(&shape.name, &shape.columns).map_err(unwritten)?;
        let (mut count, mut after) = (0, None::<Vec<Cell>>);
        loop {
            let page = snapshot.fetch(page_query(shape, after.as_deref())).await;
            let page = page.map_err(|failure| self.fail(failure))?;
            let full = page.len() == PAGE_ROWS;
            for mut row in page {
                let cells: Vec<_> = shape.columns.iter().map(|_| row.next()).collect();
                out.row(&cells).map_err(unwritten)?;
                after = Some(shape.key.iter().map(|&at| cells[at].clone()).collect());
                count += 1;
            }
            if !full {
                return Ok(count);
            }
        }
    }
}

/// Rows in the order of their key, after the last one.
fn page_query(shape: &TableShape, after: Option<&[Cell]>) -> Query {
    let key: Vec<_> = shape.key.iter().map(|&at| shape.columns[at].as_str()).collect();
    let key = key.join(", ");
    let mut query = Query::new(&format!("SELECT {} FROM {}", shape.columns.join(", "), shape.name));
    if let Some(after) = after {
        query.push(&format!(" WHERE ({key}) > ("));
        for (at, cell) in after.iter().enumerate() {
            query.push(if at == 0 { "" } else { ", " }).arg(cell.clone());
        }
        query.push(")");
    }
    query.push(&format!(" ORDER BY {key} LIMIT {PAGE_ROWS}"));
    query
}

fn unwritten(cause: std::io::Error) -> StoreError {
    StoreError::BackupFile { doing: "write", cause }
}
