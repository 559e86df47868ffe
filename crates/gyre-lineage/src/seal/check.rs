//! Compares what is recorded with what was sealed.

use std::collections::HashMap;
use std::collections::hash_map;

use gyre_types::Digest;

use super::body::{Body, Entry};
use super::row::{RowDigest, Sealed};
use super::{FORMAT, SealChain, SealHead, beginning, digest, fetch};
use crate::audit::{FINDINGS_MAX, Finding};
use crate::cells::convert;
use crate::database::{Cell, Query, Transaction};
use crate::{Store, StoreError};

/// The number that findings of seals have among the invariants.
const INVARIANT: u8 = 10;
/// Rows read at a time.
const PAGE_ROWS: usize = 2_000;
/// Seals read at a time: one may name thousands of rows.
const PAGE_SEALS: u64 = 16;

/// What comparing a chain with its rows came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SealAudit {
    /// Where the chain ends; nothing where there is none.
    pub head: Option<SealHead>,
    /// Rows that were compared.
    pub rows: u64,
    /// Whether rows of a time before there were seals are among them.
    pub adopted: bool,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Store {
    /// Checks a chain of seals and every row that it names, in one snapshot.
    /// Nothing is compared where there is no seal.
    ///
    /// # Errors
    ///
    /// When the database fails, or a seal is of a format that this version does
    /// not know. What is wrong with rows and seals is a finding.
    pub async fn audit_seals(&self, chain: &SealChain) -> Result<SealAudit, StoreError> {
        let snapshot = self.begin_read().await?;
        let mut check = Check {
            store: self,
            chain,
            snapshot,
            sealed: HashMap::new(),
            audit: SealAudit::default(),
        };
        check.seals().await?;
        if check.audit.head.is_some() {
            for sealed in Sealed::of(chain) {
                check.table(sealed).await?;
            }
            check.missing().await?;
        }
        Ok(check.audit)
    }
}

/// What was sealed last of a row, and by which seal.
struct Last {
    digest: RowDigest,
    seq: u64,
}

struct Check<'a> {
    store: &'a Store,
    chain: &'a SealChain,
    snapshot: Box<dyn Transaction>,
    /// By a digest of table and key: a run may have millions of rows.
    sealed: HashMap<RowDigest, Last>,
    audit: SealAudit,
}

/// A seal as recorded.
struct Seal {
    seq: u64,
    format: u32,
    previous: String,
    body: String,
    digest: String,
}

impl Check<'_> {
    fn found(&mut self, code: &'static str, detail: String, ids: Vec<String>) {
        let same = self.audit.findings.iter().filter(|finding| finding.code == code).count();
        if same < FINDINGS_MAX {
            self.audit.findings.push(Finding { invariant: INVARIANT, code, detail, ids });
        } else if same == FINDINGS_MAX {
            let detail = format!("more than {FINDINGS_MAX} of these");
            self.audit.findings.push(Finding { invariant: INVARIANT, code, detail, ids: vec![] });
        }
    }

    async fn page(&mut self, after: u64) -> Result<Vec<Seal>, StoreError> {
        let query = Query::with(
            "SELECT seq, format, previous, body, digest FROM seals \
             WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            [self.chain.name().into(), after.into(), PAGE_SEALS.into()],
        );
        let rows = fetch(self.store, self.snapshot.as_mut(), query).await?;
        convert("seals", rows, |row| {
            Ok(Seal {
                seq: row.int()?,
                format: row.int()?,
                previous: row.text()?,
                body: row.text()?,
                digest: row.text()?,
            })
        })
    }

    /// Follows the chain, and takes in what was sealed last of each row.
    async fn seals(&mut self) -> Result<(), StoreError> {
        let (mut last, mut previous) = (0, beginning().to_hex());
        loop {
            let page = self.page(last).await?;
            if page.is_empty() {
                return Ok(());
            }
            for seal in page {
                self.seal(&seal, last, &previous)?;
                (last, previous) = (seal.seq, seal.digest);
                if let Ok(digest) = previous.parse() {
                    self.audit.head = Some(SealHead { seq: last, digest });
                }
            }
        }
    }

    fn seal(&mut self, seal: &Seal, last: u64, previous: &str) -> Result<(), StoreError> {
        let (chain, seq) = (self.chain.name().to_owned(), seal.seq);
        if seal.format != FORMAT {
            let found = seal.format;
            let reason = format!(
                "seal {seq} of {chain} is of format {found}, this gyre reads format {FORMAT}; use \
                 a newer gyre"
            );
            return Err(StoreError::Row { table: "seals", reason });
        }
        let ids = || vec![format!("{chain}/{seq}")];
        if seq != last + 1 {
            let detail = format!("the seals between {last} and {seq} are gone");
            self.found("seal_missing", detail, ids());
        } else if seal.previous != previous {
            let detail = format!("seal {seq} does not follow from seal {last}: one was changed");
            self.found("seal_broken", detail, ids());
        }
        let computed = seal
            .previous
            .parse::<Digest>()
            .map(|previous| digest(&previous, seal.format, &chain, seq, &seal.body).to_hex());
        if computed.as_deref() != Ok(seal.digest.as_str()) {
            let detail = format!("seal {seq} was changed: its digest is not that of what it says");
            self.found("seal_broken", detail, ids());
        }
        let body = match serde_json::from_str::<Body>(&seal.body) {
            Ok(body) => body,
            Err(error) => {
                self.found("seal_broken", format!("seal {seq} cannot be read: {error}"), ids());
                return Ok(());
            }
        };
        self.audit.adopted |= body.adopted;
        for entry in body.entries() {
            match entry {
                Ok(entry) => self.take(&entry, seq),
                Err(why) => self.found("seal_broken", format!("seal {seq}: {why}"), ids()),
            }
        }
        Ok(())
    }

    /// Takes in one row of a seal, which must go on from what was sealed before.
    fn take(&mut self, entry: &Entry<'_>, seq: u64) {
        let last = Last { digest: entry.after, seq };
        let before = match self.sealed.entry(place(entry.table, entry.key)) {
            hash_map::Entry::Occupied(mut known) => Some(known.insert(last).digest),
            hash_map::Entry::Vacant(new) => {
                new.insert(last);
                None
            }
        };
        if before != entry.before {
            let (table, key) = (entry.table, entry.key);
            let detail = format!(
                "{} was changed past the store before seal {seq} changed it again",
                shown(table, key)
            );
            self.found("row_changed", detail, vec![row_id(table, key)]);
        }
    }

    /// Compares every row of a table with what was sealed last of it.
    async fn table(&mut self, sealed: &Sealed) -> Result<(), StoreError> {
        let mut after: Option<Vec<Cell>> = None;
        loop {
            let snapshot = self.snapshot.as_mut();
            let page =
                sealed.page(self.store, snapshot, self.chain, after.as_deref(), PAGE_ROWS).await?;
            for cells in &page {
                self.row(sealed, cells);
            }
            match page.last() {
                Some(last) if page.len() == PAGE_ROWS => after = Some(sealed.key_cells(last)),
                _ => return Ok(()),
            }
        }
    }

    fn row(&mut self, sealed: &Sealed, cells: &[Cell]) {
        self.audit.rows += 1;
        let (table, key) = (sealed.table.name, sealed.key_text(cells));
        let ids = || vec![row_id(table, &key)];
        match self.sealed.remove(&place(table, &key)) {
            None => {
                let shown = shown(table, &key);
                let detail = format!("{shown} is in no seal: it was added past the store");
                self.found("row_unsealed", detail, ids());
            }
            Some(Last { digest, seq }) if digest != RowDigest::of(sealed.table, cells) => {
                let detail =
                    format!("{} holds other values than seal {seq} recorded", shown(table, &key));
                self.found("row_changed", detail, ids());
            }
            Some(_) => {}
        }
    }

    /// What was sealed and not come across is gone. Its keys are read again from
    /// the seals, which alone have them.
    async fn missing(&mut self) -> Result<(), StoreError> {
        let mut last = 0;
        while !self.sealed.is_empty() {
            let page = self.page(last).await?;
            let Some(newest) = page.last() else { return Ok(()) };
            last = newest.seq;
            for seal in &page {
                let Ok(body) = serde_json::from_str::<Body>(&seal.body) else { continue };
                for Entry { table, key, .. } in body.entries().flatten() {
                    if let Some(Last { seq, .. }) = self.sealed.remove(&place(table, key)) {
                        let detail =
                            format!("{}, recorded by seal {seq}, is gone", shown(table, key));
                        self.found("row_missing", detail, vec![row_id(table, key)]);
                    }
                }
            }
        }
        Ok(())
    }
}

fn place(table: &str, key: &str) -> RowDigest {
    RowDigest::half(&Digest::of_parts([table.as_bytes(), key.as_bytes()]))
}

/// A row as findings name it; a run's own row has no key within its chain.
fn row_id(table: &str, key: &str) -> String {
    if key.is_empty() { table.to_owned() } else { format!("{table}/{key}") }
}

fn shown(table: &str, key: &str) -> String {
    match key {
        "" => format!("the row of {table}"),
        key => format!("the row {key} of {table}"),
    }
}
