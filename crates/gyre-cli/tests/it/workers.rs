//! Rollouts made by workers: in processes of their own, that come, go and die.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use gyre_fault::{Process, Step};

use crate::faults::{KILL, Kind, Place, Walk, asked_for, faults};
use crate::published::same;
use crate::support::{RUN, Ran, Running, SMALL, clean_state, finished, repository, run, sql};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The small run, made by workers in pieces of a few tasks.
fn by_workers(place: &Place, tasks_per_piece: u32) -> PathBuf {
    with_store(place, tasks_per_piece, place.folder().join("store").to_str().unwrap())
}

pub(crate) fn with_store(place: &Place, tasks_per_piece: u32, store: &str) -> PathBuf {
    let small = std::fs::read_to_string(repository().join(SMALL)).unwrap();
    let file = place.folder().join("workers.toml");
    // One piece may meet every fault that there is.
    let workers = format!(
        "[workers]\nmode = \"queue\"\nattempts_max = 50\n\
         tasks_per_piece = {tasks_per_piece}\nstore = {store:?}\n",
    );
    std::fs::write(&file, format!("{small}\n{workers}")).unwrap();
    file
}

fn drive(place: &Place) -> Running {
    drive_in_pieces_of(place, 3)
}

pub(crate) fn drive_in_pieces_of(place: &Place, tasks: u32) -> Running {
    let mut command = place.gyre();
    Running::start(command.args(["run", "--json", "--config"]).arg(by_workers(place, tasks)))
}

/// What every worker of a test is told.
pub(crate) const WORKER: [&str; 6] = ["worker", "--json", "--heartbeat", "1", "--guests", "1"];

fn worker(place: &Place) -> Running {
    Running::start(place.gyre().args(WORKER))
}

/// What a worker said when it ended: the pieces that it brought.
fn pieces(ran: &Ran) -> u64 {
    let last = ran.json_lines().pop().unwrap_or_default();
    assert_eq!(last["event"], "worker_stopped", "{ran:#?}");
    last["pieces"].as_u64().unwrap()
}

/// Waits until the driver has recorded so many events.
fn after_events(running: &mut Running, count: usize) {
    for _ in 0..count {
        running.next_event().expect("the run goes on");
    }
}

/// The state is that of the local run, and nothing of the workers' is left over.
#[track_caller]
pub(crate) fn ends_like_a_local_run(place: &Place) {
    assert_eq!(place.clean().unwrap(), clean_state(&finished().data));
    // What was published is in the store too, byte for byte, and nothing else.
    let published = place.folder().join("data/datasets").join(RUN);
    let stored = place.folder().join("store/datasets").join(RUN);
    same(&published, &stored);
    let work = place.folder().join("store/work");
    let mut left = vec![work];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            assert!(path.is_dir(), "{} was not swept", path.display());
            left.push(path);
        }
    }
}

#[test]
fn workers_on_one_host_end_in_the_state_of_a_local_run() {
    let place = Place::sqlite();
    let workers = [worker(&place), worker(&place)];
    let ran = drive(&place).wait().ok();
    assert_eq!(ran.json_lines().last().unwrap()["event"], "run_finished");
    ends_like_a_local_run(&place);

    let listed = run(place.gyre().args(["worker", "ls", "--json"])).ok().json();
    let listed = listed.as_array().unwrap().clone();
    assert_eq!(listed.len(), 2, "{listed:#?}");
    assert!(listed.iter().all(|worker| worker["status"] == "working"), "{listed:#?}");
    let of_all: u64 = listed.iter().map(|worker| worker["pieces"].as_u64().unwrap()).sum();
    // Each piece once, whoever made it: a batch is a part, in pieces of three tasks.
    let data = place.folder().join("data");
    let pieces_of_all = "SELECT SUM((tasks + 2) / 3) FROM \
        (SELECT COUNT(DISTINCT task) AS tasks FROM rollouts GROUP BY part)";
    assert_eq!(sql(&data, pieces_of_all).trim(), of_all.to_string());
    // What is settled is forgotten, by the queue too: of its jobs only those are
    // left whose end the two workers told after the last round was over.
    assert_eq!(sql(&data, "SELECT COUNT(*) FROM work").trim(), "0");
    let attach = format!("ATTACH '{}' AS queue", data.join("queue.db").display());
    let jobs = sql(&data, &format!("{attach}; SELECT COUNT(*) FROM queue.Jobs"));
    let jobs: u64 = jobs.trim().parse().unwrap();
    assert!(jobs <= 4 && of_all > 20, "{jobs} of {of_all} jobs are left");

    let brought: u64 = workers.into_iter().map(|worker| pieces(&worker.terminate().ok())).sum();
    assert_eq!(brought, of_all);
    let listed = run(place.gyre().args(["worker", "ls", "--json"])).ok().json();
    assert!(listed.as_array().unwrap().iter().all(|worker| worker["status"] == "stopped"));
}

#[test]
fn workers_come_and_go_in_the_middle_of_a_round() {
    let place = Place::sqlite();
    let mut driver = drive(&place);
    let first = worker(&place);
    after_events(&mut driver, 12);
    let brought = pieces(&first.terminate().ok());
    assert!(brought > 0, "the first worker did something before it was asked to end");
    let others = [worker(&place), worker(&place), worker(&place)];
    driver.wait().ok();
    ends_like_a_local_run(&place);
    for other in others {
        other.terminate().ok();
    }
}

#[test]
fn a_worker_that_does_not_fit_is_refused() {
    let place = Place::sqlite();
    let mut driver = drive(&place);
    driver.next_event().expect("the run begins");
    let data = place.folder().join("data");

    let early = worker(&place);
    sql(&data, "UPDATE fleets SET version = '0.0.9'");
    early.wait().fails(24, &["version", "0.0.9", "same build"]);
    run(place.gyre().args(WORKER)).fails(24, &["version", "0.0.9", "same build"]);
    let other = "0".repeat(64);
    sql(&data, &format!("UPDATE fleets SET version = '0.1.0', sandbox_digest = '{other}'"));
    run(place.gyre().args(WORKER)).fails(24, &["sandbox", "000000", "same build"]);

    // Who drives it next says anew what it asks for.
    driver.kill();
    let resumed = Running::start(place.gyre().args(["run", "--json", "--resume"]));
    while sql(&data, "SELECT sandbox_digest FROM fleets").trim() == other {
        thread::sleep(LOOK_EVERY);
    }
    let fitting = worker(&place);
    resumed.wait().ok();
    fitting.terminate().ok();
    ends_like_a_local_run(&place);
}

#[test]
fn a_run_goes_from_workers_to_its_driver_and_back() {
    let place = Place::sqlite();
    let first = worker(&place);
    let mut driver = drive(&place);
    after_events(&mut driver, 9);
    driver.kill();
    // A killed driver leaves its fleet open; the next is another's.
    let mut alone = place.gyre();
    let mut alone = Running::start(alone.args(["run", "--json", "--resume", "--workers", "local"]));
    after_events(&mut alone, 5);
    alone.kill();
    run(place.gyre().args(["run", "--json", "--resume", "--workers", "queue"])).ok();
    first.terminate().ok();
    ends_like_a_local_run(&place);
}

/// The files that workers put into the store and the driver has not taken.
fn brought(place: &Place) -> Vec<PathBuf> {
    let (mut files, mut left) = (Vec::new(), vec![place.folder().join("store/work")]);
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                files.push(path);
            }
        }
    }
    files
}

fn signal(process: &Running, name: &str) {
    run(std::process::Command::new("kill").args([name, &process.id().to_string()])).ok();
}

/// A driver starts anew while a worker has put its result into the store and has
/// not told the database yet.
#[test]
fn a_result_that_is_not_delivered_yet_outlives_the_start_of_a_driver() {
    let place = Place::sqlite();
    let data = place.folder().join("data");
    let slow = "object::put=sleep(2000)";
    let worker = Running::start(place.gyre().args(WORKER).env("GYRE_FAILPOINTS", slow));
    let driver = drive(&place);
    let claimed = "SELECT COUNT(*) FROM work WHERE state = 'claimed'";
    loop {
        while brought(&place).is_empty() {
            thread::sleep(LOOK_EVERY);
        }
        signal(&worker, "-STOP");
        // One worker has one piece: what is claimed is what lies there.
        if brought(&place).len() == 1 && sql(&data, claimed).trim() == "1" {
            break;
        }
        signal(&worker, "-CONT");
    }
    let held = brought(&place).remove(0);
    let offer = sql(&data, "SELECT MAX(offer) FROM work");
    driver.kill();
    let resumed = Running::start(place.gyre().args(["run", "--json", "--resume"]));
    let anew = format!("SELECT COUNT(*) FROM work WHERE offer > {}", offer.trim());
    while sql(&data, &anew).trim() == "0" {
        thread::sleep(LOOK_EVERY);
    }
    assert!(held.is_file(), "the driver removed {}, which is still wanted", held.display());
    signal(&worker, "-CONT");
    // It goes on at full speed: another takes the rest.
    let other = self::worker(&place);
    resumed.wait().ok();
    for worker in [worker, other] {
        worker.terminate().ok();
    }
    ends_like_a_local_run(&place);
}

/// Results that are recorded, and whose files the store lost or damaged.
#[test]
fn a_result_whose_file_is_gone_is_made_again() {
    let place = Place::sqlite();
    let data = place.folder().join("data");
    let worker = worker(&place);
    let mut driver = drive_in_pieces_of(&place, 1);
    let count = |states: &str| -> u32 {
        let query = format!("SELECT COUNT(*) FROM work WHERE state IN ({states})");
        sql(&data, &query).trim().parse().unwrap()
    };
    // Once nobody works, what was made lies there for the next driver.
    loop {
        driver.next_event().expect("the run goes on");
        if count("'offered', 'claimed'") < 2 {
            continue;
        }
        driver.kill();
        while count("'offered', 'claimed'") > 0 {
            thread::sleep(LOOK_EVERY);
        }
        if count("'done'") >= 2 {
            break;
        }
        driver = Running::start(place.gyre().args(["run", "--json", "--resume"]));
    }
    let files = brought(&place);
    assert!(files.len() >= 2, "{files:?}");
    std::fs::remove_file(&files[0]).unwrap();
    std::fs::write(&files[1], "cut off").unwrap();
    run(place.gyre().args(["run", "--json", "--resume"])).ok();
    worker.terminate().ok();
    ends_like_a_local_run(&place);
}

/// `kill -9` of workers at moments that nobody chose, on both databases.
#[test]
fn workers_killed_at_any_moment_lose_and_double_nothing() {
    let (wanted, mut kills) = (asked_for("GYRE_CRASH_KILLS").unwrap_or(4), 0);
    while kills < wanted {
        for place in [Place::sqlite(), Place::postgres()] {
            kills += kill_workers(&place, kills as u64, wanted);
        }
    }
}

/// Gives how often a worker was killed until the run was over.
fn kill_workers(place: &Place, mut moment: u64, most: usize) -> usize {
    let mut workers = vec![worker(place), worker(place)];
    let mut driver = drive(place);
    let mut kills = 0;
    while kills < most {
        // A simple generator will do: what counts is that moments differ.
        moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
        let mut ended = false;
        for _ in 0..1 + (moment >> 33) % 6 {
            ended |= driver.next_event().is_none();
        }
        if ended {
            break;
        }
        workers.remove((moment >> 40) as usize % workers.len()).kill();
        workers.push(worker(place));
        kills += 1;
    }
    driver.wait().ok();
    ends_like_a_local_run(place);
    for worker in workers {
        worker.terminate().ok();
    }
    kills
}

/// What a worker is told so that it comes to the points that are left. That a
/// piece failed is recorded only where one failed.
fn told(working: &Walk) -> String {
    let mishaps = working.only(&["mishap::committing", "mishap::committed"]);
    if mishaps.is_over() {
        return working.armed();
    }
    // One that dies is given nothing else to die at before.
    let armed = if working.kills() { mishaps.armed() } else { working.armed() };
    let failing = "object::putting=1*return(eio)";
    if armed.contains(failing) { armed } else { format!("{armed};{failing}") }
}

fn armed_worker(place: &Place, told: &str) -> Running {
    Running::start(place.gyre().args(WORKER).env("GYRE_FAILPOINTS", told))
}

/// Walks the points between a driver and its one worker, each process with those
/// that none has come to.
fn walk_workers(place: &Place, kind: Kind) {
    let config = by_workers(place, 2);
    let mut driving = Walk::new(kind, Process::Driver);
    let mut working = Walk::new(kind, Process::Worker);
    walk_closing(place, &config, &mut driving);
    let mut armed = told(&working);
    let mut worker = Some(armed_worker(place, &armed));
    loop {
        let failpoints = driving.armed();
        let ran = thread::scope(|scope| {
            let driver = scope.spawn(|| place.drive(&config, &failpoints));
            while !driver.is_finished() {
                if let Some(ended) = worker.take_if(Running::has_ended) {
                    working.came(&ended.wait(), &armed);
                    armed = told(&working);
                    worker = Some(armed_worker(place, &armed));
                }
                thread::sleep(LOOK_EVERY);
            }
            driver.join().unwrap()
        });
        driving.came(&ran, &failpoints);
        place.clean();
        if ran.code == Some(0) {
            break;
        }
    }
    working.came(&worker.unwrap().terminate(), &armed);
    driving.ends();
    working.ends();
    ends_like_a_local_run(place);
}

/// The points that a driver comes to when it ends by itself.
fn walk_closing(place: &Place, config: &Path, driving: &mut Walk) {
    for point in ["close::committing", "close::committed"] {
        let closing = driving.only(&[point]);
        if closing.is_over() {
            continue;
        }
        let mut command = place.gyre();
        command.args(["run", "--json"]).env("GYRE_FAILPOINTS", closing.armed());
        let mut driver = match place.clean() {
            None => Running::start(command.arg("--config").arg(config)),
            Some(_) => Running::start(command.arg("--resume")),
        };
        driver.next().expect("the run begins");
        while place.sql("SELECT COUNT(*) FROM fleets WHERE is_open = 1").trim() != "1" {
            thread::sleep(LOOK_EVERY);
        }
        driving.came(&driver.terminate(), &closing.armed());
    }
}

/// Around each transaction and file of what passes between driver and workers.
#[test]
fn drivers_and_workers_killed_at_every_point_lose_and_double_nothing() {
    walk_workers(&Place::sqlite(), KILL);
}

/// The suite fails the steps of files, and loses connections to a real PostgreSQL.
/// Where asked for, everything that is left of the product.
#[test]
fn drivers_and_workers_whose_steps_fail_lose_and_double_nothing() {
    let full = asked_for("GYRE_CRASH_FULL").is_some();
    for kind in faults() {
        let of_files = kind.at.contains(&Step::File);
        if full || of_files {
            walk_workers(&Place::sqlite(), kind);
        }
        if full || !of_files {
            walk_workers(&Place::postgres(), kind);
        }
    }
    if full {
        walk_workers(&Place::postgres(), KILL);
    }
}
