//! Verifiers that go wrong while a run goes on, and the alarms that tell it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::judging::{COMMAND, VERIFY, compose, config, first_line, pinned, start};
use crate::support::{Running, clean_state, gyre, on, sql};

/// What each check of `VERIFY` is decided by.
const FINE: &str = "result['kind'] == 'value' and result['value'] == case['expect']";

/// The family `commanded`, judged by a program of this text. (The cold start is
/// another family's, so that fewer programs are started.)
fn commanded(folder: &Path, verify: &str) {
    let tasks = folder.join("tasks");
    compose(&tasks, "compose", "kind = 'checks'\nchecks = [{ check = 'exact' }]\n");
    let dir = compose(&tasks, "commanded", "");
    let first = first_line();
    let source =
        format!("{first}{COMMAND}{verify}print(json.dumps(verify(json.load(sys.stdin))))\n");
    let sha256 = pinned(&dir.join("judge"), &source);
    let manifest = fs::read_to_string(dir.join("family.toml")).unwrap();
    let table = format!("kind = 'command'\nargv = ['judge']\nsha256 = '{sha256}'\n");
    fs::write(dir.join("family.toml"), manifest + &table).unwrap();
}

/// So many rounds and tasks, each attempted once, and these settings.
fn rounds_of(folder: &Path, rounds: u32, tasks: u32, more: &str) -> PathBuf {
    let more = format!("[canaries]\nper_round = 0\n[verifiers]\nallow_commands = true\n{more}");
    let path = config(folder, &["commanded"], &more);
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace("rounds = 1", &format!("rounds = {rounds}"))
        .replace("\nsamples = 2\nextra_samples = 2", "\nsamples = 1\nextra_samples = 0")
        .replace("tasks_per_round = 12", &format!("tasks_per_round = {tasks}"));
    fs::write(&path, text).unwrap();
    path
}

/// The alarms of this kind are in the lineage, and wherever people look; how
/// many there are.
fn stored(data: &Path, kind: &str, words: &str) -> u64 {
    let stored = sql(data, &format!("SELECT COUNT(*) FROM alarms WHERE kind = '{kind}'"));
    let stored: u64 = stored.trim().parse().unwrap();
    assert!(stored > 0, "no alarm of the kind {kind}");
    let status = on(data, ["status", "--json"]).ok().json();
    assert!(status[0]["alarms"].as_u64().unwrap() >= stored, "{status:#}");
    for args in [&["rounds"][..], &["show", "small-1"]] {
        let shown = on(data, args).ok().stdout;
        assert!(shown.contains(words), "no {words:?} in {args:?}: {shown}");
    }
    stored
}

#[test]
fn a_jump_of_the_accept_rate_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // From the moment that a file is there, it accepts everything.
    let sign = folder.path().join("sign");
    let lenient = format!("os.path.exists({:?}) or ({FINE})", sign.to_str().unwrap());
    commanded(folder.path(), &VERIFY.replace(FINE, &lenient));
    let settings = "[alarms]\nchange_max = 0.05\nalpha_total = 1.0\n";
    let config = rounds_of(folder.path(), 2, 40, settings);
    let mut begin = gyre();
    begin.arg("--data-dir").arg(&data).args(["run", "--json", "--config"]).arg(&config);
    let mut running = Running::start(&mut begin);
    // The tasks of the second round are admitted, and attempted: nothing is judged yet.
    loop {
        let event = running.next_event().expect("a second round");
        if event["round"] == 2 && event["event"] == "wave_rolled_out" {
            break;
        }
    }
    running.kill();
    assert_eq!(sql(&data, "SELECT COUNT(*) FROM alarms").trim(), "0");
    fs::write(&sign, "").unwrap();
    let said = on(&data, ["run", "--resume"]).ok().stdout;
    let words = "alarm: accept rate (commanded level 1)";
    assert!(said.contains(&format!("round 2: {words}")), "{said}");
    clean_state(&data);
    stored(&data, "accept_rate", "accept rate (commanded level 1)");
}

#[test]
fn a_verifier_that_says_another_thing_the_second_time_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    commanded(folder.path(), &VERIFY.replace("'detail': detail", "'detail': str(os.getpid())"));
    let config = rounds_of(folder.path(), 1, 24, "[recheck]\nshare = 1.0\n");
    let events = start(folder.path(), &config).ok().json_lines();
    clean_state(&data);
    let alarms = stored(&data, "nondeterministic", "nondeterministic (roll-");
    let is_alarm = |event: &&serde_json::Value| {
        event["event"] == "alarm" && event["kind"] == "nondeterministic"
    };
    assert_eq!(events.iter().filter(is_alarm).count() as u64, alarms);
    // Whatever was taken back is no zero, and nobody learns from it.
    let taken_back = sql(
        &data,
        "SELECT COUNT(*), SUM(score IS NOT NULL), MIN(reason LIKE '%nondeterministic%') \
         FROM verdicts WHERE verdict = 'invalid' AND revision = 1",
    );
    assert_eq!(taken_back.trim(), format!("{alarms}|0|1"));
    let trained = "SELECT COUNT(*) FROM shard_rows s JOIN verdicts v USING (run, rollout) \
                   WHERE v.verdict = 'invalid'";
    assert_eq!(sql(&data, trained), "0\n");
    let rollout = sql(&data, "SELECT subject FROM alarms LIMIT 1");
    let shown = on(&data, ["show", rollout.trim(), "--json"]).ok().json();
    assert_eq!(shown["verdict"]["verdict"]["verdict"], "invalid", "{shown:#}");
}
