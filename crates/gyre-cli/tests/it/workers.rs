//! Rollouts made by workers: in processes of their own, that come, go and die.

use std::path::PathBuf;
use std::process::Command;

use crate::faults::Place;
use crate::support::{RUN, Ran, Running, SMALL, clean_state, finished, repository, run, sql};

/// The small run, made by workers in pieces of a few tasks.
fn by_workers(place: &Place, tasks_per_piece: u32) -> PathBuf {
    let small = std::fs::read_to_string(repository().join(SMALL)).unwrap();
    let file = place.folder().join("workers.toml");
    let store = place.folder().join("store");
    let workers = format!(
        "[workers]\nmode = \"queue\"\ntasks_per_piece = {tasks_per_piece}\nstore = {:?}\n",
        store.to_str().unwrap()
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

/// Asks a process to end, and waits until it did.
pub(crate) fn terminate(running: Running) -> Ran {
    run(Command::new("kill").arg("-TERM").arg(running.id().to_string())).ok();
    running.wait()
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
    // What was published is in the store too, byte for byte.
    let published = place.folder().join("data/runs").join(RUN).join("dataset");
    let stored = place.folder().join("store/datasets").join(RUN);
    let mut folders = vec![std::path::PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(published.join(&folder)).unwrap() {
            let name = folder.join(entry.unwrap().file_name());
            if published.join(&name).is_dir() {
                folders.push(name);
            } else {
                let [ours, theirs] = [&published, &stored].map(|root| root.join(&name));
                assert_eq!(
                    std::fs::read(ours).unwrap(),
                    std::fs::read(theirs).unwrap(),
                    "{name:?}"
                );
            }
        }
    }
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
    // Each piece once, whoever made it.
    let data = place.folder().join("data");
    assert_eq!(sql(&data, "SELECT COUNT(*) FROM work").trim(), of_all.to_string());
    assert_eq!(sql(&data, "SELECT COUNT(*) FROM work WHERE state <> 'taken'").trim(), "0");

    let brought: u64 = workers.into_iter().map(|worker| pieces(&terminate(worker).ok())).sum();
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
    let brought = pieces(&terminate(first).ok());
    assert!(brought > 0, "the first worker did something before it was asked to end");
    let others = [worker(&place), worker(&place), worker(&place)];
    driver.wait().ok();
    ends_like_a_local_run(&place);
    for other in others {
        terminate(other).ok();
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
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let fitting = worker(&place);
    resumed.wait().ok();
    terminate(fitting).ok();
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
    terminate(first).ok();
    ends_like_a_local_run(&place);
}

/// `kill -9` of workers at moments that nobody chose, on both databases.
#[test]
fn workers_killed_at_any_moment_lose_and_double_nothing() {
    let (wanted, mut kills) = (crate::faults::asked_for("GYRE_CRASH_KILLS").unwrap_or(4), 0);
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
        terminate(worker).ok();
    }
    kills
}

/// Dies at a point, and says that it came there.
#[track_caller]
fn dies_at(point: &str, command: &mut Command) {
    let ran = run(command.env("GYRE_FAILPOINTS", format!("{point}=1*return")));
    assert_eq!(ran.code, None, "{point}: {ran:#?}");
    assert!(ran.stderr.contains(&format!("failpoint {point}")), "{point}: {ran:#?}");
}

/// Around each transaction and file of what passes between driver and workers.
#[test]
fn drivers_and_workers_killed_at_every_step_lose_and_double_nothing() {
    let place = Place::sqlite();
    let config = by_workers(&place, 3);
    let mut begin = place.gyre();
    dies_at("fleet::committing", begin.args(["run", "--json", "--config"]).arg(config));
    for point in
        ["fleet::committed", "work::committing", "work::committed", "work::offered", "work::pushed"]
    {
        dies_at(point, place.gyre().args(["run", "--json", "--resume"]));
        place.clean();
    }
    let driver = Running::start(place.gyre().args(["run", "--json", "--resume"]));
    for point in [
        "fleet::committing",
        "work::committing",
        "work::committed",
        "piece::claimed",
        "piece::stored",
        "piece::delivered",
    ] {
        dies_at(point, place.gyre().args(WORKER));
        place.clean();
    }
    let last = worker(&place);
    driver.wait().ok();
    terminate(last).ok();
    ends_like_a_local_run(&place);
}
