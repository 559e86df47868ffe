//! What goes wrong around the program: each thing gives one clear message, an
//! exit code of its own, and leaves the data folder consistent.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::{
    Ran, Running, SMALL, as_gyre, clean_state, copy, finished, finished_copy, gyre, on, repository,
    run, sql,
};

/// Runs with the small configuration, changed by `change`; nothing may be left behind.
fn refused(change: impl FnOnce(String) -> String, code: i32, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("changed.toml");
    let text = fs::read_to_string(repository().join(SMALL)).unwrap();
    fs::write(&config, change(text)).unwrap();
    let data = folder.path().join("data");
    let ran = run(gyre().arg("--data-dir").arg(&data).args(["run", "--config"]).arg(&config));
    ran.fails(code, words);
    assert!(!data.exists(), "a refused configuration must leave nothing");
}

#[test]
fn an_unknown_key() {
    refused(
        |text| text.replace("tasks_per_round", "task_per_round"),
        10,
        &["changed.toml", "task_per_round", "gyre config schema"],
    );
}

#[test]
fn a_wrong_type() {
    refused(|text| text.replace("seed = 1", "seed = \"one\""), 11, &["changed.toml", "seed"]);
    refused(|text| format!("{text}\n[[["), 11, &["changed.toml"]);
}

#[test]
fn a_value_out_of_its_bounds() {
    refused(
        |text| text.replace("\nsamples = 2", "\nsamples = 0"),
        12,
        &["rollout.samples", "not between 1 and 1000"],
    );
    refused(|text| text.replace("name = \"small\"", "name = \"../small\""), 12, &["name"]);
    // A later command would look for it from elsewhere.
    let words = &["workers.store", "whole path"];
    refused(|text| format!("{text}\n[workers]\nstore = \"my/store\"\n"), 12, words);
    let budget = "\n[budget]\nrun = { tokens_max = 5 }\n";
    refused(|text| format!("{text}{budget}"), 12, &["`budget`", "embedded"]);
}

#[test]
fn a_configuration_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let ran = on(folder.path(), ["run", "--config", "absent.toml"]);
    ran.fails(13, &["absent.toml", "No such file"]);
}

#[test]
fn a_database_that_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    // Port 9 is the discard service's; nothing listens there.
    for (url, words) in [
        ("postgres://gyre:secret@127.0.0.1:9/gyre", &["127.0.0.1:9"][..]),
        ("mysql://127.0.0.1/gyre", &["postgres://"]),
    ] {
        let ran = on(folder.path(), ["run", "--config", SMALL, "--database", url]).fails(20, words);
        assert!(!ran.stderr.contains("secret"), "{ran:#?}");
    }
}

/// Flipped bits in the weights or in the optimiser's state, and another
/// checkpoint's file in their place: nothing acts under the recorded name.
#[test]
fn a_checkpoint_that_was_changed() {
    let folder = finished_copy();
    let checkpoints = folder.path().join("runs/small-1/checkpoints");
    let (base, other) = (checkpoints.join("round-0000"), checkpoints.join("round-0001"));
    let refused = || {
        let words = &["round-0000", "is not what was recorded", "gyre audit"];
        on(folder.path(), ["replay", "--sample", "3"]).fails(30, words);
    };
    for name in ["model.safetensors", "optimizer.safetensors"] {
        let file = base.join(name);
        let whole = fs::read(&file).unwrap();
        let mut flipped = whole.clone();
        let last = flipped.len() - 1;
        // The exponent of the last number.
        flipped[last] ^= 0x40;
        fs::write(&file, flipped).unwrap();
        refused();
        fs::copy(other.join(name), &file).unwrap();
        refused();
        fs::write(&file, whole).unwrap();
    }
    on(folder.path(), ["replay", "--sample", "3"]).ok();
}

#[test]
fn a_checkpoint_that_is_gone() {
    let folder = finished_copy();
    let data = folder.path();
    let checkpoint = "runs/small-1/checkpoints/round-0000";
    fs::remove_file(data.join(checkpoint).join("model.safetensors")).unwrap();
    on(data, ["replay", "--sample", "3"]).fails(30, &[checkpoint]);

    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    stopped_after(data, "evaluated");
    fs::remove_file(data.join(checkpoint).join("model.safetensors")).unwrap();
    on(data, ["run", "--resume"]).fails(30, &[checkpoint]);
    // Put back, it goes on.
    let whole = finished();
    let weights = Path::new(checkpoint).join("model.safetensors");
    fs::copy(whole.data.join(&weights), data.join(&weights)).unwrap();
    on(data, ["run", "--resume"]).ok();
    assert_eq!(clean_state(data), clean_state(&whole.data));
}

/// A run that was killed once it had recorded an event of this kind.
fn stopped_after(data: &Path, kind: &str) {
    let mut command = gyre();
    command.arg("--data-dir").arg(data).args(["run", "--json", "--config", SMALL]);
    let mut running = Running::start(&mut command);
    while running.next_event().expect("more events")["event"] != kind {}
    running.kill();
}

/// Runs a shell script in a mount namespace of its own, so that what it mounts
/// is gone with it. Root may do so, and others where the kernel lets them.
pub(crate) fn in_namespace(script: &str, args: &[&Path]) -> Ran {
    let mut command = Command::new("unshare");
    let namespace = if is_root() { "--mount" } else { "-rm" };
    command.args([namespace, "sh", "-euc", script, "sh", env!("CARGO_BIN_EXE_gyre")]).args(args);
    let ran = run(&mut as_gyre(command));
    assert!(
        !ran.stderr.contains("unshare: ") && !ran.stderr.contains("mount: "),
        "this test mounts a small file system: run it as root, or allow user namespaces\n{ran:#?}"
    );
    ran
}

fn is_root() -> bool {
    run(Command::new("id").arg("-u")).ok().stdout.trim() == "0"
}

#[test]
fn a_disk_that_is_full() {
    let whole = clean_state(&finished().data);
    for size in ["64k", "2m", "3m", "5m"] {
        let folder = tempfile::tempdir().unwrap();
        let [disk, saved] = ["disk", "saved"].map(|name| folder.path().join(name));
        fs::create_dir(&disk).unwrap();
        let script = format!(
            "mount -t tmpfs -o size={size} tmpfs \"$2\"; code=0; \
             \"$1\" run --config {SMALL} --data-dir \"$2/data\" || code=$?; \
             cp -a \"$2\" \"$3\"; exit $code"
        );
        in_namespace(&script, &[&disk, &saved]).fails(40, &["free some space", "disk/data"]);
        let data = saved.join("data");
        if data.join("lineage.db").is_file() {
            // Whatever was recorded was judged; what could not be is not there.
            let known = verdicts(&finished().data);
            let recorded = verdicts(&data);
            assert!(recorded.is_subset(&known), "{:#?}", recorded.difference(&known));
        }
        // With more room, it goes on where it stopped; too early a stop left nothing.
        if data.join("lineage.db").is_file() && runs(&data) == 1 {
            clean_state(&data);
            on(&data, ["run", "--resume"]).ok();
        } else {
            on(&data, ["run", "--config", SMALL]).ok();
        }
        assert_eq!(clean_state(&data), whole, "after a disk of {size}");
    }
}

fn verdicts(data: &Path) -> BTreeSet<String> {
    let tables = sql(data, "SELECT COUNT(*) FROM sqlite_master WHERE name = 'verdicts'");
    if tables.trim() == "0" {
        return BTreeSet::new();
    }
    let all = "SELECT rollout, revision, verdict, score, reason, fuel FROM verdicts";
    sql(data, all).lines().map(str::to_owned).collect()
}

fn runs(data: &Path) -> u32 {
    let tables = sql(data, "SELECT COUNT(*) FROM sqlite_master WHERE name = 'runs'");
    if tables.trim() == "0" {
        return 0;
    }
    sql(data, "SELECT COUNT(*) FROM runs").trim().parse().unwrap()
}

#[test]
fn a_folder_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    on(&file.join("data"), ["run", "--config", SMALL]).fails(41, &["data folder", "file/data"]);

    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let script = format!(
        "mount -t tmpfs -o ro tmpfs \"$2\"; exec \"$1\" run --config {SMALL} --data-dir \"$2/data\""
    );
    in_namespace(&script, &[&disk]).fails(41, &["disk/data", "Read-only"]);

    // A whole data folder that became read-only can be read, and no run begun.
    let whole = finished().data;
    let script = format!(
        "cp -a \"$3/.\" \"$2\"; mount --bind \"$2\" \"$2\"; mount -o remount,bind,ro \"$2\"; \
         exec \"$1\" run --config {SMALL} --data-dir \"$2\""
    );
    in_namespace(&script, &[&disk, &whole]).fails(41, &["disk/lineage.db", "may be written"]);
    clean_state(&disk);
}

/// A cache folder with a copy of the compiled guest.
fn cache() -> (TempDir, Vec<PathBuf>) {
    let doctor = run(gyre().args(["doctor", "--json"])).ok().json();
    let cache = doctor.as_array().unwrap().iter().find(|f| f["what"] == "guest cache").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("gyre");
    copy(Path::new(cache["detail"].as_str().unwrap()), &own);
    let guests = fs::read_dir(own.join("guests")).unwrap().map(|entry| entry.unwrap().path());
    let guests = guests.filter(|path| path.extension().is_some_and(|e| e == "cwasm")).collect();
    (folder, guests)
}

#[test]
fn a_compiled_guest_that_is_damaged() {
    let (folder, guests) = cache();
    assert!(!guests.is_empty(), "the cache holds no compiled guest");
    for guest in guests {
        let mut bytes = fs::read(&guest).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&guest, bytes).unwrap();
    }
    let data = folder.path().join("data");
    let doctor = |data: &Path| {
        let mut command = gyre();
        command.env("XDG_CACHE_HOME", folder.path()).arg("--data-dir").arg(data);
        run(command.arg("doctor"))
    };
    // It heals itself, and says so once: a disk that damages one file may damage others.
    let ran = doctor(&data).fails(52, &["python-", "made again", "look at the disk"]);
    assert!(ran.stderr.contains("discarded a compiled guest; compiling again"), "{ran:#?}");
    assert_eq!(doctor(&data).ok().stderr, "", "the second time there is nothing to say");
}

#[test]
fn a_cache_folder_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let data = folder.path().join("data");
    let mut command = gyre();
    command.env("XDG_CACHE_HOME", &file).arg("--data-dir").arg(&data);
    run(command.args(["run", "--config", SMALL]))
        .fails(50, &["compiled Python guest", "file/gyre"]);
}

#[test]
fn an_id_that_nothing_has() {
    let run = finished();
    for args in [
        &["show", "roll-0000000000000000"][..],
        &["show", "nonsense"],
        &["lineage", "task-0000000000000000"],
        &["replay", "roll-0000000000000000"],
        &["rounds", "absent-7"],
        &["audit", "absent-7"],
        &["dataset", "ls", "absent-7"],
        &["run", "--resume", "absent-7"],
    ] {
        on(&run.data, args).fails(60, &[args[args.len() - 1]]);
    }
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent");
    on(&absent, ["status"]).fails(60, &["no data", "gyre run", "--data-dir"]);
    assert!(!absent.exists(), "looking makes nothing");
}

#[test]
fn nothing_to_resume() {
    on(&finished().data, ["run", "--resume"]).fails(14, &["no unfinished run"]);
}
