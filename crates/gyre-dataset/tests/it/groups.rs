//! Whole groups beside the accepted rows, and datasets of several schemas.

use std::collections::BTreeMap;
use std::fs;

use gyre_dataset::{
    Fault, GroupRow, GroupWriter, Layout, ManifestShard, read_groups, read_shard, verify_dataset,
};
use gyre_types::{Digest, InvalidReason, ShardId, Split, Verdict};
use serde_json::Value;

use crate::python::python;
use crate::scenario::{
    card, dataset, fixture, group_row, manifest_shard, publish, publish_groups, record,
};

fn objects(texts: &[String]) -> Vec<Value> {
    texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
}

fn begun(root: &std::path::Path) -> Layout {
    let layout = Layout::new(root);
    layout.create().unwrap();
    layout
}

#[test]
fn groups_hold_what_failed_beside_what_passed() {
    let folder = tempfile::tempdir().unwrap();
    let layout = begun(folder.path());
    let shard = publish_groups(&layout, 1, (0..1_100).map(group_row));
    assert!(shard.path.starts_with("groups/train-r0001-"), "{}", shard.path);
    let read: Vec<_> = read_groups(&layout.resolve(&shard.path)).unwrap().collect();
    let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
    assert_eq!(read, (0..1_100).map(group_row).collect::<Vec<_>>());
    let rewards: Vec<_> = read[..4].iter().map(|row| (row.sample, row.reward)).collect();
    assert_eq!(rewards, [(0, 1.0), (1, 0.0), (2, 1.0), (3, 1.0)]);
    assert_eq!(read[1].verdict.score().unwrap().get(), 0.25);
    assert!(!format!("{read:?}").contains("SECRET"));
}

#[test]
fn a_group_row_divides_the_conversation_before_the_first_answer() {
    let row = group_row(5);
    assert_eq!([row.prompt.clone(), row.completion.clone()].concat(), row.messages);
    let roles = |texts: &[String]| -> Vec<_> {
        objects(texts).iter().map(|m| m["role"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(roles(&row.prompt), ["system", "user"]);
    assert_eq!(roles(&row.completion), ["assistant", "tool", "assistant"]);
    let call = &objects(&row.completion)[0]["tool_calls"][0]["function"];
    assert_eq!(*call, serde_json::json!({"name": "python", "arguments": {"code": "print(5)"}}));
    assert_eq!(row.turns.len(), 2);
    assert!(row.turns[1].is_branch, "the second prompt does not extend the first turn");
    let marked = row.turns.iter().flat_map(|turn| &turn.loss_mask);
    assert!(marked.copied().all(|carries_loss| carries_loss), "the reward is of all turns");
}

#[test]
fn who_acted_in_text_was_offered_no_tools() {
    let tools = |number| (record(number).acting.as_str(), group_row(number).tools.len());
    assert_eq!([tools(0), tools(1)], [("tools", 1), ("text", 0)]);
}

#[test]
fn attempts_that_may_not_be_learnt_from_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = GroupWriter::new(folder.path(), 1);
    let invalid =
        Verdict::Invalid { reason: InvalidReason::Infrastructure { detail: "lost".to_owned() } };
    let mut unmasked = group_row(2);
    unmasked.turns[0].loss_mask.pop();
    writer.push(group_row(0)).unwrap();
    for (row, expected) in [
        (GroupRow { split: Split::Gate, ..group_row(1) }, "is a held-out task (gate)"),
        (GroupRow { verdict: invalid, ..group_row(1) }, "it has no verdict (infrastructure: lost)"),
        (GroupRow { reward: f64::INFINITY, ..group_row(1) }, "its reward is inf"),
        (unmasked, "the loss mask of turn 0 has 1 entries for 2 tokens"),
        (group_row(0), "it is in the shard already"),
    ] {
        match writer.push(row).unwrap_err().fault {
            Fault::Row { reason, .. } => assert!(reason.ends_with(expected), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(writer.seal().unwrap().publish().unwrap().rollouts, [group_row(0).rollout_id]);
}

#[test]
fn either_kind_of_rows_is_read_by_its_own_reader_only() {
    let folder = tempfile::tempdir().unwrap();
    let layout = begun(folder.path());
    let groups = publish_groups(&layout, 1, (0..3).map(group_row));
    let rows = publish(&layout.data_dir(), 1, 0..3);
    match read_shard(&layout.resolve(&groups.path)).err().unwrap().fault {
        Fault::Schema { found, .. } => assert_eq!(found, "groups/1"),
        other => panic!("{other:?}"),
    }
    match read_groups(&rows.path).err().unwrap().fault {
        Fault::Schema { found, known } => assert_eq!((&*found, &*known), ("dataset/3", "groups/1")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn verification_finds_what_is_wrong_with_groups() {
    let folder = tempfile::tempdir().unwrap();
    let layout = dataset(folder.path());
    let manifest = layout.read_manifest().unwrap();
    let groups: Vec<_> = manifest.groups().collect();
    assert_eq!(groups.iter().map(|shard| shard.rows).collect::<Vec<_>>(), [1_500]);
    let file = layout.resolve(&groups[0].path);
    let whole = fs::read(&file).unwrap();
    let codes = || -> Vec<_> {
        verify_dataset(&layout).unwrap().into_iter().map(|problem| problem.code).collect()
    };
    assert_eq!(codes(), [""; 0]);
    fs::write(&file, &whole[1..]).unwrap();
    assert_eq!(codes(), ["shard_truncated"]);
    fs::remove_file(&file).unwrap();
    assert_eq!(codes(), ["shard_missing"]);
    fs::write(&file, &whole).unwrap();
    fs::write(layout.root().join("groups/more.parquet"), &whole).unwrap();
    assert_eq!(codes(), ["file_unnamed"]);
    fs::remove_file(layout.root().join("groups/more.parquet")).unwrap();

    // Groups that pass for accepted rows, and the reverse.
    let index = layout.root().join("manifest.json");
    let text = fs::read_to_string(&index).unwrap();
    fs::write(&index, text.replace("\"groups/1\"", "\"dataset/3\"")).unwrap();
    assert!(codes().contains(&"shard_schema"));
}

#[test]
fn groups_that_are_not_published_any_more_leave_the_card() {
    let folder = tempfile::tempdir().unwrap();
    let layout = dataset(folder.path());
    let manifest = layout.read_manifest().unwrap();
    let file = layout.resolve(&manifest.groups().next().unwrap().path);
    let accepted: Vec<_> = manifest.accepted().cloned().collect();
    layout.write_index(&card(), &accepted).unwrap();
    fs::remove_file(file).unwrap();
    assert_eq!(verify_dataset(&layout).unwrap(), []);
    let readme = fs::read_to_string(layout.root().join("README.md")).unwrap();
    assert!(!readme.contains("config_name: groups"), "{readme}");
}

/// A shard that an earlier version published, as the lineage names it.
fn earlier(layout: &Layout, name: &str, round: u32) -> ManifestShard {
    let bytes = fs::read(fixture(&format!("{name}.parquet"))).unwrap();
    let path = format!("data/train-{name}.parquet");
    fs::write(layout.resolve(&path), &bytes).unwrap();
    let sha256 = Digest::of(&bytes);
    let id = ShardId::from_digest(&sha256);
    ManifestShard { id, path, sha256, bytes: bytes.len() as u64, rows: 12, round }
}

#[test]
fn shards_of_every_schema_load_as_configurations_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let layout = begun(&folder.path().join("quick-1"));
    let now = manifest_shard(3, &publish(&layout.data_dir(), 3, 100..140));
    let groups = publish_groups(&layout, 3, (100..140).map(group_row));
    let shards = [earlier(&layout, "dataset-1", 1), earlier(&layout, "dataset-2", 2), now, groups];
    layout.write_index(&card(), &shards).unwrap();
    assert_eq!(verify_dataset(&layout).unwrap(), []);
    let arguments = [layout.root().as_os_str()];
    let told = python("schemas.py", &folder.path().join("cache"), &arguments);
    let expected = ["groups 40", "records 40", "records_v1 12", "records_v2 12", "sft 48"];
    assert_eq!(told, expected);
}

#[test]
fn an_index_of_version_2_is_read_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let layout = begun(folder.path());
    let shards = [earlier(&layout, "dataset-2", 1)];
    layout.write_index(&card(), &shards).unwrap();
    let now = layout.read_manifest().unwrap();
    let index = layout.root().join("manifest.json");
    let mut before: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    before["format_version"] = 2.into();
    before.as_object_mut().unwrap().remove("schemas");
    fs::write(&index, before.to_string()).unwrap();

    assert_eq!(layout.read_manifest().unwrap().schemas, BTreeMap::new());
    assert!(layout.index_is_of(&card(), &shards).unwrap());
    assert!(!layout.index_is_of(&card(), &[]).unwrap());
    assert_eq!(verify_dataset(&layout).unwrap(), []);
    layout.write_index(&card(), &shards).unwrap();
    assert_eq!(layout.read_manifest().unwrap(), now);
    assert_eq!(now.schemas.values().collect::<Vec<_>>(), ["dataset/2"]);
}

/// Pairs of a passed and a failed attempt of one group, as TRL's preference
/// trainers take them, under the same seed of every reader.
#[test]
fn a_group_gives_preference_pairs() {
    let folder = tempfile::tempdir().unwrap();
    let layout = begun(&folder.path().join("quick-1"));
    let of_one_task = |number: u32| {
        // All attempts at a task were asked the same.
        let asked = group_row(number / 4 * 4);
        let row = group_row(number);
        let messages = [asked.prompt.clone(), row.completion.clone()].concat();
        GroupRow { prompt: asked.prompt, group: asked.group, messages, ..row }
    };
    let groups = publish_groups(&layout, 1, (4..48).map(of_one_task));
    layout.write_index(&card(), &[groups]).unwrap();
    let arguments = [layout.root().as_os_str()];
    let told = python("pairs.py", &folder.path().join("cache"), &arguments);
    assert_eq!(told, ["11 groups, 44 attempts, 33 passed, 33 pairs, 33 rendered"]);
}
