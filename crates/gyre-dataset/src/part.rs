use std::path::PathBuf;

use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{Array, Float32Array, ListArray, RecordBatch, UInt32Array, UInt64Array};
use gyre_folder::Folder;
use gyre_types::{
    Digest, FinishReason, PartId, PolicyRef, RolloutRecord, Sampling, Seed, StopReason, TurnRecord,
};

use crate::columns::{Columns, View, bounds, numbers, optional, parse};
use crate::encode::{self, Messages};
use crate::error::{At, DatasetError, Fault};
use crate::file::{Batches, Form, ParquetFile, ROWS_PER_BATCH, Range, digest_file};
use crate::source::Source;

/// The schema of parts.
const SCHEMA: &str = "part/2";
/// Read as well; lacks the two settings of an episode that `Episode` reads.
const SCHEMA_1: &str = "part/1";
const READ: &[&str] = &[SCHEMA, SCHEMA_1];
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

fn encode(records: &[RolloutRecord]) -> Result<RecordBatch, Fault> {
    let rows = || records.iter();
    let mut columns = Columns::default();
    columns.text("id", rows().map(|r| r.id.as_str()));
    columns.u32("round", rows().map(|r| r.round));
    columns.text("purpose", rows().map(|r| r.purpose.as_str()));
    columns.text("task", rows().map(|r| r.task.as_str()));
    columns.u32("sample", rows().map(|r| r.sample));
    columns.u64("seed", rows().map(|r| r.seed.0));
    columns.f32("temperature", rows().map(|r| r.sampling.temperature));
    columns.u32("tokens_max", rows().map(|r| r.sampling.tokens_max));
    columns.u32("turns_max", rows().map(|r| r.turns_max));
    columns.optional_u32("rollout_tokens_max", rows().map(|r| r.tokens_max));
    columns.optional_f32("repair_temperature", rows().map(|r| r.repair_temperature));
    columns.optional_text(
        "checkpoint",
        rows().map(|r| r.policy.checkpoint.as_ref().map(|id| id.as_str())),
    );
    columns.text("policy_digest", rows().map(|r| r.policy.digest.to_hex()));
    columns.text("sandbox_digest", rows().map(|r| r.sandbox_digest.to_hex()));
    encode::messages(&mut columns, rows().map(|r| r.messages.as_slice()))?;
    columns.u32_lists("prompt_tokens", rows().map(|r| r.prompt_tokens.as_slice()));
    columns.struct_lists("turns", rows().map(|r| r.turns.len()), encode_turns(records))?;
    columns.text("answer", rows().map(|r| &r.answer));
    columns.text("stop", rows().map(|r| r.stop.as_str()));
    columns.u64("fuel", rows().map(|r| r.fuel));
    columns.text("chain", rows().map(|r| r.chain.to_hex()));
    columns.finish()
}

fn encode_turns(records: &[RolloutRecord]) -> Columns {
    let turns = || records.iter().flat_map(|record| &record.turns);
    let mut columns = Columns::default();
    columns.u32_lists("tokens", turns().map(|turn| turn.tokens.as_slice()));
    columns.f32_lists("logprobs", turns().map(|turn| turn.logprobs.as_slice()));
    columns.text("finish", turns().map(|turn| finish_name(turn.finish)));
    columns.u64("fuel", turns().map(|turn| turn.fuel));
    columns.text("chain", turns().map(|turn| turn.chain.to_hex()));
    columns
}

fn decode(batch: &RecordBatch) -> Result<Vec<RolloutRecord>, Fault> {
    let view = View::of(batch);
    let (id, purpose, task) = (view.text("id")?, view.text("purpose")?, view.text("task")?);
    let (round, sample) = (view.get::<UInt32Array>("round")?, view.get::<UInt32Array>("sample")?);
    let seed: &UInt64Array = view.get("seed")?;
    let temperature: &Float32Array = view.get("temperature")?;
    let tokens_max: &UInt32Array = view.get("tokens_max")?;
    let turns_max: &UInt32Array = view.get("turns_max")?;
    let episode = Episode::of(&view)?;
    let (checkpoint, policy) = (view.text("checkpoint")?, view.text("policy_digest")?);
    let sandbox = view.text("sandbox_digest")?;
    let messages = Messages::of(&view)?;
    let prompt_tokens: &ListArray = view.get("prompt_tokens")?;
    let turns = Turns::of(&view)?;
    let (answer, stop) = (view.text("answer")?, view.text("stop")?);
    let (fuel, chain) = (view.get::<UInt64Array>("fuel")?, view.text("chain")?);
    let record = |row: usize| {
        Ok(RolloutRecord {
            id: parse(id.value(row))?,
            round: round.value(row),
            purpose: parse(purpose.value(row))?,
            task: parse(task.value(row))?,
            sample: sample.value(row),
            seed: Seed(seed.value(row)),
            sampling: Sampling {
                temperature: temperature.value(row),
                tokens_max: tokens_max.value(row),
            },
            turns_max: turns_max.value(row),
            tokens_max: episode.tokens_max(row),
            repair_temperature: episode.repair_temperature(row),
            policy: PolicyRef {
                checkpoint: optional(checkpoint, row).map(parse).transpose()?,
                digest: parse(policy.value(row))?,
            },
            sandbox_digest: parse(sandbox.value(row))?,
            messages: messages.row(row)?,
            prompt_tokens: numbers::<UInt32Type>(prompt_tokens, row)?,
            turns: turns.row(row)?,
            answer: answer.value(row).to_owned(),
            stop: read_stop(stop.value(row))?,
            fuel: fuel.value(row),
            chain: parse(chain.value(row))?,
        })
    };
    (0..batch.num_rows()).map(record).collect()
}

/// The settings that `part/1` did not hold.
struct Episode<'a> {
    tokens_max: Option<&'a UInt32Array>,
    repair_temperature: Option<&'a Float32Array>,
}

impl<'a> Episode<'a> {
    fn of(view: &View<'a>) -> Result<Self, Fault> {
        Ok(Self {
            tokens_max: view.optional("rollout_tokens_max")?,
            repair_temperature: view.optional("repair_temperature")?,
        })
    }

    fn tokens_max(&self, row: usize) -> Option<u32> {
        let column = self.tokens_max.filter(|column| column.is_valid(row))?;
        Some(column.value(row))
    }

    fn repair_temperature(&self, row: usize) -> Option<f32> {
        let column = self.repair_temperature.filter(|column| column.is_valid(row))?;
        Some(column.value(row))
    }
}

/// The turns column, read.
struct Turns<'a> {
    list: &'a ListArray,
    tokens: &'a ListArray,
    logprobs: &'a ListArray,
    finish: &'a arrow_array::StringArray,
    fuel: &'a UInt64Array,
    chain: &'a arrow_array::StringArray,
}

impl<'a> Turns<'a> {
    fn of(view: &View<'a>) -> Result<Self, Fault> {
        let (list, items) = view.structs("turns")?;
        Ok(Self {
            list,
            tokens: items.get("tokens")?,
            logprobs: items.get("logprobs")?,
            finish: items.text("finish")?,
            fuel: items.get("fuel")?,
            chain: items.text("chain")?,
        })
    }

    fn row(&self, row: usize) -> Result<Vec<TurnRecord>, Fault> {
        let turn = |index: usize| {
            Ok(TurnRecord {
                tokens: numbers::<UInt32Type>(self.tokens, index)?,
                logprobs: numbers::<Float32Type>(self.logprobs, index)?,
                finish: read_finish(self.finish.value(index))?,
                fuel: self.fuel.value(index),
                chain: parse(self.chain.value(index))?,
            })
        };
        bounds(self.list, row).map(turn).collect()
    }
}

fn finish_name(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::Rule => "rule",
    }
}

fn read_finish(text: &str) -> Result<FinishReason, Fault> {
    [FinishReason::Stop, FinishReason::Length, FinishReason::Rule]
        .into_iter()
        .find(|finish| finish_name(*finish) == text)
        .ok_or_else(|| Fault::Damaged(format!("{text:?} is no reason to finish")))
}

fn read_stop(text: &str) -> Result<StopReason, Fault> {
    StopReason::ALL
        .into_iter()
        .find(|stop| stop.as_str() == text)
        .ok_or_else(|| Fault::Damaged(format!("{text:?} is no reason to stop")))
}
