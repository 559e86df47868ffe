//! Runs that are killed, stopped and driven twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Running, SMALL, clean_state, finished, gyre, on, run, sql, text};

fn begin(data: &Path) -> Command {
    let mut command = gyre();
    command.arg("--data-dir").arg(data).args(["run", "--json", "--config", SMALL]);
    command
}

fn resume(data: &Path) -> Command {
    let mut command = gyre();
    command.arg("--data-dir").arg(data).args(["run", "--json", "--resume"]);
    command
}

/// What several processes recorded of one run.
#[derive(Default)]
struct Seen {
    numbers: BTreeSet<u64>,
    waves: BTreeMap<String, u64>,
}

impl Seen {
    fn take(&mut self, event: &Value) {
        let number = event["seq"].as_u64().unwrap();
        assert!(self.numbers.insert(number), "event {number} was recorded twice: {event:#}");
        if text(event, "event") == "wave_rolled_out" {
            let wave = format!("{} {}", event["round"], event["at"]);
            let rollouts = event["rollouts"].as_u64().unwrap();
            let before = self.waves.insert(wave, rollouts);
            assert_eq!(before, None, "a wave was sampled twice: {event:#}");
        }
    }
}

#[test]
fn a_run_killed_after_every_event_ends_as_if_nothing_had_happened() {
    let whole = finished();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let mut seen = Seen::default();
    let mut kills = 0;
    let mut command = begin(data);
    loop {
        let mut running = Running::start(&mut command);
        let Some(event) = running.next_event() else {
            running.wait().ok();
            break;
        };
        seen.take(&event);
        running.kill().iter().for_each(|event| seen.take(event));
        kills += 1;
        if kills % 12 == 0 {
            clean_state(data);
        }
        command = resume(data);
    }
    let events = whole.events.iter().filter(|e| e.get("seq").is_some()).count();
    // A process may record one event more before the signal reaches it.
    assert!(kills > events / 2, "{kills} kills in {events} events");
    assert_eq!(clean_state(data), clean_state(&whole.data));
    let planned: u64 = whole
        .events
        .iter()
        .filter(|e| e["event"] == "phase_opened")
        .map(|e| e["rollouts"].as_u64().unwrap())
        .sum();
    let recorded = sql(data, "SELECT COUNT(*) FROM rollouts WHERE purpose = 'train'");
    assert_eq!(recorded.trim(), planned.to_string());
    assert!(seen.waves.values().sum::<u64>() <= planned, "{:?}", seen.waves);
}

/// Kills in the midst of sampling, judging and training: after an event, wait
/// a little for work to begin. When exactly does not matter.
#[test]
fn a_run_killed_in_the_midst_of_its_work_ends_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let mut seen = Seen::default();
    let mut command = begin(data);
    for (event, delay) in [(0, 300), (1, 40), (2, 700), (1, 120), (3, 5), (4, 60), (2, 17)] {
        let mut running = Running::start(&mut command);
        let happened = (0..event).map_while(|_| running.next_event()).collect::<Vec<_>>();
        happened.iter().for_each(|event| seen.take(event));
        let (_never, waiting) = mpsc::channel::<()>();
        // Not a wait for anything: the moment of the kill is what varies.
        assert!(waiting.recv_timeout(Duration::from_millis(delay)).is_err());
        running.kill().iter().for_each(|event| seen.take(event));
        command = if data.join("lineage.db").is_file() && is_begun(data) {
            resume(data)
        } else {
            begin(data)
        };
    }
    run(&mut command).ok();
    assert_eq!(clean_state(data), clean_state(&finished().data));
}

/// Whether the run is recorded: a kill may come before it is.
fn is_begun(data: &Path) -> bool {
    let tables = sql(data, "SELECT COUNT(*) FROM sqlite_master WHERE name = 'runs'");
    tables.trim() == "1" && sql(data, "SELECT COUNT(*) FROM runs").trim() == "1"
}

#[test]
fn an_interrupted_run_says_how_to_go_on_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let mut running = Running::start(&mut begin(data));
    running.next_event().expect("a first event");
    run(Command::new("kill").arg("-INT").arg(running.id().to_string())).ok();
    let stopped = running.wait();
    assert_eq!(stopped.code, Some(130), "{stopped:#?}");
    assert_eq!(stopped.stderr.trim(), "stopped; `gyre run --resume` goes on from here");
    clean_state(data);
    let resumed = run(&mut resume(data)).ok().json_lines();
    assert_eq!(resumed[0]["event"], "run_started");
    assert_eq!(resumed[0]["resumed"], true);
    assert_eq!(clean_state(data), clean_state(&finished().data));
    on(data, ["run", "--resume"]).fails(14, &["no unfinished run", "gyre run"]);
}

#[test]
fn two_processes_never_drive_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let mut first = Running::start(&mut begin(data));
    first.next_event().expect("a first event");
    let second = run(&mut resume(data));
    second.fails(22, &["small-1"]);
    first.kill();
    clean_state(data);
}
