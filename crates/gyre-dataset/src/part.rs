mod columns;

use std::path::PathBuf;

use gyre_folder::Folder;
use gyre_types::{Digest, PartId, RolloutRecord};

use self::columns::{decode, encode};
use crate::columns::View;
use crate::error::{At, DatasetError, Fault};
use crate::file::{Batches, Form, ParquetFile, ROWS_PER_BATCH, Range, digest_file};
use crate::source::Source;

/// The schema of parts.
const SCHEMA: &str = "part/3";
/// Read as well; holds the prompt of the first turn alone, and neither usage,
/// reasoning nor model of any turn.
const SCHEMA_2: &str = "part/2";
/// Read as well; lacks also the settings `rollout_tokens_max` and
/// `repair_temperature`.
const SCHEMA_1: &str = "part/1";
const READ: &[&str] = &[SCHEMA, SCHEMA_2, SCHEMA_1];
const FORM: Form = Form { schema: SCHEMA, label: "part", says_json: false };

/// A finished file of rollout bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartFile {
    /// Derived from `sha256`.
    pub id: PartId,
    /// Where it lies.
    pub path: PathBuf,
    /// Of the whole file.
    pub sha256: Digest,
    /// The file's size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u32,
}

/// Writes records to `dir/name.parquet`, in place of any file of that name:
/// temporary file, footer, fsync, reopen and compare each record, rename,
/// fsync of the folder. It counts once a lineage commit names it.
///
/// # Errors
///
/// When the disk is full, the folder cannot be written, or the file does not
/// read back. Nothing half-written stays.
pub fn write_part(
    dir: impl Into<Folder>,
    name: &str,
    records: &[RolloutRecord],
) -> Result<PartFile, DatasetError> {
    let (dir, name) = (dir.into(), format!("{name}.parquet"));
    let path = dir.path().join(&name);
    let first = encode(&records[..records.len().min(ROWS_PER_BATCH)]).at(&path, "write")?;
    let mut file = ParquetFile::create((&dir, &name), FORM, &first)?;
    for chunk in records.chunks(ROWS_PER_BATCH) {
        file.write(&encode(chunk).at(&path, "write")?)?;
    }
    let staged = file.finish()?;
    verify(staged.temporary(), records).at(&path, "write")?;
    let (sha256, bytes) = digest_file(staged.temporary()).at(&path, "write")?;
    staged.publish()?;
    let rows = u32::try_from(records.len()).unwrap_or(u32::MAX);
    Ok(PartFile { id: PartId::from_digest(&sha256), path, sha256, bytes, rows })
}

fn verify(temporary: Source, records: &[RolloutRecord]) -> Result<(), Fault> {
    let mut written = records.iter();
    for read in read_part(temporary).map_err(|error| error.fault)? {
        let read = read.map_err(|error| error.fault)?;
        if written.next() != Some(&read) {
            return Err(Fault::Readback(format!("{} differs", read.id)));
        }
    }
    match written.next() {
        Some(record) => Err(Fault::Readback(format!("{} is missing", record.id))),
        None => Ok(()),
    }
}

/// Streams the records of a part, in order.
///
/// # Errors
///
/// When the file is missing, damaged, or of another schema; the iterator's
/// items fail when a row is damaged.
pub fn read_part(source: impl Into<Source>) -> Result<PartReader, DatasetError> {
    read_range(source.into(), Range::default())
}

/// Reads one record of a part.
///
/// # Errors
///
/// As [`read_part`], and when there is no such row.
pub fn read_record(source: impl Into<Source>, row: u32) -> Result<RolloutRecord, DatasetError> {
    let source = source.into();
    let path = source.path.clone();
    let mut reader =
        read_range(source, Range { offset: row as usize, limit: Some(1), ..Range::default() })?;
    let missing = || Err(DatasetError::new(&path, "read", Fault::NoSuchRow(row)));
    reader.next().unwrap_or_else(missing)
}

/// Reads the answers of a part, in order, and nothing else of it.
///
/// # Errors
///
/// As [`read_part`].
pub fn read_answers(source: impl Into<Source>) -> Result<Vec<String>, DatasetError> {
    let range = Range { column: Some("answer"), ..Range::default() };
    let mut batches = Batches::open(source.into(), READ, range)?;
    let mut answers = Vec::new();
    while let Some(batch) = batches.next(|batch| {
        let column = View::of(batch).text("answer")?;
        Ok(column.iter().map(|text| text.unwrap_or_default().to_owned()).collect::<Vec<_>>())
    }) {
        answers.extend(batch?);
    }
    Ok(answers)
}

fn read_range(source: Source, range: Range) -> Result<PartReader, DatasetError> {
    let batches = Batches::open(source, READ, range)?;
    Ok(PartReader { batches, ready: Vec::new().into_iter() })
}

/// The records of a part; see [`read_part`].
pub struct PartReader {
    batches: Batches,
    ready: std::vec::IntoIter<RolloutRecord>,
}

impl Iterator for PartReader {
    type Item = Result<RolloutRecord, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.ready.next() {
                return Some(Ok(record));
            }
            match self.batches.next(decode)? {
                Ok(records) => self.ready = records.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
