//! The rows that are sealed: which tables, by which keys, and their digests.

use std::collections::HashSet;

use gyre_types::Digest;

use super::{SealChain, fetch};
use crate::database::{Cell, Query, Row, Transaction};
use crate::schema::{self, Table};
use crate::{Store, StoreError};

/// A table whose rows are sealed.
pub(crate) struct Sealed {
    pub(crate) table: &'static Table,
    /// Its primary key, without the run.
    pub(crate) key: &'static [&'static str],
}

const fn sealed(table: &'static Table, key: &'static [&'static str]) -> Sealed {
    Sealed { table, key }
}

/// Everything that a run records. What else has a run in it (leases, fleets,
/// pieces of work, schedules) passes between processes and is no result.
static OF_A_RUN: [Sealed; 24] = [
    sealed(&schema::RUNS, &[]),
    sealed(&schema::EVENTS, &["seq"]),
    sealed(&schema::TASKS, &["id"]),
    sealed(&schema::GRADING_KEYS, &["task"]),
    sealed(&schema::PARTS, &["id"]),
    sealed(&schema::CHECKPOINTS, &["id"]),
    sealed(&schema::ROLLOUTS, &["id"]),
    sealed(&schema::VERDICTS, &["rollout", "revision"]),
    sealed(&schema::SHARDS, &["id"]),
    sealed(&schema::SHARD_ROWS, &["shard", "row_index"]),
    sealed(&schema::CHECKPOINT_SHARDS, &["checkpoint", "shard"]),
    sealed(&schema::GATES, &["round"]),
    sealed(&schema::PROMOTIONS, &["ordinal"]),
    sealed(&schema::CANARIES, &["rollout"]),
    sealed(&schema::ALARMS, &["round", "kind", "subject"]),
    sealed(&schema::CORRECTIONS, &["rollout", "revision"]),
    sealed(&schema::REWRITES, &["shard"]),
    sealed(&schema::GATE_REVIEWS, &["round", "revocation"]),
    sealed(&schema::REVOCATION_RUNS, &["revocation"]),
    sealed(&schema::RETIRED_FILES, &["path"]),
    sealed(&schema::APPROVALS, &["round"]),
    sealed(&schema::APPROVAL_ANSWERS, &["round"]),
    sealed(&schema::HANDOVERS, &["round", "target"]),
    sealed(&schema::HANDOVER_ATTEMPTS, &["round", "target", "ordinal"]),
];

static OF_THE_REGISTRY: [Sealed; 2] =
    [sealed(&schema::VERIFIERS, &["digest"]), sealed(&schema::REVOCATIONS, &["ordinal"])];

/// Half of a SHA-256: nobody finds another row with the same, and a seal that
/// names thousands of rows stays short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RowDigest(pub(crate) u128);

impl RowDigest {
    /// Digests a row, read or to be written: its cells in the order of the table's
    /// columns, each with its type, so that no two rows are written alike. A column
    /// of [`Table::added`] is written with its name, and only where it holds another
    /// value than rows of before: what was sealed without it stays as it was sealed.
    pub(crate) fn of(table: &Table, cells: &[Cell]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(table.name.as_bytes());
        for (at, cell) in cells.iter().enumerate() {
            let column = table.columns.get(at).map_or("", |(name, _)| name);
            match table.added.iter().find(|(name, _)| *name == column) {
                None => write(&mut bytes, cell),
                Some((_, before)) if matches!(cell, Cell::Text(text) if text == before) => {}
                Some((name, _)) => {
                    bytes.push(b'+');
                    write(&mut bytes, &Cell::Text((*name).to_owned()));
                    write(&mut bytes, cell);
                }
            }
        }
        Self::half(&Digest::of(&bytes))
    }

    pub(crate) fn half(digest: &Digest) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&digest.as_bytes()[..16]);
        Self(u128::from_be_bytes(half))
    }
}

/// Writes a cell with its type and length.
fn write(bytes: &mut Vec<u8>, cell: &Cell) {
    match cell {
        Cell::Null => bytes.push(b'n'),
        Cell::Int(value) => {
            bytes.push(b'i');
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        Cell::Real(value) => {
            bytes.push(b'r');
            bytes.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        Cell::Text(text) => {
            bytes.push(b't');
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
}

impl std::fmt::Display for RowDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Sealed {
    /// The tables of a chain.
    pub(crate) fn of(chain: &SealChain) -> &'static [Self] {
        match chain {
            SealChain::Run(_) => &OF_A_RUN,
            SealChain::Registry => &OF_THE_REGISTRY,
        }
    }

    /// How a table is sealed.
    ///
    /// # Panics
    ///
    /// Where it is not: which tables are asked for is said in this crate's own text.
    pub(crate) fn of_table(table: &Table) -> &'static Self {
        let all = OF_A_RUN.iter().chain(&OF_THE_REGISTRY);
        let found = all.into_iter().find(|sealed| sealed.table.name == table.name);
        found.expect("everything that is recorded is sealed")
    }

    /// A row's key as text. Only its last part may hold a slash.
    pub(crate) fn key_text(&self, cells: &[Cell]) -> String {
        let parts: Vec<_> =
            self.key.iter().map(|name| cell_text(&cells[self.place(name)])).collect();
        parts.join("/")
    }

    /// The row's key as cells, for a query that goes on after it.
    pub(crate) fn key_cells(&self, cells: &[Cell]) -> Vec<Cell> {
        self.key.iter().map(|name| cells[self.place(name)].clone()).collect()
    }

    fn place(&self, name: &str) -> usize {
        let place = self.table.columns.iter().position(|(column, _)| *column == name);
        place.expect("a key is made of the table's columns")
    }

    fn columns(&self) -> String {
        let names: Vec<_> = self.table.columns.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    fn read(&self, mut row: Row) -> Vec<Cell> {
        self.table.columns.iter().map(|_| row.next()).collect()
    }

    /// The rows of a chain in the order of their keys, after one of them.
    pub(crate) async fn page(
        &self,
        store: &Store,
        transaction: &mut dyn Transaction,
        chain: &SealChain,
        after: Option<&[Cell]>,
        rows: usize,
    ) -> Result<Vec<Vec<Cell>>, StoreError> {
        let mut query = Query::new(&format!("SELECT {} FROM {}", self.columns(), self.table.name));
        let mut word = " WHERE ";
        if let Some(run) = chain.run() {
            query.push(word).push("run = ").arg(run.as_str());
            word = " AND ";
        }
        let key = self.key.join(", ");
        if let Some(after) = after {
            query.push(word).push(&format!("({key}) > ("));
            for (at, cell) in after.iter().enumerate() {
                query.push(if at == 0 { "" } else { ", " }).arg(cell.clone());
            }
            query.push(")");
        }
        if !key.is_empty() {
            query.push(&format!(" ORDER BY {key}"));
        }
        query.push(&format!(" LIMIT {rows}"));
        let found = fetch(store, transaction, query).await?;
        Ok(found.into_iter().map(|row| self.read(row)).collect())
    }
}

fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Int(value) => value.to_string(),
        Cell::Real(value) => value.to_string(),
        Cell::Text(text) => text.clone(),
    }
}

/// One row as it stands; none where there is none. `key` has its cells in the
/// order of [`Sealed::key`].
pub(crate) async fn row_of(
    store: &Store,
    transaction: &mut dyn Transaction,
    sealed: &Sealed,
    chain: &SealChain,
    key: &[Cell],
) -> Result<Option<Vec<Cell>>, StoreError> {
    let mut query = Query::new(&format!("SELECT {} FROM {}", sealed.columns(), sealed.table.name));
    let mut word = " WHERE ";
    if let Some(run) = chain.run() {
        query.push(word).push("run = ").arg(run.as_str());
        word = " AND ";
    }
    for (name, cell) in sealed.key.iter().zip(key) {
        query.push(word).push(name).push(" = ").arg(cell.clone());
        word = " AND ";
    }
    query.push(store.database.row_lock());
    let rows = fetch(store, transaction, query).await?;
    Ok(rows.into_iter().next().map(|row| sealed.read(row)))
}

/// Rows looked up at once: an `OR` of more would be too deep for SQLite.
const LOOKED_UP: usize = 200;

/// The keys, as text, of those of `rows` that are recorded already.
pub(crate) async fn keys_among(
    store: &Store,
    transaction: &mut dyn Transaction,
    sealed: &Sealed,
    chain: &SealChain,
    rows: &[Vec<Cell>],
) -> Result<HashSet<String>, StoreError> {
    let mut known = HashSet::new();
    for rows in rows.chunks(LOOKED_UP) {
        let key = sealed.key.join(", ");
        let mut query = Query::new(&format!("SELECT {key} FROM {} WHERE ", sealed.table.name));
        if let Some(run) = chain.run() {
            query.push("run = ").arg(run.as_str()).push(" AND ");
        }
        for (at, row) in rows.iter().enumerate() {
            query.push(if at == 0 { "((" } else { ") OR (" });
            for (at, (name, cell)) in sealed.key.iter().zip(sealed.key_cells(row)).enumerate() {
                query.push(if at == 0 { "" } else { " AND " }).push(name).push(" = ").arg(cell);
            }
        }
        query.push("))");
        for mut row in fetch(store, transaction, query).await? {
            let parts: Vec<_> = sealed.key.iter().map(|_| cell_text(&row.next())).collect();
            known.insert(parts.join("/"));
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::DatabaseUrl;
    use crate::cells::convert;

    /// What passes between processes, and is no result.
    const NOT_SEALED: [&str; 8] = [
        "fleets",
        "leases",
        "schedule_tick_events",
        "schedule_ticks",
        "schedules",
        "seals",
        "work",
        "workers",
    ];

    #[test]
    fn every_column_of_every_table_is_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("lineage.db"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Store::open(&url).await.unwrap();
            let (tables, columns) = store.database.catalog();
            let tables = store.fetch(Query::new(tables)).await.unwrap();
            let tables = convert("the catalog", tables, |row| row.text()).unwrap();
            let mut sealed: BTreeMap<_, _> = OF_A_RUN
                .iter()
                .chain(&OF_THE_REGISTRY)
                .map(|sealed| (sealed.table.name, sealed))
                .collect();
            for table in &tables {
                let query = Query::with(columns, [table.as_str().into()]);
                let found = store.fetch(query).await.unwrap();
                let read = |row: &mut Row| Ok((row.text()?, row.int::<i64>()?));
                let found = convert("the catalog", found, read).unwrap();
                let Some(sealed) = sealed.remove(table.as_str()) else {
                    assert!(NOT_SEALED.contains(&table.as_str()), "{table} is not sealed");
                    continue;
                };
                let names = |key: bool| -> BTreeSet<_> {
                    let of_key = found.iter().filter(|(_, place)| !key || *place > 0);
                    of_key.map(|(name, _)| name.as_str()).collect()
                };
                let listed: BTreeSet<_> =
                    sealed.table.columns.iter().map(|(name, _)| *name).collect();
                assert_eq!(listed, names(false), "the columns of {table}");
                let mut key: BTreeSet<_> = sealed.key.iter().copied().collect();
                if OF_A_RUN.iter().any(|sealed| sealed.table.name == table) {
                    key.insert("run");
                }
                assert_eq!(key, names(true), "the key of {table}");
            }
            assert!(sealed.is_empty(), "there is no table {:?}", sealed.keys());
            store.close().await;
        });
    }

    #[test]
    fn no_two_rows_are_written_alike() {
        let table = &schema::RETIRED_FILES;
        let rows: Vec<Vec<Cell>> = vec![
            vec![Cell::Null, Cell::Null],
            vec![Cell::Null, Cell::Text(String::new())],
            vec![Cell::Text(String::new()), Cell::Null],
            vec![Cell::Text("n".to_owned()), Cell::Null],
            vec![Cell::Text("ab".to_owned()), Cell::Text("c".to_owned())],
            vec![Cell::Text("a".to_owned()), Cell::Text("bc".to_owned())],
            vec![Cell::Int(1), Cell::Null],
            vec![Cell::Real(1.0), Cell::Null],
            vec![Cell::Text("1".to_owned()), Cell::Null],
            vec![Cell::Real(0.0), Cell::Null],
            vec![Cell::Real(-0.0), Cell::Null],
        ];
        let digests: HashSet<_> = rows.iter().map(|row| RowDigest::of(table, row)).collect();
        assert_eq!(digests.len(), rows.len());
        let other = RowDigest::of(&schema::SHARD_ROWS, &rows[0]);
        assert!(!digests.contains(&other));
    }

    #[test]
    fn a_column_that_came_later_changes_no_digest_of_before() {
        let before: Vec<_> = (0..schema::SHARDS.columns.len() - 1)
            .map(|at| Cell::Int(i64::try_from(at).unwrap()))
            .collect();
        let digest = |kind: Option<&str>| {
            let kind = kind.map(|kind| Cell::Text(kind.to_owned()));
            let cells: Vec<_> = before.iter().cloned().chain(kind).collect();
            RowDigest::of(&schema::SHARDS, &cells)
        };
        assert_eq!(digest(Some("accepted")), digest(None));
        let others: HashSet<_> = ["groups", "accepted ", ""].map(|kind| digest(Some(kind))).into();
        assert_eq!(others.len(), 3);
        assert!(!others.contains(&digest(None)));
    }
}
