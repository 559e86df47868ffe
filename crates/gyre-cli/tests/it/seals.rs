//! What is changed past the program: `gyre audit` names it and fails.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{
    Database, RUN, Running, SMALL, audit_codes, clean_state, copy, finished_copy, gyre, on, run,
    sql,
};

/// What is done to the database of a finished run, and what the audit says.
const TAMPERINGS: &[(&str, &str)] = &[
    ("UPDATE grading_keys SET body = replace(body, '1', '2')", "row_changed"),
    ("UPDATE verdicts SET verifier_digest = sandbox_digest", "row_changed"),
    ("UPDATE verdicts SET sandbox_digest = verifier_digest", "row_changed"),
    ("UPDATE rollouts SET answer_digest = chain", "row_changed"),
    ("UPDATE runs SET seed = '2'", "row_changed"),
    ("UPDATE runs SET config = replace(config, '\"samples\":2', '\"samples\":3')", "row_changed"),
    ("UPDATE runs SET config = 'no JSON'", "row_changed"),
    ("UPDATE runs SET fingerprint = sandbox_digest", "row_changed"),
    ("UPDATE runs SET sandbox_digest = fingerprint", "row_changed"),
    ("DELETE FROM checkpoint_shards", "row_missing"),
    ("UPDATE tasks SET body = replace(body, 'list', 'text')", "row_changed"),
    ("UPDATE events SET body = replace(body, ':', ': ') WHERE seq = 3", "row_changed"),
    ("UPDATE events SET body = body || char(0) WHERE seq = 3", "row_changed"),
    ("UPDATE rollouts SET chain = answer_digest", "row_changed"),
    ("UPDATE canaries SET verdict = 'pass', score = 1.0, reason = NULL", "row_changed"),
    ("DELETE FROM canaries", "row_missing"),
    (
        "UPDATE verdicts SET verdict = 'pass', score = 1.0, reason = NULL WHERE rollout = \
         (SELECT MIN(rollout) FROM verdicts WHERE verdict = 'fail' AND rollout NOT IN \
         (SELECT rollout FROM gyre_v1_shard_rows))",
        "row_changed",
    ),
    ("UPDATE checkpoints SET parent = NULL", "row_changed"),
    ("UPDATE events SET at_ms = at_ms + 1 WHERE seq = 3", "row_changed"),
    ("DELETE FROM runs", "run_missing"),
    ("DELETE FROM seals", "tail_lost"),
    ("DELETE FROM seals WHERE seq = 2", "seal_missing"),
    ("UPDATE seals SET digest = previous WHERE seq = 2", "seal_broken"),
    (
        "DELETE FROM seals WHERE seq = (SELECT MAX(seq) FROM seals); DELETE FROM events WHERE \
         seq = (SELECT MAX(seq) FROM events); UPDATE runs SET last_seq = last_seq - 1",
        "tail_lost",
    ),
];

#[test]
fn whatever_is_changed_in_the_database_is_found() {
    let whole = finished_copy();
    clean_state(whole.path());
    for (tampering, code) in TAMPERINGS {
        let folder = tempfile::tempdir().unwrap();
        copy(whole.path(), folder.path());
        sql(folder.path(), tampering);
        let codes = audit_codes(folder.path());
        assert!(codes.contains(*code), "{tampering}\n{code} is not among {codes:?}");
    }
}

#[test]
fn a_run_of_which_only_the_anchor_is_left_is_found() {
    let folder = finished_copy();
    let tables =
        sql(folder.path(), "SELECT name FROM sqlite_schema WHERE sql LIKE '%    run TEXT%'");
    let tables = tables.lines().filter(|table| !table.starts_with("index_"));
    let deletes: Vec<_> = tables.map(|table| format!("DELETE FROM {table}")).collect();
    assert!(deletes.len() > 20, "{deletes:?}");
    sql(folder.path(), &format!("{}; DELETE FROM seals", deletes.join("; ")));
    let codes = audit_codes(folder.path());
    assert!(codes.contains("run_missing") && codes.contains("tail_lost"), "{codes:?}");
    on(folder.path(), ["audit", RUN]).fails(70, &["finding"]);
}

fn anchor(data: &Path) -> std::path::PathBuf {
    data.join("runs").join(RUN).join("seal.json")
}

#[test]
fn an_anchor_that_is_not_the_chains_is_found() {
    for (text, code) in [
        (None, "anchor_missing"),
        (Some(String::new()), "anchor_unreadable"),
        (Some("{\"version\": 2}".to_owned()), "anchor_unreadable"),
        (Some(anchor_of("another-1", 3)), "anchor_unreadable"),
        (Some(anchor_of(RUN, 3)), "anchor_differs"),
        (Some(anchor_of(RUN, 9_999)), "tail_lost"),
    ] {
        let folder = finished_copy();
        match &text {
            None => fs::remove_file(anchor(folder.path())).unwrap(),
            Some(text) => fs::write(anchor(folder.path()), text).unwrap(),
        }
        let codes = audit_codes(folder.path());
        assert!(codes.contains(code), "{text:?}: {code} is not among {codes:?}");
        on(folder.path(), ["audit", "--renew-anchors"]).ok();
        clean_state(folder.path());
    }
}

fn anchor_of(run: &str, seq: u32) -> String {
    let digest = "0".repeat(64);
    format!("{{\"version\": 1, \"chain\": \"{run}\", \"seq\": {seq}, \"digest\": \"{digest}\"}}")
}

/// Between the commit and the anchor a process may end: the anchor is behind.
#[test]
fn an_anchor_that_a_crash_left_behind_is_no_loss() {
    let folder = finished_copy();
    let digest = sql(folder.path(), "SELECT digest FROM seals WHERE seq = 3");
    let behind = anchor_of(RUN, 3).replace(&"0".repeat(64), digest.trim());
    fs::write(anchor(folder.path()), behind).unwrap();
    clean_state(folder.path());
}

/// Going on would seal what is left, and remove what was lost as garbage.
#[test]
fn a_run_that_lost_its_end_is_neither_resumed_nor_collected() {
    let folder = finished_copy();
    let data = folder.path();
    let cut = "DELETE FROM seals WHERE seq > 4; UPDATE runs SET status = 'active'";
    sql(data, cut);
    let checkpoints = data.join("runs").join(RUN).join("checkpoints/round-0001");
    assert!(checkpoints.is_dir());
    on(data, ["run", "--resume"]).fails(70, &["small-1 is not whole", "--renew-anchors"]);
    sql(data, "UPDATE runs SET status = 'finished'");
    on(data, ["gc"]).fails(70, &["small-1 is not whole"]);
    assert!(checkpoints.is_dir());
}

/// The end of the write-ahead log goes: SQLite takes what is left for whole.
#[test]
fn half_of_the_write_ahead_log_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut running = Running::start(
        gyre()
            .arg("--data-dir")
            .arg(&data)
            .args(["run", "--json", "--rounds", "1", "--config"])
            .arg(SMALL),
    );
    running.next_event().unwrap();
    // Whoever closes a database last takes its log away: this one stays open.
    let mut reader = Command::new("sqlite3")
        .arg(data.join("lineage.db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut asked = reader.stdin.take().unwrap();
    asked.write_all(b"SELECT COUNT(*) FROM runs;\n").unwrap();
    let mut answer = String::new();
    BufReader::new(reader.stdout.take().unwrap()).read_line(&mut answer).unwrap();
    assert_eq!(answer, "1\n");
    running.wait().ok();

    let cut = folder.path().join("cut");
    copy(&data, &cut);
    drop(asked);
    reader.wait().unwrap();
    clean_state(&data);
    let log = cut.join("lineage.db-wal");
    let bytes = fs::metadata(&log).unwrap().len();
    assert!(bytes > 100_000, "the log has {bytes} bytes");
    OpenOptions::new().write(true).open(&log).unwrap().set_len(bytes / 2).unwrap();
    fs::remove_file(cut.join("lineage.db-shm")).unwrap();
    let codes = audit_codes(&cut);
    assert!(codes.contains("tail_lost"), "{codes:?}");
    on(&cut, ["run", "--resume"]).fails(70, &["small-1 is not whole"]);
}

#[test]
fn whatever_is_changed_in_postgres_is_found() {
    let database = Database::create();
    let folder = tempfile::tempdir().unwrap();
    let on = |args: &[&str]| {
        let mut command = gyre();
        command.arg("--data-dir").arg(folder.path()).args(["--database", &database.url]);
        run(command.args(args))
    };
    on(&["run", "--rounds", "1", "--config", SMALL]).ok();
    on(&["audit"]).ok();
    database.sql("UPDATE gyre.verdicts SET fuel = fuel + 1 WHERE verdict = 'fail'");
    let told = on(&["audit"]).fails(70, &["finding"]).stdout;
    assert!(told.contains("row_changed"), "{told}");
    database.sql("UPDATE gyre.verdicts SET fuel = fuel - 1 WHERE verdict = 'fail'");
    on(&["audit"]).ok();
}
