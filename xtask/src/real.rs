//! What is published, in the hands of the tools that people train with.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::command::{self, CommandError, cargo, command};
use crate::services::{self, ServiceError};
use crate::step::Steps;

const REQUIREMENTS: &str = include_str!("real/requirements.txt");

/// Installed by itself, since people choose its index: builds without a GPU's
/// libraries are a tenth of the size.
const TORCH: &str = "torch==2.15.0";

/// Makes a small run, and has TRL train two steps on each view of its dataset.
pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::default();
    let python = steps.run("python", environment);
    let built = steps.run("build", || {
        command::run(cargo().args(["build", "--release", "--package", "gyre-cli"]))
    });
    let folder = std::env::temp_dir().join(format!("gyre-real-{}", std::process::id()));
    let gyre = built.and_then(|()| steps.run("binary", crate::million::gyre));
    if let (Some(python), Some(gyre)) = (python, gyre)
        && steps.run("run", || small_run(&gyre, &folder)).is_some()
    {
        steps.run("train", || {
            let mut train = command(&python);
            let train = train.args(["-c", include_str!("real/train.py")]);
            let train = train.arg(folder.join("datasets/small-1"));
            let train = train.env("HF_HOME", folder.join("cache")).env("HF_HUB_OFFLINE", "1");
            command::run(train)
        });
    }
    steps.run("clean up", || match fs::remove_dir_all(&folder) {
        Err(error) if folder.exists() => Err(error),
        _ => Ok(()),
    });
    steps.finish()
}

fn small_run(gyre: &Path, folder: &Path) -> Result<(), CommandError> {
    let small = ["run", "--config", "configs/small.toml", "--rounds", "1"];
    command::run(command(gyre).arg("--data-dir").arg(folder).args(small))
}

/// Why there is no Python to train with.
enum EnvironmentError {
    NoCache,
    Service(ServiceError),
    File(std::io::Error),
}

impl From<CommandError> for EnvironmentError {
    fn from(error: CommandError) -> Self {
        Self::Service(error.into())
    }
}

impl From<ServiceError> for EnvironmentError {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl From<std::io::Error> for EnvironmentError {
    fn from(error: std::io::Error) -> Self {
        Self::File(error)
    }
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCache => {
                write!(f, "neither XDG_CACHE_HOME nor HOME is set: there is no place to install to")
            }
            Self::Service(error) => error.fmt(f),
            Self::File(error) => write!(f, "the environment's folder: {error}"),
        }
    }
}

/// An environment of this command's own in the user's cache folder: made once,
/// and kept for as long as the pins stay.
#[expect(clippy::disallowed_methods, reason = "where to install, as the user's system says")]
fn environment() -> Result<PathBuf, EnvironmentError> {
    if let Some(own) = std::env::var_os("GYRE_REAL_PYTHON") {
        return Ok(own.into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = cache.or_else(home).ok_or(EnvironmentError::NoCache)?;
    let folder = cache.join("gyre/real-python");
    let (python, marker) = (folder.join("bin/python"), folder.join("installed.txt"));
    let wanted = format!("{REQUIREMENTS}{TORCH}\n");
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    services::venv()?;
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    command::run(command("python3").args(["-m", "venv"]).arg(&folder))?;
    let pip = || {
        let mut pip = command(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip
    };
    let mut torch = pip();
    if let Some(index) = std::env::var_os("GYRE_TORCH_INDEX") {
        torch.arg("--index-url").arg(index);
    }
    command::run(torch.arg(TORCH))?;
    let pins = folder.join("requirements.txt");
    fs::write(&pins, REQUIREMENTS)?;
    command::run(pip().arg("-r").arg(&pins))?;
    fs::write(&marker, wanted)?;
    Ok(python)
}
