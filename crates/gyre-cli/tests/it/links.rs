//! Data folders and backups that somebody else made: their paths and links lead
//! nowhere but below the folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::{RUN, SMALL, copy, finished, finished_copy, on, sql};

/// A folder of somebody else's, with a file in it.
fn others() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "not yours").unwrap();
    (folder, secret)
}

#[test]
fn a_backup_that_is_put_back_leads_nowhere_else() {
    let source = finished_copy();
    let (_others, secret) = others();
    let shard = sql(source.path(), "SELECT shard FROM gyre_v1_shards LIMIT 1").trim().to_owned();
    let part = sql(source.path(), "SELECT id FROM parts LIMIT 1").trim().to_owned();
    let linked = format!("datasets/{RUN}/data/linked.parquet");
    for path in ["../../../../../../../../etc/passwd", secret.to_str().unwrap(), &linked] {
        let change = format!(
            "UPDATE shards SET path = '{path}' WHERE id = '{shard}'; \
             UPDATE parts SET path = '{path}' WHERE id = '{part}'"
        );
        sql(source.path(), &change);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("made-by-others.gyre");
        on(source.path(), ["db", "backup", file.to_str().unwrap()]).ok();

        let data = folder.path().join("data");
        copy(&finished().untouched, &data);
        for entry in fs::read_dir(&data).unwrap().map(|entry| entry.unwrap()) {
            if entry.file_name().to_string_lossy().starts_with("lineage.db") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        symlink(&secret, data.join(&linked)).unwrap();
        let ran = on(&data, ["db", "restore", file.to_str().unwrap()]).fails(70, &["finding"]);
        assert_eq!(ran.stdout.matches("leads out of the folder").count(), 2, "{path}: {ran:#?}");
        let rollout = format!("SELECT id FROM rollouts WHERE part = '{part}' LIMIT 1");
        let rollout = sql(&data, &rollout).trim().to_owned();
        let shown = on(&data, ["show", &rollout]);
        assert!(shown.code != Some(0) && !shown.stdout.contains("not yours"), "{shown:#?}");
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "not yours");
}

/// Collecting garbage goes through a data folder and removes what is not named.
#[test]
fn garbage_is_not_collected_behind_a_link() {
    let folder = finished_copy();
    let data = folder.path();
    let (others, secret) = others();
    // What is named lies there, and more besides.
    let round = data.join("runs").join(RUN).join("rollouts/round-0001");
    copy(&round, others.path());
    fs::remove_dir_all(&round).unwrap();
    symlink(others.path(), &round).unwrap();
    let stray = data.join("runs").join(RUN).join("rollouts/stray");
    symlink(others.path(), &stray).unwrap();
    let there = fs::read_dir(others.path()).unwrap().count();

    let collected = on(data, ["gc", "--json"]).ok().json();
    let paths: Vec<_> = collected["report"]["items"].as_array().unwrap().iter().collect();
    assert_eq!(paths.len(), 1, "the link that nothing names goes: {collected:#}");
    assert!(fs::symlink_metadata(&stray).is_err());
    assert_eq!(fs::read_dir(others.path()).unwrap().count(), there);
    assert_eq!(fs::read_to_string(&secret).unwrap(), "not yours");
    let audit = on(data, ["audit"]).fails(70, &["finding"]);
    assert!(audit.stdout.contains("leads out of the folder"), "{audit:#?}");
}

/// A run writes nowhere else, whatever lies in the folder that it is given.
#[test]
fn a_run_writes_nowhere_else() {
    let (others, _secret) = others();
    for link in ["runs", "datasets"] {
        let folder = tempfile::tempdir().unwrap();
        symlink(others.path(), folder.path().join(link)).unwrap();
        let ran = on(folder.path(), ["run", "--config", SMALL]);
        assert_eq!(ran.code, Some(42), "{ran:#?}");
        assert!(ran.stderr.contains("leads out of"), "{ran:#?}");
        assert_eq!(entries(others.path()), ["secret"]);
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
