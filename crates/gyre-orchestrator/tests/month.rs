//! A simulated month: two services on one database, a clock that the test moves,
//! and rounds that only record. The claiming is the real one.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use gyre_lineage::{DatabaseUrl, TickClaim, TickState};
use gyre_orchestrator::scheduler::{Made, Making, Rounds, Schedule, Scheduler, Worked};
use gyre_orchestrator::{Cancel, Error, Project, RunConfig};
use gyre_round::Timetable;

const HOUR: i64 = 3_600_000;
/// 2026-03-01 00:00 UTC. Clocks change in New York on the 8th, in Berlin on the 29th.
const BEGIN: i64 = 1_772_323_200_000;
const END: i64 = BEGIN + 31 * 24 * HOUR;

/// The schedules, each with its expression and zone.
const SCHEDULES: [(&str, &str, &str); 2] =
    [("hourly", "15 * * * *", "Europe/Berlin"), ("nightly", "30 2 * * *", "America/New_York")];

fn config() -> RunConfig {
    let schedule = |(name, cron, zone): (&str, &str, &str)| {
        format!(
            "[[schedules]]\nname = \"{name}\"\ncron = \"{cron}\"\ntime_zone = \"{zone}\"\n\
             catch_up = \"all\"\noverlap = \"queue\"\n"
        )
    };
    let family = "[[curriculum.families]]\nfamily = \"compose\"\ndifficulty_min = 1\n\
                  difficulty_max = 1\ndifficulty_start = 1\nweight = 1\n";
    let text = format!("name = \"month\"\n{family}{}", SCHEDULES.map(schedule).concat());
    RunConfig::parse(&text, Path::new("month.toml")).unwrap()
}

/// What was made, and by whom.
type Record = Arc<Mutex<Vec<(String, i64, &'static str)>>>;

struct Recorder {
    record: Record,
    service: &'static str,
}

impl Rounds for Recorder {
    fn make(&mut self, making: &Making<'_>) -> Result<Made, Error> {
        let made = (making.tick.schedule.clone(), making.tick.tick_ms, self.service);
        self.record.lock().unwrap().push(made);
        Ok(Made { detail: "recorded".to_owned(), stop: None })
    }
}

/// One service: everything of its own but the database.
struct Service {
    scheduler: Scheduler,
    rounds: Recorder,
}

impl Service {
    /// Looks, and makes all that is due.
    fn turn(&mut self) {
        self.scheduler.look(&|_| {}).unwrap();
        while self.scheduler.work(&mut self.rounds, &|_| {}).unwrap() != Worked::Nothing {}
    }
}

fn a_month(url: Option<&DatabaseUrl>, clock: fn() -> i64, time: &AtomicI64) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let record = Record::default();
    time.store(BEGIN, Ordering::SeqCst);
    let open = || Project::open(folder.path(), url, runtime.handle().clone()).unwrap();
    let schedules = Schedule::of(&config(), Path::new("month.toml")).unwrap();
    let service = |service: &'static str| Service {
        scheduler: Scheduler::open(open(), schedules.clone(), service, clock, Cancel::default())
            .unwrap(),
        rounds: Recorder { record: record.clone(), service },
    };
    let (mut ann, mut bob) = (service("ann"), service("bob"));
    let watcher = open();
    for step in 1..=(END - BEGIN) / HOUR * 2 {
        time.store(BEGIN + step * HOUR / 2, Ordering::SeqCst);
        // Both are away for a day and a half; then each for a few hours.
        let away = (200..272).contains(&step);
        std::thread::scope(|scope| {
            if !away && step % 97 > 6 {
                scope.spawn(|| ann.turn());
            }
            if !away && step % 61 > 4 {
                scope.spawn(|| bob.turn());
            }
        });
        if step % 45 == 0 {
            begin_elsewhere(&watcher, clock());
        }
    }
    time.store(END + 2 * HOUR, Ordering::SeqCst);
    ann.turn();
    check(&watcher, &record.lock().unwrap());
    for project in [&watcher, &open()] {
        project.wait(project.store.close());
    }
}

/// A service on another machine takes what is due, if anything is, and dies.
fn begin_elsewhere(project: &Project, now_ms: i64) {
    if !project.wait(project.store.open_ticks().collect()).unwrap().is_empty() {
        return;
    }
    let tick = project.wait(project.store.run_now("hourly", now_ms)).unwrap();
    let claim = TickClaim { owner: "elsewhere/1/1", now_ms, ttl_ms: 1_000, dead_epoch: None };
    assert!(project.wait(project.store.claim_tick("hourly", tick, claim)).unwrap().is_some());
}

fn check(project: &Project, record: &[(String, i64, &'static str)]) {
    let mut made = BTreeMap::<&str, Vec<i64>>::new();
    for (schedule, tick, _) in record {
        made.entry(schedule).or_default().push(*tick);
    }
    let by = |who| record.iter().filter(|(_, _, service)| *service == who).count();
    assert!(by("ann") > 50 && by("bob") > 50, "{} and {}", by("ann"), by("bob"));
    for (name, cron, zone) in SCHEDULES {
        let made = made.get_mut(name).unwrap();
        made.sort_unstable();
        let timetable = Timetable::parse(cron, zone).unwrap();
        let planned = timetable.ticks(BEGIN, END + 2 * HOUR, usize::MAX);
        let taken_over: Vec<i64> =
            made.iter().copied().filter(|tick| planned.binary_search(tick).is_err()).collect();
        let mut expected = [planned.clone(), taken_over.clone()].concat();
        expected.sort_unstable();
        // Each just once: what were made twice would be in `made` twice.
        assert_eq!(*made, expected, "{name}");
        assert_eq!(made.windows(2).find(|pair| pair[0] == pair[1]), None, "{name}");
        for tick in made.iter() {
            let events = project.wait(project.store.tick_events(name, *tick)).unwrap();
            let states: Vec<_> = events.iter().map(|event| event.state).collect();
            match taken_over.contains(tick) {
                true => assert_eq!(states.len(), 4, "{states:?}"),
                false => {
                    assert_eq!(states, [TickState::Due, TickState::Claimed, TickState::Done]);
                }
            }
        }
        match name {
            "hourly" => assert!(taken_over.len() > 20, "{}", taken_over.len()),
            _ => assert_eq!((taken_over.len(), planned.len()), (0, 31)),
        }
    }
    assert_eq!(project.wait(project.store.open_ticks().collect()).unwrap(), []);
}

/// A clock for each test, which run side by side.
macro_rules! clock {
    ($time:ident, $now:ident) => {
        static $time: AtomicI64 = AtomicI64::new(0);
        fn $now() -> i64 {
            $time.load(Ordering::SeqCst)
        }
    };
}

clock!(SQLITE_TIME, sqlite_now);
clock!(POSTGRES_TIME, postgres_now);

#[test]
fn each_tick_of_a_month_is_made_once_on_sqlite() {
    a_month(None, sqlite_now, &SQLITE_TIME);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the caller chooses the server")]
fn each_tick_of_a_month_is_made_once_on_postgres() {
    let server = std::env::var("GYRE_TEST_POSTGRES_URL").expect(
        "GYRE_TEST_POSTGRES_URL is not set; start a server with: \
         export GYRE_TEST_POSTGRES_URL=$(.ci/postgres up)",
    );
    let name = format!("gyre_month_{}", std::process::id());
    let (base, _) = server.rsplit_once('/').unwrap();
    let does = |sql: String| {
        let mut psql = Command::new("psql");
        let ran = psql.args(["--quiet", "--dbname", &server, "--command", &sql]).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    does(format!("CREATE DATABASE {name}"));
    let url: DatabaseUrl = format!("{base}/{name}").parse().unwrap();
    a_month(Some(&url), postgres_now, &POSTGRES_TIME);
    does(format!("DROP DATABASE {name} WITH (FORCE)"));
}
