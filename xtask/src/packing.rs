//! How well one hundred episodes are packed against a server that takes from 50 ms
//! to 5 s for each answer.

mod measure;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ExitCode, Stdio};

use crate::command::{self, cargo, command, repository};
use crate::step::Steps;
use measure::{Answer, Moments};

/// Episodes of the round that is measured, of one turn each.
const EPISODES: usize = 100;
/// Requests that the server may have at one time.
const SLOTS: usize = 8;
/// Guests that run at one time.
const GUESTS: u32 = 2;
/// Tasks of a batch, where nothing else is asked for: a quarter of the episodes.
pub(crate) const TASKS_PER_WAVE: usize = 25;
/// What the round may take of the ideal packing's time.
const FACTOR_MAX: f64 = 1.2;

/// Runs one round with so many tasks in each batch, prints how it was packed, and
/// fails where it took too long.
pub(crate) fn run(tasks_per_wave: usize) -> ExitCode {
    let mut steps = Steps::default();
    let built = steps.run("build", || {
        command::run(cargo().args(["build", "--release", "--package", "gyre-cli"]))
    });
    let folder = std::env::temp_dir().join(format!("gyre-packing-{}", std::process::id()));
    if built.is_some()
        && let Some(gyre) = steps.run("binary", crate::million::gyre)
        && let Some(measured) = steps.run("round", || measure(&gyre, &folder, tasks_per_wave))
    {
        steps.run("packing", || judge(&measured));
    }
    steps.run("clean up", || match fs::remove_dir_all(&folder) {
        Err(error) if folder.exists() => Err(error),
        _ => Ok(()),
    });
    steps.finish()
}

/// What was seen of the measured round.
struct Measured {
    moments: Moments,
    answers: Vec<Answer>,
}

fn measure(gyre: &Path, folder: &Path, tasks_per_wave: usize) -> Result<Measured, String> {
    let failed = |what: &str, error: std::io::Error| format!("{what}: {error}");
    let programs = repository().join("crates/gyre-cli/tests/programs");
    let trainer = programs.join("trainer.py");
    fs::create_dir_all(folder).map_err(|error| failed("no folder can be made", error))?;
    let config = folder.join("packing.toml");
    fs::write(&config, configuration(folder, &trainer, tasks_per_wave))
        .map_err(|error| failed("the configuration cannot be written", error))?;
    let start = format!("--output={}", folder.join("start").display());
    command::run(command("python3").arg(&trainer).arg(start)).map_err(|error| error.to_string())?;
    let log = folder.join("answers.jsonl");
    let mut run = command(gyre);
    run.arg("--data-dir").arg(folder.join("data")).args(["run", "--json", "--config"]).arg(config);
    run.env("PACKING_LOG", &log).stdout(Stdio::piped());
    let mut child = run.spawn().map_err(|error| failed("gyre cannot be started", error))?;
    let stdout = child.stdout.take().ok_or("the run has no stdout")?;
    let mut moments = Moments::new(child.id());
    for line in BufReader::new(stdout).lines() {
        moments.take(&line.map_err(|error| failed("the run cannot be read", error))?);
    }
    let status = child.wait().map_err(|error| failed("the run cannot be awaited", error))?;
    if !status.success() {
        return Err(format!("the run ended with {status}"));
    }
    let log = fs::read_to_string(&log).map_err(|error| failed("no answer was logged", error))?;
    let answers = log.lines().map(Answer::read).collect::<Result<_, _>>()?;
    Ok(Measured { moments, answers })
}

fn configuration(folder: &Path, trainer: &Path, tasks_per_wave: usize) -> String {
    let [start, server] = [folder.join("start"), repository().join("xtask/src/packing/server.py")];
    format!(
        r#"
name = "packing"
rounds = 1
held_out = {{ gate = 1, test = 1 }}
canaries.per_round = 0
start.checkpoint = {start:?}
sandbox.workers = {GUESTS}

[[curriculum.families]]
family = "compose"
difficulty_min = 1
difficulty_max = 1
difficulty_start = 1
weight = 1

[rollout]
tasks_per_round = {EPISODES}
samples = 1
extra_samples = 0
turns_max = 1
tasks_per_wave = {tasks_per_wave}

[trainer]
kind = "command"
command = [
  "python3", {trainer:?}, "--dataset={{dataset}}", "--parent={{parent}}", "--output={{output}}",
  "--seed={{seed}}",
]

[model]
kind = "openai"
acting = "text"
server.in_flight_max = {SLOTS}

[model.serve]
command = ["python3", {server:?}, "--port={{port}}"]
env = ["PACKING_LOG"]
"#
    )
}

/// Prints how the round was packed; an error where it took too long.
fn judge(measured: &Measured) -> Result<(), String> {
    let Measured { moments, answers } = measured;
    let (begun, ended) = moments.attempts().ok_or("the run told of no round with attempts")?;
    let within = |answer: &&Answer| (begun..=ended).contains(&answer.answered);
    let round: Vec<&Answer> = answers.iter().filter(within).collect();
    if round.len() < EPISODES / 2 {
        return Err(format!("{} answers of {EPISODES} were seen", round.len()));
    }
    let latencies: Vec<f64> = round.iter().map(|answer| answer.meant).collect();
    let ideal = measure::ideal(&latencies, SLOTS);
    let wall = ended - begun;
    let busy: f64 = round.iter().map(|answer| answer.answered - answer.came).sum();
    let unasked = measure::unasked(&round, begun, ended);
    let guests = f64::from(GUESTS) * wall;
    let sandbox = moments.sandbox_seconds();
    let (total, slots) = (latencies.iter().sum::<f64>(), SLOTS as f64);
    say!("{} answers of {total:.1} s together, at most {SLOTS} at one time", round.len());
    say!("ideal packing          {ideal:>6.2} s");
    say!("packed as they came    {:>6.2} s", measure::as_they_came(&round, SLOTS));
    say!("attempts and verdicts  {wall:>6.2} s, {:.2} times the ideal", wall / ideal);
    say!("whole round            {:>6.2} s", moments.round_seconds());
    say!("server, no request     {unasked:>6.2} s, {:.0}% of the time", 100.0 * unasked / wall);
    say!("server, idle slots     {:>5.0}% of {SLOTS}", 100.0 * (1.0 - busy / (slots * wall)));
    say!("sandbox, idle CPU time {:>6.2} s of {guests:.2}, {:.0}%", guests - sandbox, {
        100.0 * (1.0 - sandbox / guests)
    });
    match wall <= FACTOR_MAX * ideal {
        true => Ok(()),
        false => Err(format!("the round took {:.2} times the ideal packing", wall / ideal)),
    }
}
