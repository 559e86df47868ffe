//! Verifiers that are components, from the registry.

use std::path::Path;
use std::sync::Arc;

use gyre_lineage::{VerifierKind as Registered, VerifierRow, VerifierStatus};
use gyre_sandbox::plugin::{ComponentVerifier, Verification};
use gyre_sandbox::{SandboxError, WorkerKind, WorkerProgram};
use gyre_types::Digest;
use gyre_verify::{ExternalReply, ExternalVerifier, Verifier, VerifierFault, VerifierKind};

use super::{Judging, Unready};
use crate::project::{Project, io};

/// Makes the component ready that is registered under a name: the newest
/// active one, or the one with a digest.
pub(super) fn ready(
    judging: &Judging,
    name: &str,
    digest: Option<&Digest>,
) -> Result<Verifier, Unready> {
    let Some(project) = &judging.registry else {
        return Err(Unready::Unusable(format!(
            "it is the component {name:?}, and there is no registry here; name the data folder \
             that it was registered in with `--data-dir`"
        )));
    };
    let row = registered(project, name, digest)?;
    load(project, &row.digest, name, &judging.cache_dir)
}

fn registered(
    project: &Project,
    name: &str,
    digest: Option<&Digest>,
) -> Result<VerifierRow, Unready> {
    let store = &project.store;
    let row = match digest {
        Some(digest) => project.wait(store.verifier(digest)),
        None => project.wait(store.verifier_named(name)),
    };
    let row = row.map_err(|error| Unready::Failed(error.into()))?;
    let unusable = |why: String| Err(Unready::Unusable(why));
    match row {
        Some(row) if row.kind != Registered::Component => {
            unusable(format!("{name:?} is registered as {}, not as a component", row.kind))
        }
        Some(row) if row.name != name => {
            unusable(format!("{} is registered as {:?}, not as {name:?}", row.digest, row.name))
        }
        Some(row) if row.status == VerifierStatus::Revoked => {
            let why = row.revoked.map_or_else(String::new, |revoked| revoked.why);
            unusable(format!("{name:?} ({}) was revoked: {why}", row.digest.short()))
        }
        Some(row) => Ok(row),
        None => unusable(format!(
            "no active verifier {name:?} is registered in {}; `gyre verifier register` does that, \
             `gyre verifier ls` lists them",
            project.data.root().display()
        )),
    }
}

/// Loads a registered component, whose file must be what its digest names.
fn load(
    project: &Project,
    digest: &Digest,
    name: &str,
    cache_dir: &Path,
) -> Result<Verifier, Unready> {
    let (folder, name_of_file) = (project.data.verifiers(), format!("{digest}.wasm"));
    let path = folder.path().join(&name_of_file);
    let bytes = folder
        .read(&name_of_file)
        .map_err(|source| Unready::Failed(io("read the verifier", &path)(source)))?;
    if Digest::of(&bytes) != *digest {
        let shown = path.display();
        let why = format!("{shown} is not the component that was registered; register it again");
        return Err(Unready::Unusable(why));
    }
    of_bytes(&bytes, name, cache_dir)
}

/// Makes a component ready, registered or not.
pub(super) fn of_bytes(bytes: &[u8], name: &str, cache_dir: &Path) -> Result<Verifier, Unready> {
    let program = WorkerProgram::this_program().map_err(|error| Unready::Failed(error.into()))?;
    let component = ComponentVerifier::load(bytes, cache_dir, &WorkerKind::Process(program))
        .map_err(|error| Unready::Unusable(format!("the component {name:?} is {error}")))?;
    let verify = move |outcomes: &[String]| {
        outcomes.iter().map(|outcome| reply(component.verify(outcome))).collect()
    };
    Ok(Verifier::External(ExternalVerifier {
        digest: Digest::of(bytes),
        kind: VerifierKind::Component,
        name: name.to_owned(),
        verify: Arc::new(verify),
    }))
}

fn reply(verification: Result<Verification, SandboxError>) -> Result<ExternalReply, VerifierFault> {
    let verification =
        verification.map_err(|error| VerifierFault::Infrastructure(error.to_string()))?;
    match verification.report {
        Ok(report) => Ok(ExternalReply { report, fuel: verification.fuel }),
        Err(fault) => Err(VerifierFault::Verifier(fault.to_string())),
    }
}
