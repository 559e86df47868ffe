use crate::error::DatasetError;
use crate::file::{Batches, Range};
use crate::layout::Layout;
use crate::row::{DatasetRow, READABLE, decode};
use crate::source::Source;

/// Streams the rows of one shard, in order.
///
/// # Errors
///
/// When the file is missing, damaged, or of another schema; the iterator's
/// items fail when a row is damaged.
pub fn read_shard(source: impl Into<Source>) -> Result<RowReader, DatasetError> {
    let batches = Batches::open(source.into(), READABLE, Range::default())?;
    Ok(RowReader { batches, ready: Vec::new().into_iter() })
}

/// The rows of a shard; see [`read_shard`].
pub struct RowReader {
    batches: Batches,
    ready: std::vec::IntoIter<DatasetRow>,
}

impl RowReader {
    /// Rows in the whole shard, as its footer says.
    pub fn rows(&self) -> u64 {
        self.batches.rows
    }
}

impl Iterator for RowReader {
    type Item = Result<DatasetRow, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.ready.next() {
                return Some(Ok(row));
            }
            match self.batches.next(decode)? {
                Ok(rows) => self.ready = rows.into_iter(),
                Err(error) => return Some(Err(error)),
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
        let read = read_shard(layout.open(&shard.path))?.take(missing);
        rows.extend(read.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(rows)
}
