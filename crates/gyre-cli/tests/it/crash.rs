//! Runs that are killed, stopped and driven twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Finished, Running, SMALL, clean_state, finished, gyre, on, run, sql, text};

fn begin(data: &Path) -> Command {
    begin_with(data, SMALL)
}

fn begin_with(data: &Path, config: &str) -> Command {
    let mut command = gyre();
    command.arg("--data-dir").arg(data).args(["run", "--json", "--config", config]);
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

/// Drives a run to its end by processes that die at a point each time they
/// come to it, and gives what each of them recorded.
fn driven_by_dying(data: &Path, config: &str, point: &str) -> (Seen, Vec<usize>) {
    let mut seen = Seen::default();
    let mut recorded = Vec::new();
    let mut command = begin_with(data, config);
    loop {
        let mut running = Running::start(command.env("GYRE_FAILPOINTS", point));
        let events: Vec<_> = std::iter::from_fn(|| running.next_event()).collect();
        events.iter().for_each(|event| seen.take(event));
        recorded.push(events.len());
        let ended = running.wait();
        if ended.code.is_some() {
            ended.ok();
            return (seen, recorded);
        }
        if is_begun(data) && sql(data, "SELECT status FROM runs").trim() == "finished" {
            return (seen, recorded);
        }
        if recorded.len() % 12 == 0 {
            clean_state(data);
        }
        // A run that was not recorded yet cannot be resumed.
        command = if is_begun(data) { resume(data) } else { begin_with(data, config) };
    }
}

/// Events, and the commit that finishes the run.
fn commits(whole: &Finished) -> usize {
    1 + whole.events.iter().filter(|event| event.get("seq").is_some()).count()
}

#[test]
fn a_run_killed_after_every_event_ends_as_if_nothing_had_happened() {
    let whole = finished();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let (seen, recorded) = driven_by_dying(data, SMALL, "run::committed=return");
    // Each process dies with its first event recorded, and before it can tell anybody.
    assert_eq!(recorded.len(), commits(&whole), "{recorded:?}");
    assert!(seen.numbers.is_empty(), "{:?}", seen.numbers);
    assert_eq!(clean_state(data), clean_state(&whole.data));
    let planned: u64 = whole
        .events
        .iter()
        .filter(|e| e["event"] == "phase_opened")
        .map(|e| e["rollouts"].as_u64().unwrap())
        .sum();
    let recorded = sql(data, "SELECT COUNT(*) FROM rollouts WHERE purpose = 'train'");
    assert_eq!(recorded.trim(), planned.to_string());
}

/// Everything is ready then, files are written, and nothing is recorded.
#[test]
fn a_run_killed_before_every_event_ends_as_if_nothing_had_happened() {
    let whole = finished();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    // The first commit of each process goes through, or none ever would. The last
    // process makes the last event's commit and the one that finishes the run.
    let (seen, recorded) = driven_by_dying(data, SMALL, "run::committing=1*off->return");
    assert_eq!(recorded.len(), commits(&whole), "{recorded:?}");
    assert_eq!(seen.numbers.len(), commits(&whole) - 1, "{:?}", seen.numbers);
    assert_eq!(clean_state(data), clean_state(&whole.data));
}

/// The champion changes in the midst of it, and what comes after starts from
/// the new one.
#[test]
fn a_run_killed_around_a_promotion_ends_as_if_nothing_had_happened() {
    const PROMOTING: &str = "crates/gyre-cli/tests/it/promoting.toml";
    let folder = tempfile::tempdir().unwrap();
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    run(&mut begin_with(&whole, PROMOTING)).ok();
    let champions = "SELECT COUNT(*) FROM promotions WHERE gate_digest IS NOT NULL AND round = 1";
    assert_eq!(sql(&whole, champions).trim(), "1", "the first candidate must be promoted");
    driven_by_dying(&killed, PROMOTING, "run::committed=return");
    assert_eq!(clean_state(&killed), clean_state(&whole));
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
        command = if is_begun(data) { resume(data) } else { begin(data) };
    }
    run(&mut command).ok();
    assert_eq!(clean_state(data), clean_state(&finished().data));
}

/// Whether the run is recorded: a kill may come before it is.
pub(crate) fn is_begun(data: &Path) -> bool {
    if !data.join("lineage.db").is_file() {
        return false;
    }
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
