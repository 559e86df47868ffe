use std::fs;

use gyre_dataset::{Fault, Layout, read_groups, read_part, read_record, read_shard, write_part};
use gyre_types::{Answer, Digest, PartId, RolloutRecord, Usage};
use proptest::prelude::*;

use crate::scenario::{group_row_of, names, publish_groups, publish_rows, record, row_of};

#[test]
fn records_read_back_whole_and_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let records: Vec<_> = (0..1_300).map(record).collect();
    let part = write_part(folder.path(), "round-0001", &records).unwrap();
    assert_eq!(part.path, folder.path().join("round-0001.parquet"));
    assert_eq!(part.rows, 1_300);
    let bytes = fs::read(&part.path).unwrap();
    assert_eq!((part.sha256, part.bytes), (Digest::of(&bytes), bytes.len() as u64));
    assert_eq!(part.id, PartId::from_digest(&part.sha256));
    let read: Vec<_> = read_part(&part.path).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, records);
    for row in [0, 3, 511, 512, 1_299] {
        assert_eq!(read_record(&part.path, row).unwrap(), records[row as usize]);
    }
    let missing = read_record(&part.path, 1_300).unwrap_err();
    assert!(matches!(missing.fault, Fault::NoSuchRow(1_300)), "{missing:?}");
    assert_eq!(names(folder.path()), ["round-0001.parquet"]);
}

#[test]
fn the_same_records_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let records: Vec<_> = (0..600).map(record).collect();
    let first = write_part(folder.path(), "a", &records).unwrap();
    let second = write_part(folder.path(), "b", &records).unwrap();
    assert_eq!(first.sha256, second.sha256);
    let again = write_part(folder.path(), "a", &records[..1]).unwrap();
    assert_ne!(first.sha256, again.sha256);
    assert_eq!(read_part(&again.path).unwrap().count(), 1);
}

#[test]
fn an_empty_part_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let part = write_part(folder.path(), "empty", &[]).unwrap();
    assert_eq!(part.rows, 0);
    assert_eq!(read_part(&part.path).unwrap().count(), 0);
}

fn any_record() -> impl Strategy<Value = RolloutRecord> {
    let numbers = (any::<u32>(), any::<u32>(), any::<u64>(), -1e9_f32..1e9);
    let texts = (".*", ".*", proptest::option::of(".*"));
    (numbers, texts, proptest::collection::vec(any::<u32>(), 0..9)).prop_map(
        |((number, sample, fuel, logprob), (answer, content, call_id), tokens)| {
            let mut record = record(number % 1_000);
            record.sample = sample;
            record.fuel = fuel;
            record.answer = Answer::Program(answer);
            for message in &mut record.messages {
                message.content.clone_from(&content);
                message.tool_call_id.clone_from(&call_id);
            }
            for turn in &mut record.turns {
                turn.logprobs = vec![logprob; turn.tokens.len()];
                turn.fuel = fuel;
                turn.prompt_tokens.clone_from(&tokens);
                turn.reasoning.clone_from(&call_id);
                turn.model.clone_from(&call_id);
                turn.usage = Usage { prompt: fuel, cached: fuel / 2, completion: fuel / 3 };
            }
            record
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_records_read_back(records in proptest::collection::vec(any_record(), 0..20)) {
        let folder = tempfile::tempdir().unwrap();
        let part = write_part(folder.path(), "any", &records).unwrap();
        let read: Vec<_> = read_part(&part.path).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(read, records);
    }

    /// Whatever a model said, and whatever tokens it has: what the rows hold is what is
    /// read back, which the writer compares too.
    #[test]
    fn any_rows_read_back(records in proptest::collection::vec(any_record(), 0..20)) {
        let mut records = records;
        let mut seen = std::collections::HashSet::new();
        records.retain(|record| seen.insert(record.id.clone()) && record.fuel < 1 << 63);
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        layout.create().unwrap();
        let rows: Vec<_> = records.iter().map(|record| row_of(record, 0)).collect();
        let shard = publish_rows(&layout.data_dir(), 1, rows.iter().cloned());
        let read: Vec<_> = read_shard(&shard.path).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(read, rows);

        let groups: Vec<_> = records.iter().map(|record| group_row_of(record, 1)).collect();
        let shard = publish_groups(&layout, 1, groups.iter().cloned());
        let read = read_groups(&layout.resolve(&shard.path)).unwrap();
        let read: Vec<_> = read.map(Result::unwrap).collect();
        prop_assert_eq!(read, groups);
    }
}
