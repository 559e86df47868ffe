//! Drives the binary, and shares one finished run between the tests.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Lines, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tempfile::TempDir;

/// The small configuration, relative to the repository, where every command runs.
pub(crate) const SMALL: &str = "configs/small.toml";
/// What it calls its first run.
pub(crate) const RUN: &str = "small-1";

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The program, in the repository's folder, told nothing by the environment.
pub(crate) fn gyre() -> Command {
    as_gyre(Command::new(env!("CARGO_BIN_EXE_gyre")))
}

pub(crate) fn as_gyre(mut command: Command) -> Command {
    command.current_dir(repository());
    for name in
        ["GYRE_DATA_DIR", "GYRE_DATABASE", "GYRE_LOG", "GYRE_LOG_FORMAT", "GYRE_SERVER_TOKEN"]
    {
        command.env_remove(name);
    }
    command
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// One clear message on stderr, with these words in it, and this exit code.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        let errors = self.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "one message is expected: {self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {self:#?}");
        }
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        json_lines(&self.stdout)
    }
}

#[track_caller]
pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    text.lines().map(parse).collect()
}

pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| {
        panic!("{} cannot be started: {error}", command.get_program().display())
    });
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs `gyre` with these arguments on a data folder.
pub(crate) fn on<A: AsRef<OsStr>>(data: &Path, args: impl IntoIterator<Item = A>) -> Ran {
    run(gyre().arg("--data-dir").arg(data).args(args))
}

/// The text of a JSON value that must be text.
#[track_caller]
pub(crate) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key:?} in {value:#}"))
}

/// The state digest of the only run, which must be clean.
#[track_caller]
pub(crate) fn clean_state(data: &Path) -> String {
    clean_state_with(data, &[])
}

#[track_caller]
pub(crate) fn clean_state_with(data: &Path, global: &[&str]) -> String {
    let ran = run(gyre().arg("--data-dir").arg(data).args(global).args(["audit", "--json"]));
    let audits = ran.ok().json();
    assert_eq!(audits.as_array().map(Vec::len), Some(1), "{audits:#}");
    assert_eq!(audits[0]["findings"], Value::Array(vec![]), "{audits:#}");
    text(&audits[0], "state").to_owned()
}

/// The codes that an audit names.
#[track_caller]
pub(crate) fn audit_codes(data: &Path) -> BTreeSet<String> {
    let ran = on(data, ["audit", "--json"]).fails(70, &["finding"]);
    let audits = ran.json();
    let findings = audits.as_array().unwrap().iter().flat_map(|a| a["findings"].as_array());
    findings.flatten().map(|finding| text(finding, "code").to_owned()).collect()
}

/// A finished small run: its data folder (not to be written) and what it printed.
pub(crate) struct Finished {
    pub(crate) data: PathBuf,
    /// The same, which nobody opens: files of the database come and go beside it
    /// while it is read.
    pub(crate) untouched: PathBuf,
    pub(crate) events: Vec<Value>,
}

/// The finished small run that tests share. Test processes share it too (some
/// test runners start one for each test): the first makes it, under a lock.
pub(crate) fn finished() -> Finished {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gyre-finished");
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let own = folder.join(parts());
    let (data, untouched) = (own.join("data"), own.join("untouched"));
    let printed = own.join("printed.jsonl");
    if !printed.is_file() {
        for old in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if old.is_dir() {
                fs::remove_dir_all(old).unwrap();
            }
        }
        let ran = on(&data, ["run", "--json", "--config", SMALL]).ok();
        copy(&data, &untouched);
        fs::write(&printed, ran.stdout).unwrap();
    }
    let events = json_lines(&fs::read_to_string(printed).unwrap());
    Finished { data, untouched, events }
}

/// Names everything that the shared run depends on.
fn parts() -> String {
    let mut hasher = DefaultHasher::new();
    let binary = fs::metadata(env!("CARGO_BIN_EXE_gyre")).unwrap();
    (binary.len(), binary.modified().unwrap()).hash(&mut hasher);
    let repository = repository();
    let family = repository.join("tasks/compose");
    let mut files: Vec<_> = fs::read_dir(family).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.push(repository.join(SMALL));
    files.sort();
    for file in files {
        fs::read(file).unwrap().hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// A copy of the finished run, to be changed.
pub(crate) fn finished_copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&finished().untouched, folder.path());
    folder
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&path).unwrap(), &target).unwrap();
        } else if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Runs SQL on the data folder's database, with foreign keys off.
pub(crate) fn sql(data: &Path, statements: &str) -> String {
    let mut sqlite = Command::new("sqlite3");
    sqlite.arg("-bail").arg("-cmd").arg(".timeout 10000");
    sqlite.arg(data.join("lineage.db")).arg(statements);
    let output = sqlite.output().expect("sqlite3 is needed: apt-get install sqlite3");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "sqlite3 failed on {statements}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// A running `gyre`, killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line that it prints, as JSON; none once it has ended.
    pub(crate) fn next(&mut self) -> Option<Value> {
        let line = self.lines.next()?.unwrap();
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// The next event that it recorded; none once it has ended.
    pub(crate) fn next_event(&mut self) -> Option<Value> {
        loop {
            let value = self.next()?;
            if value.get("seq").is_some() {
                return Some(value);
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`. Gives the events that it recorded and nobody had read.
    pub(crate) fn kill(mut self) -> Vec<Value> {
        self.child.kill().unwrap();
        let mut rest = Vec::new();
        for line in self.lines.by_ref() {
            // The last line may be cut off: a kill spares nothing.
            rest.extend(line.ok().and_then(|line| serde_json::from_str::<Value>(&line).ok()));
        }
        self.child.wait().unwrap();
        rest.retain(|value| value.get("seq").is_some());
        rest
    }

    /// Whether it is there no more.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Asks it to end, and waits until it did.
    pub(crate) fn terminate(self) -> Ran {
        run(Command::new("kill").arg("-TERM").arg(self.id().to_string())).ok();
        self.wait()
    }

    /// Waits until it ends. Its stderr is short: the pipe holds it.
    pub(crate) fn wait(mut self) -> Ran {
        let mut stdout = String::new();
        for line in self.lines.by_ref() {
            stdout.push_str(&line.unwrap());
            stdout.push('\n');
        }
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Ran { code: self.child.wait().unwrap().code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Long gone after `kill` and `wait`, alive where a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A PostgreSQL database of the test's own, gone after it.
pub(crate) struct Database {
    server: String,
    name: String,
    pub(crate) url: String,
}

impl Database {
    #[expect(clippy::disallowed_methods, reason = "the caller chooses the server")]
    pub(crate) fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("GYRE_TEST_POSTGRES_URL").expect(
            "GYRE_TEST_POSTGRES_URL is not set; start a server with: \
             export GYRE_TEST_POSTGRES_URL=$(.ci/postgres up)",
        );
        let ordinal = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gyre_cli_test_{}_{ordinal}", std::process::id());
        let (base, _) = server.rsplit_once('/').unwrap();
        let url = format!("{base}/{name}");
        let database = Self { server, name, url };
        database.server_does(&format!("CREATE DATABASE {}", database.name));
        database
    }

    /// Runs SQL on the database; rows as sqlite3 prints them.
    pub(crate) fn sql(&self, statements: &str) -> String {
        let args = ["--quiet", "--tuples-only", "--no-align", "--dbname", &self.url, "--command"];
        run(Command::new("psql").args(args).arg(statements)).ok().stdout
    }

    fn server_does(&self, sql: &str) {
        run(Command::new("psql").args(["--quiet", "--dbname", &self.server, "--command", sql]))
            .ok();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.server_does(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}
