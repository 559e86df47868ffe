//! Files that an earlier version wrote must stay readable.
//!
//! The fixtures are never written again; a new schema version adds new ones.

use gyre_dataset::{DatasetRow, GroupRow, Layout, read_groups, read_part, read_shard, write_part};
use gyre_types::{Digest, RolloutRecord};

use crate::scenario::{
    fixture, group_row, publish, publish_groups, record, record_of_version_2, row, row_of_version_2,
};

#[test]
fn a_part_of_version_1_reads() {
    let read: Vec<_> = read_part(&fixture("part-1.parquet")).unwrap().map(Result::unwrap).collect();
    // Version 1 did not say how later turns were sampled, nor what bounded them together.
    let written = |number| RolloutRecord {
        tokens_max: None,
        repair_temperature: None,
        ..record_of_version_2(number)
    };
    assert_eq!(read, (0..12).map(written).collect::<Vec<_>>());
}

#[test]
fn a_part_of_version_2_reads() {
    let read: Vec<_> = read_part(&fixture("part-2.parquet")).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, (0..12).map(record_of_version_2).collect::<Vec<_>>());
}

#[test]
fn a_part_of_version_3_reads_and_is_written_so_today() {
    let frozen = fixture("part-3.parquet");
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
    // Version 1 masked no turn, and rounded no number.
    let unrounded = |mut row: DatasetRow| {
        for turn in &mut row.turns {
            turn.logprobs = vec![0.0; turn.logprobs.len()];
            turn.loss_mask = vec![true; turn.loss_mask.len()];
        }
        row
    };
    assert!(read.iter().flat_map(|row| &row.turns).all(|turn| !turn.loss_mask.contains(&false)));
    let read: Vec<_> = read.into_iter().map(unrounded).collect();
    let written = (0..12).map(|number| unrounded(row_of_version_2(number)));
    assert_eq!(read, written.collect::<Vec<_>>());
}

#[test]
fn a_shard_of_version_2_reads() {
    let read: Vec<_> =
        read_shard(&fixture("dataset-2.parquet")).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, (0..12).map(row_of_version_2).collect::<Vec<_>>());
}

#[test]
fn a_shard_of_version_3_reads_and_is_written_so_today() {
    let frozen = fixture("dataset-3.parquet");
    let read: Vec<_> = read_shard(&frozen).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, (0..12).map(row).collect::<Vec<_>>());
    let folder = tempfile::tempdir().unwrap();
    let written = publish(folder.path(), 1, 0..12);
    assert_eq!(Digest::of(&std::fs::read(frozen).unwrap()), written.sha256);
}

#[test]
fn groups_of_version_1_read_and_are_written_so_today() {
    let frozen = fixture("groups-1.parquet");
    let read: Vec<GroupRow> = read_groups(&frozen).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, (0..12).map(group_row).collect::<Vec<_>>());
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    layout.create().unwrap();
    let written = publish_groups(&layout, 1, (0..12).map(group_row));
    assert_eq!(Digest::of(&std::fs::read(frozen).unwrap()), written.sha256);
}
