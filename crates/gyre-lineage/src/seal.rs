//! Seals: a running digest over everything that is recorded.
//!
//! Each transaction that records something appends one seal to a chain: the
//! digests of the rows that it added or changed, and a digest over these and the
//! seal before it. So whatever is changed, added or taken away past the store
//! shows: in the row, in the chain, or in where the chain ends. See
//! `docs/adr/0017-seals.md`.

mod body;
mod check;
mod row;
mod write;

use gyre_types::{Digest, RunId};

use crate::cells::convert;
use crate::database::{Query, Transaction};
use crate::{Store, StoreError};

pub use check::SealAudit;
pub(crate) use row::{Sealed, keys_among, row_of};
pub(crate) use write::Sealer;

/// The version of what the digests are taken over. Another list of columns in
/// [`row`] is another version, unless what rows of before have in a new column adds
/// nothing to their digests.
const FORMAT: u32 = 1;

/// What is sealed in one chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SealChain {
    /// All that one run recorded.
    Run(RunId),
    /// Registered verifiers and revocations, which count for all runs.
    Registry,
}

impl SealChain {
    /// Its name in the table of seals: no run's id is `registry`, since ids end in
    /// a number.
    pub fn name(&self) -> &str {
        match self {
            Self::Run(run) => run.as_str(),
            Self::Registry => "registry",
        }
    }

    /// The run, where it is one's.
    fn run(&self) -> Option<&RunId> {
        match self {
            Self::Run(run) => Some(run),
            Self::Registry => None,
        }
    }
}

impl std::fmt::Display for SealChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Where a chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealHead {
    /// The number of its last seal, from 1.
    pub seq: u64,
    /// That seal's digest.
    pub digest: Digest,
}

/// The digest of a chain's next seal.
fn digest(previous: &Digest, format: u32, chain: &str, seq: u64, body: &str) -> Digest {
    previous.chain(format!("{format} {chain} {seq}").as_bytes()).chain(body.as_bytes())
}

/// What a chain's first seal follows.
fn beginning() -> Digest {
    Digest::of(b"gyre seal")
}

impl Store {
    /// Where a chain ends; none where nothing of it is sealed yet.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn seal_head(&self, chain: &SealChain) -> Result<Option<SealHead>, StoreError> {
        read_head(self.fetch(head_query(chain)).await?)
    }

    /// The digest of one seal of a chain; none where there is no such seal.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn seal_digest(
        &self,
        chain: &SealChain,
        seq: u64,
    ) -> Result<Option<Digest>, StoreError> {
        let query = Query::with(
            "SELECT digest FROM seals WHERE chain = $1 AND seq = $2",
            [chain.name().into(), seq.into()],
        );
        Ok(convert("seals", self.fetch(query).await?, |row| row.parse())?.pop())
    }

    /// The ids of all runs that are recorded or sealed, whether or not their rows
    /// can be read: for an audit, which is to name what is wrong with them.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn run_ids(&self) -> Result<Vec<RunId>, StoreError> {
        let query = Query::new("SELECT run FROM runs UNION SELECT chain FROM seals ORDER BY 1");
        let names = convert("runs", self.fetch(query).await?, |row| row.text())?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }
}

fn head_query(chain: &SealChain) -> Query {
    Query::with(
        "SELECT seq, digest FROM seals WHERE chain = $1 ORDER BY seq DESC LIMIT 1",
        [chain.name().into()],
    )
}

fn read_head(rows: Vec<crate::database::Row>) -> Result<Option<SealHead>, StoreError> {
    let read =
        |row: &mut crate::database::Row| Ok(SealHead { seq: row.int()?, digest: row.parse()? });
    Ok(convert("seals", rows, read)?.pop())
}

async fn fetch(
    store: &Store,
    transaction: &mut dyn Transaction,
    query: Query,
) -> Result<Vec<crate::database::Row>, StoreError> {
    transaction.fetch(query).await.map_err(|failure| store.fail(failure))
}
