//! The compiled guest on disk.

use std::cell::RefCell;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use gyre_sandbox::{OpenProgress, Sandbox, SandboxConfig, SandboxError};

use crate::support::{self, job, sandbox, warm_cache};

fn config(cache_dir: &Path) -> SandboxConfig {
    SandboxConfig { workers: NonZeroUsize::MIN, live_max: 4, ..support::config(cache_dir) }
}

/// A folder that holds a copy of the compiled guest.
fn warm_folder() -> tempfile::TempDir {
    drop(sandbox());
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("guests");
    fs::create_dir(&own).unwrap();
    for entry in fs::read_dir(warm_cache().join("guests")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, own.join(path.file_name().unwrap())).unwrap();
    }
    folder
}

fn open(folder: &Path) -> (Result<Sandbox, SandboxError>, Vec<OpenProgress>) {
    let told = RefCell::new(Vec::new());
    let opened = Sandbox::open(&config(folder), &|progress| told.borrow_mut().push(progress));
    (opened, told.into_inner())
}

#[test]
fn an_intact_compiled_guest_is_loaded() {
    let folder = warm_folder();
    let (opened, told) = open(folder.path());
    let report = opened.unwrap().execute_one(job("print(1)")).unwrap();
    assert_eq!(report.steps[0].stdout, "1\n");
    assert_eq!(told, [OpenProgress::Loading, OpenProgress::Ready { from_cache: true }]);
}

#[cfg(unix)]
#[test]
fn nobody_else_may_enter_the_folder_of_compiled_guests() {
    use std::os::unix::fs::PermissionsExt;
    let folder = warm_folder();
    let own = folder.path().join("guests");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
    open(folder.path()).0.unwrap();
    assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_damaged_compiled_guest_is_never_loaded_but_made_again() {
    let folder = warm_folder();
    for entry in fs::read_dir(folder.path().join("guests")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ext| ext == "cwasm") {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    let (opened, told) = open(folder.path());
    let report = opened.unwrap().execute_one(job("print(1)")).unwrap();
    assert_eq!(report.steps[0].stdout, "1\n");
    assert!(told.iter().any(|told| matches!(told, OpenProgress::Discarded { .. })), "{told:?}");
    assert_eq!(told.last(), Some(&OpenProgress::Ready { from_cache: false }));
    let (_, told) = open(folder.path());
    assert_eq!(told.last(), Some(&OpenProgress::Ready { from_cache: true }));
}

/// Where an attacker made the folder beforehand, or can rename it, whatever lies
/// in it is not loaded, however well its digest vouches for it.
#[cfg(unix)]
#[test]
fn machine_code_in_a_folder_that_others_can_change_is_never_loaded() {
    use std::os::unix::fs::PermissionsExt;
    let folder = warm_folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let files = || {
        let all = fs::read_dir(folder.path().join("guests")).unwrap();
        all.map(|entry| entry.unwrap().file_name()).collect::<std::collections::BTreeSet<_>>()
    };
    let before = files();
    let (opened, told) = open(folder.path());
    let sandbox = opened.unwrap();
    assert_eq!(sandbox.execute_one(job("print(1)")).unwrap().steps[0].stdout, "1\n");
    let OpenProgress::NotKept { path, reason } = &told[1] else { panic!("{told:?}") };
    assert_eq!(path, &folder.path().canonicalize().unwrap());
    assert!(reason.contains("mode 777"), "{reason}");
    assert_eq!(told.last(), Some(&OpenProgress::Ready { from_cache: false }));
    assert_eq!(files(), before);
    // A worker that is replaced gets the same code, which nobody can change.
    #[cfg(target_os = "linux")]
    for worker in sandbox.worker_processes() {
        let pid = rustix::process::Pid::from_raw(worker as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    assert_eq!(sandbox.execute_one(job("print(2)")).unwrap().steps[0].stdout, "2\n");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let (opened, _) = open(&file.join("cache"));
    let Err(SandboxError::CacheUnusable { path, .. }) = opened else { panic!("it opened") };
    assert_eq!(path, file.join("cache/guests"));
}

#[test]
fn more_sessions_than_there_is_room_for_are_refused() {
    let folder = warm_folder();
    let sandbox = open(folder.path()).0.unwrap();
    let spec = gyre_sandbox::SessionSpec {
        seed: gyre_types::Seed(1),
        limits: gyre_types::Limits::default(),
    };
    let sessions: Vec<_> = (0..5).map(|_| sandbox.start(spec.clone())).collect();
    let refused =
        sessions.iter().filter(|s| matches!(s, Err(SandboxError::TooManySessions { live_max: 4 })));
    assert_eq!(refused.count(), 1);
    drop(sessions);
    assert!(sandbox.start(spec).is_ok());
}

#[test]
fn limits_that_leave_no_room_for_the_interpreter_are_refused() {
    let limits = gyre_types::Limits { memory_bytes_max: 1 << 20, ..gyre_types::Limits::default() };
    let refused = sandbox().execute_one(gyre_types::SandboxJob { limits, ..job("pass") });
    assert!(matches!(refused, Err(SandboxError::MemoryLimitTooSmall { .. })), "{refused:?}");
}
