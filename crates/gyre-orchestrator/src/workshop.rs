//! The parts that a run works with: the sandbox and the task families.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use gyre_sandbox::{OpenProgress, Sandbox, SandboxConfig, WorkerKind, WorkerProgram};
use gyre_tasks::Family;
use gyre_types::Digest;

use crate::config::{RunConfig, SandboxSettings};
use crate::error::Error;
use crate::progress::{Observer, Progress};

/// The sandbox and the families of a run, ready to work.
#[derive(Clone)]
pub struct Workshop {
    /// The sandbox.
    pub sandbox: Sandbox,
    /// The families, by name.
    pub families: BTreeMap<String, Family>,
}

impl Workshop {
    /// Opens the sandbox and loads every family that the configuration names.
    ///
    /// # Errors
    ///
    /// When a family cannot be loaded or the sandbox cannot be opened.
    pub fn open(config: &RunConfig, observer: &mut dyn Observer) -> Result<Self, Error> {
        let named: BTreeSet<&String> = config
            .curriculum
            .families
            .iter()
            .map(|family| &family.family)
            .chain([&config.cold_start.family])
            .collect();
        let load = |name: &String| Ok((name.clone(), Family::load(&config.tasks.dir.join(name))?));
        let families = named.into_iter().map(load).collect::<Result<_, Error>>()?;
        Ok(Self { sandbox: open_sandbox(&config.sandbox, observer)?, families })
    }

    /// Digest of everything beside the settings that decides a run's results.
    pub fn digest(&self) -> Digest {
        let families: BTreeMap<_, _> = self.family_digests();
        let learner = gyre_learner::ENGINE_VERSION;
        Digest::of_json(&(self.sandbox.digest(), families, gyre_verify::verifier_digest(), learner))
    }

    /// Digest of each family's files.
    pub fn family_digests(&self) -> BTreeMap<String, Digest> {
        self.families.iter().map(|(name, family)| (name.clone(), family.digest)).collect()
    }
}

/// Opens the sandbox, whose workers are processes of this program, and tells how the one-time compilation goes.
///
/// # Errors
///
/// When the guest cannot be compiled or its cache cannot be used.
pub fn open_sandbox(
    settings: &SandboxSettings,
    observer: &mut dyn Observer,
) -> Result<Sandbox, Error> {
    let observer = std::cell::RefCell::new(observer);
    let progress = |progress: OpenProgress| match progress {
        OpenProgress::Compiling { functions_done, functions_total } => {
            let done = functions_done as f32 / functions_total.max(1) as f32;
            observer.borrow_mut().observe(&Progress::CompilingGuest { done });
        }
        OpenProgress::Discarded { path, reason } => {
            tracing::warn!(path = %path.display(), reason, "discarded a compiled guest; compiling again");
        }
        _ => {}
    };
    Ok(Sandbox::open(&sandbox_config(settings)?, &progress)?)
}

/// Guests run in processes of this program, which therefore calls
/// [`gyre_sandbox::run_as_worker`] before anything else.
fn sandbox_config(settings: &SandboxSettings) -> Result<SandboxConfig, Error> {
    let cache_dir = settings.cache_dir.clone().unwrap_or_else(default_cache_dir);
    let worker_kind = WorkerKind::Process(WorkerProgram::this_program()?);
    let config = SandboxConfig { worker_kind, ..SandboxConfig::new(cache_dir) };
    Ok(match NonZeroUsize::new(settings.workers as usize) {
        Some(workers) => SandboxConfig { workers, ..config },
        None => config,
    })
}

/// Where compiled guests are kept when the configuration names no folder.
#[expect(
    clippy::disallowed_methods,
    reason = "the user's cache folder is named by the environment"
)]
pub fn default_cache_dir() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    from("XDG_CACHE_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("gyre")
}
