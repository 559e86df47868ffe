//! The tables as the database itself describes them, so that no table and no
//! column can be forgotten.

use super::unusable::unusable;
use crate::cells::convert;
use crate::database::{Query, Transaction};
use crate::{Store, StoreError};

/// A table: its columns, and which of them are its key.
pub(super) struct TableShape {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    /// Indexes of `columns`, in the key's order.
    pub(super) key: Vec<usize>,
}

/// All tables by name, but for the one that counts migrations.
pub(super) async fn shapes(
    store: &Store,
    transaction: &mut dyn Transaction,
) -> Result<Vec<TableShape>, StoreError> {
    let (tables, columns) = store.database.catalog();
    let tables = transaction.fetch(Query::new(tables)).await.map_err(|f| store.fail(f))?;
    let tables = convert("the catalog", tables, |row| row.text())?;
    let mut shapes = Vec::new();
    for name in tables {
        let query = Query::with(columns, [name.as_str().into()]);
        let found = transaction.fetch(query).await.map_err(|failure| store.fail(failure))?;
        let read = |row: &mut crate::database::Row| Ok((row.text()?, row.int::<i64>()?));
        let found = convert("the catalog", found, read)?;
        let mut key: Vec<_> =
            found.iter().enumerate().filter(|(_, (_, place))| *place > 0).collect();
        key.sort_by_key(|(_, (_, place))| *place);
        let key: Vec<_> = key.into_iter().map(|(at, _)| at).collect();
        if key.is_empty() {
            return Err(unusable(format!("the table {name} has no key to read it by")));
        }
        let columns = found.into_iter().map(|(column, _)| column).collect();
        shapes.push(TableShape { name, columns, key });
    }
    Ok(shapes)
}
