//! Runs CPython's own test modules in guests and writes what came of them.
//!
//! `sandboxes/python/conformance` fetches the modules and calls this:
//!
//!     conformance LIBRARY VERSION TABLE [MODULE…]
//!
//! LIBRARY is a folder `lib/python3.14` with `test` in it; nothing of it is
//! kept. Each module runs in a guest whose workspace holds the library and
//! the tests. A test that ends its guest counts as failed, and the rest of
//! its module goes on in another guest.

mod modules;
mod reasons;
mod table;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gyre_sandbox::{Sandbox, SandboxConfig, WorkerKind, WorkerProgram};
use gyre_types::{GuestOutcome, Limits, SandboxJob, Seed, Step, Value, WorkspaceLimits};
use serde::Deserialize;

const DRIVER: &str = include_str!("driver.py");
/// Fuel of one guest, some 6 s: a module goes on in another one after that.
const FUEL_MAX: u64 = 60_000_000_000;
/// Guests that one module may end before the rest of it is given up.
const GUESTS_MAX: usize = 12;
/// Modules that run at one time, two for each worker that there is.
const AT_ONCE: usize = 4;

type Files = BTreeMap<String, Vec<u8>>;
type Failure = Box<dyn Error + Send + Sync>;

/// What came of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

/// What came of one module.
#[derive(Debug, Default)]
struct Ran {
    found: usize,
    /// By position and name, as subtests may speak for a test several times.
    outcomes: BTreeMap<(usize, String), Outcome>,
    /// Why none of it ran.
    whole: Option<Outcome>,
    guests: usize,
}

#[derive(Deserialize)]
struct Fact {
    event: String,
    #[serde(default)]
    at: usize,
    #[serde(default)]
    test: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    count: usize,
}

fn main() -> ExitCode {
    if let Some(ended) = gyre_sandbox::run_as_worker() {
        return ended;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(library), Some(version), Some(table)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: conformance LIBRARY VERSION TABLE [MODULE…]".into());
    };
    let library = PathBuf::from(library);
    let asked: Vec<String> = arguments.collect();
    let named = |name: &&str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    let modules: Vec<&str> = modules::MODULES.iter().copied().filter(named).collect();
    let sandbox = sandbox(&table)?;
    let shared = shared_files(&library)?;
    let guest = guest_version(&sandbox)?;
    let mut all = BTreeMap::new();
    for batch in modules.chunks(AT_ONCE) {
        let ran = std::thread::scope(|scope| {
            let start = |module: &&'static str| {
                let (module, sandbox) = (*module, sandbox.clone());
                let (shared, library) = (&shared, &library);
                scope.spawn(move || (module, run_module(&sandbox, shared, library, module)))
            };
            let threads: Vec<_> = batch.iter().map(start).collect();
            threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
        });
        for joined in ran {
            let (module, ran) = joined.map_err(|_| "a module's thread panicked")?;
            let ran = ran?;
            writeln!(std::io::stderr(), "{}", table::line(module, &ran))?;
            all.insert(module, ran);
        }
        // What there is, after each batch: the whole takes a while.
        fs::write(&table, table::document(&guest, &version, &all))?;
    }
    Ok(())
}

fn sandbox(table: &str) -> Result<Sandbox, Failure> {
    let cache = Path::new(table).with_extension("cache");
    let cache =
        std::env::temp_dir().join("gyre-conformance").join(cache.file_name().unwrap_or_default());
    let config = SandboxConfig {
        workers: NonZeroUsize::new(2).unwrap_or(NonZeroUsize::MIN),
        live_max: 8,
        worker_kind: WorkerKind::Process(WorkerProgram::this_program()?),
        ..SandboxConfig::new(cache)
    };
    Ok(Sandbox::open(&config, &|_| {})?)
}

fn guest_version(sandbox: &Sandbox) -> Result<String, Failure> {
    let code = "import sys\ndef version():\n    return sys.version.split()[0]\n".to_owned();
    let call = Step::Call { function: "version".to_owned(), args: vec![] };
    let report = sandbox.execute_one(job(vec![Step::Run { code }, call], Files::new()))?;
    match report.last().and_then(|step| step.outcome.value()) {
        Some(Value::Str(version)) => Ok(version.clone()),
        _ => Err("the guest does not tell its version".into()),
    }
}

/// What every module finds: the library that the guest did not import
/// beforehand, the tests' support, and files that tests read.
fn shared_files(library: &Path) -> Result<Files, Failure> {
    let mut files = Files::new();
    for entry in fs::read_dir(library)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !modules::LEFT_OUT.contains(&name.as_str()) && !name.contains('-') {
            add_folder(&path, &format!("lib/{name}"), &mut files)?;
        } else if path.is_file() && name.ends_with(".py") {
            files.insert(format!("lib/{name}"), fs::read(&path)?);
        }
    }
    // The platform's own part of `sysconfig`, which no package has for this one.
    files.insert(
        "lib/_sysconfigdata__wasi_wasm32-wasi.py".to_owned(),
        b"build_time_vars = {}\n".to_vec(),
    );
    let test = library.join("test");
    for entry in fs::read_dir(&test)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("test_") {
            continue;
        }
        if path.is_dir() && modules::TEST_FOLDERS.contains(&name.as_str()) {
            add_folder(&path, &format!("lib/test/{name}"), &mut files)?;
        } else if path.is_file() && fs::metadata(&path)?.len() < 400_000 {
            files.insert(format!("lib/test/{name}"), fs::read(&path)?);
        }
    }
    Ok(files)
}

fn add_folder(folder: &Path, at: &str, files: &mut Files) -> Result<(), Failure> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "__pycache__" {
            continue;
        }
        let at = format!("{at}/{name}");
        if path.is_dir() {
            add_folder(&path, &at, files)?;
        } else {
            files.insert(at, fs::read(&path)?);
        }
    }
    Ok(())
}

fn module_files(shared: &Files, library: &Path, module: &str) -> Result<Files, Failure> {
    let mut files = shared.clone();
    let test = library.join("test");
    let also = modules::ALSO.iter().filter(|(of, _)| *of == module).map(|(_, needed)| *needed);
    for name in also.chain([module]) {
        let folder = test.join(name);
        if folder.is_dir() {
            add_folder(&folder, &format!("lib/test/{name}"), &mut files)?;
        } else {
            let file = format!("{name}.py");
            files.insert(format!("lib/test/{file}"), fs::read(test.join(&file))?);
        }
    }
    Ok(files)
}

fn job(steps: Vec<Step>, files: Files) -> SandboxJob {
    let workspace = WorkspaceLimits {
        bytes_max: 64 << 20,
        entries_max: 20_000,
        path_depth_max: 400,
        name_bytes_max: 200,
        open_max: 256,
    };
    let limits = Limits {
        fuel_max: FUEL_MAX,
        memory_bytes_max: 1 << 30,
        stdout_bytes_max: 32 << 20,
        host_calls_max: 20_000_000,
        workspace: Some(workspace),
        ..Limits::default()
    };
    SandboxJob { seed: Seed(1), limits, steps, files }
}

fn run_module(
    sandbox: &Sandbox,
    shared: &Files,
    library: &Path,
    module: &str,
) -> Result<Ran, Failure> {
    let files = module_files(shared, library, module)?;
    let mut ran = Ran::default();
    let mut first = 0;
    while ran.guests < GUESTS_MAX {
        ran.guests += 1;
        let args = vec![Value::Str(module.to_owned()), Value::Int(first as i64)];
        let start = Step::Call { function: "start".to_owned(), args };
        let run = Step::Run { code: DRIVER.to_owned() };
        let report = sandbox.execute_one(job(vec![run, start], files.clone()))?;
        let Some(last) = report.last() else { return Err("the guest took no step".into()) };
        let running = ran.hear(&last.stdout);
        if !last.outcome.is_fatal() {
            if let GuestOutcome::Exception(raised) = &last.outcome {
                ran.whole = Some(Outcome::Failed(format!("{}: {}", raised.kind, raised.message)));
            }
            return Ok(ran);
        }
        let ended = format!("ends the guest: it {}", last.outcome.describe());
        match running {
            // The fuel of the module was short, not that of this test.
            Some((at, _)) if at > first && last.outcome == GuestOutcome::FuelExhausted => {
                first = at
            }
            Some((at, test)) => {
                ran.outcomes.insert((at, test), Outcome::Failed(ended));
                first = at + 1;
            }
            None => {
                ran.whole = Some(Outcome::Failed(ended));
                return Ok(ran);
            }
        }
    }
    ran.whole = Some(Outcome::Failed(format!("gave up after {GUESTS_MAX} guests")));
    Ok(ran)
}

impl Ran {
    /// Takes what a guest told; gives the test that was running at its end.
    fn hear(&mut self, told: &str) -> Option<(usize, String)> {
        let mut running = None;
        let facts = told.lines().filter_map(|line| line.strip_prefix("@@ "));
        for fact in facts.filter_map(|fact| serde_json::from_str::<Fact>(fact).ok()) {
            let Fact { event, at, test, reason, count } = fact;
            match event.as_str() {
                "found" => self.found = count,
                "start" => running = Some((at, test)),
                "stop" | "done" => running = None,
                "passed" => self.keep(at, test, Outcome::Passed),
                "skipped" => self.keep(at, test, Outcome::Skipped(reason)),
                "failed" => self.keep(at, test, Outcome::Failed(reason)),
                "module-skipped" => self.whole = Some(Outcome::Skipped(reason)),
                "module-failed" => self.whole = Some(Outcome::Failed(reason)),
                _ => {}
            }
        }
        running
    }

    /// Records an outcome; a test's first failure is never overwritten.
    fn keep(&mut self, at: usize, test: String, outcome: Outcome) {
        let known = self.outcomes.entry((at, test)).or_insert_with(|| outcome.clone());
        if !matches!(known, Outcome::Failed(_)) {
            *known = outcome;
        }
    }
}
