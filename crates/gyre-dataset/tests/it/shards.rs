use std::collections::HashSet;
use std::fs;

use gyre_dataset::{
    DatasetWriter, Fault, Quantiles, collect_garbage, head, read_shard, stats, verify_dataset,
};
use gyre_types::{Digest, InvalidReason, ShardId, Split, Verdict};

use crate::scenario::{
    WRONG, card, dataset, episode, manifest_shard, names, publish, row, shard_of,
};

#[test]
fn rows_read_back_and_carry_no_detail() {
    let folder = tempfile::tempdir().unwrap();
    let shard = publish(folder.path(), 1, 0..1_100);
    let path = &shard.path;
    let bytes = fs::read(path).unwrap();
    assert_eq!((shard.sha256, shard.bytes), (Digest::of(&bytes), bytes.len() as u64));
    assert_eq!(shard.id, ShardId::from_digest(&shard.sha256));
    let reader = read_shard(path).unwrap();
    assert_eq!(reader.rows(), 1_100);
    let read: Vec<_> = reader.map(Result::unwrap).collect();
    let written: Vec<_> = (0..1_100).map(row).collect();
    assert_eq!(read, written);
    let rollouts: Vec<_> = written.iter().map(|row| row.rollout_id.clone()).collect();
    assert_eq!(shard.rollouts, rollouts);
    assert!(!format!("{read:?}").contains("SECRET"));
    let name = format!("train-r0001-{}.parquet", &shard.sha256.to_hex()[..16]);
    assert_eq!(names(folder.path()), [name]);
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let first = publish(folder.path(), 1, 0..700);
    let second = publish(folder.path(), 1, 0..700);
    assert_eq!(first, second);
    let other = publish(folder.path(), 1, 0..699);
    assert_ne!(first.path, other.path, "another content has another name");
}

#[test]
fn an_empty_shard_is_a_shard() {
    let folder = tempfile::tempdir().unwrap();
    let shard = publish(folder.path(), 1, 0..0);
    assert_eq!(shard.rollouts, []);
    assert_eq!(read_shard(&shard.path).unwrap().count(), 0);
}

#[test]
fn rows_that_may_not_be_trained_on_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = DatasetWriter::new(folder.path(), 1);
    let held_out = |split| gyre_dataset::DatasetRow { split, ..row(1) };
    let mut invalid = row(1);
    invalid.verdict =
        Verdict::Invalid { reason: InvalidReason::Infrastructure { detail: "lost".to_owned() } };
    let mut unweighed = row(1);
    unweighed.reward = f64::NAN;
    let mut unmasked = row(7);
    unmasked.turns[0].loss_mask.push(true);
    let mut endless = row(1);
    endless.fuel = 1 << 63;
    let mut unlogged = row(8);
    unlogged.turns[1].logprobs.pop();
    writer.push(row(0)).unwrap();
    for (row, expected) in [
        (held_out(Split::Gate), "is a held-out task (gate)"),
        (held_out(Split::Test), "is a held-out task (test)"),
        (invalid, "it has no verdict (infrastructure: lost)"),
        (unweighed, "its reward is NaN"),
        (endless, "its fuel is 9223372036854775808, more than 63 bits hold"),
        (unmasked, "the loss mask of turn 0 has 1 entries for 0 tokens"),
        (unlogged, "turn 1 has 1 logprobs for 2 tokens"),
        (row(0), "it is in the shard already"),
    ] {
        let id = row.rollout_id.to_string();
        match writer.push(row).unwrap_err().fault {
            Fault::Row { rollout, reason } => {
                assert_eq!(rollout, id);
                assert!(reason.ends_with(expected), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
    // What was refused left no trace.
    assert_eq!(writer.seal().unwrap().publish().unwrap().rollouts, [row(0).rollout_id]);
}

#[test]
fn what_is_not_published_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = DatasetWriter::new(folder.path(), 1);
    (0..600).for_each(|number| writer.push(row(number)).unwrap());
    assert_eq!(names(folder.path()), [".tmp-train-r0001.parquet"]);
    let sealed = writer.seal().unwrap();
    assert_eq!(names(folder.path()), [".tmp-train-r0001.parquet"]);
    drop(sealed);
    assert_eq!(names(folder.path()), [""; 0]);
    let mut writer = DatasetWriter::new(folder.path(), 1);
    (0..600).for_each(|number| writer.push(row(number)).unwrap());
    drop(writer);
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn the_folder_is_a_dataset_with_card_and_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let layout = dataset(folder.path());
    let whole =
        ["README.md", "data", "groups", "manifest.json", "prompt_completion", "sft", "sft_tools"];
    assert_eq!(names(folder.path()), whole);
    let manifest = layout.read_manifest().unwrap();
    for (path, _, _) in manifest.files() {
        assert!(layout.resolve(path).is_file(), "{path}");
    }
    assert_eq!(manifest.files().count(), 9);
    let rows: Vec<_> = manifest.accepted().map(|shard| (shard.round, shard.rows)).collect();
    assert_eq!(rows, [(1, 1_500), (2, 500)]);
    let readme = fs::read_to_string(folder.path().join("README.md")).unwrap();
    for expected in [
        "license: unknown",
        "- rows: 2000",
        "- attempts in groups: 1500",
        "1K<n<10K",
        "config_name: sft_tools",
        "config_name: groups",
    ] {
        assert!(readme.contains(expected), "{readme}");
    }
    for (path, _, _) in manifest.files() {
        assert!(readme.contains(&format!("    - {path}\n")), "{path} is not listed: {readme}");
    }
    assert!(!readme.contains("*.parquet"), "files are listed one by one: {readme}");
    assert_eq!(verify_dataset(&layout).unwrap(), []);
}

#[test]
fn the_index_follows_from_the_shards() {
    let folder = tempfile::tempdir().unwrap();
    let layout = dataset(folder.path());
    let before = fs::read(folder.path().join("manifest.json")).unwrap();
    let shards = layout.read_manifest().unwrap().shards;
    layout.write_index(&card(), &shards).unwrap();
    assert_eq!(fs::read(folder.path().join("manifest.json")).unwrap(), before);
}

#[test]
fn verification_finds_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let layout = dataset(folder.path());
    let first = shard_of(&layout, 1);
    let whole = fs::read(&first).unwrap();
    let codes = || -> Vec<_> {
        verify_dataset(&layout).unwrap().into_iter().map(|problem| problem.code).collect()
    };
    fs::write(&first, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(codes(), ["shard_truncated"]);
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    fs::write(&first, &flipped).unwrap();
    assert_eq!(codes(), ["shard_changed"]);
    fs::remove_file(&first).unwrap();
    assert_eq!(codes(), ["shard_missing"]);
    fs::write(&first, &whole).unwrap();
    fs::write(layout.data_dir().join("train-extra.parquet"), &whole).unwrap();
    assert_eq!(codes(), ["file_unnamed"]);
    fs::remove_file(layout.data_dir().join("train-extra.parquet")).unwrap();
    assert_eq!(codes(), [""; 0]);

    let card_file = folder.path().join("README.md");
    let as_written = fs::read(&card_file).unwrap();
    fs::write(&card_file, "---\n---\n").unwrap();
    assert_eq!(codes(), ["card_changed"]);
    fs::write(&card_file, as_written).unwrap();
    for view in layout.read_manifest().unwrap().views {
        let path = layout.resolve(&view.path);
        let as_written = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(codes(), ["view_missing"]);
        fs::write(&path, &whole).unwrap();
        assert_eq!(codes(), ["view_changed"]);
        fs::write(&path, as_written).unwrap();
    }
    assert_eq!(codes(), [""; 0]);

    let mut shards = layout.read_manifest().unwrap().shards;
    assert!(layout.index_is_of(&card(), &shards).unwrap());
    assert!(!layout.index_is_of(&card(), &shards[1..]).unwrap());
    shards[0].rows += 1;
    layout.write_index(&card(), &shards).unwrap();
    assert_eq!(codes(), ["shard_rows"]);
    fs::write(folder.path().join("manifest.json"), "{").unwrap();
    assert_eq!(codes(), ["manifest_unreadable"]);
}

#[test]
fn garbage_is_what_no_transaction_named() {
    let folder = tempfile::tempdir().unwrap();
    let layout = dataset(folder.path());
    let data = layout.data_dir();
    fs::write(data.join(".tmp-train-r0003.parquet"), "half").unwrap();
    fs::write(data.join("notes.txt"), "mine").unwrap();
    let known = HashSet::from([shard_of(&layout, 1)]);
    let removed = collect_garbage(&data, &known).unwrap();
    let expected = [data.join(".tmp-train-r0003.parquet"), shard_of(&layout, 2)];
    assert_eq!(removed, expected);
    let kept = shard_of(&layout, 1).file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(names(&data), ["notes.txt".to_owned(), kept]);
    assert_eq!(collect_garbage(&data, &known).unwrap(), [""; 0].map(std::path::PathBuf::from));
    let nowhere = folder.path().join("nowhere");
    assert!(collect_garbage(&nowhere, &known).unwrap().is_empty());
}

#[test]
fn head_and_stats_read_over_shards() {
    let folder = tempfile::tempdir().unwrap();
    let layout = dataset(folder.path());
    let read = head(&layout, 1_502).unwrap();
    assert_eq!(read.len(), 1_502);
    assert_eq!(read[1_501], row(1_501));
    assert_eq!(head(&layout, 0).unwrap(), []);
    assert_eq!(head(&layout, 9_999).unwrap().len(), 2_000);

    let stats = stats(&layout).unwrap();
    assert_eq!(stats.rows, 2_000);
    let manifest = layout.read_manifest().unwrap();
    assert_eq!(stats.bytes, manifest.accepted().map(|shard| shard.bytes).sum::<u64>());
    assert_eq!(stats.by_round, [(1, 667), (2, 667), (3, 666)].into());
    assert_eq!(stats.by_family, [("chain".to_owned(), 1_000), ("text".to_owned(), 1_000)].into());
    assert_eq!(stats.by_difficulty, [(1, 500), (2, 500), (3, 500), (4, 500)].into());
    assert_eq!(stats.by_verdict, [("fail".to_owned(), 500), ("pass".to_owned(), 1_500)].into());
    assert_eq!((stats.distinct_answers, stats.distinct_tasks), (100, 500));
    assert_eq!(stats.tokens, Quantiles { p50: 2, p90: 9, p99: 13, max: 13 });
    assert_eq!(stats.fuel.max, 1_999_000);
}

#[test]
fn a_later_round_changes_no_earlier_shard() {
    let folder = tempfile::tempdir().unwrap();
    let layout = dataset(folder.path());
    let before = fs::read(shard_of(&layout, 1)).unwrap();
    let third = publish(&layout.data_dir(), 3, 2_000..2_010);
    let mut shards = layout.read_manifest().unwrap().shards;
    shards.push(manifest_shard(3, &third));
    layout.write_index(&card(), &shards).unwrap();
    assert_eq!(fs::read(shard_of(&layout, 1)).unwrap(), before);
    assert_eq!(verify_dataset(&layout).unwrap(), []);
}

#[test]
fn only_the_turn_that_gave_the_answer_carries_loss() {
    let trained_on = |number| {
        let turns = episode(number).turns;
        let tokens = turns.iter().flat_map(|turn| turn.tokens.iter().zip(&turn.loss_mask));
        tokens.filter(|(_, trained)| **trained).map(|(token, _)| *token).collect::<Vec<_>>()
    };
    assert_eq!(trained_on(0), [100; 3], "handed in at once");
    assert_eq!(trained_on(1), [101; 3], "repaired: the first program was wrong");
    assert_eq!(trained_on(2), [101; 3], "run, and then handed in");
    assert!(format!("{:?}", episode(1)).contains(WRONG));
    let turns = episode(1).turns;
    let sampled: Vec<_> = turns.iter().map(|turn| turn.tokens.as_slice()).collect();
    assert_eq!(sampled, [[100; 3], [101; 3]]);
}

#[test]
fn what_is_not_published_any_more_leaves_the_views() {
    let folder = tempfile::tempdir().unwrap();
    let layout = dataset(folder.path());
    let shards = layout.read_manifest().unwrap().shards;
    layout.write_index(&card(), &shards[1..]).unwrap();
    fs::remove_file(layout.resolve(&shards[0].path)).unwrap();
    assert_eq!(verify_dataset(&layout).unwrap(), []);
    for view in gyre_dataset::View::ALL {
        assert_eq!(names(&layout.root().join(view.name())).len(), 1, "{view:?}");
    }
}
