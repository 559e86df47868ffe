//! Workers as processes: what they hold, and what becomes of their work when
//! they die.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gyre_sandbox::{Sandbox, SandboxConfig, SandboxError, SessionSpec, WorkerKind, WorkerProgram};
use gyre_types::{Limits, SandboxJob, SandboxReport, Seed};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{config, job, run, sandbox, warm_cache};

/// A sandbox of its own with one worker, which a test may break.
fn fragile() -> Sandbox {
    drop(sandbox());
    let config = SandboxConfig {
        workers: NonZeroUsize::MIN,
        live_max: 8,
        patience: Duration::from_secs(1),
        ..config(&warm_cache())
    };
    Sandbox::open(&config, &|_| {}).unwrap()
}

fn only_worker(sandbox: &Sandbox) -> u32 {
    let workers = sandbox.worker_processes();
    assert_eq!(workers.len(), 1);
    workers[0]
}

fn signal(process: u32, signal: Signal) {
    kill_process(Pid::from_raw(process as i32).unwrap(), signal).unwrap();
}

/// Stops a process, and waits until all its threads stand.
fn stop(process: u32) {
    signal(process, Signal::STOP);
    let threads = || fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let state = |thread: fs::DirEntry| {
        status(&format!("{process}/task/{}", thread.file_name().display()), "State")
    };
    while threads().any(|thread| !state(thread.unwrap()).starts_with('T')) {
        std::thread::yield_now();
    }
}

/// So little fuel that it adds nothing to a worker's patience.
fn quick(code: &str) -> SandboxJob {
    SandboxJob { limits: Limits { fuel_max: 500_000_000, ..Limits::default() }, ..job(code) }
}

fn spec() -> SessionSpec {
    SessionSpec { seed: Seed(1), limits: quick("").limits }
}

fn report(sandbox: &Sandbox, job: SandboxJob) -> SandboxReport {
    sandbox.execute_one(job).unwrap()
}

/// What the kernel says of a process.
fn status(process: &str, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).trim().to_owned()
}

#[test]
fn the_kernel_confirms_what_a_worker_gave_up() {
    let sandbox = fragile();
    let worker = only_worker(&sandbox).to_string();
    assert_eq!(status(&worker, "NoNewPrivs"), "1");
    assert_eq!(status(&worker, "Seccomp"), "2");
    for rights in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(&worker, rights), "0000000000000000", "{rights}");
    }
    // The same question has another answer for a process that is not confined.
    assert_eq!(status("self", "NoNewPrivs"), "0");
    assert!(!fs::read("/proc/self/environ").unwrap().is_empty());
    assert_eq!(fs::read(format!("/proc/{worker}/environ")).unwrap(), b"");
    let limits = fs::read_to_string(format!("/proc/{worker}/limits")).unwrap();
    for limit in ["Max open files", "Max processes", "Max core file size", "Max file size"] {
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        assert_eq!(line.split_whitespace().filter(|word| *word == "0").count(), 2, "{line}");
    }
}

#[test]
fn a_worker_has_no_descriptor_but_its_channel_and_the_guest() {
    let sandbox = fragile();
    report(&sandbox, job("print(1)"));
    let worker = only_worker(&sandbox);
    for entry in fs::read_dir(format!("/proc/{worker}/fd")).unwrap() {
        let target = fs::read_link(entry.unwrap().path()).unwrap();
        let target = target.to_string_lossy();
        let expected =
            target == "/dev/null" || target.starts_with("socket:") || target.ends_with(".cwasm");
        assert!(expected, "{target}");
    }
}

#[test]
fn a_worker_says_which_layers_hold_it() {
    let sandbox = fragile();
    for layer in sandbox.layers() {
        // Some kernels are built without Landlock.
        assert!(layer.in_force || layer.name == "landlock", "{layer:?}");
    }
    let names: Vec<_> = sandbox.layers().iter().map(|layer| layer.name.as_str()).collect();
    // The first guest is asked about where it runs: after everything else.
    assert_eq!(names[names.len() - 2..], ["tried", "first guest"]);
    let threads = SandboxConfig { worker_kind: WorkerKind::Thread, ..config(&warm_cache()) };
    let threads = Sandbox::open(&threads, &|_| {}).unwrap();
    assert!(threads.worker_processes().is_empty());
    assert!(threads.layers().iter().all(|layer| !layer.in_force));
}

#[test]
fn threads_and_processes_give_the_same_reports() {
    let threads = SandboxConfig { worker_kind: WorkerKind::Thread, ..config(&warm_cache()) };
    let threads = Sandbox::open(&threads, &|_| {}).unwrap();
    let programs = ["print(1)", "1 / 0", "while True: pass", "import os\nos._exit(1)"];
    for program in programs {
        assert_eq!(report(&threads, quick(program)), report(&sandbox(), quick(program)));
    }
}

#[test]
fn a_job_outlives_its_worker() {
    let sandbox = fragile();
    let expected = report(&sandbox, quick("print(sum(range(1000)))"));
    let first = only_worker(&sandbox);
    signal(first, Signal::KILL);
    assert_eq!(report(&sandbox, quick("print(sum(range(1000)))")), expected);
    assert_ne!(only_worker(&sandbox), first);
}

#[test]
fn a_worker_that_is_stuck_is_replaced() {
    let sandbox = fragile();
    let expected = report(&sandbox, quick("print(sum(range(1000)))"));
    let first = only_worker(&sandbox);
    stop(first);
    assert_eq!(report(&sandbox, quick("print(sum(range(1000)))")), expected);
    assert_ne!(only_worker(&sandbox), first);
    // It was killed, and waited for.
    assert!(!PathBuf::from(format!("/proc/{first}")).exists());
}

#[test]
fn a_session_is_lost_with_its_worker_and_says_so() {
    let sandbox = fragile();
    let mut sessions: Vec<_> = (0..3).map(|_| sandbox.start(spec()).unwrap()).collect();
    sessions[0].step(&run("x = 1")).unwrap();
    signal(only_worker(&sandbox), Signal::KILL);
    assert!(matches!(sessions[0].step(&run("print(x)")), Err(SandboxError::WorkerLost)));
    // Another worker is there by now, which never saw this session.
    report(&sandbox, quick("pass"));
    assert!(matches!(sessions[1].step(&run("print(1)")), Err(SandboxError::WorkerLost)));
    let lost = sessions.pop().unwrap();
    assert!(matches!(lost.end(), Err(SandboxError::WorkerLost)));
    let mut fresh = sandbox.start(spec()).unwrap();
    assert_eq!(fresh.step(&run("print(1)")).unwrap().stdout, "1\n");
    drop(sessions);
    // The lost ones take no room.
    let more: Vec<_> = (0..7).map(|_| sandbox.start(spec())).collect();
    assert!(more.iter().all(Result::is_ok));
}

#[test]
fn a_session_whose_worker_is_stuck_is_told_after_a_while() {
    let sandbox = fragile();
    let mut session = sandbox.start(spec()).unwrap();
    stop(only_worker(&sandbox));
    let stuck = session.step(&run("print(1)"));
    assert!(matches!(stuck, Err(SandboxError::Watchdog { .. })), "{stuck:?}");
    assert!(matches!(session.step(&run("print(1)")), Err(SandboxError::WorkerLost)));
}

#[test]
fn a_program_that_is_no_worker_is_named() {
    for (program, said) in [("/bin/true", "does not speak"), ("/nothing/here", "No such file")] {
        let program = WorkerProgram { path: PathBuf::from(program), arguments: vec![] };
        let worker_kind = WorkerKind::Process(program.clone());
        let config = SandboxConfig { worker_kind, ..config(&warm_cache()) };
        let Err(error) = Sandbox::open(&config, &|_| {}) else { panic!("{program:?} opened") };
        let SandboxError::WorkerNotStarted { path, message } = error else { panic!("{error}") };
        assert_eq!(path, program.path);
        assert!(message.contains(said), "{message}");
    }
}

/// Workers that cannot be started while the file is there.
fn hindered(workers: usize, hindrance: &Path) -> Sandbox {
    drop(sandbox());
    let script = format!(
        "test -e {} && exit 1; exec {} {}",
        hindrance.display(),
        env!("CARGO_BIN_EXE_gyre-sandbox-worker"),
        gyre_sandbox::WORKER_ARGUMENT
    );
    let program = WorkerProgram {
        path: PathBuf::from("/bin/sh"),
        arguments: vec!["-c".into(), script.into()],
    };
    let config = SandboxConfig {
        workers: NonZeroUsize::new(workers).unwrap(),
        worker_kind: WorkerKind::Process(program),
        live_max: 8,
        ..config(&warm_cache())
    };
    Sandbox::open(&config, &|_| {}).unwrap()
}

#[test]
fn a_worker_that_cannot_be_started_for_a_while_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let hindrance = folder.path().join("hindrance");
    let sandbox = hindered(1, &hindrance);
    fs::write(&hindrance, "").unwrap();
    signal(only_worker(&sandbox), Signal::KILL);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(500));
            fs::remove_file(&hindrance).unwrap();
        });
        for report in sandbox.execute(vec![quick("print(1)"); 20]) {
            assert_eq!(report.unwrap().steps[0].stdout, "1\n");
        }
    });
}

#[test]
fn what_a_worker_that_cannot_be_started_had_taken_is_done_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let hindrance = folder.path().join("hindrance");
    let sandbox = hindered(2, &hindrance);
    fs::write(&hindrance, "").unwrap();
    signal(sandbox.worker_processes()[0], Signal::KILL);
    for _ in 0..3 {
        for report in sandbox.execute(vec![quick("print(1)"); 200]) {
            assert_eq!(report.unwrap().steps[0].stdout, "1\n");
        }
    }
    // With the last one goes all hope, and what is asked fails by name.
    signal(only_worker(&sandbox), Signal::KILL);
    let failed = sandbox.execute(vec![quick("print(1)"); 3]);
    for report in failed {
        let error = report.unwrap_err();
        assert!(matches!(error, SandboxError::WorkerNotStarted { .. }), "{error}");
    }
}

/// A worker whose address space is bounded from outside, in KiB.
fn cramped(kib: u64) -> Result<Sandbox, SandboxError> {
    drop(sandbox());
    let script = format!(
        "ulimit -v {kib}; exec {} {}",
        env!("CARGO_BIN_EXE_gyre-sandbox-worker"),
        gyre_sandbox::WORKER_ARGUMENT
    );
    let program = WorkerProgram {
        path: PathBuf::from("/bin/sh"),
        arguments: vec!["-c".into(), script.into()],
    };
    let config = SandboxConfig {
        workers: NonZeroUsize::MIN,
        worker_kind: WorkerKind::Process(program),
        live_max: 64,
        ..config(&warm_cache())
    };
    Sandbox::open(&config, &|_| {})
}

#[test]
fn guests_run_where_there_is_no_room_for_a_pool_of_them() {
    let sandbox = cramped(12 << 20).unwrap();
    for report in sandbox.execute(vec![quick("print(1)"); 20]) {
        assert_eq!(report.unwrap().steps[0].stdout, "1\n");
    }
}

#[test]
fn a_machine_without_room_for_one_guest_is_named_when_the_sandbox_opens() {
    let Err(error) = cramped(4 << 20) else { panic!("it opened") };
    assert!(matches!(error, SandboxError::WorkerNotStarted { .. }), "{error}");
}

#[test]
fn layers_that_are_demanded_are_there_or_the_sandbox_is_not_opened() {
    let demanding = |names: &[&str], worker_kind: Option<WorkerKind>| {
        let base = config(&warm_cache());
        let require = names.iter().map(|name| (*name).to_owned()).collect();
        let worker_kind = worker_kind.unwrap_or(base.worker_kind);
        let workers = NonZeroUsize::MIN;
        let config = SandboxConfig { require, worker_kind, workers, live_max: 8, ..base };
        Sandbox::open(&config, &|_| {})
    };
    drop(demanding(&["seccomp", "limits"], None).unwrap());
    let missing = demanding(&["seccomp"], Some(WorkerKind::Thread)).err();
    assert!(
        matches!(&missing, Some(SandboxError::LayerMissing { name, .. }) if name == "seccomp"),
        "{missing:?}"
    );
}
