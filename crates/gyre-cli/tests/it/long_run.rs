//! One long run by a service and its workers, all of which are killed again and
//! again at moments that nobody chose.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::faults::{Place, asked_for, has_ended, rounds_once};
use crate::support::{SMALL, clean_state, on, repository, run};
use crate::workers::WORKER;

const WORKERS: usize = 2;
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What goes on is seen long before this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that is killed, and whose output nobody reads.
struct Victim(Child);

impl Victim {
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Victim {
    /// `kill -9`. Gives when.
    #[expect(clippy::disallowed_methods, reason = "what is measured is printed, not asserted")]
    fn kill(&mut self) -> Instant {
        // It may have ended by itself.
        let _ = self.0.kill();
        let at = Instant::now();
        self.0.wait().unwrap();
        at
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The small campaign with so many rounds, most of whose time is spent by workers.
fn campaign(rounds: usize) -> String {
    let mut campaign = fs::read_to_string(repository().join(SMALL)).unwrap();
    for (small, long) in [
        ("rounds = 2", format!("rounds = {rounds}")),
        ("tasks_per_round = 24", "tasks_per_round = 120".to_owned()),
        ("tasks_per_wave = 8", "tasks_per_wave = 40".to_owned()),
    ] {
        assert!(campaign.contains(small), "{small}");
        campaign = campaign.replacen(small, &long, 1);
    }
    campaign
}

/// The campaign on a schedule of every second, its rollouts made by workers.
fn scheduled(place: &Place, rounds: usize) -> PathBuf {
    let file = place.folder().join("long.toml");
    let workers = "[workers]\nmode = \"queue\"\ntasks_per_piece = 10\nattempts_max = 1000\n";
    let schedule = "[[schedules]]\nname = \"often\"\ncron = \"* * * * * *\"\n";
    fs::write(&file, format!("{}\n{workers}\n{schedule}", campaign(rounds))).unwrap();
    file
}

fn service(place: &Place, config: &Path) -> Victim {
    let args = ["serve", "--json", "--listen", "127.0.0.1:0", "--config"];
    Victim::start(place.gyre().args(args).arg(config))
}

/// Waits until it is so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..PATIENCE.as_millis() / LOOK_EVERY.as_millis() {
        if is_so() {
            return;
        }
        thread::sleep(LOOK_EVERY);
    }
    panic!("{what} never came");
}

/// What one kind of process took to be made up for.
#[derive(Default)]
struct Recoveries {
    kills: usize,
    took: Vec<Duration>,
}

impl std::fmt::Display for Recoveries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut took = self.took.clone();
        took.sort_unstable();
        let (Some(most), Some(half)) = (took.last(), took.get(took.len() / 2)) else {
            return write!(f, "{} kills", self.kills);
        };
        let (kills, timed) = (self.kills, took.len());
        write!(f, "{kills} kills, {timed} timed: {half:.1?} (median), {most:.1?} at most")
    }
}

struct LongRun<'p> {
    place: &'p Place,
    config: PathBuf,
    service: Victim,
    workers: Vec<Victim>,
    of_service: Recoveries,
    of_workers: Recoveries,
}

impl<'p> LongRun<'p> {
    fn begin(place: &'p Place, rounds: usize) -> Self {
        let config = scheduled(place, rounds);
        let service = service(place, &config);
        let workers = (0..WORKERS).map(|_| Victim::start(place.gyre().args(WORKER))).collect();
        let (of_service, of_workers) = Default::default();
        Self { place, config, service, workers, of_service, of_workers }
    }

    fn count(&self, query: &str) -> u64 {
        self.place.sql(query).trim().parse().unwrap()
    }

    /// Grows when the run is taken over, and with each of its steps.
    fn progress(&self) -> u64 {
        self.count("SELECT (SELECT COUNT(*) FROM events) + (SELECT SUM(epoch) FROM leases)")
    }

    /// Kills the service, starts it again, and waits until the run goes on.
    fn kill_service(&mut self) {
        let killed = self.service.kill();
        let progress = self.progress();
        self.service = service(self.place, &self.config);
        until("who goes on", || self.progress() > progress || has_ended(self.place));
        self.of_service.kills += 1;
        self.of_service.took.push(killed.elapsed());
    }

    /// Kills a worker, starts another, and waits until others have what it had.
    fn kill_worker(&mut self, at: usize) {
        let mut victim = self.workers.remove(at);
        let killed = victim.kill();
        // A worker's name holds its process.
        let held = format!(
            "SELECT run || '/' || round || '/' || batch || '/' || piece FROM work \
             WHERE state = 'claimed' AND worker LIKE '%-{}-%'",
            victim.0.id()
        );
        let was_working = !self.place.sql(&held).trim().is_empty();
        self.workers.push(Victim::start(self.place.gyre().args(WORKER)));
        self.of_workers.kills += 1;
        if was_working {
            until("another worker", || {
                self.place.sql(&held).trim().is_empty() || has_ended(self.place)
            });
            self.of_workers.took.push(killed.elapsed());
        }
    }
}

/// `cargo xtask crash` asks for hundreds of kills.
#[test]
#[expect(clippy::print_stdout, reason = "how long it takes to go on is printed, not asserted")]
fn a_service_and_workers_killed_throughout_a_long_run_lose_and_double_nothing() {
    let wanted = asked_for("GYRE_CRASH_KILLS").unwrap_or(4);
    let rounds = 2 + wanted / 3;
    let place = Place::postgres();
    let mut long = LongRun::begin(&place, rounds);
    until("the run", || run(place.gyre().args(["rounds", "--json"])).code == Some(0));
    let (mut moment, mut kills) = (1u64, 0);
    while !has_ended(&place) {
        // A simple generator will do: what counts is that moments differ.
        moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
        // Long enough for who was started to have something in hand.
        thread::sleep(Duration::from_millis(500 + (moment >> 33) % 2_500));
        if kills < wanted {
            match (moment >> 50) as usize % (WORKERS + 1) {
                at @ 0..WORKERS => long.kill_worker(at),
                _ => long.kill_service(),
            }
            kills += 1;
        }
    }
    println!("service: {}; workers: {}", long.of_service, long.of_workers);
    // A fast machine makes its rounds in less time than that many kills take.
    assert!(2 * kills >= wanted, "{kills} kills of {wanted}: {rounds} rounds are too few");
    let undisturbed = tempfile::tempdir().unwrap();
    let config = undisturbed.path().join("undisturbed.toml");
    fs::write(&config, campaign(rounds)).unwrap();
    let data = undisturbed.path().join("data");
    on(&data, ["run", "--json", "--config", config.to_str().unwrap()]).ok();
    assert_eq!(place.clean().unwrap(), clean_state(&data));
    rounds_once(&place, rounds as u64);
}
