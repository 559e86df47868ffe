//! Nothing outside a dataset's folder is read, written or removed, whatever its
//! manifest names and whatever links lie in it.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use gyre_dataset::{
    DatasetError, DatasetWriter, Fault, Layout, collect_garbage, find_garbage, head, read_part,
    stats, verify_dataset, write_part,
};
use gyre_types::Digest;

use crate::scenario::{card, dataset, manifest_shard, names, publish, record, row, shard_of};

/// A dataset, and a folder of somebody else's beside it.
fn place() -> (tempfile::TempDir, Layout, PathBuf) {
    let above = tempfile::tempdir().unwrap();
    let other = above.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("secret"), "secret").unwrap();
    // What a sweep would take for its own.
    fs::write(other.join("train-r0001-0000000000000000.parquet"), "theirs").unwrap();
    fs::write(other.join(".tmp-theirs"), "theirs").unwrap();
    let layout = dataset(&above.path().join("quick-1"));
    (above, layout, other)
}

fn led_out<T>(done: Result<T, DatasetError>) {
    let error = done.err().expect("what leads out is refused");
    assert!(matches!(error.fault, Fault::LeadsOut), "{error:?}");
    let what = std::error::Error::source(&error).unwrap().to_string();
    assert!(what.contains("leads out of its folder"), "{what}");
}

fn is_untouched(other: &Path) {
    let all = [".tmp-theirs", "secret", "train-r0001-0000000000000000.parquet"];
    assert_eq!(names(other), all);
    assert_eq!(fs::read_to_string(other.join("secret")).unwrap(), "secret");
}

/// The manifest with another path in place of its first shard's.
fn renamed(layout: &Layout, path: &str) {
    let file = layout.root().join("manifest.json");
    let old = layout.read_manifest().unwrap().shards[0].path.clone();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(&old, path)).unwrap();
}

#[test]
fn a_manifest_leads_nowhere_else() {
    for path in ["../other/secret", "../../../../../../../etc/passwd", "/etc/passwd"] {
        let (_above, layout, other) = place();
        renamed(&layout, path);
        led_out(head(&layout, 1));
        led_out(stats(&layout));
        led_out(layout.read(path, None));
        let problems = verify_dataset(&layout).unwrap();
        let found = problems.iter().find(|problem| problem.code == "shard_unreadable").unwrap();
        assert!(found.detail.contains("leads out of the folder"), "{found:?}");
        is_untouched(&other);

        let mut shard = layout.read_manifest().unwrap().shards.remove(2);
        shard.path = path.to_owned();
        led_out(layout.write_index(&card(), &[shard]));
    }
}

#[test]
fn a_link_in_the_place_of_a_file_leads_nowhere_else() {
    let (_above, layout, other) = place();
    let first = shard_of(&layout, 1);
    fs::remove_file(&first).unwrap();
    symlink(other.join("secret"), &first).unwrap();
    led_out(head(&layout, 1));
    led_out(stats(&layout));
    let problems = verify_dataset(&layout).unwrap();
    assert!(problems.iter().any(|problem| problem.code == "shard_unreadable"), "{problems:?}");
    // The card and the manifest are written in the place of links, not through them.
    for index in ["README.md", "manifest.json", ".tmp-README.md", ".tmp-manifest.json"] {
        let _ = fs::remove_file(layout.root().join(index));
        symlink(other.join("secret"), layout.root().join(index)).unwrap();
    }
    layout.write_index(&card(), &[]).unwrap();
    assert!(layout.read_manifest().unwrap().shards.is_empty());
    is_untouched(&other);
}

#[test]
fn a_link_in_the_place_of_a_folder_leads_nowhere_else() {
    let (_above, layout, other) = place();
    let shards = layout.read_manifest().unwrap().shards;
    for folder in ["data", "groups", "sft"] {
        fs::remove_dir_all(layout.root().join(folder)).unwrap();
        symlink(&other, layout.root().join(folder)).unwrap();
    }
    led_out(layout.create());
    led_out(layout.write_index(&card(), &shards));
    let mut writer = DatasetWriter::new(layout.data(), 3);
    writer.push(row(1)).unwrap();
    led_out(writer.seal());
    led_out(write_part(layout.data(), "part", &[record(1)]));
    led_out(find_garbage(layout.data(), &HashSet::new()));
    led_out(collect_garbage(layout.data(), &HashSet::new()));
    led_out(verify_dataset(&layout));
    is_untouched(&other);
}

#[test]
fn a_link_under_a_temporary_name_is_not_written_through() {
    let (above, _layout, other) = place();
    let folder = above.path().join("rollouts");
    fs::create_dir(&folder).unwrap();
    for name in [".tmp-a.parquet", ".tmp-train-r0001.parquet"] {
        symlink(other.join("secret"), folder.join(name)).unwrap();
    }
    let part = write_part(&folder, "a", &[record(1)]).unwrap();
    assert_eq!(read_part(&part.path).unwrap().count(), 1);
    publish(&folder, 1, 0..3);
    is_untouched(&other);
}

/// What is handed on is what was recorded, or nothing.
#[test]
fn a_file_that_was_changed_is_not_handed_on() {
    let (_above, layout, _other) = place();
    let manifest = layout.read_manifest().unwrap();
    let (path, sha256) = (&manifest.shards[0].path, &manifest.shards[0].sha256);
    assert_eq!(Digest::of(&layout.read(path, Some(sha256)).unwrap()), *sha256);
    fs::write(layout.resolve(path), "other rows").unwrap();
    let error = layout.read(path, Some(sha256)).unwrap_err();
    assert!(matches!(error.fault, Fault::Damaged(_)), "{error:?}");
    let added = publish(&layout.data_dir(), 3, 2_000..2_003);
    let shard = manifest_shard(3, &added);
    layout.read(&shard.path, Some(&shard.sha256)).unwrap();
}
