use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use gyre_sandbox::{
    Sandbox, SandboxConfig, Session, SessionSpec, WORKER_ARGUMENT, WorkerKind, WorkerProgram,
};
use gyre_types::{GuestException, GuestOutcome, Limits, SandboxJob, Seed, Step, StepReport, Value};

/// One sandbox for the whole test binary. Its cache lives in the build folder,
/// so that the guest is compiled once and not once for each run of the tests.
pub(crate) fn sandbox() -> Sandbox {
    static SHARED: LazyLock<Sandbox> = LazyLock::new(|| {
        let config = SandboxConfig {
            workers: NonZeroUsize::new(2).unwrap(),
            live_max: 64,
            ..config(&warm_cache())
        };
        Sandbox::open(&config, &|_| {}).unwrap()
    });
    SHARED.clone()
}

/// Workers are processes, as they are in the product. Every guest in a used
/// instance is compared with one that never ran.
pub(crate) fn config(cache_dir: &Path) -> SandboxConfig {
    let program = WorkerProgram {
        path: PathBuf::from(env!("CARGO_BIN_EXE_gyre-sandbox-worker")),
        arguments: vec![WORKER_ARGUMENT.into()],
    };
    SandboxConfig {
        worker_kind: WorkerKind::Process(program),
        resets_checked_every: 1,
        ..SandboxConfig::new(cache_dir)
    }
}

pub(crate) fn warm_cache() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("guest-cache")
}

pub(crate) fn session() -> Session {
    session_with(Seed(1), Limits::default())
}

pub(crate) fn session_with(seed: Seed, limits: Limits) -> Session {
    sandbox().start(SessionSpec { seed, limits }).unwrap()
}

pub(crate) fn run(code: &str) -> Step {
    Step::Run { code: code.to_owned() }
}

pub(crate) fn call(function: &str, args: Vec<Value>) -> Step {
    Step::Call { function: function.to_owned(), args }
}

pub(crate) fn job(code: &str) -> SandboxJob {
    SandboxJob {
        seed: Seed(1),
        limits: Limits::default(),
        steps: vec![run(code)],
        files: BTreeMap::new(),
    }
}

/// Runs a program in a fresh guest.
pub(crate) fn once(code: &str) -> StepReport {
    once_with(code, Limits::default())
}

pub(crate) fn once_with(code: &str, limits: Limits) -> StepReport {
    let job = SandboxJob { limits, ..job(code) };
    sandbox().execute_one(job).unwrap().steps.remove(0)
}

/// What a program printed, after asserting that it ended well.
pub(crate) fn printed(code: &str) -> String {
    let report = once(code);
    assert_eq!(report.outcome, GuestOutcome::Value { value: Value::Null }, "{}", report.stdout);
    report.stdout
}

/// Evaluates an expression in a fresh guest.
pub(crate) fn evaluated(expression: &str) -> GuestOutcome {
    let mut session = session();
    let defined = session.step(&run(&format!("def f():\n    return {expression}"))).unwrap();
    assert!(defined.outcome.value().is_some(), "{:?}", defined.outcome);
    session.step(&call("f", vec![])).unwrap().outcome
}

pub(crate) fn raised(report: &StepReport) -> &GuestException {
    match &report.outcome {
        GuestOutcome::Exception(raised) => raised,
        other => panic!("no exception but {other:?}"),
    }
}

pub(crate) fn text(text: &str) -> Value {
    Value::Str(text.to_owned())
}
