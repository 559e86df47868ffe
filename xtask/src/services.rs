use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{CommandError, command, in_repository, last_line, repository, run, succeeds};

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
    /// Starts it; the script installs what is missing, or says what is.
    pub(crate) fn start() -> Result<Self, ServiceError> {
        let url = last_line(Self::script()?.arg("up"))?;
        Ok(Self { url })
    }

    /// Stops it and removes its data.
    pub(crate) fn stop(self) -> Result<(), ServiceError> {
        Ok(run(Self::script()?.arg("down"))?)
    }

    fn script() -> Result<Command, ServiceError> {
        let mut script = script(".ci/postgres")?;
        script.env("GYRE_POSTGRES_DIR", Self::folder());
        Ok(script)
    }

    /// One for each checkout, so that tests in one do not stop the other's; and
    /// where PostgreSQL's own user may read, which a home folder seldom is.
    fn folder() -> PathBuf {
        let mut hasher = DefaultHasher::new();
        repository().hash(&mut hasher);
        std::env::temp_dir().join(format!("gyre-postgres-{:016x}", hasher.finish()))
    }
}

/// Sees to PgBouncer, behind which tests reach their PostgreSQL, and gives its program.
pub(crate) fn pgbouncer() -> Result<String, ServiceError> {
    Ok(last_line(&mut script(".ci/pgbouncer")?)?)
}

/// Prepares a Python environment with the tools that datasets are made for, and
/// gives its interpreter.
pub(crate) fn python() -> Result<String, ServiceError> {
    venv()?;
    Ok(last_line(&mut script(".ci/python-env")?)?)
}

/// Sees to a Python that can make environments.
pub(crate) fn venv() -> Result<(), ServiceError> {
    if succeeds(command("python3").args(["-c", "import ensurepip, venv"])) {
        return Ok(());
    }
    install("Python with venv", "python3-venv")
}

/// Sees to the program with which tests plant corruptions in a data folder.
pub(crate) fn sqlite() -> Result<(), ServiceError> {
    if succeeds(command("sqlite3").arg("-version")) {
        return Ok(());
    }
    install("sqlite3", "sqlite3")
}

/// Sees to the program with which tests sign certificates.
pub(crate) fn openssl() -> Result<(), ServiceError> {
    if succeeds(command("openssl").arg("version")) {
        return Ok(());
    }
    install("openssl", "openssl")
}

/// Sees to the program that checks the unit in docs/deploy/.
pub(crate) fn systemd() -> Result<(), ServiceError> {
    if succeeds(command("systemd-analyze").arg("--version")) {
        return Ok(());
    }
    install("systemd-analyze", "systemd")
}

/// Sees to the program with which tests make hosts of their own: network
/// namespaces, which only root may make.
pub(crate) fn iproute() -> Result<(), ServiceError> {
    if succeeds(command("ip").arg("-Version")) {
        return Ok(());
    }
    install("ip", "iproute2")
}

/// Sees to the browser in which tests open every page, and gives its program.
pub(crate) fn chromium() -> Result<String, ServiceError> {
    const PROGRAM: &str = "chromium";
    if !succeeds(command(PROGRAM).arg("--version")) {
        install("a Chromium", PROGRAM)?;
    }
    Ok(PROGRAM.to_owned())
}

/// Sees to the compiler's target for verifiers: a test follows the guide to
/// them literally.
pub(crate) fn wasm_target() -> Result<(), ServiceError> {
    if !succeeds(command("rustup").arg("--version")) {
        return Err(ServiceError::Missing { program: "rustup", package: "rustup" });
    }
    Ok(run(command("rustup").args(["target", "add", "wasm32-wasip2"]))?)
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

fn script(path: &'static str) -> Result<Command, ServiceError> {
    in_repository(path).map(command).ok_or(ServiceError::NoScript(path))
}
