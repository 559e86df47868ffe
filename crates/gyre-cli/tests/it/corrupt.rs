//! Corruptions planted in a sound data folder: an audit finds and names each.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{audit_codes, finished_copy, sql};

#[track_caller]
fn finds(code: &str, plant: impl FnOnce(&Path)) {
    let folder = finished_copy();
    plant(folder.path());
    let codes = audit_codes(folder.path());
    assert!(codes.contains(code), "{code} is not among {codes:?}");
}

fn shard(data: &Path) -> PathBuf {
    shard_of(data, 1)
}

/// The file of a round's shard of accepted rows, as the lineage names it.
fn shard_of(data: &Path, round: u32) -> PathBuf {
    let path = sql(data, &format!("SELECT path FROM gyre_v1_shards WHERE round = {round}"));
    data.join(path.trim())
}

/// The file of a round's whole groups.
fn groups_of(data: &Path, round: u32) -> PathBuf {
    let path = sql(data, &format!("SELECT path FROM gyre_v1_group_shards WHERE round = {round}"));
    data.join(path.trim())
}

fn part(data: &Path) -> PathBuf {
    data.join("runs/small-1/rollouts/round-0001/phase-0-wave-0000.parquet")
}

#[test]
fn a_truncated_shard() {
    finds("file_changed", |data| {
        let whole = fs::read(shard(data)).unwrap();
        fs::write(shard(data), &whole[..whole.len() / 2]).unwrap();
    });
}

#[test]
fn whole_groups_that_are_cut_off_or_those_of_another_round() {
    finds("file_changed", |data| {
        let whole = fs::read(groups_of(data, 1)).unwrap();
        fs::write(groups_of(data, 1), &whole[..whole.len() / 2]).unwrap();
    });
    finds("rows_differ", |data| {
        fs::copy(groups_of(data, 2), groups_of(data, 1)).unwrap();
        sql(
            data,
            "UPDATE shards SET sha256 = (SELECT o.sha256 FROM shards o WHERE o.round = 2 \
             AND o.kind = 'groups') WHERE round = 1 AND kind = 'groups'",
        );
    });
}

/// An attempt that failed is a pass in the lineage, and no longer so in its file.
#[test]
fn a_group_with_another_reward_than_its_verdict() {
    finds("reward_differs", |data| {
        sql(
            data,
            "UPDATE verdicts SET verdict = 'pass', score = 1.0 WHERE rollout = \
             (SELECT MIN(v.rollout) FROM verdicts v JOIN gyre_v1_group_rows g \
             ON g.rollout = v.rollout WHERE v.verdict = 'fail')",
        );
    });
}

#[test]
fn a_group_that_lacks_an_attempt() {
    finds("group_incomplete", |data| {
        sql(
            data,
            "DELETE FROM shard_rows WHERE rollout = (SELECT MIN(rollout) FROM gyre_v1_group_rows) \
             AND shard IN (SELECT shard FROM gyre_v1_group_shards)",
        );
    });
}

#[test]
fn a_missing_shard() {
    finds("file_unreadable", |data| fs::remove_file(shard(data)).unwrap());
}

#[test]
fn a_changed_part() {
    finds("file_changed", |data| {
        let mut bytes = fs::read(part(data)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(part(data), bytes).unwrap();
    });
}

#[test]
fn a_changed_card() {
    finds("card_changed", |data| {
        let card = data.join("datasets/small-1/README.md");
        let text = fs::read_to_string(&card).unwrap();
        fs::write(card, text.replacen("    - sft/", "    - ../sft/", 1)).unwrap();
    });
}

/// With its digest put into the manifest: the shard says what a view holds.
#[test]
fn a_changed_view() {
    finds("view_changed", |data| {
        let dataset = data.join("datasets/small-1");
        let manifest = dataset.join("manifest.json");
        let text = fs::read_to_string(&manifest).unwrap();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        let [first, second] = [0, 1].map(|at| read["views"][at].clone());
        let [path, other] =
            [&first, &second].map(|view| dataset.join(view["path"].as_str().unwrap()));
        fs::copy(other, path).unwrap();
        let changed = ["sha256", "bytes"].iter().fold(text, |text, key| {
            text.replace(&first[*key].to_string(), &second[*key].to_string())
        });
        fs::write(manifest, changed).unwrap();
    });
}

/// A manifest that leaves out a shard, and a card that says the same.
#[test]
fn an_index_of_other_shards() {
    finds("index_differs", |data| {
        let dataset = data.join("datasets/small-1");
        let card = dataset.join("README.md");
        let text = fs::read_to_string(&card).unwrap().replace("task_categories", "categories");
        let manifest = dataset.join("manifest.json");
        let mut read: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&manifest).unwrap()).unwrap();
        read["card_sha256"] = gyre_types::Digest::of(text.as_bytes()).to_string().into();
        fs::write(card, text).unwrap();
        fs::write(manifest, read.to_string()).unwrap();
    });
}

#[test]
fn a_doubled_row() {
    let doubled = "INSERT INTO shard_rows SELECT s.run, s.shard, h.row_count, s.rollout \
                   FROM shard_rows s JOIN shards h ON h.run = s.run AND h.id = s.shard \
                   WHERE s.row_index = 0 AND h.round = 1 AND h.kind = 'accepted'";
    finds("doubled_row", |data| drop(sql(data, doubled)));
    // Its file does not hold it twice.
    finds("rows_differ", |data| drop(sql(data, doubled)));
}

/// A file in the place of another, with its digest put into the lineage.
#[test]
fn a_shard_with_the_rows_of_another() {
    finds("rows_differ", |data| {
        fs::copy(shard_of(data, 2), shard(data)).unwrap();
        sql(
            data,
            "UPDATE shards SET sha256 = (SELECT o.sha256 FROM shards o WHERE o.round = 2 \
             AND o.kind = 'accepted') WHERE round = 1 AND kind = 'accepted'",
        );
    });
}

#[test]
fn a_row_without_its_rollout() {
    finds("row_without_rollout", |data| {
        sql(data, "UPDATE shard_rows SET rollout = 'roll-0000000000000000' WHERE row_index = 0");
    });
    finds("row_without_rollout", |data| {
        sql(data, "DELETE FROM rollouts WHERE id = (SELECT MIN(rollout) FROM shard_rows)");
    });
}

#[test]
fn a_second_champion() {
    finds("second_champion", |data| {
        sql(
            data,
            "INSERT INTO promotions SELECT run, 1 + (SELECT MAX(ordinal) FROM promotions), \
             2, (SELECT id FROM checkpoints WHERE round = 2), NULL, NULL, at_ms FROM promotions \
             WHERE ordinal = 1",
        );
    });
}

#[test]
fn a_champion_that_no_gate_let_through() {
    finds("promotion_without_gate", |data| {
        sql(
            data,
            "INSERT INTO promotions SELECT p.run, p.ordinal + 1, 2, \
             (SELECT id FROM checkpoints WHERE round = 2), p.champion, NULL, p.at_ms \
             FROM promotions p WHERE p.ordinal = (SELECT MAX(ordinal) FROM promotions)",
        );
    });
}

#[test]
fn a_held_out_task_in_a_training_shard() {
    finds("held_out_in_training", |data| {
        sql(
            data,
            "UPDATE tasks SET split = 'test' WHERE id = (SELECT task FROM rollouts WHERE id = \
             (SELECT MIN(rollout) FROM shard_rows))",
        );
    });
}

#[test]
fn a_changed_gate() {
    finds("gate_changed", |data| {
        sql(data, "UPDATE gates SET record = replace(record, '0.0', '0.5') WHERE round = 1");
    });
}

#[test]
fn a_missing_and_a_changed_checkpoint() {
    let folder = |data: &Path| data.join("runs/small-1/checkpoints/round-0001");
    let weights = |data: &Path| folder(data).join("model.safetensors");
    finds("checkpoint_unreadable", |data| fs::remove_dir_all(folder(data)).unwrap());
    finds("checkpoint_changed", |data| fs::remove_file(weights(data)).unwrap());
    finds("checkpoint_changed", |data| {
        let mut bytes = fs::read(weights(data)).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(weights(data), bytes).unwrap();
    });
}

#[test]
fn a_log_that_does_not_follow() {
    finds("illegal_log", |data| {
        sql(data, "DELETE FROM events WHERE round = 1 AND kind = 'curated'");
    });
    finds("event_gap", |data| {
        sql(data, "DELETE FROM events WHERE round = 2 AND kind = 'decided'");
        sql(data, "DELETE FROM events WHERE seq = 3");
    });
}
