//! The sandbox as a run meets it: machines that lack something, and what was
//! recorded under another version of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Ran, SMALL, as_gyre, finished_copy, on, repository, run, sql};

/// Takes Landlock away from a program: a filter answers in the kernel's place that
/// there is no such call (444 on every processor).
const WITHOUT_LANDLOCK: &str = r#"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
lines = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (6, 0, 0, 0x50000 | 38), (6, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(lines), ctypes.addressof(code)))
no = ctypes.c_ulong(0)
if libc.prctl(38, ctypes.c_ulong(1), no, no, no) or libc.prctl(22, ctypes.c_ulong(2), program):
    sys.exit("prctl: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
"#;

fn without_landlock(data: &Path, config: &Path) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", WITHOUT_LANDLOCK, env!("CARGO_BIN_EXE_gyre"), "--data-dir"]);
    command.arg(data).args(["run", "--config"]).arg(config);
    as_gyre(command)
}

/// The small configuration, with lines for its sandbox.
fn with_sandbox(folder: &Path, lines: &str) -> PathBuf {
    let path = folder.join("sandbox.toml");
    let text = fs::read_to_string(repository().join(SMALL)).unwrap();
    fs::write(&path, format!("{text}\n[sandbox]\n{lines}\n")).unwrap();
    path
}

/// What a run prints until it has begun to work, which must be reached.
fn first_lines(mut command: Command) -> Vec<String> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut first = Vec::new();
    for line in lines {
        let works = line.starts_with("cold start: tasks");
        first.push(line);
        if works {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(first.last().is_some_and(|line| line.starts_with("cold start: tasks")), "{first:#?}");
    first
}

#[test]
fn a_layer_that_is_missing_is_said_once_when_a_run_starts() {
    let folder = tempfile::tempdir().unwrap();
    let first = first_lines(without_landlock(&folder.path().join("data"), Path::new(SMALL)));
    let told = first.iter().filter(|line| line.starts_with("the sandbox runs without"));
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 1, "{first:#?}");
    for word in ["landlock", "sandbox.require"] {
        assert!(told[0].contains(word), "{told:?}");
    }
}

#[test]
fn a_run_that_demands_a_layer_does_not_start_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let demanding = with_sandbox(folder.path(), "require = [\"seccomp\", \"landlock\"]");
    run(&mut without_landlock(&data, &demanding))
        .fails(51, &["would run without landlock", "sandbox.require", "gyre doctor"]);
    assert_eq!(sql(&data, "SELECT COUNT(*) FROM runs").trim(), "0");
    // What is not missing is demanded in vain by nobody.
    let demanding = with_sandbox(folder.path(), "require = [\"seccomp\", \"limits\"]");
    first_lines(without_landlock(&data, &demanding));
    let unknown = with_sandbox(folder.path(), "require = [\"moat\"]");
    on(&data, ["run", "--config", unknown.to_str().unwrap()])
        .fails(12, &["sandbox.require", "moat", "landlock"]);
}

/// Below 4 GiB of address space no guest has room.
#[test]
fn a_machine_without_room_for_one_guest_is_named_by_a_code_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut command = Command::new("sh");
    command.args(["-euc", "ulimit -v 4194304; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_gyre")]);
    command.arg("--data-dir").arg(&data).args(["run", "--config", SMALL]);
    run(&mut as_gyre(command)).fails(51, &["sandbox worker", "failed to reserve"]);
    assert_eq!(sql(&data, "SELECT COUNT(*) FROM runs").trim(), "0");
}

/// The digest of the sandbox before wasmtime 50 and the guest of that time.
const OLD_SANDBOX: &str = "fb16742512f8f4247addb8baa7dcce27ab5f2a21cdf2640da13629bfbdfa427a";

/// A finished run whose records name the old sandbox.
fn recorded_by_the_old_version() -> tempfile::TempDir {
    let folder = finished_copy();
    sql(
        folder.path(),
        &format!(
            "UPDATE runs SET sandbox_digest = '{OLD_SANDBOX}', \
             fingerprint = '{OLD_SANDBOX}'; UPDATE verdicts SET sandbox_digest = '{OLD_SANDBOX}'"
        ),
    );
    folder
}

fn replay(data: &Path) -> Ran {
    on(data, ["replay", "--sample", "5"])
}

/// What another version recorded is replayed, and where it differs, the version is
/// named; a run that was begun under it is not gone on with.
#[test]
fn what_the_old_version_recorded_is_replayed_or_refused_by_name() {
    let folder = recorded_by_the_old_version();
    let data = folder.path();
    let said = replay(data).ok().stdout;
    assert!(said.contains("5 of 5 rollouts identical"), "{said}");

    // As fuel differs between the two versions, here the verdict does.
    sql(data, "UPDATE verdicts SET verdict = 'fail', score = 0.25");
    let ran = replay(data).fails(71, &["5 of 5 rollouts differ"]);
    let named = format!("sandbox: {} then, another version of it", &OLD_SANDBOX[..12]);
    assert_eq!(ran.stdout.matches(&named).count(), 5, "{ran:#?}");

    sql(data, "UPDATE runs SET status = 'active'");
    on(data, ["run", "--resume"]).fails(
        15,
        &["small-1", "another version of the sandbox", &OLD_SANDBOX[..12], "start a new one"],
    );
}
