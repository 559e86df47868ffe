use std::time::Duration;

use gyre_lineage::WorkerStatus;
use gyre_orchestrator::{Cancel, SandboxSettings, Worker, WorkerOptions, open_sandbox};
use serde_json::json;

use crate::args::{Global, WorkerArgs, WorkerCommand};
use crate::clock::now_ms;
use crate::live::View;
use crate::{output, session};

/// Workers listed, at most.
const WORKERS: u32 = 100;
/// A worker that was not heard of for so long is shown as lost.
const LOST_AFTER_MS: i64 = 60_000;

pub(crate) fn worker(global: &Global, args: &WorkerArgs) -> anyhow::Result<()> {
    match args.command {
        Some(WorkerCommand::Ls) => list(global),
        None => work(global, args),
    }
}

fn work(global: &Global, args: &WorkerArgs) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let cancel = Cancel::default();
    session::stop_on_signal(&runtime, &cancel);
    let project = session::open_project(global, &runtime, None)?;
    let mut view = View::choose(global.json);
    let settings = SandboxSettings { workers: args.guests, ..SandboxSettings::default() };
    let sandbox = open_sandbox(&settings, &mut view)?;
    view.finish();
    let options = WorkerOptions {
        concurrency: args.concurrency,
        store: args.store.clone(),
        heartbeat: Duration::from_secs(args.heartbeat),
    };
    let worker = Worker::announce(project, sandbox, options, now_ms, cancel)?;
    if global.json {
        output::json(&json!({"event": "worker_started", "worker": worker.id()}))?;
    } else {
        output::line(format!("{} works; Ctrl-C or SIGTERM ends it after what it has", worker.id()));
    }
    worker.work()?;
    let (brought, discarded) = worker.counts();
    if global.json {
        let (event, worker) = ("worker_stopped", worker.id());
        return output::json(&json!({
            "event": event, "worker": worker, "pieces": brought, "discarded": discarded,
        }));
    }
    output::line(format!("{brought} pieces of work brought, {discarded} too late"));
    Ok(())
}

fn list(global: &Global) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let mut table = output::table([
        "worker",
        "host",
        "version",
        "sandbox",
        "at a time",
        "status",
        "last heard",
        "pieces",
    ]);
    let (now, mut rows) = (now_ms(), Vec::new());
    for row in project.wait(project.store.workers(WORKERS))? {
        let silent = now - row.last_seen_ms > LOST_AFTER_MS;
        let status = match row.status {
            WorkerStatus::Working | WorkerStatus::Draining if silent => "lost",
            status => status.as_str(),
        };
        let new = &row.worker;
        table.add_row([
            new.id.clone(),
            new.host.clone(),
            new.version.clone(),
            new.sandbox_digest.short(),
            new.concurrency.to_string(),
            status.to_owned(),
            output::time(row.last_seen_ms),
            row.pieces.to_string(),
        ]);
        rows.push(json!({
            "worker": new.id,
            "host": new.host,
            "version": new.version,
            "sandbox": new.sandbox_digest,
            "concurrency": new.concurrency,
            "status": status,
            "started_at_ms": row.started_at_ms,
            "last_seen_ms": row.last_seen_ms,
            "pieces": row.pieces,
        }));
    }
    if global.json {
        return output::json_pretty(&rows);
    }
    output::print_or(&table, "no workers yet; `gyre worker` starts one");
    Ok(())
}
