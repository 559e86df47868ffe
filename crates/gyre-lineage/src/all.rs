use futures_util::future::BoxFuture;

use crate::page::PAGE_ROWS_MAX;
use crate::{Cursor, Page, Store, StoreError};

/// Rows read at a time: bounds the memory of whoever walks a list.
const ROWS_AT_A_TIME: u32 = 5_000;

type FetchPage<T> = Box<
    dyn Fn(Store, Option<Cursor>, u32) -> BoxFuture<'static, Result<Page<T>, StoreError>>
        + Send
        + Sync,
>;

/// A whole list, read page by page: it takes no limit, so that nobody can take
/// its first page for all of it.
///
/// Pages are read when they are asked for, each in a snapshot of its own; what is
/// appended meanwhile may or may not be seen.
#[must_use = "nothing is read before it is asked for"]
pub struct All<T> {
    store: Store,
    fetch: FetchPage<T>,
    place: Place,
    rows_at_a_time: u32,
}

enum Place {
    Start,
    After(Cursor),
    End,
}

impl<T> All<T> {
    pub(crate) fn new(
        store: &Store,
        fetch: impl Fn(Store, Option<Cursor>, u32) -> BoxFuture<'static, Result<Page<T>, StoreError>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self {
            store: store.clone(),
            fetch: Box::new(fetch),
            place: Place::Start,
            rows_at_a_time: ROWS_AT_A_TIME,
        }
    }

    /// Reads so many rows at a time, instead of 5,000: at least one, and at most as
    /// many as a page holds. What is read in the end is the same.
    pub fn rows_at_a_time(self, rows: u32) -> Self {
        Self { rows_at_a_time: rows.clamp(1, PAGE_ROWS_MAX), ..self }
    }

    /// The next rows; none after the last.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, StoreError> {
        let after = match std::mem::replace(&mut self.place, Place::End) {
            Place::End => return Ok(None),
            Place::Start => None,
            Place::After(cursor) => Some(cursor),
        };
        let page = (self.fetch)(self.store.clone(), after, self.rows_at_a_time).await?;
        if let Some(next) = page.next {
            self.place = Place::After(next);
        }
        Ok(Some(page.rows))
    }

    /// All rows at once, for lists that are short by their nature: checkpoints,
    /// gates and promotions have at most one row a round.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn collect(mut self) -> Result<Vec<T>, StoreError> {
        let mut all = Vec::new();
        while let Some(rows) = self.next().await? {
            all.extend(rows);
        }
        Ok(all)
    }
}
