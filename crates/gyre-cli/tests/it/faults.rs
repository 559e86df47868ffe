//! Every named failpoint: the process dies there, or the step fails there, and
//! what comes after ends in the state of a run that nothing happened to.
//!
//! The suite walks all points with SIGKILL on SQLite, those of the service with
//! every fault, and loses its connections to PostgreSQL. `cargo xtask crash`
//! walks the full product: every point × {SIGKILL, EIO, ENOSPC, connection lost before
//! COMMIT, acknowledgement lost} on both databases, and hundreds of kills.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use gyre_fault::{POINTS, Point, Process, Step};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Database, Ran, Running, SMALL, clean_state, finished, gyre, run, text};

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// What the failpoint is told; once in each process, or nothing would ever end.
    action: &'static str,
    pub(crate) at: &'static [Step],
}

pub(crate) const KILL: Kind = Kind {
    name: "SIGKILL",
    action: "1*return",
    at: &[Step::File, Step::BeforeCommit, Step::AfterCommit],
};
pub(crate) const FAULTS: [Kind; 4] = [
    Kind { name: "EIO", action: "1*return(eio)", at: &[Step::File, Step::BeforeCommit] },
    Kind { name: "ENOSPC", action: "1*return(enospc)", at: &[Step::File, Step::BeforeCommit] },
    Kind {
        name: "connection lost before COMMIT",
        action: "1*return(lost)",
        at: &[Step::BeforeCommit],
    },
    Kind { name: "acknowledgement lost", action: "1*return(lost)", at: &[Step::AfterCommit] },
];

/// A data folder, and the database where it is not the folder's own.
pub(crate) struct Place {
    folder: TempDir,
    database: Option<Database>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: None }
    }

    pub(crate) fn postgres() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: Some(Database::create()) }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn gyre(&self) -> Command {
        let mut command = gyre();
        command.arg("--data-dir").arg(self.folder.path().join("data"));
        if let Some(database) = &self.database {
            command.args(["--database", &database.url]);
        }
        command
    }

    /// The URL of the server's database, if it is on a server.
    pub(crate) fn server(&self) -> Option<&str> {
        self.database.as_ref().map(|database| database.url.as_str())
    }

    /// Runs SQL on the database.
    pub(crate) fn sql(&self, statements: &str) -> String {
        match &self.database {
            Some(database) => database.sql(statements),
            None => crate::support::sql(&self.folder.path().join("data"), statements),
        }
    }

    /// The audit's state; none where there is no run yet.
    #[track_caller]
    pub(crate) fn clean(&self) -> Option<String> {
        let ran = run(self.gyre().args(["audit", "--json"]));
        if ran.code == Some(60) {
            return None;
        }
        let audits = ran.ok().json();
        if audits == Value::Array(vec![]) {
            return None;
        }
        assert_eq!(audits.as_array().map(Vec::len), Some(1), "{audits:#}");
        assert_eq!(audits[0]["findings"], Value::Array(vec![]), "{audits:#}");
        Some(text(&audits[0], "state").to_owned())
    }

    /// Goes on with the run, or begins it.
    pub(crate) fn drive(&self, config: &Path, failpoints: &str) -> Ran {
        let command = || {
            let mut command = self.gyre();
            command.args(["run", "--json"]).env("GYRE_FAILPOINTS", failpoints);
            command
        };
        let resumed = run(command().arg("--resume"));
        match resumed.code {
            Some(14 | 60) => run(command().arg("--config").arg(config)),
            _ => resumed,
        }
    }
}

/// The points of one process that are still to be come to, with what happens there.
pub(crate) struct Walk {
    kind: Kind,
    left: BTreeSet<&'static str>,
}

impl Walk {
    pub(crate) fn new(kind: Kind, of: Process) -> Self {
        Self::of_those(kind, |point| point.of == of)
    }

    /// The points that are chosen, of whichever process.
    pub(crate) fn of_those(kind: Kind, is_chosen: impl Fn(&Point) -> bool) -> Self {
        let fits = |point: &&Point| is_chosen(point) && kind.at.contains(&point.step);
        Self { kind, left: POINTS.iter().filter(fits).map(|point| point.name).collect() }
    }

    /// Those of the points that are still left.
    pub(crate) fn only(&self, names: &[&str]) -> Self {
        let left = self.left.iter().filter(|point| names.contains(point)).copied().collect();
        Self { kind: self.kind, left }
    }

    /// All of them but those of one step.
    pub(crate) fn without(mut self, step: &str) -> Self {
        self.left.retain(|point| !point.starts_with(step));
        self
    }

    pub(crate) fn is_over(&self) -> bool {
        self.left.is_empty()
    }

    /// Whether a process dies where it comes to one.
    pub(crate) fn kills(&self) -> bool {
        self.kind == KILL
    }

    fn arming(&self, point: &str) -> String {
        format!("{point}={}", self.kind.action)
    }

    pub(crate) fn armed(&self) -> String {
        self.left.iter().map(|point| self.arming(point)).collect::<Vec<_>>().join(";")
    }

    /// Takes note of what a process came to, of the points that were armed for
    /// it; it must have ended well, or for one of them.
    #[track_caller]
    pub(crate) fn came(&mut self, ran: &Ran, armed: &str) {
        let Kind { name, .. } = self.kind;
        assert!(!ran.stderr.contains("panicked"), "{name}: {ran:#?}");
        let came: Vec<&str> = come_to(&ran.stderr).collect();
        assert!(ran.code == Some(0) || !came.is_empty(), "{name}: {ran:#?}");
        let gone: BTreeSet<String> = came
            .iter()
            .map(|point| self.arming(point))
            .filter(|told| armed.split(';').any(|one| one == told))
            .collect();
        let left = std::mem::take(&mut self.left);
        self.left = left.into_iter().filter(|point| !gone.contains(&self.arming(point))).collect();
    }

    #[track_caller]
    pub(crate) fn ends(&self) {
        assert_eq!(self.left, BTreeSet::new(), "{}: no process came to these", self.kind.name);
    }
}

/// The points that a process came to.
fn come_to(stderr: &str) -> impl Iterator<Item = &str> {
    stderr.lines().filter_map(|line| line.strip_prefix("failpoint "))
}

/// Walks the points of a run. Those that a process has come to are not armed for
/// the next, which comes to the next point of the same step.
fn walk_run(place: &Place, kind: Kind) {
    let mut walk = Walk::new(kind, Process::Run);
    if kind == KILL {
        kill_at_the_ends(place, &mut walk);
    }
    loop {
        let armed = walk.armed();
        let ran = place.drive(Path::new(SMALL), &armed);
        walk.came(&ran, &armed);
        let state = place.clean();
        if ran.code == Some(0) {
            walk.ends();
            assert_eq!(state.unwrap(), clean_state(&finished().data), "{}", kind.name);
            return;
        }
    }
}

/// A lease is given back when a process ends by itself: a step fails, and the
/// process dies while it gives up.
fn kill_at_the_ends(place: &Place, walk: &mut Walk) {
    let failing = "step::committing=1*off->1*return(eio)";
    for (point, first) in [
        ("create::committing", ""),
        ("create::committed", ""),
        ("release::committing", failing),
        ("release::committed", failing),
    ] {
        let ran = place.drive(Path::new(SMALL), &format!("{first};{point}=1*return"));
        assert_eq!(ran.code, None, "{ran:#?}");
        assert!(come_to(&ran.stderr).any(|came| came == point), "{ran:#?}");
        assert!(walk.left.remove(point));
        place.clean();
    }
}

/// A schedule of every second that makes the small run, round by round.
pub(crate) fn every_second(place: &Place) -> PathBuf {
    let small = fs::read_to_string(crate::support::repository().join(SMALL)).unwrap();
    let file = place.folder().join("service.toml");
    let schedule = "[[schedules]]\nname = \"often\"\ncron = \"* * * * * *\"\n";
    fs::write(&file, format!("{small}\n{schedule}")).unwrap();
    file
}

/// Starts the service on a schedule.
pub(crate) fn serve(place: &Place, config: &Path, failpoints: &str) -> Running {
    let mut command = place.gyre();
    command.args(["serve", "--json", "--listen", "127.0.0.1:0", "--config"]).arg(config);
    Running::start(command.env("GYRE_FAILPOINTS", failpoints))
}

/// Whether the schedule has ended because all rounds are made.
pub(crate) fn has_ended(place: &Place) -> bool {
    let ran = run(place.gyre().args(["schedule", "ls", "--json"]));
    ran.code == Some(0) && ran.json()[0]["status"] == "stopped"
}

/// Reads what the service tells until the schedule ends or the service does.
fn until_end(running: &mut Running) -> bool {
    while let Some(told) = running.next() {
        if told["event"] == "tick_settled" && !told["stop"].is_null() {
            return true;
        }
    }
    false
}

/// Walks the points of the service; where a step only fails, it goes on by
/// itself. The run is somebody else's first.
fn walk_service(place: &Place, kind: Kind) {
    let config = every_second(place);
    let begun = place.drive(Path::new(SMALL), "step::committed=1*return");
    assert_eq!(begun.code, None, "{begun:#?}");
    let mut walk = Walk::new(kind, Process::Service);
    while !has_ended(place) {
        let armed = walk.armed();
        let mut running = serve(place, &config, &armed);
        let ran = match until_end(&mut running) {
            true => running.terminate().ok(),
            false => running.wait(),
        };
        walk.came(&ran, &armed);
        place.clean();
    }
    walk.ends();
    assert_eq!(place.clean().unwrap(), clean_state(&finished().data), "{}", kind.name);
    each_round_once(place);
}

/// Each round was made by one tick, whatever happened to who made it.
pub(crate) fn each_round_once(place: &Place) {
    rounds_once(place, 2);
}

/// Round 0 and so many more, each by one tick.
pub(crate) fn rounds_once(place: &Place, last: u64) {
    let ticks = run(place.gyre().args(["schedule", "ls", "often", "-n", "5000", "--json"])).ok();
    let ticks = ticks.json();
    let ticks = ticks.as_array().unwrap();
    let mut rounds: Vec<_> = ticks
        .iter()
        .filter(|tick| tick["state"] == "done")
        .filter_map(|tick| tick["round"].as_u64())
        .collect();
    rounds.sort_unstable();
    assert_eq!(rounds, (0..=last).collect::<Vec<_>>(), "{ticks:#?}");
    assert!(ticks.iter().all(|tick| tick["state"] != "failed"), "{ticks:#?}");
}

/// Asks for every round by hand; who is not told that it was heard asks again.
fn walk_asking(place: &Place, kind: Kind) {
    let config = crate::schedules::never(place, "");
    let mut running = serve(place, &config, "");
    let begun = |told: Value| told["event"] == "serving";
    while !begun(running.next().expect("the service starts")) {}
    let drained = std::thread::spawn(move || {
        // Nobody else reads what it says.
        while let Some(told) = running.next() {
            if told["event"] == "tick_settled" && !told["stop"].is_null() {
                break;
            }
        }
        running
    });
    let mut walk = Walk::new(kind, Process::Command).only(&["ask::committing", "ask::committed"]);
    while !drained.is_finished() {
        let armed = walk.armed();
        let mut asking = place.gyre();
        let asking = asking.args(["schedule", "run-now", "never", "--json"]);
        let ran = run(asking.env("GYRE_FAILPOINTS", &armed));
        if has_ended(place) {
            break;
        }
        walk.came(&ran, &armed);
        std::thread::sleep(Duration::from_millis(200));
    }
    drained.join().unwrap().terminate().ok();
    walk.ends();
    assert_eq!(place.clean().unwrap(), clean_state(&finished().data), "{}", kind.name);
}

/// The faults that the suite tries where each takes long: the disk that is full
/// fails as one does that is broken. Where asked for, all of them.
pub(crate) fn faults() -> impl Iterator<Item = Kind> {
    let full = asked_for("GYRE_CRASH_FULL").is_some();
    FAULTS.into_iter().filter(move |kind| full || kind.name != "ENOSPC")
}

/// Where asked for, with PostgreSQL too.
#[test]
fn rounds_that_are_asked_for_with_every_fault_are_made_once() {
    let full = asked_for("GYRE_CRASH_FULL").is_some();
    for kind in FAULTS.into_iter().chain([KILL]) {
        if full {
            walk_asking(&Place::postgres(), kind);
        }
        // No file is written when a round is asked for.
        if full || !kind.at.contains(&Step::File) {
            walk_asking(&Place::sqlite(), kind);
        }
    }
}

#[test]
fn a_run_killed_at_every_point_ends_as_if_nothing_had_happened() {
    walk_run(&Place::sqlite(), KILL);
}

#[test]
fn a_service_killed_at_every_point_ends_as_if_nothing_had_happened() {
    walk_service(&Place::sqlite(), KILL);
}

/// What `cargo xtask crash` asks for, beside what the suite always does.
#[expect(clippy::disallowed_methods, reason = "the caller chooses how much to try")]
pub(crate) fn asked_for(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

/// The suite loses connections to a real PostgreSQL, whose points are few.
#[test]
fn a_run_that_loses_its_database_ends_as_if_nothing_had_happened() {
    for kind in FAULTS.into_iter().filter(|kind| !kind.at.contains(&Step::File)) {
        walk_run(&Place::postgres(), kind);
    }
}

/// Where asked for, everything that is left of the product.
#[test]
fn a_run_and_a_service_whose_steps_fail_end_as_if_nothing_had_happened() {
    let full = asked_for("GYRE_CRASH_FULL").is_some();
    for kind in FAULTS {
        if full {
            walk_run(&Place::sqlite(), kind);
            walk_service(&Place::postgres(), kind);
        }
        if full && kind.at.contains(&Step::File) {
            walk_run(&Place::postgres(), kind);
        }
        walk_service(&Place::sqlite(), kind);
    }
    if full {
        walk_run(&Place::postgres(), KILL);
        walk_service(&Place::postgres(), KILL);
    }
}

/// `kill -9` of the service at moments that nobody chose, on both databases.
#[test]
#[expect(clippy::print_stdout, reason = "how long it takes to go on is printed, not asserted")]
fn a_service_killed_at_any_moment_loses_and_doubles_nothing() {
    let (mut kills, mut recoveries) = (0, Vec::new());
    let wanted = asked_for("GYRE_CRASH_KILLS").unwrap_or(8);
    while kills < wanted {
        for place in [Place::sqlite(), Place::postgres()] {
            kills += kill_until_end(&place, kills as u64, &mut recoveries);
        }
    }
    recoveries.sort_unstable();
    let [half, most] = [recoveries.len() / 2, recoveries.len() - 1].map(|at| recoveries[at]);
    println!("{kills} kills; going on took {half:.1?} (median), {most:.1?} at most");
}

#[expect(clippy::disallowed_methods, reason = "what is measured is printed, and nothing asserted")]
fn now() -> Instant {
    Instant::now()
}

/// Gives how often the service was killed until all rounds were made.
fn kill_until_end(place: &Place, mut moment: u64, recoveries: &mut Vec<Duration>) -> usize {
    let config = every_second(place);
    let mut kills = 0;
    while !has_ended(place) {
        let mut running = serve(place, &config, "");
        // A simple generator will do: what counts is that moments differ.
        moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
        // Nothing is told any more once the schedule has ended.
        let (mut ended, mut goes_on, begun) = (false, kills == 0, now());
        for _ in 0..(moment >> 33) % 12 {
            let Some(told) = running.next() else { break };
            let starts = told["event"] == "listening" || told["event"] == "serving";
            if !starts && !goes_on {
                goes_on = true;
                recoveries.push(begun.elapsed());
            }
            ended = told["event"] == "tick_settled" && !told["stop"].is_null();
            if ended {
                break;
            }
        }
        running.kill();
        kills += 1;
        if kills % 4 == 0 || ended {
            place.clean();
        }
    }
    assert_eq!(place.clean().unwrap(), clean_state(&finished().data));
    each_round_once(place);
    kills
}
