//! Makes verifiers ready that need more than a guest: components from the
//! registry, and commands of this machine.

mod command;
mod component;
mod python;

use std::path::{Path, PathBuf};

use gyre_lineage::VerifierKind as Registered;
use gyre_tasks::Family;
use gyre_types::Digest;
use gyre_verify::{Verifier, VerifierDeclaration};

use crate::config::RunConfig;
use crate::error::Error;
use crate::host::default_cache_dir;
use crate::project::Project;

/// What verifiers are made ready with.
#[derive(Debug, Clone)]
pub struct Judging {
    /// Where components are registered; without it there are none.
    pub registry: Option<Project>,
    /// Where compiled components are kept.
    pub cache_dir: PathBuf,
    /// Whether programs of this machine may judge.
    pub allow_commands: bool,
}

impl Judging {
    /// As a run's configuration says.
    pub fn of(config: &RunConfig, registry: Option<&Project>) -> Self {
        let cache_dir = config.sandbox.cache_dir.clone().unwrap_or_else(default_cache_dir);
        let allow_commands = config.verifiers.allow_commands;
        Self { registry: registry.cloned(), cache_dir, allow_commands }
    }

    /// Makes a family's verifier ready, in its place. `folder` is the family's.
    ///
    /// # Errors
    ///
    /// [`Error::VerifierUnusable`] says what is missing or not allowed.
    pub fn prepare(&self, family: &mut Family, folder: &Path) -> Result<(), Error> {
        let declaration = family.manifest.verifier.as_ref();
        let ready = self.ready(family.verifier.clone(), declaration, folder);
        family.verifier = ready.map_err(|failure| failure.of(family.name()))?;
        Ok(())
    }

    /// Makes a declared verifier ready; one that is ready stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::VerifierUnusable`] says what is missing or not allowed.
    pub fn resolve(
        &self,
        verifier: Verifier,
        declaration: Option<&VerifierDeclaration>,
        family: &str,
        folder: &Path,
    ) -> Result<Verifier, Error> {
        self.ready(verifier, declaration, folder).map_err(|failure| failure.of(family))
    }

    /// Makes a registered verifier ready by its digest, where the registry
    /// holds all of it; none where it is not registered, or is a program that
    /// lies elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::VerifierRefused`] says what is wrong with what is there.
    pub(crate) fn registered(&self, digest: &Digest) -> Result<Option<Verifier>, Error> {
        let Some(project) = &self.registry else { return Ok(None) };
        let Some(row) = project.wait(project.store.verifier(digest))? else { return Ok(None) };
        let ready = match row.kind {
            Registered::Component => component::ready(self, &row.name, Some(digest)),
            Registered::Python => python::ready(project, digest),
            Registered::Cases | Registered::Checks | Registered::Command => return Ok(None),
        };
        ready.map(Some).map_err(|failure| match failure {
            Unready::Unusable(why) => Error::VerifierRefused { name: row.name, why },
            Unready::Failed(error) => error,
        })
    }

    fn ready(
        &self,
        verifier: Verifier,
        declaration: Option<&VerifierDeclaration>,
        folder: &Path,
    ) -> Result<Verifier, Unready> {
        match declaration {
            Some(VerifierDeclaration::Component { name, digest }) => {
                component::ready(self, name, digest.as_ref())
            }
            Some(VerifierDeclaration::Command { argv, sha256, wall_ms_max }) => {
                if !self.allow_commands {
                    return Err(Unready::Unusable(format!(
                        "it is the command {:?}, and commands are not allowed: they run outside \
                         the sandbox, with your rights. Set `allow_commands = true` under \
                         [verifiers] in the configuration, or pass `--allow-commands`, if you \
                         trust it",
                        argv.first().map_or("", String::as_str)
                    )));
                }
                command::ready(argv, *sha256, *wall_ms_max, folder).map_err(Unready::Unusable)
            }
            _ => Ok(verifier),
        }
    }
}

/// Makes a component ready that need not be registered, to audit it.
///
/// # Errors
///
/// [`Error::VerifierRefused`] says why it is no verifier.
pub fn component_verifier(name: &str, bytes: &[u8], cache_dir: &Path) -> Result<Verifier, Error> {
    component::of_bytes(bytes, name, cache_dir).map_err(|failure| match failure {
        Unready::Unusable(why) => Error::VerifierRefused { name: name.to_owned(), why },
        Unready::Failed(error) => error,
    })
}

/// Why a verifier cannot be made ready.
enum Unready {
    /// It, or the registry, lacks something.
    Unusable(String),
    /// The machine failed.
    Failed(Error),
}

impl Unready {
    fn of(self, family: &str) -> Error {
        match self {
            Self::Unusable(why) => Error::VerifierUnusable { family: family.to_owned(), why },
            Self::Failed(error) => error,
        }
    }
}
