//! Appends seals, in the transactions whose rows they name.

use super::body::{Body, Entry};
use super::row::{RowDigest, Sealed};
use super::{FORMAT, SealChain, SealHead, beginning, digest, fetch, head_query, read_head};
use crate::database::{Cell, FailureClass, Query, Transaction};
use crate::schema::Table;
use crate::{Store, StoreError};

/// Rows of one seal where what was there before is sealed: bounds the memory.
const ADOPTED_ROWS: usize = 2_000;

/// Takes note of the rows that a transaction adds or changes, and seals them.
///
/// A crash cannot part the rows from their seal: both are in one transaction.
pub(crate) struct Sealer {
    chain: SealChain,
    head: Option<SealHead>,
    body: Body,
}

impl Sealer {
    /// Begins the chain of a run that the same transaction creates.
    pub(crate) fn begin(chain: SealChain) -> Self {
        Self { chain, head: None, body: Body::default() }
    }

    /// Goes on with a chain, and keeps others from it until the transaction ends.
    /// Where there is none, what is recorded is sealed first, as it is: it is of
    /// a time before there were seals.
    pub(crate) async fn resume(
        store: &Store,
        transaction: &mut dyn Transaction,
        chain: SealChain,
    ) -> Result<Self, StoreError> {
        if let Some(run) = chain.run() {
            let mut lock = Query::new("SELECT run FROM runs WHERE run = ");
            lock.arg(run.as_str()).push(store.database.row_lock());
            fetch(store, transaction, lock).await?;
        }
        let head = read_head(fetch(store, transaction, head_query(&chain)).await?)?;
        let mut sealer = Self { chain, head, body: Body::default() };
        if head.is_none() {
            sealer.adopt(store, transaction).await?;
        }
        Ok(sealer)
    }

    async fn adopt(
        &mut self,
        store: &Store,
        transaction: &mut dyn Transaction,
    ) -> Result<(), StoreError> {
        for sealed in Sealed::of(&self.chain) {
            let mut after: Option<Vec<Cell>> = None;
            loop {
                let chain = self.chain.clone();
                let page =
                    sealed.page(store, transaction, &chain, after.as_deref(), ADOPTED_ROWS).await?;
                let is_full = page.len() == ADOPTED_ROWS;
                self.body.adopted = true;
                self.added(sealed.table, &page);
                self.append(store, transaction).await?;
                match page.last() {
                    Some(last) if is_full => after = Some(sealed.key_cells(last)),
                    _ => break,
                }
            }
        }
        Ok(())
    }

    /// Notes rows that are added.
    pub(crate) fn added(&mut self, table: &Table, rows: &[Vec<Cell>]) {
        let sealed = Sealed::of_table(table);
        for cells in rows {
            self.body.push(&Entry {
                table: table.name,
                key: &sealed.key_text(cells),
                before: None,
                after: RowDigest::of(table, cells),
            });
        }
    }

    /// Notes a row that is changed: what it was stands beside what it is, so that
    /// a change past the store is not sealed with it.
    pub(crate) fn changed(&mut self, table: &Table, before: &[Cell], after: &[Cell]) {
        let sealed = Sealed::of_table(table);
        self.body.push(&Entry {
            table: table.name,
            key: &sealed.key_text(after),
            before: Some(RowDigest::of(table, before)),
            after: RowDigest::of(table, after),
        });
    }

    /// Notes a row that is added where it was not there, and changed where it was.
    pub(crate) fn put(&mut self, table: &Table, before: Option<&[Cell]>, after: Option<&[Cell]>) {
        match (before, after) {
            (Some(before), Some(after)) => self.changed(table, before, after),
            (None, Some(after)) => self.added(table, &[after.to_vec()]),
            (_, None) => {}
        }
    }

    /// Appends the seal; none where nothing was noted.
    pub(crate) async fn append(
        &mut self,
        store: &Store,
        transaction: &mut dyn Transaction,
    ) -> Result<(), StoreError> {
        let body = std::mem::take(&mut self.body);
        if body.is_empty() {
            return Ok(());
        }
        let body = gyre_types::canonical_json(&body);
        let (previous, seq) = match &self.head {
            Some(head) => (head.digest, head.seq + 1),
            None => (beginning(), 1),
        };
        let digest = digest(&previous, FORMAT, self.chain.name(), seq, &body);
        let insert = Query::with(
            "INSERT INTO seals (chain, seq, format, previous, body, digest) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            [
                self.chain.name().into(),
                seq.into(),
                FORMAT.into(),
                previous.to_hex().into(),
                body.into(),
                digest.to_hex().into(),
            ],
        );
        transaction.execute(insert).await.map_err(|failure| {
            match (failure.class, &self.chain) {
                // Another process appended at the same moment: the caller begins again.
                (FailureClass::Constraint, SealChain::Registry) => StoreError::ChainMoved,
                _ => store.fail(failure),
            }
        })?;
        self.head = Some(SealHead { seq, digest });
        Ok(())
    }
}
