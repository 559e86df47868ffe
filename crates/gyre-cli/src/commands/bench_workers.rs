//! Measures what workers bring: rollouts per second with 1, 2 and 4 of them, of
//! one core each, and what the way over queue, database and store costs.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use anyhow::{Context, ensure};
use gyre_lineage::{Delivery, WorkClaim, WorkKey, WorkOffer};
use gyre_orchestrator::{Project, RunConfig, WorkerMode};
use gyre_queue::{Handler, Job, Location, Pulse, Stop, Working};
use gyre_types::{Digest, Split};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::args::Global;
use crate::clock::now_ms;
use crate::{output, session};

/// Workers of each measurement.
const WORKERS: [u32; 3] = [1, 2, 4];
/// Pieces of work by which the way is measured.
const PIECES: u32 = 200;

/// What was measured of one run.
struct Measured {
    workers: u32,
    rollouts: u64,
    seconds: f64,
}

impl Measured {
    fn per_second(&self) -> f64 {
        self.rollouts as f64 / self.seconds
    }
}

pub(crate) fn bench(global: &Global) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let cores = std::thread::available_parallelism()?.get() as u32;
    let folder = global.data_dir.join(format!("bench-workers-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context("cannot make a folder to measure in")?;
    let measured = measure(&folder, &runtime, cores);
    // What was measured is told whether or not the folder can be removed.
    let _ = std::fs::remove_dir_all(&folder);
    let (runs, way) = measured?;
    let alone = runs.first().map_or(f64::NAN, Measured::per_second);
    let per_rollout = 1.0 / alone;
    let share = way / per_rollout;
    if global.json {
        let run = |run: &Measured| {
            json!({"workers": run.workers, "rollouts": run.rollouts, "seconds": run.seconds,
                "rollouts_per_second": run.per_second()})
        };
        return output::json_pretty(&json!({
            "cores": cores, "runs": runs.iter().map(run).collect::<Vec<_>>(),
            "way_seconds_per_rollout": way, "way_share": share,
        }));
    }
    let mut table = output::table(["workers", "rollouts", "seconds", "rollouts/s", "times one"]);
    for run in &runs {
        table.add_row([
            run.workers.to_string(),
            run.rollouts.to_string(),
            format!("{:.1}", run.seconds),
            format!("{:.1}", run.per_second()),
            format!("{:.2}", run.per_second() / alone),
        ]);
    }
    output::print(&table);
    output::line(format!(
        "queue, claims and results: {:.3} ms a rollout, {:.2}% of its {:.2} ms; {cores} cores here",
        1e3 * way,
        1e2 * share,
        1e3 * per_rollout
    ));
    Ok(())
}

fn measure(folder: &Path, runtime: &Runtime, cores: u32) -> anyhow::Result<(Vec<Measured>, f64)> {
    let config = config()?;
    let file = folder.join("config.toml");
    std::fs::write(&file, toml::to_string(&config)?).context("cannot write a configuration")?;
    let mut runs = Vec::new();
    for workers in WORKERS {
        let data = folder.join(format!("with-{workers}"));
        let started =
            (0..workers).map(|n| Worker::start(&data, n % cores)).collect::<Result<Vec<_>, _>>()?;
        let drive = gyre(&data)?.args(["run", "--json", "--config"]).arg(&file).output()?;
        drop(started);
        let said = String::from_utf8_lossy(&drive.stderr);
        ensure!(drive.status.success(), "a run with {workers} workers failed: {said}");
        let project = Project::open(&data, None, runtime.handle().clone())?;
        let (rollouts, seconds) = pace(&project)?;
        runs.push(Measured { workers, rollouts, seconds });
    }
    let rollouts = config.workers.tasks_per_piece * config.rollout.samples;
    let data = folder.join(format!("with-{}", WORKERS[0]));
    let project = Project::open(data, None, runtime.handle().clone())?;
    Ok((runs, way(&project, folder, rollouts)?))
}

/// The quickstart's rollouts with a policy that learnt little: what is measured
/// is how many are made, not how good they are.
fn config() -> anyhow::Result<RunConfig> {
    let mut config = session::read_config(None)?;
    config.name = "bench".to_owned();
    config.rounds = 1;
    config.tasks.dir = std::path::absolute(&config.tasks.dir)?;
    config.cold_start.demonstrations = [("1".to_owned(), 300)].into();
    config.learner.base.steps = 40;
    config.learner.round.steps = 5;
    (config.held_out.gate, config.held_out.test) = (100, 100);
    config.rollout.tasks_per_round = 400;
    config.rollout.extra_samples = 0;
    config.rollout.tasks_per_wave = 200;
    config.workers.mode = WorkerMode::Queue;
    Ok(config)
}

/// A worker of one core, ended when dropped.
struct Worker(Child);

impl Worker {
    fn start(data: &Path, core: u32) -> anyhow::Result<Self> {
        let mut command = Command::new("taskset");
        command.arg("--cpu-list").arg(core.to_string()).arg(program()?).arg("--data-dir").arg(data);
        command.args(["worker", "--guests", "1"]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn();
        Ok(Self(child.context("cannot start a worker; is taskset (util-linux) installed?")?))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It has nothing left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find this program")
}

fn gyre(data: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(program()?);
    command.stdin(Stdio::null()).arg("--data-dir").arg(data);
    Ok(command)
}

/// Rollouts of the first round, and the seconds from when its phase opened
/// until the last was judged.
fn pace(project: &Project) -> anyhow::Result<(u64, f64)> {
    let run = project.run(None)?;
    let events = project.wait(project.store.round_events(&run.id, 1))?;
    let at = |kind: &str| events.iter().filter(|e| e.kind == kind).map(|e| e.at_ms).max();
    let (Some(opened), Some(judged)) = (at("phase_opened"), at("wave_verified")) else {
        anyhow::bail!("the run has no wave");
    };
    let counts = project.wait(project.store.verdict_counts(&run.id))?;
    let of_round =
        counts.iter().filter(|(round, purpose, ..)| *round == 1 && *purpose == Split::Train);
    Ok((of_round.map(|(.., count)| count.rollouts).sum(), (judged - opened) as f64 / 1e3))
}

/// Seconds that a rollout's share of a piece spends on its way: offered,
/// queued, taken, claimed, delivered, acknowledged and looked for.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn way(project: &Project, folder: &Path, rollouts_per_piece: u32) -> anyhow::Result<f64> {
    let run = project.run(None)?.id;
    let lease = project.wait(project.store.acquire_lease(&run, "bench", now_ms(), 600_000))?;
    let location = Location::Sqlite(folder.join("queue.db"));
    let queue = project.wait(gyre_queue::open(&location, "bench", Pulse::default()))?;
    let (done, offered) = (Arc::new(AtomicU32::new(0)), lease.epoch);
    let begun = Instant::now();
    let offer = WorkOffer {
        run: &run,
        epoch: lease.epoch,
        round: u32::from(u16::MAX),
        batch: "bench",
        pieces: PIECES,
        at_ms: now_ms(),
    };
    project.wait(project.store.offer_work(&offer))?;
    let job = |piece: u32| Job {
        key: piece.to_string(),
        urgency: 0,
        attempts_max: 1,
        body: json!({ "piece": piece }),
    };
    project.wait(queue.push((0..PIECES).map(job).collect()))?;
    let (handler_done, handler_project, handler_run) = (done.clone(), project.clone(), run.clone());
    let handler: Handler = Arc::new(move |job| -> Working {
        let (done, project) = (handler_done.clone(), handler_project.clone());
        let piece = job.body["piece"].as_u64().unwrap_or_default() as u32;
        let (round, batch) = (u32::from(u16::MAX), "bench".to_owned());
        let key = WorkKey { run: handler_run.clone(), round, batch, piece };
        Box::pin(async move {
            let claim = project.store.claim_work(&key, offered, "bench", now_ms()).await?;
            if let WorkClaim::Granted(epoch) = claim {
                project.store.deliver_work(&key, epoch, &nothing(), now_ms()).await?;
            }
            done.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
    });
    let stop: Stop = Box::pin(async move {
        while done.load(Ordering::Relaxed) < PIECES {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    project.wait(queue.work("bench-worker", 1, handler, stop))?;
    let (made, of) = project.wait(project.store.work_done(&run, offer.round, offer.batch))?;
    ensure!((made, of) == (PIECES, PIECES), "{made} of {of} pieces came");
    Ok(begun.elapsed().as_secs_f64() / f64::from(PIECES * rollouts_per_piece))
}

fn nothing() -> Delivery {
    let result = Value::Array(vec![Value::from("a verdict, more or less"); 100]);
    Delivery { path: "bench".to_owned(), sha256: Digest::of(b""), bytes: 0, rows: 0, result }
}
