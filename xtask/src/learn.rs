//! How much the quick start learns, against the figures that are kept here.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::command::{self, CommandError, cargo, command, last_lines, repository};
use crate::step::Steps;

/// What was measured when somebody last looked, in per cent of held-out tasks.
const KEPT: &str = "xtask/src/learn/kept.json";
/// Seeds that are run to compare; `--keep` runs all that are shown to people.
const SEEDS: u64 = 3;
const SEEDS_SHOWN: u64 = 8;
/// Points that one seed's champion may lie below what is kept. On the same kind
/// of processor a run repeats bit for bit; on another it rounds differently, and
/// goes another way from there.
const SEED_SLACK: f64 = 6.0;
/// The same for the mean of the seeds, which chance moves less.
const MEAN_SLACK: f64 = 4.0;
/// Points that a loop without the verifier's choice may gain, at most.
const UNVERIFIED_GAIN_MAX: f64 = 3.0;

/// What is kept: the champion's share of held-out test tasks by seed, and what
/// each way of choosing rows gained, in per cent and points.
#[derive(Serialize, Deserialize)]
struct Kept {
    quickstart: BTreeMap<u64, f64>,
    ablation: BTreeMap<String, f64>,
}

/// What came of one run, in per cent of the held-out test tasks.
struct Run {
    seed: u64,
    curation: String,
    base: f64,
    champion: f64,
    promoted: usize,
    rounds: usize,
    seconds: f64,
    checkpoint: String,
}

/// Runs the quick start on three seeds, and the ablation, and fails where they
/// learn less than they did.
pub(crate) fn compare() -> ExitCode {
    in_steps(SEEDS, |measured| {
        let kept = fs::read_to_string(repository().join(KEPT))?;
        let kept: Kept = serde_json::from_str(&kept).map_err(std::io::Error::from)?;
        check(&kept, measured).map_err(LearnError::Less)
    })
}

/// Runs the quick start on all seeds that are shown to people, and the ablation,
/// and keeps their figures.
pub(crate) fn keep() -> ExitCode {
    in_steps(SEEDS_SHOWN, |measured| {
        let text = serde_json::to_string_pretty(measured).map_err(std::io::Error::from)?;
        Ok(fs::write(repository().join(KEPT), text + "\n")?)
    })
}

fn in_steps(seeds: u64, then: impl FnOnce(&Kept) -> Result<(), LearnError>) -> ExitCode {
    let mut steps = Steps::default();
    let built = steps.run("build", || {
        command::run(cargo().args(["build", "--release", "--package", "gyre-cli"]))
    });
    let folder = std::env::temp_dir().join(format!("gyre-learn-{}", std::process::id()));
    if built.is_some()
        && let Some(gyre) = steps.run("binary", crate::million::gyre)
        && let Some(measured) = steps.run("learn", || measure(&gyre, &folder, seeds))
    {
        steps.run("figures", || then(&measured));
    }
    steps.run("clean up", || match fs::remove_dir_all(&folder) {
        Err(error) if folder.exists() => Err(error),
        _ => Ok(()),
    });
    steps.finish()
}

/// Why there are no figures, or why they are not good.
#[derive(Debug)]
enum LearnError {
    Command(CommandError),
    File(std::io::Error),
    Output(String),
    Less(Vec<String>),
}

impl From<CommandError> for LearnError {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

impl From<std::io::Error> for LearnError {
    fn from(error: std::io::Error) -> Self {
        Self::File(error)
    }
}

impl fmt::Display for LearnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(error) => error.fmt(f),
            Self::File(error) => write!(f, "{KEPT}: {error}"),
            Self::Output(line) => write!(f, "gyre printed what has no figures: {line}"),
            Self::Less(what) => what.join("; ").fmt(f),
        }
    }
}

fn measure(gyre: &Path, folder: &Path, seeds: u64) -> Result<Kept, LearnError> {
    let mut quickstart = BTreeMap::new();
    for seed in 1..=seeds {
        let run = runs(gyre, folder, "quickstart", seed, 1)?.remove(0);
        quickstart.insert(run.seed, tenths(run.champion));
    }
    let ablation = runs(gyre, folder, "ablation", 1, 3)?;
    let gain = |run: Run| (run.curation, tenths(run.champion - run.base));
    Ok(Kept { quickstart, ablation: ablation.into_iter().map(gain).collect() })
}

/// As people are shown it.
fn tenths(per_cent: f64) -> f64 {
    (10.0 * per_cent).round() / 10.0
}

/// Runs a configuration that makes so many runs, and prints what came of each.
fn runs(
    gyre: &Path,
    folder: &Path,
    config: &str,
    seed: u64,
    count: usize,
) -> Result<Vec<Run>, LearnError> {
    let file: PathBuf = ["configs", &format!("{config}.toml")].iter().collect();
    let mut run = command(gyre);
    run.arg("--data-dir").arg(folder.join(config)).args(["run", "--json", "--seed"]);
    run.arg(seed.to_string()).arg("--config").arg(file);
    let all: Vec<Run> =
        last_lines(&mut run, count)?.iter().map(|line| figures(line)).collect::<Result<_, _>>()?;
    for run in &all {
        say!(
            "seed {seed}, {}: {:.1}% to {:.1}%, {} of {} promoted, {:.0} s, {}",
            run.curation,
            run.base,
            run.champion,
            run.promoted,
            run.rounds,
            run.seconds,
            run.checkpoint
        );
    }
    Ok(all)
}

/// The figures in the last event of a run.
fn figures(line: &str) -> Result<Run, LearnError> {
    let figures = |event: &serde_json::Value| {
        let rounds = event["rounds"].as_array()?;
        let promoted = rounds.iter().filter(|round| round["promoted"] == true).count();
        let per_cent = |of: &str| Some(100.0 * event[of]["pass_at_1"].as_f64()?);
        Some(Run {
            seed: event["seed"].as_u64()?,
            curation: event["curation"].as_str()?.to_owned(),
            base: per_cent("base")?,
            champion: per_cent("champion")?,
            promoted,
            rounds: rounds.len(),
            seconds: event["seconds"].as_f64()?,
            checkpoint: event["champion"]["checkpoint"].as_str()?.to_owned(),
        })
    };
    let event = serde_json::from_str(line).ok();
    event.as_ref().and_then(figures).ok_or_else(|| LearnError::Output(line.to_owned()))
}

/// Says everything in which the new figures are worse than the kept ones.
fn check(kept: &Kept, new: &Kept) -> Result<(), Vec<String>> {
    let mut worse = Vec::new();
    let mut lost = 0.0;
    for (seed, now) in &new.quickstart {
        let Some(before) = kept.quickstart.get(seed) else {
            worse.push(format!("no figure is kept of seed {seed}"));
            continue;
        };
        lost += before - now;
        if before - now > SEED_SLACK {
            worse.push(format!("seed {seed} ends at {now:.1}%, and did at {before:.1}%"));
        }
    }
    let lost = lost / new.quickstart.len() as f64;
    if lost > MEAN_SLACK {
        worse.push(format!("the seeds end {lost:.1} points lower than they did, in the mean"));
    }
    for (curation, gain) in &new.ablation {
        if curation != "verified" && *gain > UNVERIFIED_GAIN_MAX {
            worse.push(format!("{curation} rows gain {gain:.1} points: too good to be true"));
        }
        match kept.ablation.get(curation) {
            None => worse.push(format!("no figure is kept of {curation} rows")),
            Some(before) if before - gain > SEED_SLACK => {
                worse.push(format!("{curation} rows gain {gain:.1} points, and did {before:.1}"));
            }
            Some(_) => {}
        }
    }
    if worse.is_empty() { Ok(()) } else { Err(worse) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(champions: [f64; 3], gains: [f64; 3]) -> Kept {
        let names = ["verified", "unverified", "shuffled"].map(str::to_owned);
        Kept {
            quickstart: (1..).zip(champions).collect(),
            ablation: names.into_iter().zip(gains).collect(),
        }
    }

    #[test]
    fn what_learns_less_than_it_did_is_named() {
        let gains = [72.0, 0.0, 0.0];
        let kept = measured([84.0, 80.0, 82.0], gains);
        let said = |champions, gains| match check(&kept, &measured(champions, gains)) {
            Ok(()) => String::new(),
            Err(worse) => worse.join("; "),
        };
        assert_eq!(said([84.0, 80.0, 82.0], gains), "");
        assert_eq!(said([80.0, 78.0, 79.0], [70.0, 1.0, -3.0]), "");
        let one = "seed 2 ends at 73.0%, and did at 80.0%";
        assert_eq!(said([84.0, 73.0, 88.0], gains), one);
        let mean = "the seeds end 5.0 points lower than they did, in the mean";
        assert_eq!(said([79.0, 75.0, 77.0], gains), mean);
        let unverified = "unverified rows gain 18.0 points: too good to be true";
        assert_eq!(said([84.0, 80.0, 82.0], [72.0, 18.0, 0.0]), unverified);
        let verified = "verified rows gain 60.0 points, and did 72.0";
        assert_eq!(said([84.0, 80.0, 82.0], [60.0, 0.0, 0.0]), verified);
        let none = Kept { quickstart: BTreeMap::new(), ..measured([0.0; 3], gains) };
        assert!(check(&none, &kept).unwrap_err()[0].starts_with("no figure is kept of seed 1"));
    }

    #[test]
    fn figures_of_all_seeds_that_people_are_shown_are_kept() {
        let kept = fs::read_to_string(repository().join(KEPT)).unwrap();
        let kept: Kept = serde_json::from_str(&kept).unwrap();
        assert!(kept.quickstart.keys().copied().eq(1..=SEEDS_SHOWN));
        assert!(kept.ablation.keys().eq(["shuffled", "unverified", "verified"]));
    }
}
