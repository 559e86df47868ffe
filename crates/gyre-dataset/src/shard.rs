use std::collections::HashSet;
use std::mem;
use std::path::PathBuf;

use gyre_folder::Folder;
use gyre_types::{Digest, RolloutId, ShardId};

use crate::error::{At, DatasetError, Fault};
use crate::file::{ParquetFile, ROWS_PER_BATCH, Staged, content_name, digest_file};
use crate::group::GroupRow;
use crate::published::PublishedRow;
use crate::read::read_rows;
use crate::row::DatasetRow;
use crate::source::Source;

/// Bytes of rows, as JSON, that wait to be encoded: fewer rows than a batch where
/// they have many tokens.
const BYTES_WAITING: usize = 8 << 20;

/// Writes a shard of accepted rows.
pub type DatasetWriter = ShardWriter<DatasetRow>;

/// Writes a shard of whole groups.
pub type GroupWriter = ShardWriter<GroupRow>;

/// Writes one shard, row by row, to a temporary file.
///
/// Holds the rows of one batch and what the file's encoder holds of one row group,
/// and the ids of all rows. Dropping it removes the file.
pub struct ShardWriter<R> {
    round: u32,
    folder: Folder,
    /// What the file would be called without its digest in its name.
    name: String,
    file: Option<ParquetFile>,
    waiting: Vec<R>,
    /// Bytes of the rows that wait, as JSON.
    waiting_bytes: usize,
    rollouts: Vec<RolloutId>,
    seen: HashSet<RolloutId>,
    content: Digest,
}

impl<R: PublishedRow> ShardWriter<R> {
    /// Begins a shard with rows of a round, in this folder. It is named by its
    /// content, `train-r0001-<digest>.parquet`, once that is known.
    pub fn new(dir: impl Into<Folder>, round: u32) -> Self {
        Self {
            round,
            folder: dir.into(),
            name: format!("train-r{round:04}.parquet"),
            file: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
            rollouts: Vec::new(),
            seen: HashSet::new(),
            content: empty(),
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// When the row is of a held-out task, has no verdict, contradicts itself,
    /// or repeats a rollout; or when the file cannot be written.
    pub fn push(&mut self, row: R) -> Result<(), DatasetError> {
        let repeated = || "it is in the shard already".to_owned();
        let known = self.seen.contains(row.rollout_id());
        if let Some(reason) = row.objection().or_else(|| known.then(repeated)) {
            let fault = Fault::Row { rollout: row.rollout_id().to_string(), reason };
            return Err(DatasetError::new(&self.path(), "write", fault));
        }
        self.seen.insert(row.rollout_id().clone());
        self.rollouts.push(row.rollout_id().clone());
        let json = gyre_types::canonical_json(&row);
        self.content = self.content.chain(json.as_bytes());
        self.waiting_bytes += json.len();
        self.waiting.push(row);
        let is_full = self.waiting.len() == ROWS_PER_BATCH || self.waiting_bytes >= BYTES_WAITING;
        if is_full { self.flush() } else { Ok(()) }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    fn flush(&mut self) -> Result<(), DatasetError> {
        self.waiting_bytes = 0;
        let batch = R::encode(&mem::take(&mut self.waiting)).at(&self.path(), "write")?;
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(ParquetFile::create((&self.folder, &self.name), R::FORM, &batch)?),
        };
        file.write(&batch)
    }

    /// Writes the footer, puts the file on disk, reopens it and compares every
    /// row. It still has its temporary name.
    ///
    /// # Errors
    ///
    /// When the file cannot be written or does not read back.
    pub fn seal(mut self) -> Result<SealedShard, DatasetError> {
        if !self.waiting.is_empty() || self.file.is_none() {
            self.flush()?;
        }
        let Some(file) = self.file.take() else {
            unreachable!("flush makes the file");
        };
        let staged = file.finish()?;
        self.verify(staged.temporary()).at(&self.path(), "write")?;
        let (sha256, bytes) = digest_file(staged.temporary()).at(&self.path(), "write")?;
        let staged = staged.renamed(&content_name(self.round, &sha256));
        let shard = PublishedShard {
            id: ShardId::from_digest(&sha256),
            path: staged.target(),
            sha256,
            bytes,
            rollouts: mem::take(&mut self.rollouts),
        };
        Ok(SealedShard { staged, shard })
    }

    fn verify(&self, temporary: Source) -> Result<(), Fault> {
        let mut content = empty();
        let mut rows = 0;
        for row in read_rows::<R>(temporary).map_err(|error| error.fault)? {
            let row = row.map_err(|error| error.fault)?;
            if self.rollouts.get(rows) != Some(row.rollout_id()) {
                return Err(Fault::Readback(format!("row {rows} is {}", row.rollout_id())));
            }
            content = content.chain(gyre_types::canonical_json(&row).as_bytes());
            rows += 1;
        }
        if rows != self.rollouts.len() || content != self.content {
            let written = self.rollouts.len();
            return Err(Fault::Readback(format!("{rows} of {written} rows, or one differs")));
        }
        Ok(())
    }
}

fn empty() -> Digest {
    Digest::of(b"gyre-shard")
}

/// A complete and verified shard under its temporary name. Dropping it removes it.
pub struct SealedShard {
    staged: Staged,
    shard: PublishedShard,
}

impl SealedShard {
    /// Gives the file its name. It survives a crash from here on, and counts
    /// once a lineage commit names it; before that it is garbage.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn publish(self) -> Result<PublishedShard, DatasetError> {
        self.staged.publish()?;
        Ok(self.shard)
    }
}

/// A shard with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedShard {
    /// Derived from `sha256`.
    pub id: ShardId,
    /// Where it lies.
    pub path: PathBuf,
    /// Of the whole file.
    pub sha256: Digest,
    /// The file's size.
    pub bytes: u64,
    /// The rollout of each row, in order.
    pub rollouts: Vec<RolloutId>,
}
