use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// The repository, whatever folder the command was called from.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// A command of the repository, run in its root without standard input.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(repository()).stdin(Stdio::null());
    command
}

/// The cargo that started this program, without what `cargo run` told this program
/// of its own package: build scripts such as ring's take these variables for a
/// change, and they and all that stands on them would be built again.
#[expect(clippy::disallowed_methods, reason = "cargo passes them by the environment")]
pub(crate) fn cargo() -> Command {
    let mut cargo = command(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
        if of_package.iter().any(|start| name.to_string_lossy().starts_with(start)) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// A command that did not do what it was asked, as a person would type it.
#[derive(Debug)]
pub(crate) struct CommandError {
    typed: String,
    what: String,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.typed, self.what)
    }
}

impl CommandError {
    fn new(command: &Command, what: String) -> Self {
        Self { typed: typed(command), what }
    }
}

/// Runs a command whose output goes straight to the terminal.
pub(crate) fn run(command: &mut Command) -> Result<(), CommandError> {
    run_to(command, 0)
}

/// Runs a command that may end with this code instead of 0.
pub(crate) fn run_to(command: &mut Command, code: i32) -> Result<(), CommandError> {
    say!("$ {}", typed(command));
    let status = command.status();
    let status = status.map_err(|error| CommandError::new(command, not_started(&error)))?;
    if status.code() == Some(code) { Ok(()) } else { check(command, status) }
}

/// Runs a command and gives the last line that it wrote to its stdout.
pub(crate) fn last_line(command: &mut Command) -> Result<String, CommandError> {
    Ok(last_lines(command, 1)?.remove(0))
}

/// Runs a command and gives so many of the last lines that it wrote to its stdout.
pub(crate) fn last_lines(command: &mut Command, count: usize) -> Result<Vec<String>, CommandError> {
    say!("$ {}", typed(command));
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| CommandError::new(command, not_started(&error)))?;
    check(command, output.status)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.len().checked_sub(count) {
        Some(from) => Ok(lines[from..].iter().map(|line| (*line).to_owned()).collect()),
        None => {
            Err(CommandError::new(command, format!("printed {} lines, not {count}", lines.len())))
        }
    }
}

/// Whether a command can be run and succeeds, silently.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether a file of the repository exists, and where.
pub(crate) fn in_repository(path: &str) -> Option<PathBuf> {
    let path = repository().join(path);
    path.exists().then_some(path)
}

fn check(command: &Command, status: ExitStatus) -> Result<(), CommandError> {
    if status.success() {
        return Ok(());
    }
    Err(CommandError::new(command, format!("failed ({status})")))
}

fn not_started(error: &std::io::Error) -> String {
    format!("could not be started: {error}")
}

fn typed(command: &Command) -> String {
    // Names alone: a value may be the URL of a database, with its password.
    let own = |(key, _): (&OsStr, Option<&OsStr>)| format!("{}=…", key.to_string_lossy());
    let program = Path::new(command.get_program());
    let program = program.strip_prefix(repository()).unwrap_or(program);
    let name = if program.starts_with("/") {
        program.file_name().unwrap_or(program.as_os_str())
    } else {
        program.as_os_str()
    };
    let words = command.get_args().map(quoted);
    command.get_envs().map(own).chain([quoted(name)]).chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.contains([' ', '\'', '"', '$', '\\']) { format!("{word:?}") } else { word.into_owned() }
}
