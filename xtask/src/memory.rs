//! How much memory a long run takes, round by round.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use crate::command::{self, cargo, command};
use crate::step::Steps;

/// Rounds, where nothing else is asked for.
pub(crate) const ROUNDS: usize = 200;
/// Rounds whose figures are compared at either end. The first few are left out:
/// pools of memory and caches fill then.
const COMPARED: usize = 20;
const WARM_UP: usize = 10;
/// What the last rounds may take beyond the first, in KiB: the page caches of the
/// database's connections (one of 32 MiB, four of 4), which fill as it grows.
const GROWTH_KIB_MAX: u64 = 48 << 10;

/// What the queue's file may grow by between the same rounds, in KiB: a page or two
/// more for a round with more tasks, and nothing for each round.
const QUEUE_GROWTH_KIB_MAX: u64 = 128;

/// What a round took.
struct Taken {
    /// The most memory of the process that drives the run, in KiB.
    driver: u64,
    /// The same of its worker; 0 where it has none.
    worker: u64,
    /// The files of the queue, in KiB.
    queue: u64,
}

/// Runs the small campaign for so many rounds, by itself and by a worker, prints
/// the most memory that each round took, and fails where the last ones take more
/// than the first.
pub(crate) fn run(rounds: usize) -> ExitCode {
    let mut steps = Steps::default();
    let built =
        steps.run("build", || command::run(cargo().args(["build", "--release", "--workspace"])));
    if built.is_some()
        && let Some(gyre) = steps.run("binary", crate::million::gyre)
    {
        for by_worker in [false, true] {
            let by = if by_worker { "by a worker" } else { "by itself" };
            let name = format!("gyre-memory-{}-{by_worker}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            let measured = steps.run(by, || measure(&gyre, &folder, rounds, by_worker));
            if let Some(taken) = measured {
                steps.run("compare", || compare(&taken));
                steps.run("clean up", || fs::remove_dir_all(&folder));
            }
        }
    }
    steps.finish()
}

/// What each round took.
fn measure(
    gyre: &Path,
    folder: &Path,
    rounds: usize,
    by_worker: bool,
) -> Result<Vec<Taken>, String> {
    let start =
        |run: &mut Command| run.spawn().map_err(|error| format!("gyre cannot be started: {error}"));
    let mut run = command(gyre);
    run.arg("--data-dir").arg(folder);
    run.args(["run", "--json", "--config", "configs/small.toml", "--rounds"]);
    run.arg(rounds.to_string()).stdout(Stdio::piped());
    run.args(["--workers", if by_worker { "queue" } else { "local" }]);
    let mut driver = start(&mut run)?;
    let stdout = driver.stdout.take().ok_or("the run has no stdout")?;
    let mut worker = None;
    if by_worker {
        let mut run = command(gyre);
        run.arg("--data-dir").arg(folder).args(["worker", "--json"]);
        worker = Some(start(run.stdout(Stdio::null()))?);
    }
    let ended = follow(BufReader::new(stdout), folder, driver.id(), worker.as_ref().map(Child::id));
    if let Some(mut worker) = worker {
        // All that it had is taken by now, or nobody waits for it.
        let _ = worker.kill();
        worker.wait().map_err(|error| format!("the worker cannot be awaited: {error}"))?;
    }
    let status = driver.wait().map_err(|error| format!("the run cannot be awaited: {error}"))?;
    if status.success() { ended } else { Err(format!("the run ended with {status}")) }
}

/// Prints what each round took, as it ends.
fn follow(
    events: impl BufRead,
    folder: &Path,
    driver: u32,
    worker: Option<u32>,
) -> Result<Vec<Taken>, String> {
    let mut rounds = Vec::new();
    say!("round  memory (KiB)  worker's  lineage (KiB)  queue (KiB)");
    for line in events.lines() {
        let line = line.map_err(|error| format!("the run cannot be read: {error}"))?;
        if !line.contains("\"event\":\"round_finished\"") {
            continue;
        }
        // The run may be over before its last line is read.
        let Ok(driver) = peak_kib(driver) else { break };
        let worker = worker.map_or(Ok(0), peak_kib)?;
        let lineage = kib(&folder.join("lineage.db"));
        let queue = kib(&folder.join("queue.db"));
        let round = rounds.len();
        say!("{round:>5}  {driver:>12}  {worker:>8}  {lineage:>13}  {queue:>11}");
        rounds.push(Taken { driver, worker, queue });
    }
    Ok(rounds)
}

/// The most memory since this was asked last: what the process holds of its own,
/// and of files.
fn peak_kib(process: u32) -> Result<u64, String> {
    let process = PathBuf::from(format!("/proc/{process}"));
    let status = fs::read_to_string(process.join("status")).map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    // Sets the mark back to what the process holds now.
    fs::write(process.join("clear_refs"), "5").map_err(|error| error.to_string())?;
    peak.ok_or_else(|| "the system does not tell the process's memory".to_owned())
}

fn kib(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |about| about.len() / 1024)
}

/// Compares the medians of the first rounds and the last.
fn compare(rounds: &[Taken]) -> Result<(), String> {
    let after_start = rounds.get(WARM_UP..).unwrap_or_default();
    if after_start.len() < 2 * COMPARED {
        return Err(format!("{} rounds are too few to compare", rounds.len()));
    }
    type Figure = (&'static str, fn(&Taken) -> u64, u64);
    let figures: [Figure; 3] = [
        ("memory", |taken| taken.driver, GROWTH_KIB_MAX),
        ("the worker's memory", |taken| taken.worker, GROWTH_KIB_MAX),
        ("the queue", |taken| taken.queue, QUEUE_GROWTH_KIB_MAX),
    ];
    for (what, figure, growth_max) in figures {
        let of = |rounds: &[Taken]| median(&rounds.iter().map(figure).collect::<Vec<_>>());
        let first = of(&after_start[..COMPARED]);
        let last = of(&after_start[after_start.len() - COMPARED..]);
        say!("{what}, median of {COMPARED} rounds: {first} KiB at first, {last} KiB at last");
        if last > first + growth_max {
            return Err(format!("{what} grew by {} KiB", last - first));
        }
    }
    Ok(())
}

fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}
