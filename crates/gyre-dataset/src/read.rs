use std::path::{Path, PathBuf};

use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use crate::error::{DatasetError, Fault};
use crate::file::{Range, open_batches};
use crate::layout::Layout;
use crate::row::{DatasetRow, SCHEMA, decode};

/// Streams the rows of one shard, in order.
///
/// # Errors
///
/// When the file is missing, damaged, or of another schema; the iterator's
/// items fail when a row is damaged.
pub fn read_shard(path: &Path) -> Result<RowReader, DatasetError> {
    let (batches, rows) = open_batches(path, SCHEMA, Range::default())?;
    Ok(RowReader { path: path.to_owned(), batches, rows, ready: Vec::new().into_iter() })
}

/// The rows of a shard; see [`read_shard`].
pub struct RowReader {
    path: PathBuf,
    batches: ParquetRecordBatchReader,
    rows: u64,
    ready: std::vec::IntoIter<DatasetRow>,
}

impl RowReader {
    /// Rows in the whole shard, as its footer says.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl Iterator for RowReader {
    type Item = Result<DatasetRow, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.ready.next() {
                return Some(Ok(row));
            }
            let batch = self.batches.next()?;
            match batch.map_err(Fault::from).and_then(|batch| decode(&batch)) {
                Ok(rows) => self.ready = rows.into_iter(),
                Err(fault) => return Some(Err(DatasetError::new(&self.path, "read", fault))),
            }
        }
    }
}

/// The first `count` rows of a dataset, in the order of its manifest.
///
/// # Errors
///
/// When the manifest or a shard cannot be read.
pub fn head(layout: &Layout, count: usize) -> Result<Vec<DatasetRow>, DatasetError> {
    let mut rows = Vec::new();
    for shard in layout.read_manifest()?.shards {
        if rows.len() == count {
            break;
        }
        let missing = count - rows.len();
        let read = read_shard(&layout.resolve(&shard.path))?.take(missing);
        rows.extend(read.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(rows)
}
