//! Files that an earlier version wrote must stay readable.
//!
//! The fixtures are never written again; a new schema version adds new ones.

use std::path::PathBuf;

use gyre_dataset::{DatasetRow, read_part, read_shard, write_part};
use gyre_types::{Digest, RolloutRecord};

use crate::scenario::{publish, record, row};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
fn a_part_of_version_1_reads() {
    let read: Vec<_> = read_part(&fixture("part-1.parquet")).unwrap().map(Result::unwrap).collect();
    // Version 1 did not say how later turns were sampled, nor what bounded them together.
    let written =
        |number| RolloutRecord { tokens_max: None, repair_temperature: None, ..record(number) };
    assert_eq!(read, (0..12).map(written).collect::<Vec<_>>());
}

#[test]
fn a_part_of_version_2_reads_and_is_written_so_today() {
    let frozen = fixture("part-2.parquet");
    let records: Vec<_> = (0..12).map(record).collect();
    let read: Vec<_> = read_part(&frozen).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, records);
    let folder = tempfile::tempdir().unwrap();
    let written = write_part(folder.path(), "part", &records).unwrap();
    assert_eq!(Digest::of(&std::fs::read(frozen).unwrap()), written.sha256);
}

#[test]
fn a_shard_of_version_1_reads() {
    let read: Vec<_> =
        read_shard(&fixture("dataset-1.parquet")).unwrap().map(Result::unwrap).collect();
    let written = |number| {
        // Version 1 masked no turn, and rounded no number.
        let DatasetRow { logprobs, tokens, .. } = row(number);
        let logprobs = (0..logprobs.len()).map(|_| 0.0).collect();
        DatasetRow { logprobs, loss_mask: vec![true; tokens.len()], tokens, ..row(number) }
    };
    let read: Vec<_> = read
        .into_iter()
        .map(|row| DatasetRow { logprobs: vec![0.0; row.logprobs.len()], ..row })
        .collect();
    assert_eq!(read, (0..12).map(written).collect::<Vec<_>>());
}

#[test]
fn a_shard_of_version_2_reads_and_is_written_so_today() {
    let frozen = fixture("dataset-2.parquet");
    let read: Vec<_> = read_shard(&frozen).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, (0..12).map(row).collect::<Vec<_>>());
    let folder = tempfile::tempdir().unwrap();
    let written = publish(folder.path(), 1, 0..12);
    assert_eq!(Digest::of(&std::fs::read(frozen).unwrap()), written.sha256);
}
