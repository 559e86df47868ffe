//! Measures this machine, everything in one run, so that ratios can be compared.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context;
use gyre_env::{EpisodeOutcome, EpisodeSettings, EpisodeSpec};
use gyre_learner::{Example, LearnerConfig, LocalPolicy, SampleRequest, cold_start};
use gyre_orchestrator::{Error, Harness, RunConfig};
use gyre_rollout::{EpisodeDriver, ScriptedModel};
use gyre_sandbox::{Sandbox, SandboxError, SessionSpec};
use gyre_tasks::{AdmittedTask, TaskRequest, generate_tasks};
use gyre_types::{
    Acting, Digest, Limits, RolloutId, Sampling, SandboxJob, Seed, Split, Step, Value,
};
use gyre_verify::{GradingKey, Submission, judge_batch};
use serde::Serialize;

use crate::args::{BenchArgs, Global};
use crate::live::View;
use crate::{output, session};

const PROGRAM: &str = "print(sum(i * i for i in range(1000)))";
/// Hidden cases that the verified rollouts are judged by.
const HIDDEN: usize = 5;
/// Requests of a batch, when the way to a worker is measured.
const MESSAGES: usize = 512;
/// The figures that the way to the workers is told by.
const MESSAGE: &str = "worker message";
const INSTANCE: &str = "fresh instance";
const START: &str = "fresh sandbox start";
/// Optimiser steps timed.
const TRAIN_STEPS: u64 = 30;
/// Episodes on their way at one time.
const IN_FLIGHT: usize = 256;

/// One figure.
#[derive(Serialize)]
struct Figure {
    what: &'static str,
    value: f64,
    unit: &'static str,
    note: String,
}

pub(crate) fn bench(global: &Global, args: &BenchArgs) -> anyhow::Result<()> {
    let config = session::read_config(None)?;
    let mut view = View::choose(global.json);
    let harness = Harness::open(&config, None, &mut view)?;
    view.finish();
    let sandbox = &harness.sandbox;
    let n = args.count.max(1);
    let mut figures = Vec::new();
    figures.extend(sandbox_figures(sandbox, n)?);
    figures.extend(subprocess_figures(&figures, n));
    let tasks = tasks(&harness, &config, n)?;
    let asked = sandbox.requests();
    figures.push(rollouts(sandbox, &tasks)?);
    let requests = (sandbox.requests() - asked) as f64 / tasks.len().max(1) as f64;
    figures.extend(hop_figures(&figures, requests));
    figures.extend(learner_figures(&config.learner, &tasks)?);
    if global.json {
        return output::json_pretty(&figures);
    }
    let mut table = output::table(["what", "value", "unit", "note"]);
    for figure in &figures {
        let value = if figure.value < 100.0 {
            format!("{:.3}", figure.value)
        } else {
            output::count(figure.value as u64)
        };
        table.add_row([figure.what.to_owned(), value, figure.unit.to_owned(), figure.note.clone()]);
    }
    output::print(&table);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let begun = Instant::now();
    let result = work();
    (result, begun.elapsed().as_secs_f64())
}

/// The median of `n` timings, in milliseconds.
fn median_ms(n: u32, mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    median_of_ms(n, || (), |()| work())
}

/// The same, of work on something that is made beforehand.
fn median_of_ms<T>(
    n: u32,
    mut prepare: impl FnMut() -> T,
    mut work: impl FnMut(T) -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let mut times = Vec::with_capacity(n as usize);
    for _ in 0..n {
        let prepared = prepare();
        let (result, seconds) = timed(|| work(prepared));
        result?;
        times.push(1e3 * seconds);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn sandbox_figures(sandbox: &Sandbox, n: u32) -> anyhow::Result<Vec<Figure>> {
    let spec = SessionSpec { seed: Seed(1), limits: Limits::default() };
    let instance = median_ms(n, || {
        sandbox.start(spec.clone())?;
        Ok(())
    })?;
    let job = |code: &str| SandboxJob {
        seed: Seed(1),
        limits: Limits::default(),
        steps: vec![Step::Run { code: code.to_owned() }],
        files: BTreeMap::new(),
    };
    let fresh = median_ms(n, || {
        sandbox.execute_one(job(PROGRAM))?;
        Ok(())
    })?;
    let start = median_ms(n, || {
        sandbox.execute_one(job("pass"))?;
        Ok(())
    })?;
    let mut live = sandbox.start(spec.clone())?;
    live.step(&Step::Run { code: "def f(x):\n    return x + 1\n".to_owned() })?;
    let call = Step::Call { function: "f".to_owned(), args: vec![Value::Int(1)] };
    let called = median_ms(n, || {
        live.step(&call)?;
        Ok(())
    })?;
    let (alone, batched) = messages_ms(sandbox, n)?;
    let figure =
        |what, value, note: &str| Figure { what, value, unit: "ms", note: note.to_owned() };
    Ok(vec![
        figure(
            "worker round trip",
            alone,
            "median, a request that touches no guest, and its answer",
        ),
        figure(MESSAGE, batched, "median, each of many such requests in one batch"),
        figure(INSTANCE, instance, "median, made and dropped, through the worker"),
        figure("instantiation", instance - alone, "the same less the way to the worker and back"),
        figure(START, start, "median, until a fresh guest has answered `pass`"),
        figure("fresh print(sum(…))", fresh, "median, a fresh guest each"),
        figure("call in a live session", called, "median"),
    ])
}

/// What it costs a judged rollout that its guests are in other processes,
/// beside what a fresh sandbox costs.
fn hop_figures(figures: &[Figure], requests: f64) -> Vec<Figure> {
    let value = |what| figures.iter().find(|figure| figure.what == what).map(|f| f.value);
    let message = value(MESSAGE).unwrap_or(f64::NAN);
    let ratio = |what| requests * message / value(what).unwrap_or(f64::NAN);
    vec![
        Figure {
            what: "worker hops of a judged rollout",
            value: requests * message,
            unit: "ms",
            note: format!("{requests:.1} requests each, batched"),
        },
        Figure {
            what: "hops / fresh sandbox start",
            value: ratio(START),
            unit: "x",
            note: "must stay under 0.1".to_owned(),
        },
        Figure {
            what: "hops / fresh instance",
            value: ratio(INSTANCE),
            unit: "x",
            note: "beside an instance that has run nothing".to_owned(),
        },
    ]
}

/// What it costs to ask a worker: jobs for which no guest is started, since
/// their memory would hold none. Alone, and each of a batch.
fn messages_ms(sandbox: &Sandbox, n: u32) -> anyhow::Result<(f64, f64)> {
    let job = SandboxJob {
        seed: Seed(1),
        limits: Limits { memory_bytes_max: 0, ..Limits::default() },
        steps: vec![Step::Run { code: PROGRAM.to_owned() }],
        files: BTreeMap::new(),
    };
    let is_refused = |answer| match answer {
        Err(SandboxError::MemoryLimitTooSmall { .. }) => Ok(()),
        Err(error) => Err(anyhow::Error::from(error)),
        Ok(_) => anyhow::bail!("a guest was started in no memory"),
    };
    let ask = |count: usize| {
        let jobs = || vec![job.clone(); count];
        median_of_ms(n, jobs, |jobs| sandbox.execute(jobs).into_iter().try_for_each(is_refused))
    };
    Ok((ask(1)?, ask(MESSAGES)? / MESSAGES as f64))
}

/// The same program as one `python3 -I -S -c` process each, in the same run.
fn subprocess_figures(figures: &[Figure], n: u32) -> Vec<Figure> {
    let python = interpreter();
    let run = || {
        let status = Command::new(&python)
            .args(["-I", "-S", "-c", PROGRAM])
            .stdout(Stdio::null())
            .status()
            .context("python3 cannot be started")?;
        anyhow::ensure!(status.success(), "python3 failed");
        Ok(())
    };
    let Ok(process) = median_ms(n.min(100), run) else {
        let note = "python3 is not on this machine: nothing to compare with".to_owned();
        return vec![Figure { what: "python3 process", value: f64::NAN, unit: "ms", note }];
    };
    let fresh = figures.iter().find(|figure| figure.what.starts_with("fresh print"));
    let ratio = fresh.map_or(f64::NAN, |fresh| process / fresh.value);
    vec![
        Figure {
            what: "python3 -I -S -c process",
            value: process,
            unit: "ms",
            note: "median, the same program, no isolation".to_owned(),
        },
        Figure {
            what: "process / fresh guest",
            value: ratio,
            unit: "x",
            note: "how many times faster a fresh guest is".to_owned(),
        },
    ]
}

/// The interpreter itself: `python3` on the path may be a script that looks for
/// one, which would be measured too.
fn interpreter() -> String {
    let asked = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let told = asked.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let path = told.map(|path| path.trim().to_owned()).filter(|path| !path.is_empty());
    path.unwrap_or_else(|| "python3".to_owned())
}

fn tasks(harness: &Harness, config: &RunConfig, n: u32) -> Result<Vec<AdmittedTask>, Error> {
    let Some(family) = harness.families.get(&config.cold_start.family) else { return Ok(vec![]) };
    let requests: Vec<_> = (0..n)
        .map(|i| {
            TaskRequest::new(
                Seed(1).derive("bench", &[u64::from(i)]),
                1 + i % 3,
                Some(Split::Train),
            )
        })
        .collect();
    let sandbox = &harness.sandbox;
    let made = generate_tasks(family, &requests, &HashSet::new(), |jobs| sandbox.execute(jobs))?;
    let keep = |mut admitted: AdmittedTask| {
        let GradingKey::Program(key) = &mut admitted.key;
        key.hidden.truncate(HIDDEN);
        admitted.task.key_digest = admitted.key.digest();
        admitted
    };
    Ok(made.tasks.into_iter().flatten().map(keep).collect())
}

/// A task's instruction, and the program that solves it.
fn demonstration(admitted: &AdmittedTask) -> (String, String) {
    let (_, key) = admitted.program();
    (admitted.task.instruction().to_owned(), key.reference.clone())
}

/// Whole verified rollouts: examples run, answer submitted, screened, and every
/// hidden case confirmed in a guest of its own.
fn rollouts(sandbox: &Sandbox, tasks: &[AdmittedTask]) -> anyhow::Result<Figure> {
    let programs: HashMap<_, _> = tasks.iter().map(demonstration).collect();
    let model = ScriptedModel::new(programs);
    let settings = EpisodeSettings {
        turns_max: 2,
        tokens_max: 1,
        sampling: Sampling { temperature: 0.0, tokens_max: 1 },
        repair_temperature: 0.0,
        acting: Acting::Tools,
    };
    let specs: Vec<_> = tasks
        .iter()
        .enumerate()
        .map(|(at, admitted)| EpisodeSpec {
            id: RolloutId::from_digest(&Digest::of_json(&("bench", at))),
            round: 0,
            purpose: Split::Train,
            task: &admitted.task,
            sample: 0,
            seed: Seed(at as u64),
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (passed, seconds) = timed(|| {
        let (in_flight_max, repeats_max) = (IN_FLIGHT, 0);
        let driver = EpisodeDriver { model: &model, sandbox, settings, in_flight_max, repeats_max };
        let mut made: Vec<Option<EpisodeOutcome>> = vec![None; specs.len()];
        runtime.block_on(driver.run(specs, |at, outcome| made[at] = Some(outcome)));
        let submissions: Vec<_> = tasks
            .iter()
            .zip(&made)
            .filter_map(|(t, made)| {
                let answer = made.as_ref()?.record.answer.view();
                Some(Submission { task: &t.task, key: &t.key, answer })
            })
            .collect();
        let judged = judge_batch(&submissions, |jobs| sandbox.execute(jobs));
        anyhow::Ok(judged.iter().filter(|j| j.verdict.is_pass()).count())
    });
    let passed = passed?;
    anyhow::ensure!(passed == tasks.len(), "{passed} of {} references passed", tasks.len());
    Ok(Figure {
        what: "verified rollouts",
        value: passed as f64 / seconds,
        unit: "per second",
        note: format!(
            "{passed} accepted, {HIDDEN} hidden cases each in its own guest, {} workers",
            sandbox.workers()
        ),
    })
}

fn learner_figures(config: &LearnerConfig, tasks: &[AdmittedTask]) -> anyhow::Result<Vec<Figure>> {
    let examples: Vec<_> = tasks
        .iter()
        .map(demonstration)
        .map(|(prompt, answer)| Example { prompt, answer, weight: 1.0 })
        .collect();
    let folder = std::env::temp_dir().join(format!("gyre-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context("cannot make a folder for the benchmark")?;
    let figures = measure_learner(config, &examples, &folder);
    std::fs::remove_dir_all(&folder).context("cannot remove the benchmark's folder")?;
    figures
}

fn measure_learner(
    config: &LearnerConfig,
    examples: &[Example],
    folder: &std::path::Path,
) -> anyhow::Result<Vec<Figure>> {
    let mut config = config.clone();
    config.base.steps = TRAIN_STEPS;
    let mut go_on = |_| ControlFlow::Continue(());
    let (report, training) = timed(|| cold_start(&config, Seed(1), examples, folder, &mut go_on));
    let report = report?;
    let policy = LocalPolicy::load(folder)?;
    let requests: Vec<_> = examples
        .iter()
        .enumerate()
        .map(|(at, example)| SampleRequest {
            prompt: example.prompt.clone(),
            seed: Seed(at as u64),
            temperature: 1.0,
            tokens_max: 64,
        })
        .collect();
    let (samples, sampling) = timed(|| policy.sample(&requests));
    let sampled: usize = samples.iter().map(|sample| sample.tokens.len()).sum();
    let figure = |what, tokens: u64, seconds: f64, note: String| Figure {
        what,
        value: tokens as f64 / seconds,
        unit: "tokens/s",
        note,
    };
    Ok(vec![
        figure(
            "trained",
            report.tokens,
            training,
            format!("{} steps, prompts included", report.steps),
        ),
        figure("sampled", sampled as u64, sampling, format!("a batch of {}", requests.len())),
    ])
}
