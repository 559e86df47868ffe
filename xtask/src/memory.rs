//! How much memory a long run takes, round by round.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

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

/// Runs the small campaign for so many rounds, prints the most memory that each
/// took, and fails where the last ones take more than the first.
pub(crate) fn run(rounds: usize) -> ExitCode {
    let mut steps = Steps::default();
    let built =
        steps.run("build", || command::run(cargo().args(["build", "--release", "--workspace"])));
    let folder = std::env::temp_dir().join(format!("gyre-memory-{}", std::process::id()));
    if built.is_some()
        && let Some(gyre) = steps.run("binary", crate::million::gyre)
        && let Some(peaks) = steps.run("run", || measure(&gyre, &folder, rounds))
    {
        steps.run("compare", || compare(&peaks));
        steps.run("clean up", || fs::remove_dir_all(&folder));
    }
    steps.finish()
}

/// The most memory of each round, in KiB.
fn measure(gyre: &Path, folder: &Path, rounds: usize) -> Result<Vec<u64>, String> {
    let mut run = command(gyre);
    run.arg("--data-dir").arg(folder);
    run.args(["run", "--json", "--config", "configs/small.toml", "--rounds"]);
    let child = run.arg(rounds.to_string()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("gyre cannot be started: {error}"))?;
    let process = PathBuf::from(format!("/proc/{}", child.id()));
    let stdout = child.stdout.take().ok_or("the run has no stdout")?;
    let mut peaks = Vec::new();
    say!("round  memory (KiB)  files (KiB)");
    for line in BufReader::new(stdout).lines() {
        let line = line.map_err(|error| format!("the run cannot be read: {error}"))?;
        if !line.contains("\"event\":\"round_finished\"") {
            continue;
        }
        // The run may be over before its last line is read.
        let Ok(peak) = peak_kib(&process) else { break };
        let queue = ["lineage.db", "queue.db"].map(|name| kib(&folder.join(name)));
        say!("{:>5}  {peak:>12}  {:>11}", peaks.len(), queue.iter().sum::<u64>());
        peaks.push(peak);
    }
    let status = child.wait().map_err(|error| format!("the run cannot be awaited: {error}"))?;
    if status.success() { Ok(peaks) } else { Err(format!("the run ended with {status}")) }
}

/// The most memory since this was asked last: what the process holds of its own,
/// and of files.
fn peak_kib(process: &Path) -> Result<u64, String> {
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
fn compare(peaks: &[u64]) -> Result<(), String> {
    let after_start = peaks.get(WARM_UP..).unwrap_or_default();
    if after_start.len() < 2 * COMPARED {
        return Err(format!("{} rounds are too few to compare", peaks.len()));
    }
    let first = median(&after_start[..COMPARED]);
    let last = median(&after_start[after_start.len() - COMPARED..]);
    say!("median of {COMPARED} rounds: {first} KiB at first, {last} KiB at last");
    if last > first + GROWTH_KIB_MAX {
        return Err(format!("memory grew by {} KiB", last - first));
    }
    Ok(())
}

fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}
