//! `datasets` keeps what it read, under the names of folders, configurations and
//! files: with one cache, every publication gives its own rows.

use std::fmt::Write;
use std::path::Path;

use gyre_dataset::{Layout, ManifestShard, head, read_groups};
use gyre_types::{Digest, Verdict};

use crate::python::python;
use crate::scenario::{card, group_row, manifest_shard, publish, publish_groups};

/// What every configuration must give, read here.
fn expected(layout: &Layout) -> Vec<String> {
    let rows = head(layout, usize::MAX).unwrap();
    let told = |name: &str, passes: bool| {
        let mut ids = String::new();
        let of = rows.iter().filter(|row| !passes || row.verdict == Verdict::Pass);
        let count = of.map(|row| writeln!(ids, "{}", row.rollout_id).unwrap()).count();
        format!("{name} {count} {}", Digest::of(ids.as_bytes()))
    };
    let views = ["sft", "sft_tools", "prompt_completion"].map(|name| told(name, true));
    [told("records", false)].into_iter().chain(views).chain([told_groups(layout)]).collect()
}

fn told_groups(layout: &Layout) -> String {
    let mut ids = String::new();
    let mut count = 0;
    for shard in layout.read_manifest().unwrap().groups() {
        for row in read_groups(&layout.resolve(&shard.path)).unwrap() {
            writeln!(ids, "{}", row.unwrap().rollout_id).unwrap();
            count += 1;
        }
    }
    format!("groups {count} {}", Digest::of(ids.as_bytes()))
}

/// The shards of a round: its accepted rows, and its groups.
fn round(layout: &Layout, round: u32, rows: std::ops::Range<u32>) -> [ManifestShard; 2] {
    let groups = publish_groups(layout, round, rows.clone().map(group_row));
    [manifest_shard(round, &publish(&layout.data_dir(), round, rows)), groups]
}

fn begun(root: &Path, rows: std::ops::Range<u32>) -> (Layout, [ManifestShard; 2]) {
    let layout = Layout::new(root);
    layout.create().unwrap();
    let shards = round(&layout, 1, rows);
    layout.write_index(&card(), &shards).unwrap();
    (layout, shards)
}

#[test]
fn one_cache_serves_every_publication_its_own_rows() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let check = |layout: &Layout, when: &str| {
        let loaded = python("ids.py", &cache, &[layout.root().as_os_str()]);
        assert_eq!(loaded, expected(layout), "{when}");
    };
    let (first, shards) = begun(&folder.path().join("one/quick-1"), 0..40);
    check(&first, "a run");
    let (second, _) = begun(&folder.path().join("one/quick-2"), 40..90);
    check(&second, "another run");
    // Of another data folder, with the same name and as many rows.
    let (namesake, _) = begun(&folder.path().join("two/quick-1"), 100..140);
    check(&namesake, "its namesake");

    let later = round(&first, 2, 200..220);
    first.write_index(&card(), &[shards, later.clone()].concat()).unwrap();
    check(&first, "after another round");

    // A revocation: the first round without some of its rows.
    let revised = round(&first, 1, 10..40);
    first.write_index(&card(), &[revised, later].concat()).unwrap();
    check(&first, "after a revocation");
}
