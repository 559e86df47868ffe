use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::BackupSummary;
use super::catalog::shapes;
use super::file::{Line, LineReader};
use super::unusable::unusable;
use crate::database::{Cell, Failure, Query, Transaction};
use crate::{DatabaseUrl, Store, StoreError, migrations};

/// Rows and arguments of one `INSERT`, within the bounds of both databases.
const ROWS_PER_INSERT: usize = 256;
const ARGS_PER_INSERT: usize = 30_000;

/// What must be empty before anything is put back.
const HOLDS_WORK: [&str; 3] = ["runs", "verifiers", "revocations"];

/// Puts a backup back into an empty database, of either kind, and brings its
/// schema up to date. All rows appear at once, or none: a crash leaves an empty
/// database.
///
/// # Errors
///
/// [`StoreError::NotEmpty`], [`StoreError::BackupUnusable`], or when the
/// database fails.
pub async fn restore(
    url: &DatabaseUrl,
    input: &mut (dyn Read + Send),
) -> Result<BackupSummary, StoreError> {
    let mut lines =
        LineReader::new(input).map_err(|cause| StoreError::BackupFile { doing: "read", cause })?;
    let header = lines.header().map_err(unusable)?;
    let (found, known) = (header.schema_version, migrations::VERSION);
    if found > known {
        return Err(StoreError::NewerSchema { database: url.clone(), found, known });
    }
    let store = Store::open_at(url, found).await?;
    let restored = put_back(&store, &mut lines, found).await;
    store.close().await;
    let rows = restored?;
    Store::open(url).await?.close().await;
    Ok(BackupSummary { schema_version: found, created_at_ms: header.created_at_ms, rows })
}

async fn put_back(
    store: &Store,
    lines: &mut LineReader<'_>,
    version: i64,
) -> Result<BTreeMap<String, u64>, StoreError> {
    if store.schema_version().await? != version {
        return Err(StoreError::NotEmpty { database: store.url().clone() });
    }
    let fail = |failure: Failure| store.fail(failure);
    let mut transaction = store.begin_write().await?;
    let mut tables = BTreeMap::new();
    for shape in shapes(store, transaction.as_mut()).await? {
        tables.insert(shape.name, shape.columns.into_iter().collect::<BTreeSet<_>>());
    }
    for table in HOLDS_WORK.into_iter().filter(|table| tables.contains_key(*table)) {
        let any = Query::new(&format!("SELECT 1 FROM {table} LIMIT 1"));
        if !transaction.fetch(any).await.map_err(fail)?.is_empty() {
            return Err(StoreError::NotEmpty { database: store.url().clone() });
        }
    }
    transaction.defer_foreign_keys().await.map_err(fail)?;
    for table in tables.keys() {
        transaction.execute(Query::new(&format!("DELETE FROM {table}"))).await.map_err(fail)?;
    }
    let counted = insert_all(store, transaction.as_mut(), lines, &tables).await?;
    for statement in migrations::filling(store.url(), version) {
        transaction.execute(Query::new(statement)).await.map_err(fail)?;
    }
    if let Some(statement) = store.database.look_again() {
        transaction.execute(Query::new(statement)).await.map_err(fail)?;
    }
    transaction.check_foreign_keys().await.map_err(|failure| {
        unusable(format!("its rows do not belong together: {}", failure.cause))
    })?;
    transaction.commit().await.map_err(|failure| {
        unusable(format!("its rows do not belong together: {}", failure.cause))
    })?;
    Ok(counted)
}

/// Rows of one table that wait to be inserted.
struct Batch {
    table: String,
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

async fn insert_all(
    store: &Store,
    transaction: &mut dyn Transaction,
    lines: &mut LineReader<'_>,
    tables: &BTreeMap<String, BTreeSet<String>>,
) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut counted = BTreeMap::<String, u64>::new();
    let mut batch: Option<Batch> = None;
    loop {
        match lines.line().map_err(unusable)? {
            Line::Row(row) => {
                let Some(batch) = &mut batch else {
                    return Err(unusable("a row of it has no table"));
                };
                if row.len() != batch.columns.len() {
                    return Err(unusable(format!("a row of {} is too short", batch.table)));
                }
                batch.rows.push(row);
                *counted.entry(batch.table.clone()).or_default() += 1;
                if batch.rows.len() == ROWS_PER_INSERT
                    || (batch.rows.len() + 1) * batch.columns.len() > ARGS_PER_INSERT
                {
                    insert(store, transaction, batch).await?;
                }
            }
            Line::Table { name, columns } => {
                if let Some(batch) = &mut batch {
                    insert(store, transaction, batch).await?;
                }
                let known = tables.get(&name);
                if !known.is_some_and(|known| columns.iter().all(|c| known.contains(c))) {
                    return Err(unusable(format!("its table {name} is not one of that version")));
                }
                counted.entry(name.clone()).or_default();
                batch = Some(Batch { table: name, columns, rows: Vec::new() });
            }
            Line::End(rows) => {
                if let Some(batch) = &mut batch {
                    insert(store, transaction, batch).await?;
                }
                if rows != counted {
                    return Err(unusable("it does not hold as many rows as it says"));
                }
                return Ok(counted);
            }
        }
    }
}

/// Inserts what waits. Nulls are written out, since they have no type.
async fn insert(
    store: &Store,
    transaction: &mut dyn Transaction,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    if batch.rows.is_empty() {
        return Ok(());
    }
    let columns = batch.columns.join(", ");
    let mut query = Query::new(&format!("INSERT INTO {} ({columns}) VALUES ", batch.table));
    for (at, row) in batch.rows.drain(..).enumerate() {
        query.push(if at == 0 { "(" } else { ", (" });
        for (at, cell) in row.into_iter().enumerate() {
            query.push(if at == 0 { "" } else { ", " });
            match cell {
                Cell::Null => query.push("NULL"),
                cell => query.arg(cell),
            };
        }
        query.push(")");
    }
    transaction.execute(query).await.map_err(|failure| match failure.class {
        crate::database::FailureClass::Constraint | crate::database::FailureClass::Other => {
            unusable(format!("a row of {} is refused: {}", batch.table, failure.cause))
        }
        _ => store.fail(failure),
    })?;
    Ok(())
}
