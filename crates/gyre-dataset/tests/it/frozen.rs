//! Files that an earlier version wrote must stay readable.
//!
//! The fixtures are never written again; a new schema version adds new ones.

use std::path::PathBuf;

use gyre_dataset::{read_part, read_shard};

use crate::scenario::{record, row};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
fn a_part_of_version_1_reads() {
    let read: Vec<_> = read_part(&fixture("part-1.parquet")).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, (0..12).map(record).collect::<Vec<_>>());
}

#[test]
fn a_shard_of_version_1_reads() {
    let read: Vec<_> =
        read_shard(&fixture("dataset-1.parquet")).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, (0..12).map(row).collect::<Vec<_>>());
}
