use std::fmt;
use std::path::Path;

use crate::command::{CommandError, command, in_repository, last_line, run, succeeds};

/// A service that the tests need and do not have.
#[derive(Debug)]
pub(crate) enum ServiceError {
    /// A program is missing and cannot be installed from here.
    Missing { program: &'static str, package: &'static str },
    /// A script of the repository is missing.
    NoScript(&'static str),
    /// Installing or starting it failed.
    Command(CommandError),
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { program, package } => write!(
                f,
                "{program} is missing and can only be installed as root on Debian; \
                 install it (`apt-get install {package}`) and try again"
            ),
            Self::NoScript(path) => write!(f, "{path} is missing: is this a whole checkout?"),
            Self::Command(error) => error.fmt(f),
        }
    }
}

impl From<CommandError> for ServiceError {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

/// A PostgreSQL of the tests' own.
pub(crate) struct Postgres {
    /// Where it listens.
    pub(crate) url: String,
}

impl Postgres {
    /// Stops it.
    pub(crate) fn stop(self) -> Result<(), CommandError> {
        match in_repository(".ci/postgres") {
            Some(script) => run(command(script).arg("down")),
            None => Ok(()),
        }
    }
}

/// Starts a PostgreSQL, installing it first where it is missing.
pub(crate) fn postgres() -> Result<Postgres, ServiceError> {
    if !has_postgres() {
        install("PostgreSQL", "postgresql")?;
    }
    let url = last_line(script(".ci/postgres")?.arg("up"))?;
    Ok(Postgres { url })
}

/// Prepares a Python environment with the tools that datasets are made for, and
/// gives its interpreter.
pub(crate) fn python() -> Result<String, ServiceError> {
    if !succeeds(command("python3").args(["-c", "import ensurepip, venv"])) {
        install("Python with venv", "python3-venv")?;
    }
    Ok(last_line(&mut script(".ci/python-env")?)?)
}

fn has_postgres() -> bool {
    // Debian keeps the server's programs out of the search path.
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    debian.into_iter().any(|version| version.path().join("bin/initdb").exists())
        || succeeds(command("initdb").arg("--version"))
}

fn install(program: &'static str, package: &'static str) -> Result<(), ServiceError> {
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        return Err(ServiceError::Missing { program, package });
    }
    run(command("apt-get").args(["update", "--quiet"]))?;
    let options = ["install", "--yes", "--quiet", "--no-install-recommends", package];
    run(command("apt-get").args(options).env("DEBIAN_FRONTEND", "noninteractive"))?;
    Ok(())
}

fn is_root() -> bool {
    succeeds(command("sh").args(["-c", "test \"$(id -u)\" = 0"]))
}

fn script(path: &'static str) -> Result<std::process::Command, ServiceError> {
    in_repository(path).map(command).ok_or(ServiceError::NoScript(path))
}
