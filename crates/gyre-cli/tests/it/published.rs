//! What the object store holds of a dataset: what a transaction named.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{RUN, SMALL, finished, gyre, repository, run, sql};

/// The files below a folder, by their paths in it; none where there is no folder.
pub(crate) fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found
}

/// The store holds the published folder, byte for byte and nothing else.
#[track_caller]
pub(crate) fn same(published: &Path, stored: &Path) {
    assert_eq!(files(stored), files(published));
    for file in files(published) {
        let [ours, theirs] = [published, stored].map(|root| fs::read(root.join(&file)).unwrap());
        assert_eq!(ours, theirs, "{}", file.display());
    }
}

/// A process that ends between a shard and the transaction that would name it
/// has handed nothing on, and what an earlier one handed on goes.
#[test]
fn rows_reach_the_store_after_the_transaction_that_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let [data, store] = ["data", "store"].map(|name| folder.path().join(name));
    let small = fs::read_to_string(repository().join(SMALL)).unwrap();
    let config = folder.path().join("stored.toml");
    fs::write(&config, format!("{small}\n[workers]\nstore = {:?}\n", store.to_str().unwrap()))
        .unwrap();
    let on_data = || -> Command {
        let mut command = gyre();
        command.arg("--data-dir").arg(&data);
        command
    };
    let seq = "SELECT MIN(seq) FROM events WHERE kind = 'curated' AND round = 1";
    let curated: u64 = sql(&finished().data, seq).trim().parse().unwrap();
    let (published, stored) = (data.join("datasets").join(RUN), store.join("datasets").join(RUN));
    let leaked = stored.join("data/train-r0001-0123456789abcdef.parquet");
    fs::create_dir_all(leaked.parent().unwrap()).unwrap();
    fs::write(&leaked, "rows that nothing named").unwrap();

    let dies = format!("run::committing={}*off->return", curated - 1);
    let mut killed = on_data();
    killed.args(["run", "--json", "--config"]).arg(&config).env("GYRE_FAILPOINTS", dies);
    let killed = run(&mut killed);
    assert_ne!(killed.code, Some(0), "{killed:#?}");
    assert_eq!(sql(&data, "SELECT COUNT(*) FROM shards").trim(), "0");
    assert_eq!(files(&published.join("data")).len(), 1, "the shard was written");
    let nothing = BTreeSet::new();
    assert_eq!(files(&stored), nothing, "nothing was handed on, and what nothing names went");

    run(on_data().args(["run", "--json", "--resume"])).ok();
    same(&published, &stored);
    assert!(files(&stored).iter().any(|file| file.starts_with("sft")));
}
