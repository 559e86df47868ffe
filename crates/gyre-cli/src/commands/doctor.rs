use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use gyre_orchestrator::{
    Observer, Progress, Project, SandboxSettings, default_cache_dir, open_sandbox,
};
use gyre_sandbox::{Layer, Sandbox};
use gyre_types::{Limits, SandboxJob, Seed, Step};

use crate::args::Global;
use crate::exit::Failure;
use crate::live::View;
use crate::{output, session};

/// One thing that was looked at.
#[derive(serde::Serialize)]
struct Finding {
    what: String,
    sound: bool,
    detail: String,
    /// Whether it is a layer of defence, without which everything still works.
    layer: bool,
}

/// Looks at everything that a run needs. Fails with the code of the first thing
/// that does not work, after all were looked at.
pub(crate) fn doctor(global: &Global) -> anyhow::Result<()> {
    let mut findings = vec![machine()];
    let mut first_error = None;
    let mut take = |what: &str, result: anyhow::Result<String>| {
        let sound = result.is_ok();
        let detail = result.unwrap_or_else(|error| {
            let text = format!("{error:#}");
            first_error.get_or_insert(error);
            text
        });
        findings.push(Finding { what: str::to_owned(what), sound, detail, layer: false });
    };
    let mut watch = Watch { view: View::choose(global.json), damaged: None };
    let opened = open(&mut watch);
    take("guest cache", cache(watch.damaged));
    let layers = opened.as_ref().map_or(Vec::new(), |(sandbox, _)| sandbox.layers().to_vec());
    take("sandbox", opened.and_then(|(sandbox, opened)| first_guest(&sandbox, opened)));
    take("data folder", data_folder(&global.data_dir));
    take("database", database(global));
    findings.extend(layers.into_iter().map(layer));
    if global.json {
        output::json_pretty(&findings)?;
    } else {
        for finding in &findings {
            let mark = match (finding.sound, finding.layer) {
                (true, _) => "ok  ",
                (false, true) => "none",
                (false, false) => "FAIL",
            };
            output::line(format!("{mark}  {:24} {}", finding.what, finding.detail));
        }
    }
    first_error.map_or(Ok(()), Err)
}

fn machine() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let detail = format!(
        "gyre {}, {} {}, {cores} cores",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    Finding { what: "machine".to_owned(), sound: true, detail, layer: false }
}

/// What holds a worker. A kernel that lacks one is no fault of the machine.
fn layer(layer: Layer) -> Finding {
    let what = format!("worker: {}", layer.name);
    Finding { what, sound: layer.in_force, detail: layer.detail, layer: true }
}

/// What was found damaged was made again, and is told of: disks that damage one
/// file may damage others.
fn cache(damaged: Option<String>) -> anyhow::Result<String> {
    match damaged {
        None => Ok(default_cache_dir().display().to_string()),
        Some(what) => Err(Failure::error(Failure::CACHE_DAMAGED, what)),
    }
}

/// Shows how the sandbox opens, and remembers what was wrong with its cache.
struct Watch {
    view: View,
    damaged: Option<String>,
}

impl Observer for Watch {
    fn observe(&mut self, progress: &Progress<'_>) {
        if let Progress::GuestDiscarded { path, reason } = progress {
            self.damaged = Some(format!(
                "the compiled guest {} was not to be trusted ({reason}); it was made again, so \
                 nothing is to be done, unless this comes back: then look at the disk",
                path.display()
            ));
        }
        if let Progress::GuestNotKept { path, reason } = progress {
            self.damaged = Some(format!(
                "the compiled guest is not kept, and is compiled again each time: {} is not to be \
                 trusted, since {reason}",
                path.display()
            ));
        }
        self.view.observe(progress);
    }
}

#[expect(clippy::disallowed_methods, reason = "a person wants to know how long it takes")]
fn open(watch: &mut Watch) -> anyhow::Result<(Sandbox, Duration)> {
    let begun = Instant::now();
    let sandbox = open_sandbox(&SandboxSettings::default(), watch)?;
    Ok((sandbox, begun.elapsed()))
}

#[expect(clippy::disallowed_methods, reason = "a person wants to know how long it takes")]
fn first_guest(sandbox: &Sandbox, opened: Duration) -> anyhow::Result<String> {
    let begun = Instant::now();
    let code = "import sys\ndef f():\n    return list(sys.version_info[:3])\n".to_owned();
    let steps = vec![Step::Run { code }, Step::Call { function: "f".to_owned(), args: vec![] }];
    let job =
        SandboxJob { seed: Seed(1), limits: Limits::default(), steps, files: BTreeMap::new() };
    let report = sandbox.execute_one(job)?;
    let said = report.last().map(|step| step.outcome.describe()).unwrap_or_default();
    Ok(format!(
        "CPython in wasmtime {said}; opened in {:.0} ms, first guest in {:.1} ms, {} workers, digest {}",
        opened.as_secs_f64() * 1e3,
        begun.elapsed().as_secs_f64() * 1e3,
        sandbox.workers(),
        sandbox.digest().short()
    ))
}

/// Writes and removes a file, as a run would.
fn data_folder(dir: &Path) -> anyhow::Result<String> {
    if !dir.exists() {
        return Ok(format!("{} will be made by the first run", dir.display()));
    }
    let probe = dir.join(".doctor");
    let tried = std::fs::write(&probe, b"gyre").and_then(|()| std::fs::remove_file(&probe));
    tried.map_err(|source| gyre_orchestrator::Error::Io {
        doing: "write to the data folder",
        path: dir.to_owned(),
        source,
    })?;
    Ok(format!("{} can be written", dir.display()))
}

fn database(global: &Global) -> anyhow::Result<String> {
    if global.database.is_none() && !global.data_dir.join("lineage.db").is_file() {
        return Ok("SQLite in the data folder, made by the first run".to_owned());
    }
    let runtime = session::runtime()?;
    let project: Project = session::open_project(global, &runtime, None)?;
    let runs = project.wait(project.store.runs().collect())?.len();
    let mut detail = format!("{} answers, {runs} runs", project.store.url());
    if let Some(transport) = project.wait(project.store.transport())? {
        let queries = match project.wait(project.store.are_queries_confined())? {
            true => "queries run as gyre_reader",
            false => "queries have no role to run as yet (`gyre db migrate` makes it)",
        };
        detail.push_str(&format!("; {transport}; {queries}"));
    }
    Ok(detail)
}
