//! The sandbox and the task families of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use gyre_sandbox::{OpenProgress, Sandbox, SandboxConfig, WorkerKind, WorkerProgram};
use gyre_tasks::Family;
use gyre_types::{Digest, Judgement};
use gyre_verify::{Submission, Verifier};

use crate::config::{RunConfig, SandboxSettings};
use crate::error::Error;
use crate::host::default_cache_dir;
use crate::judging::Judging;
use crate::progress::{Observer, Progress};
use crate::project::Project;

/// The sandbox and the task families of a run, ready to work.
#[derive(Clone)]
pub struct Harness {
    /// The sandbox.
    pub sandbox: Sandbox,
    /// The families, by name.
    pub families: BTreeMap<String, Family>,
}

impl Harness {
    /// Opens the sandbox and loads every family that the configuration names.
    /// `registry` is where components are registered, if any are to be used.
    ///
    /// # Errors
    ///
    /// When a family cannot be loaded, its verifier cannot be used, or the
    /// sandbox cannot be opened.
    pub fn open(
        config: &RunConfig,
        registry: Option<&Project>,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let families = families(config, registry)?;
        Ok(Self { sandbox: open_sandbox(&config.sandbox, observer)?, families })
    }

    /// Loads every family that the configuration names, beside a sandbox that
    /// is open already.
    ///
    /// # Errors
    ///
    /// When a family cannot be loaded, or its verifier cannot be used.
    pub fn with_sandbox(
        config: &RunConfig,
        registry: Option<&Project>,
        sandbox: Sandbox,
    ) -> Result<Self, Error> {
        Ok(Self { sandbox, families: families(config, registry)? })
    }

    /// The verifier of each family that has one of its own.
    pub fn verifier_digests(&self) -> BTreeMap<String, Digest> {
        let own = |(name, family): (&String, &Family)| match &family.verifier {
            Verifier::Cases => None,
            verifier => Some((name.clone(), verifier.digest()?)),
        };
        self.families.iter().filter_map(own).collect()
    }

    /// The identity of what decides a family's answers.
    pub fn verifier_digest(&self, family: &str) -> Digest {
        let own = self.families.get(family).and_then(|family| family.verifier.digest());
        own.unwrap_or_else(gyre_verify::verifier_digest)
    }

    /// Digest of each family's files.
    pub fn family_digests(&self) -> BTreeMap<String, Digest> {
        self.families.iter().map(|(name, family)| (name.clone(), family.digest)).collect()
    }
}

impl Harness {
    /// Judges answers, each by what decides its family's. Judgements come in
    /// the order of the submissions.
    pub fn judge(&self, submissions: &[Submission<'_>]) -> Vec<Judgement> {
        let mut groups = BTreeMap::<Digest, Vec<usize>>::new();
        for (at, submission) in submissions.iter().enumerate() {
            groups.entry(self.verifier_digest(&submission.task.family)).or_default().push(at);
        }
        let mut judgements: Vec<Option<Judgement>> = vec![None; submissions.len()];
        for group in groups.values() {
            let of_group: Vec<_> = group.iter().map(|&at| submissions[at]).collect();
            let family = of_group.first().and_then(|s| self.families.get(&s.task.family));
            let verifier = family.map_or(&Verifier::Cases, |family| &family.verifier);
            let judged = verifier.judge_with(&of_group, &self.sandbox);
            for (&at, judgement) in group.iter().zip(judged) {
                judgements[at] = Some(judgement);
            }
        }
        // Each verifier gives one for each of its group.
        judgements.into_iter().flatten().collect()
    }
}

fn families(
    config: &RunConfig,
    registry: Option<&Project>,
) -> Result<BTreeMap<String, Family>, Error> {
    // Nothing is demonstrated to a model by name; a run that starts from a checkpoint
    // has always had the family too, and its fingerprint.
    let demonstrates = config.start.model.is_none().then_some(&config.cold_start.family);
    let named: BTreeSet<&String> = config
        .curriculum
        .families
        .iter()
        .map(|family| &family.family)
        .chain(demonstrates)
        .collect();
    let judging = Judging::of(config, registry);
    let load = |name: &String| {
        let folder = config.tasks.dir.join(name);
        let mut family = Family::load(&folder)?;
        judging.prepare(&mut family, &folder)?;
        Ok((name.clone(), family))
    };
    named.into_iter().map(load).collect()
}

/// Opens the sandbox, whose workers are processes of this program, and tells
/// how the one-time compilation goes.
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
            let discarded = Progress::GuestDiscarded { path: &path, reason: &reason };
            observer.borrow_mut().observe(&discarded);
        }
        OpenProgress::NotKept { path, reason } => {
            let not_kept = Progress::GuestNotKept { path: &path, reason: &reason };
            observer.borrow_mut().observe(&not_kept);
        }
        _ => {}
    };
    let sandbox = Sandbox::open(&sandbox_config(settings)?, &progress)?;
    let missing: Vec<_> = sandbox.layers().iter().filter(|layer| !layer.in_force).collect();
    if !missing.is_empty() {
        for layer in &missing {
            tracing::warn!(layer = layer.name, why = layer.detail, "a layer of defence is missing");
        }
        observer.borrow_mut().observe(&Progress::LayersMissing { layers: &missing });
    }
    Ok(sandbox)
}

/// Guests run in processes of this program, which therefore calls
/// [`gyre_sandbox::run_as_worker`] before anything else.
fn sandbox_config(settings: &SandboxSettings) -> Result<SandboxConfig, Error> {
    let cache_dir = settings.cache_dir.clone().unwrap_or_else(default_cache_dir);
    let worker_kind = WorkerKind::Process(WorkerProgram::this_program()?);
    let (require, reports_bytes_max) = (settings.require.clone(), settings.reports_bytes_max);
    let config =
        SandboxConfig { worker_kind, require, reports_bytes_max, ..SandboxConfig::new(cache_dir) };
    Ok(match NonZeroUsize::new(settings.workers as usize) {
        Some(workers) => SandboxConfig { workers, ..config },
        None => config,
    })
}
