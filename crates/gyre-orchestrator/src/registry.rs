//! Takes verifiers into the registry.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use gyre_lineage::{NewVerifier, VerifierKind as Registered, VerifierRow};
use gyre_types::Digest;
use gyre_verify::{Scorecard, ScorecardLimits, VerifierKind};

use crate::error::Error;
use crate::project::{Project, io};

/// Bytes that a name may take.
const NAME_BYTES_MAX: usize = 64;

/// A component to register.
#[derive(Debug, Clone, Copy)]
pub struct ComponentRegistration<'a> {
    /// What families are to call it.
    pub name: &'a str,
    /// The component.
    pub bytes: &'a [u8],
    /// What the audit measured of it.
    pub scorecard: &'a Scorecard,
    /// What that must show.
    pub limits: ScorecardLimits,
    /// Milliseconds since 1970.
    pub now_ms: i64,
}

/// Registers a component whose scorecard is within the limits.
///
/// Its bytes are durable before the one transaction that names them: whenever
/// this process ends, the component is registered and there, or is not
/// registered. A file that no row names does no harm, and is used by the next
/// attempt.
///
/// # Errors
///
/// [`Error::VerifierRefused`] says which limits it is beyond, or that the
/// scorecard is another's; else when it was revoked, or the disk or the
/// database fails.
pub fn register_component(
    project: &Project,
    registration: &ComponentRegistration<'_>,
) -> Result<VerifierRow, Error> {
    let ComponentRegistration { name, bytes, scorecard, limits, now_ms } = *registration;
    let digest = Digest::of(bytes);
    require(&digest, scorecard, &limits)
        .and_then(|()| require_name(name))
        .map_err(|why| Error::VerifierRefused { name: name.to_owned(), why })?;
    let recorded = serde_json::to_value(scorecard).map_err(|error| Error::VerifierRefused {
        name: name.to_owned(),
        why: format!("its scorecard cannot be written: {error}"),
    })?;
    store_bytes(&project.data.verifier(&digest, "wasm"), &digest, bytes)?;
    gyre_fault::crash_point("verifier::stored");
    let new = NewVerifier {
        digest,
        name: name.to_owned(),
        kind: Registered::Component,
        trusted: false,
        scorecard: recorded,
        registered_at_ms: now_ms,
    };
    let row = project.wait(project.store.register_verifier(&new))?;
    gyre_fault::crash_point("verifier::registered");
    Ok(row)
}

fn require(digest: &Digest, card: &Scorecard, limits: &ScorecardLimits) -> Result<(), String> {
    let subject = &card.subject;
    if subject.verifier != *digest {
        let (measured, given) = (subject.verifier.short(), digest.short());
        return Err(format!(
            "the scorecard is that of {measured}, and this component is {given}; \
             `gyre verifier audit` measures it"
        ));
    }
    if subject.kind != VerifierKind::Component {
        return Err("the scorecard is not that of a component".to_owned());
    }
    match card.breaches(limits).as_slice() {
        [] => Ok(()),
        breaches => Err(format!(
            "the audit on family {} found it beyond the limits: {}",
            subject.family,
            breaches.join("; ")
        )),
    }
}

/// Families name it in their manifests, and people in shells.
fn require_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let fine = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= NAME_BYTES_MAX
        && name.chars().all(plain);
    let taken = ["builtin", "family"].contains(&name);
    match (fine, taken) {
        (true, false) => Ok(()),
        (true, true) => Err(format!("the name {name:?} has a meaning of its own; take another")),
        (false, _) => Err("a name is of a-z, 0-9, - and _, a letter first, 64 at most".to_owned()),
    }
}

/// Writes a component under its digest, whole or not at all. One that is there
/// and whole stays.
fn store_bytes(path: &Path, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
    match fs::read(path) {
        Ok(there) if Digest::of(&there) == *digest => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(io("read the verifier", path)(error)),
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(io("make the folder of verifiers", folder))?;
    // Two processes may store the same component at once.
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    };
    let written = write();
    if written.is_err() {
        // What is half there is of no use; the next attempt writes over it anyway.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(io("write the verifier", path))
}
