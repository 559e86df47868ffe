//! Takes verifiers into the registry.

use std::io::ErrorKind;

use gyre_folder::{Folder, LeadsOut};
use gyre_lineage::{NewVerifier, SealChain, VerifierKind as Registered, VerifierRow};
use gyre_tasks::WrittenVerifier;
use gyre_types::Digest;
use gyre_verify::{
    PythonVerifier, Scorecard, ScorecardLimits, Verifier, VerifierDeclaration, VerifierKind,
};

use crate::anchor;
use crate::error::Error;
use crate::project::{Project, io};

/// Bytes that a name may take.
const NAME_BYTES_MAX: usize = 64;

/// A verifier to register.
#[derive(Debug, Clone, Copy)]
pub struct VerifierRegistration<'a> {
    /// What people, and families that use a component, are to call it.
    pub name: &'a str,
    /// The verifier.
    pub verifier: Registrant<'a>,
    /// What the audit measured of it.
    pub scorecard: &'a Scorecard,
    /// What that must show.
    pub limits: ScorecardLimits,
    /// Milliseconds since 1970.
    pub now_ms: i64,
}

/// What can be registered.
#[derive(Debug, Clone, Copy)]
pub enum Registrant<'a> {
    /// A component, which families take by its name.
    Component(&'a [u8]),
    /// What a family declares, made ready: the same declaration is the same
    /// verifier wherever it is declared.
    Declared(&'a Verifier),
}

/// Registers a verifier whose scorecard is within the limits.
///
/// Its file is durable before the one transaction that names it: whenever
/// this process ends, the verifier is registered and there, or is not
/// registered. A file that no row names does no harm, and is used by the next
/// attempt. A command's program stays where it is, and so do declared checks.
///
/// # Errors
///
/// [`Error::VerifierRefused`] says which limits it is beyond, or that the
/// scorecard is another's; else when it was revoked, or the disk or the
/// database fails.
pub fn register_verifier(
    project: &Project,
    registration: &VerifierRegistration<'_>,
) -> Result<VerifierRow, Error> {
    let VerifierRegistration { name, verifier, scorecard, limits, now_ms } = *registration;
    let refused = |why: String| Error::VerifierRefused { name: name.to_owned(), why };
    let (digest, kind) = identity(verifier).map_err(refused)?;
    require(&digest, kind, scorecard, &limits)
        .and_then(|()| require_name(name))
        .map_err(refused)?;
    require_free(project, name, &digest, kind)?;
    let recorded = serde_json::to_value(scorecard)
        .map_err(|error| refused(format!("its scorecard cannot be written: {error}")))?;
    match verifier {
        Registrant::Component(bytes) => {
            store(&project.data.verifiers(), &format!("{digest}.wasm"), bytes)?
        }
        Registrant::Declared(Verifier::Python(python)) => {
            let text = written(python)
                .map_err(|error| refused(format!("its program cannot be written: {error}")))?;
            store(&project.data.verifiers(), &format!("{digest}.json"), text.as_bytes())?;
        }
        Registrant::Declared(_) => {}
    }
    let new = NewVerifier {
        digest,
        name: name.to_owned(),
        kind: registered_as(kind),
        trusted: kind.is_trusted(),
        scorecard: recorded,
        registered_at_ms: now_ms,
    };
    let row = project.wait(project.store.register_verifier(&new))?;
    anchor::renew(project, &SealChain::Registry)?;
    Ok(row)
}

fn identity(verifier: Registrant<'_>) -> Result<(Digest, VerifierKind), String> {
    match verifier {
        Registrant::Component(bytes) => Ok((Digest::of(bytes), VerifierKind::Component)),
        Registrant::Declared(Verifier::Cases) => {
            Err("it is the built-in comparison, which judges without being registered".to_owned())
        }
        Registrant::Declared(verifier) => verifier
            .digest()
            .map(|digest| (digest, verifier.kind()))
            .ok_or_else(|| "it is not ready to judge".to_owned()),
    }
}

fn registered_as(kind: VerifierKind) -> Registered {
    match kind {
        VerifierKind::Cases => Registered::Cases,
        VerifierKind::Checks => Registered::Checks,
        VerifierKind::Python => Registered::Python,
        VerifierKind::Component => Registered::Component,
        VerifierKind::Command => Registered::Command,
    }
}

/// A Python verifier as task files write it: its text with its limits, which
/// are both in its digest.
fn written(python: &PythonVerifier) -> Result<String, serde_json::Error> {
    let declaration = VerifierDeclaration::Python {
        file: "verify.py".to_owned(),
        limits: python.limits().clone(),
    };
    let python = Some(python.source().to_owned());
    serde_json::to_string_pretty(&WrittenVerifier { declaration, python }).map(|text| text + "\n")
}

/// Refuses a name under which families would suddenly find something of
/// another kind.
fn require_free(
    project: &Project,
    name: &str,
    digest: &Digest,
    kind: VerifierKind,
) -> Result<(), Error> {
    match project.wait(project.store.verifier_named(name))? {
        Some(row) if row.kind != registered_as(kind) && row.digest != *digest => {
            Err(Error::VerifierRefused {
                name: name.to_owned(),
                why: format!(
                    "that is the name of an active verifier of the kind {}; take another",
                    row.kind
                ),
            })
        }
        _ => Ok(()),
    }
}

fn require(
    digest: &Digest,
    kind: VerifierKind,
    card: &Scorecard,
    limits: &ScorecardLimits,
) -> Result<(), String> {
    let subject = &card.subject;
    if subject.verifier != *digest {
        let (measured, given) = (subject.verifier.short(), digest.short());
        return Err(format!(
            "the scorecard is that of {measured}, and this {} is {given}; \
             `gyre verifier audit` measures it",
            noun(kind)
        ));
    }
    if subject.kind != kind {
        return Err(format!("the scorecard is not that of a {}", noun(kind)));
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

fn noun(kind: VerifierKind) -> &'static str {
    match kind {
        VerifierKind::Component => "component",
        VerifierKind::Command => "command",
        VerifierKind::Cases | VerifierKind::Checks | VerifierKind::Python => "verifier",
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

/// Writes a verifier under its digest, whole or not at all. One that is there
/// and whole stays.
fn store(folder: &Folder, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = folder.path().join(name);
    match folder.read(name) {
        Ok(there) if there == bytes => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        // What leads elsewhere is replaced.
        Err(error) if LeadsOut::is_told_by(&error) => {}
        Err(error) => return Err(io("read the verifier", &path)(error)),
    }
    folder.make().map_err(io("make the folder of verifiers", &folder.path()))?;
    // Two processes may store the same verifier at once.
    let temporary = format!("{name}.{}.tmp", std::process::id());
    let write = || {
        folder.write(&temporary, bytes)?;
        folder.rename(&temporary, name)?;
        folder.sync()?;
        gyre_fault::io_point("verifier::stored")
    };
    let written = write();
    if written.is_err() {
        // What is half there is of no use; the next attempt writes over it anyway.
        let _ = folder.remove_file(&temporary);
    }
    written.map_err(io("write the verifier", &path))
}
