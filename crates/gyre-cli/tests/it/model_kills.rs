//! `kill -9` of Gyre, of its model server and of its trainer, where they touch each
//! other: what comes after ends in the state of a run that nothing happened to.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, ChildStderr, Stdio};
use std::sync::Arc;

use gyre_fault::{Point, Process};
use gyre_types::Seed;
use serde_json::Value;

use crate::crash::is_begun;
use crate::faults::{KILL, Walk};
use crate::model_server::{Place, Settings, Table, finished, seeds, signal};
use crate::support::{Ran, run, sql};

/// A run that nothing happens to.
fn undisturbed(table: &Arc<Table>, rounds: u32) -> (Place, String) {
    let place = place_of(table, rounds);
    let last = finished(&run(&mut place.drive()).ok());
    assert_eq!(last["rounds"][0]["promoted"], true, "{last:#}");
    place.nothing_is_left();
    let state = place.clean();
    (place, state)
}

fn place_of(table: &Arc<Table>, rounds: u32) -> Place {
    let place = Place::of(table);
    place.configure(Settings { rounds, ..Settings::default() });
    place
}

/// The seeds that requests of recorded rollouts have, as they are sent.
fn recorded(place: &Place) -> BTreeSet<u64> {
    let rollouts = sql(&place.data(), "SELECT seed || ' ' || turns FROM rollouts");
    let turns = rollouts.lines().flat_map(|row| {
        let (seed, turns) = row.split_once(' ').unwrap();
        let (seed, turns) = (Seed(seed.parse().unwrap()), turns.parse::<u64>().unwrap());
        (0..turns).map(move |turn| seed.derive("turn", &[turn]).0 & 0x7fff_ffff)
    });
    turns.collect()
}

/// Rounds of the run that is killed: a server is replaced in each of them.
const ROUNDS: u32 = 3;

/// What is not the first of its kind in a process: requests in the midst of a batch, and
/// a server that is stopped because the next is to start.
const LATER: [&str; 4] = [
    "request::sending=9*off->1*return",
    "request::answered=29*off->1*return",
    "server::stopping=1*return",
    "server::stopped=1*return",
];

/// Points at which a server, a trainer or what came of them is touched.
fn is_of_model_or_trainer(point: &Point) -> bool {
    // The files of a checkpoint that the embedded model writes itself.
    let is_embedded = matches!(point.name, "checkpoint::writing" | "checkpoint::synced");
    let steps = ["checkpoint::", "part::", "step::"];
    let is_step = point.of == Process::Run && steps.iter().any(|step| point.name.starts_with(step));
    matches!(point.of, Process::External | Process::Asking) || is_step && !is_embedded
}

#[test]
fn a_killed_run_asks_again_for_nothing_that_was_recorded_and_leaves_no_process() {
    let table = Arc::new(Table::of_compose());
    let (whole, state) = undisturbed(&table, ROUNDS);
    let place = place_of(&table, ROUNDS);
    let mut walk = Walk::of_those(KILL, is_of_model_or_trainer);
    let mut kills = 0;
    loop {
        let before = place.asked().len();
        let known = if is_begun(&place.data()) { recorded(&place) } else { BTreeSet::new() };
        let armed = LATER.get(kills).map_or_else(|| walk.armed(), |later| (*later).to_owned());
        let ran = run(place.drive().env("GYRE_FAILPOINTS", &armed));
        let asked = seeds(&place.asked()[before..]);
        let again: Vec<_> = asked.intersection(&known).collect();
        assert!(again.is_empty(), "{} recorded requests were sent again", again.len());
        walk.came(&ran, &armed);
        place.nothing_is_left();
        let now = place.clean();
        if ran.code == Some(0) {
            walk.ends();
            assert_eq!(now, state);
            break;
        }
        assert_eq!(ran.code, None, "{ran:#?}");
        kills += 1;
    }
    assert!(kills > 20, "{kills} kills");
    assert_eq!(place.verdicts(), whole.verdicts());
    // What a model is asked depends on nothing that happened to a run.
    let asked = |place: &Place| -> BTreeSet<String> {
        place.asked().iter().map(Value::to_string).collect()
    };
    assert_eq!(asked(&place), asked(&whole));
}

/// A run that stands still at a failpoint.
struct Halted {
    child: Child,
    stderr: BufReader<ChildStderr>,
    stdout: std::path::PathBuf,
    said: String,
}

impl Halted {
    /// Drives a run until it comes to a failpoint for the time after `skipped` times.
    #[track_caller]
    fn at(place: &Place, point: &str, skipped: u32) -> Self {
        let skip = if skipped > 0 { format!("{skipped}*off->") } else { String::new() };
        let stdout = place.path("stdout");
        let mut child = place
            .drive()
            .env("GYRE_FAILPOINTS", format!("{point}={skip}1*return(stop)"))
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.ends_with(&format!("failpoint {point}\n")) {
            let read = stderr.read_line(&mut said).unwrap();
            assert!(read > 0, "the run never came to {point}: {said}");
        }
        Self { child, stderr, stdout, said }
    }

    /// Lets it go on, and waits until it ends.
    fn go_on(mut self) -> Ran {
        signal(self.child.id(), "-CONT");
        self.stderr.read_to_string(&mut self.said).unwrap();
        let code = self.child.wait().unwrap().code();
        let stdout = fs::read_to_string(&self.stdout).unwrap();
        let said = self.said.lines().filter(|line| !line.starts_with("failpoint "));
        Ran { code, stdout, stderr: said.map(|line| format!("{line}\n")).collect() }
    }
}

/// Kills a program at a failpoint of the run, and gives what the run came to, which
/// left nothing running and nothing wrong.
fn killed(place: &Place, program: &str, point: &str, skipped: u32) -> Ran {
    // A trainer that is to be killed must not have ended by then.
    let holds_trainer = program == "trainer.py";
    if holds_trainer {
        fs::write(place.path("hold"), "").unwrap();
    }
    let halted = Halted::at(place, point, skipped);
    signal(place.process(program), "-KILL");
    if holds_trainer {
        fs::remove_file(place.path("hold")).unwrap();
    }
    let ran = halted.go_on();
    assert!(!ran.stderr.contains("panicked"), "{ran:#?}");
    place.nothing_is_left();
    place.clean();
    ran
}

/// A server that is killed before it is ready, and a trainer, end their runs with
/// one message each. The next process begins them anew.
#[test]
fn a_killed_server_or_trainer_ends_the_run_and_a_resumed_one_goes_on() {
    let table = Arc::new(Table::of_compose());
    let (_, state) = undisturbed(&table, 1);
    for (program, point, code, words) in [
        ("relay.py", "server::started", 32, "the server was killed by signal 9"),
        ("trainer.py", "trainer::started", 31, "the trainer was killed by signal 9"),
    ] {
        let place = place_of(&table, 1);
        let ran = killed(&place, program, point, 0).fails(code, &[words]);
        let known = recorded(&place);
        let before = place.asked().len();
        finished(&run(&mut place.drive()).ok());
        assert!(seeds(&place.asked()[before..]).is_disjoint(&known), "after {ran:#?}");
        place.nothing_is_left();
        assert_eq!(place.clean(), state, "after {program} was killed at {point}");
    }
}

/// A server that dies between two requests, or while one is on its way, ends the run
/// with one message, and no rollout is recorded as lost or failed for it. One that is
/// being stopped may die.
#[test]
fn a_server_that_is_killed_while_it_is_asked_changes_no_result() {
    let table = Arc::new(Table::of_compose());
    let (whole, state) = undisturbed(&table, 1);
    for (point, skipped, ends) in [
        ("server::ready", 0, true),
        ("request::sending", 11, true),
        ("request::answered", 25, true),
        ("server::stopping", 0, false),
    ] {
        let place = place_of(&table, 1);
        let ran = killed(&place, "relay.py", point, skipped);
        if ends {
            ran.fails(32, &["the server was killed by signal 9"]);
            finished(&run(&mut place.drive()).ok());
            place.nothing_is_left();
        } else {
            finished(&ran.ok());
        }
        assert_eq!(place.verdicts(), whole.verdicts(), "killed at {point}");
        assert_eq!(place.clean(), state, "killed at {point}");
    }
}
