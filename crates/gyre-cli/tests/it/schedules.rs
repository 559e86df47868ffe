//! The service: schedules from the configuration to the rounds that they make.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::faults::{Place, each_round_once, every_second, has_ended, serve};
use crate::support::{Running, SMALL, clean_state, finished, repository, run, sql, text};

/// A schedule that ticks at no time that this test sees, with more keys.
pub(crate) fn never(place: &Place, more: &str) -> PathBuf {
    let file = place.folder().join("never.toml");
    let small = fs::read_to_string(repository().join(SMALL)).unwrap();
    let schedule = "[[schedules]]\nname = \"never\"\ncron = \"0 0 29 2 *\"\n";
    fs::write(&file, format!("{small}\n{schedule}{more}\n")).unwrap();
    file
}

/// Reads on until something is told.
#[track_caller]
fn until(running: &mut Running, event: &str) -> Value {
    loop {
        let told = running.next().unwrap_or_else(|| panic!("it ended before {event}"));
        if told["event"] == event {
            return told;
        }
    }
}

fn signal(running: &Running, name: &str) {
    run(Command::new("kill").arg(name).arg(running.id().to_string())).ok();
}

fn schedule(place: &Place, args: &[&str]) -> Value {
    run(place.gyre().args(["schedule"]).args(args).arg("--json")).ok().json()
}

fn ticks(place: &Place, name: &str) -> Vec<Value> {
    schedule(place, &["ls", name]).as_array().unwrap().clone()
}

#[test]
fn a_schedule_makes_the_rounds_that_a_run_would_make() {
    let place = Place::sqlite();
    let config = every_second(&place);
    let mut running = serve(&place, &config, "");
    let mut stop = Value::Null;
    while stop.is_null() {
        stop = until(&mut running, "tick_settled")["stop"].clone();
    }
    assert_eq!(stop, "all rounds of small-1 are made");
    signal(&running, "-TERM");
    running.wait().ok();
    assert!(has_ended(&place));
    each_round_once(&place);
    assert_eq!(place.clean().unwrap(), clean_state(&finished().data));
    // A second came while a round was being made.
    assert!(ticks(&place, "often").iter().any(|tick| tick["state"] == "refused"));
}

#[test]
fn two_services_make_each_round_once() {
    let place = Place::postgres();
    let config = every_second(&place);
    let services = [serve(&place, &config, ""), serve(&place, &config, "")];
    let ids = services.each_ref().map(Running::id);
    let waiting = services.map(|service| std::thread::spawn(move || service.wait()));
    while !has_ended(&place) {
        assert!(waiting.iter().all(|service| !service.is_finished()));
    }
    for (id, service) in ids.into_iter().zip(waiting) {
        run(Command::new("kill").arg("-TERM").arg(id.to_string())).ok();
        service.join().unwrap().ok();
    }
    each_round_once(&place);
    assert_eq!(place.clean().unwrap(), clean_state(&finished().data));
}

#[test]
fn a_round_is_made_when_asked_for_and_not_while_paused() {
    let place = Place::sqlite();
    let config = never(&place, "budget = { rows = 1 }\nstop = { failures_in_a_row = 1 }");
    let mut running = serve(&place, &config, "");
    until(&mut running, "serving");
    schedule(&place, &["run-now", "never"]);
    let settled = until(&mut running, "tick_settled");
    assert_eq!(settled["detail"], "round 0 of small-1: promoted");
    assert_eq!(schedule(&place, &["pause", "never", "--why", "night"])["why"], "night");
    assert_eq!(schedule(&place, &["ls"])[0]["status"], "paused");
    assert_eq!(schedule(&place, &["resume", "never"])["status"], "active");
    // The next round may publish one row, and would publish more.
    schedule(&place, &["run-now", "never"]);
    let settled = until(&mut running, "tick_settled");
    assert!(text(&settled, "detail").contains("the budget of 1 rows is spent"), "{settled:#}");
    assert_eq!(settled["stop"], "1 failed rounds in a row");
    signal(&running, "-TERM");
    running.wait().ok();
    let ticks = ticks(&place, "never");
    assert_eq!(ticks.len(), 2);
    assert!(ticks.iter().all(|tick| tick["kind"] == "manual" && tick["state"] == "done"));
    assert!(ticks.iter().all(|tick| tick["wall_ms"].as_u64() > Some(0)), "{ticks:#?}");
    place.clean();
    let unknown = run(place.gyre().args(["schedule", "run-now", "other"]));
    unknown.fails(60, &["other", "gyre schedule ls"]);
}

/// A round that is given up between its waves and their verdicts leaves none open:
/// what was not judged is invalid, and says why.
#[test]
fn a_round_that_is_over_its_budget_leaves_no_attempt_without_a_verdict() {
    let place = Place::sqlite();
    let config = never(&place, "budget = { tokens = 1 }");
    let mut running = serve(&place, &config, "");
    until(&mut running, "serving");
    for (round, ended) in
        ["promoted", "the budget of 1 tokens", "the budget of 1 tokens"].into_iter().enumerate()
    {
        schedule(&place, &["run-now", "never"]);
        let settled = until(&mut running, "tick_settled");
        let detail = text(&settled, "detail");
        let round = format!("round {round} of small-1");
        assert!(detail.contains(&round) && detail.contains(ended), "{settled:#}");
    }
    signal(&running, "-TERM");
    running.wait().ok();
    place.clean();
    let open = "SELECT COUNT(*), SUM(v.reason LIKE '%not judged: the budget of 1 tokens%') \
        FROM rollouts r LEFT JOIN verdicts v ON v.rollout = r.id WHERE r.purpose = 'train'";
    let counted = sql(&place.folder().join("data"), open);
    let (all, invalid) = counted.trim().split_once('|').unwrap();
    assert!(all == invalid && all != "0", "{counted}");
}

#[test]
fn a_drained_service_gives_its_tick_back_and_the_next_goes_on() {
    let place = Place::sqlite();
    let config = never(&place, "");
    let mut running = serve(&place, &config, "");
    until(&mut running, "serving");
    schedule(&place, &["run-now", "never"]);
    until(&mut running, "tasks_generated");
    signal(&running, "-TERM");
    let drained = running.wait().ok();
    assert!(drained.stdout.contains("\"due\""), "{drained:#?}");
    place.clean();
    assert_eq!(ticks(&place, "never")[0]["state"], "due");
    let mut running = serve(&place, &config, "");
    assert_eq!(until(&mut running, "tick_claimed")["taken_over"], true);
    assert_eq!(until(&mut running, "tick_settled")["detail"], "round 0 of small-1: promoted");
    signal(&running, "-TERM");
    running.wait().ok();
    assert_eq!(ticks(&place, "never")[0]["claims"], 2);
}

/// Leavings of every kind, and guests' processes, which outlive nobody.
#[test]
fn a_start_puts_right_what_a_killed_service_left() {
    let place = Place::sqlite();
    let config = never(&place, "");
    let mut running = serve(&place, &config, "part::written=1*return");
    until(&mut running, "serving");
    schedule(&place, &["run-now", "never"]);
    until(&mut running, "tasks_generated");
    let children = children(running.id());
    assert!(!children.is_empty());
    running.wait();
    let run = place.folder().join("data/runs/small-1");
    let temporary = |folder: &Path| {
        let names = fs::read_dir(folder).into_iter().flatten().flatten();
        names.filter(|entry| entry.file_name().to_string_lossy().starts_with(".tmp-")).count()
    };
    assert_eq!(temporary(&run.join("rollouts/round-0000")), 1);
    let published = place.folder().join("data/datasets/small-1/data");
    for half in [&published, &run.join("checkpoints/round-0001.partial")] {
        fs::create_dir_all(half).unwrap();
    }
    let shard = published.join("train-r0001-0123456789abcdef.parquet");
    fs::write(&shard, b"PAR1 and no more").unwrap();
    fs::write(published.join(".tmp-train-r0002.parquet"), b"PAR1").unwrap();
    fs::write(run.join("checkpoints/round-0001.partial/model.safetensors"), b"half").unwrap();

    let mut running = serve(&place, &config, "");
    assert_eq!(until(&mut running, "serving")["reconciled"][0], "small-1");
    assert_eq!(temporary(&run.join("rollouts/round-0000")), 0);
    assert_eq!(temporary(&published), 0);
    assert!(!shard.exists());
    assert!(!run.join("checkpoints/round-0001.partial").exists());
    // The tick is taken at once: its holder is known to be dead.
    assert_eq!(until(&mut running, "tick_claimed")["taken_over"], true);
    until(&mut running, "tick_settled");
    let alive = children.iter().filter(|child| is_a_guest(child)).count();
    assert_eq!(alive, 0, "{children:?}");
    signal(&running, "-TERM");
    running.wait().ok();
    place.clean();
}

/// The processes that a process has started.
fn children(of: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{of}/task")).unwrap().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|pids| pids.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// Whether a process still runs guests: its number may be another's by now.
fn is_a_guest(pid: &str) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command).contains("gyre")
}

#[test]
fn a_schedule_that_cannot_be_kept_is_refused_with_its_name() {
    let place = Place::sqlite();
    let refused = |more: &str, words: &[&str]| {
        let config = never(&place, more);
        run(place.gyre().args(["serve", "--config"]).arg(config)).fails(12, words);
    };
    refused("time_zone = \"Berlin\"", &["\"never\"", "Berlin", "IANA"]);
    refused("budget = { tokens = 0 }", &["\"never\"", "budget.tokens"]);
    let twice = "[[schedules]]\nname = \"never\"\ncron = \"0 0 * * *\"";
    refused(twice, &["\"never\"", "taken"]);
    let cron = "[[schedules]]\nname = \"bad\"\ncron = \"0 25 * * *\"";
    refused(cron, &["\"bad\"", "0 25 * * *"]);
    let missing = never(&place, "campaign = \"nowhere.toml\"");
    run(place.gyre().args(["serve", "--config"]).arg(missing)).fails(13, &["nowhere.toml"]);
}
