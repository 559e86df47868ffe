//! Verifiers that are Python programs, from the registry.

use gyre_tasks::WrittenVerifier;
use gyre_types::Digest;
use gyre_verify::{PythonVerifier, Verifier, VerifierDeclaration};

use super::Unready;
use crate::project::{Project, io};

/// Makes a registered program ready, whose file must be what its digest names.
pub(super) fn ready(project: &Project, digest: &Digest) -> Result<Verifier, Unready> {
    let (folder, name) = (project.data.verifiers(), format!("{digest}.json"));
    let path = folder.path().join(&name);
    let text = folder
        .read_to_string(&name)
        .map_err(|source| Unready::Failed(io("read the verifier", &path)(source)))?;
    match read(&text) {
        Some(python) if python.digest() == *digest => Ok(Verifier::Python(python)),
        _ => Err(Unready::Unusable(format!(
            "{} is not the verifier that was registered; register it again",
            path.display()
        ))),
    }
}

fn read(text: &str) -> Option<PythonVerifier> {
    let written: WrittenVerifier = serde_json::from_str(text).ok()?;
    let VerifierDeclaration::Python { limits, .. } = written.declaration else { return None };
    PythonVerifier::new(written.python?, limits).ok()
}
