//! Backups of a real run, and secrets that are never told.

use std::fs;

use crate::support::{copy, finished, gyre, on, run};

#[test]
fn a_backup_is_put_back_and_audited() {
    let whole = finished();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.gyre");
    let path = file.to_str().unwrap();
    let made = on(&whole.data, ["db", "backup", path, "--json"]).ok().json();
    assert_eq!(made["backup"]["rows"]["runs"], 1, "{made:#}");
    on(&whole.data, ["db", "backup", path]).fails(2, &["is there already"]);

    // Into a copy of the data folder without its database: clean, and the same state.
    let data = folder.path().join("data");
    copy(&whole.untouched, &data);
    for entry in fs::read_dir(&data).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_name().to_string_lossy().starts_with("lineage.db") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let restored = on(&data, ["db", "restore", path]).ok().stdout;
    assert!(restored.contains("put back") && restored.contains("small-1: clean"), "{restored}");
    assert_eq!(crate::support::clean_state(&data), crate::support::clean_state(&whole.data));
    on(&data, ["db", "restore", path]).fails(23, &["holds a lineage already"]);
    assert!(on(&data, ["db", "migrate"]).ok().stdout.contains("schema version"));

    // Without the files that its rows name, the audit says so.
    let bare = folder.path().join("bare");
    let ran = on(&bare, ["db", "restore", path]).fails(70, &["finding"]);
    assert!(ran.stdout.contains("file_unreadable"), "{ran:#?}");

    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&file, bytes).unwrap();
    let empty = folder.path().join("empty");
    on(&empty, ["db", "restore", path]).fails(23, &["the backup cannot be used"]);
    on(&empty, ["db", "restore", "nowhere.gyre"]).fails(42, &["nowhere.gyre"]);
}

/// The password of a database, wherever something goes wrong around it, and
/// however much is logged.
#[test]
fn a_secret_given_by_environment_is_never_told() {
    const SECRET: &str = "hunter2-s3cret";
    let folder = tempfile::tempdir().unwrap();
    let closed = format!("postgres://gyre:{SECRET}@127.0.0.1:9/gyre");
    let odd = format!("postgres//gyre:{SECRET}@127.0.0.1/gyre");
    let option = format!("postgres://127.0.0.1:9/gyre?password={SECRET}");
    for url in [&closed, &odd, &option] {
        for args in [
            vec!["status"],
            vec!["doctor"],
            vec!["run", "--config", crate::support::SMALL],
            vec!["db", "migrate"],
            vec!["query", "SELECT 1"],
            vec!["--help"],
            vec!["no-such-command"],
        ] {
            for format in ["text", "json"] {
                let mut command = gyre();
                command.arg("--data-dir").arg(folder.path().join("data")).args(&args);
                command.env("GYRE_DATABASE", url).env("GYRE_LOG", "trace");
                command.env("GYRE_LOG_FORMAT", format).env("GYRE_SERVER_TOKEN", SECRET);
                command.env("RUST_BACKTRACE", "full");
                let ran = run(&mut command);
                let told = ran.stdout.contains(SECRET) || ran.stderr.contains(SECRET);
                assert!(!told, "{args:?}: {ran:#?}");
            }
        }
    }
}

/// One object a line, whatever the command prints itself.
#[test]
fn logs_are_json_on_request() {
    let whole = finished();
    let mut command = gyre();
    command.arg("--data-dir").arg(&whole.data).args(["replay", "--sample", "1"]);
    command.env("GYRE_LOG", "debug").env("GYRE_LOG_FORMAT", "json");
    let ran = run(&mut command).ok();
    assert!(!ran.stderr.is_empty(), "debug tells something");
    for line in crate::support::json_lines(&ran.stderr) {
        for field in ["timestamp", "level", "target"] {
            assert!(line[field].is_string(), "no {field} in {line:#}");
        }
    }
}
