use crate::error::DatasetError;
use crate::file::{Batches, Range};
use crate::group::GroupRow;
use crate::published::PublishedRow;
use crate::row::DatasetRow;
use crate::source::Source;

/// Streams the rows of a shard of accepted rows, in order.
///
/// # Errors
///
/// When the file is missing, damaged, or of another schema; the iterator's
/// items fail when a row is damaged.
pub fn read_shard(source: impl Into<Source>) -> Result<RowReader, DatasetError> {
    read_rows(source.into())
}

/// Streams the rows of a shard of whole groups, in order.
///
/// # Errors
///
/// As [`read_shard`].
pub fn read_groups(source: impl Into<Source>) -> Result<RowReader<GroupRow>, DatasetError> {
    read_rows(source.into())
}

pub(crate) fn read_rows<R: PublishedRow>(source: Source) -> Result<RowReader<R>, DatasetError> {
    let batches = Batches::open(source, R::READABLE, Range::default())?;
    Ok(RowReader { batches, ready: Vec::new().into_iter() })
}

/// The rows of a shard; see [`read_shard`] and [`read_groups`].
pub struct RowReader<R = DatasetRow> {
    batches: Batches,
    ready: std::vec::IntoIter<R>,
}

impl<R> RowReader<R> {
    /// Rows in the whole shard, as its footer says.
    pub fn rows(&self) -> u64 {
        self.batches.rows
    }
}

impl<R: PublishedRow> Iterator for RowReader<R> {
    type Item = Result<R, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.ready.next() {
                return Some(Ok(row));
            }
            match self.batches.next(R::decode)? {
                Ok(rows) => self.ready = rows.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
