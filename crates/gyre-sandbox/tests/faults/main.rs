//! Faults of the machinery, planted while guests run: not one may be taken for
//! something that a guest did.
//!
//! This program is three: the test; the worker that it runs guests in; and
//! between the two a saboteur, which hands on what passes until its hour comes.
//! Then it kills the worker, cuts the channel in the middle of a message, or
//! falls silent. Every report that arrives must equal the report of a sandbox
//! that nobody sabotaged; an error is an answer too.

#![expect(clippy::print_stdout, reason = "a test without a harness tells what it did")]

mod programs;
mod saboteur;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use gyre_sandbox::{
    Sandbox, SandboxConfig, SandboxError, SessionSpec, WORKER_ARGUMENT, WorkerKind, WorkerProgram,
};
use gyre_types::{SandboxReport, Seed, Step, StepReport};

const GUESTS: u64 = 1_000;
const SESSIONS: u64 = 120;
const SEED: Seed = Seed(20_261_124);

fn main() -> ExitCode {
    if let Some(ended) = gyre_sandbox::run_as_worker() {
        return ended;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|role| role == saboteur::ROLE) {
        return saboteur::run(Seed(arguments[1].parse().unwrap()), Path::new(&arguments[2]));
    }
    let asked = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if asked("--list") {
        // One test, and none that is ignored.
        if !asked("--ignored") {
            println!("faults: test");
        }
        return ExitCode::SUCCESS;
    }
    no_fault_is_taken_for_a_result();
    ExitCode::SUCCESS
}

fn open(worker: WorkerProgram) -> Sandbox {
    let config = SandboxConfig {
        workers: NonZeroUsize::new(2).unwrap(),
        worker_kind: WorkerKind::Process(worker),
        live_max: 64,
        patience: Duration::from_secs(1),
        ..SandboxConfig::new(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("guest-cache"))
    };
    Sandbox::open(&config, &|_| {}).unwrap()
}

/// This program in another of its roles.
fn role(arguments: &[&str]) -> WorkerProgram {
    WorkerProgram {
        path: std::env::current_exe().unwrap(),
        arguments: arguments.iter().map(Into::into).collect(),
    }
}

fn no_fault_is_taken_for_a_result() {
    let honest = open(role(&[WORKER_ARGUMENT]));
    let lives = tempfile::tempdir().unwrap();
    let seed = SEED.to_string();
    let sabotaged = open(role(&[saboteur::ROLE, &seed, lives.path().to_str().unwrap()]));

    let jobs = count((0..GUESTS).collect::<Vec<_>>().chunks(50).flat_map(|chunk| {
        let jobs: Vec<_> = chunk.iter().map(|at| programs::job(SEED, *at)).collect();
        let expected: Vec<SandboxReport> =
            honest.execute(jobs.clone()).into_iter().map(Result::unwrap).collect();
        sabotaged.execute(jobs).into_iter().zip(expected).collect::<Vec<_>>()
    }));
    let steps = count((0..SESSIONS).step_by(8).flat_map(|first| {
        let expected = sessions(&honest, first).into_iter().map(Result::unwrap);
        sessions(&sabotaged, first).into_iter().zip(expected).collect::<Vec<_>>()
    }));

    let lived = std::fs::read_dir(lives.path()).unwrap().count() as u64;
    println!("faults: jobs {jobs:?}, steps {steps:?}, {lived} workers sabotaged");
    // Sabotage took place, and most work was done in spite of it.
    assert!(lived >= 30, "only {lived} workers met a fault");
    assert!(jobs.right >= GUESTS * 9 / 10, "{jobs:?}");
    assert!(steps.right >= SESSIONS, "{steps:?}");
}

#[derive(Debug, Default)]
struct Counted {
    right: u64,
    errors: u64,
}

/// Counts answers after checking that each report is the right one.
fn count<R: PartialEq + std::fmt::Debug>(
    answers: impl Iterator<Item = (Result<R, SandboxError>, R)>,
) -> Counted {
    let mut counted = Counted::default();
    for (answer, expected) in answers {
        match answer {
            Ok(report) => {
                assert_eq!(report, expected, "a fault was taken for a result");
                counted.right += 1;
            }
            Err(SandboxError::WorkerLost | SandboxError::Watchdog { .. }) => counted.errors += 1,
            Err(error) => panic!("an error that is no fault of a worker: {error}"),
        }
    }
    counted
}

/// Eight sessions that take three steps each, in waves. A lost session answers
/// its remaining steps with errors.
fn sessions(sandbox: &Sandbox, first: u64) -> Vec<Result<StepReport, SandboxError>> {
    let specs = (first..first + 8).map(|at| {
        let job = programs::job(SEED, at);
        SessionSpec { seed: job.seed, limits: job.limits }
    });
    let mut sessions: Vec<_> = specs.map(|spec| sandbox.start(spec)).collect();
    let mut reports = Vec::new();
    for wave in 0..3 {
        for (at, session) in (first..).zip(&mut sessions) {
            let code = format!("x = globals().get('x', {at}) + {wave}\nprint(x, list(range(x)))");
            reports.push(match session {
                Ok(session) => session.step(&Step::Run { code }),
                Err(_) => Err(SandboxError::WorkerLost),
            });
        }
    }
    reports
}
