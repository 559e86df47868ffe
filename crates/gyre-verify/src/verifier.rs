//! A verifier, made ready: what turns answers into judgements.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gyre_types::{Digest, Limits, SandboxJob, Seed, Step};

use crate::report::{CONTRACT_VERSION, require_name};
use crate::{
    COMPARISON_VERSION, Checks, Comparison, Outcome, VerifierDeclaration, VerifierKind,
    verifier_digest,
};

/// Longest `verify.py`, in bytes.
pub const PYTHON_BYTES_MAX: usize = 256 << 10;

/// Longest time that a command may be given on the clock, in milliseconds.
pub const COMMAND_MS_MAX: u64 = 600_000;

/// What decides a family's answers.
#[derive(Debug, Clone)]
pub enum Verifier {
    /// The built-in comparison of every hidden case.
    Cases,
    /// Declarative checks, judged on the host.
    Checks {
        /// Its identity.
        digest: Digest,
        /// The checks.
        checks: Checks,
    },
    /// `verify.py`, in a fresh guest for each outcome.
    Python(PythonVerifier),
    /// A component or a command, which something above this crate runs.
    External(ExternalVerifier),
    /// A component or a command that nobody has made ready: every judgement is
    /// invalid, and says so.
    Unresolved {
        /// Which way it goes.
        kind: VerifierKind,
        /// What must be made ready.
        name: String,
    },
}

/// The program that a family's `verify.py` is.
#[derive(Debug, Clone, PartialEq)]
pub struct PythonVerifier {
    source: String,
    limits: Limits,
    digest: Digest,
}

/// A verifier whose code is run by something above this crate.
#[derive(Clone)]
pub struct ExternalVerifier {
    /// Its identity.
    pub digest: Digest,
    /// Component or command.
    pub kind: VerifierKind,
    /// What it is called, for people.
    pub name: String,
    /// Verifies outcomes, each given as JSON: one result for each, in order.
    pub verify: Arc<VerifyOutcomes>,
}

/// Runs an external verifier on outcomes.
type VerifyOutcomes = dyn Fn(&[String]) -> Vec<Result<ExternalReply, VerifierFault>> + Send + Sync;

/// What an external verifier gave. It is not trusted to be a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalReply {
    /// The text that should be a report.
    pub report: String,
    /// Fuel that it burnt, where that is counted.
    pub fuel: u64,
}

/// Why a verifier gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifierFault {
    /// It raised, trapped, hung, or was killed for what it did.
    #[error("{0}")]
    Verifier(String),
    /// The machine failed it.
    #[error("{0}")]
    Infrastructure(String),
}

impl Verifier {
    /// A verifier of declarative checks.
    pub fn checks(checks: Checks, comparison: Comparison) -> Self {
        let digest = Digest::of_json(&(
            "verifier",
            VerifierKind::Checks,
            CONTRACT_VERSION,
            COMPARISON_VERSION,
            checks.declared(),
            comparison,
        ));
        Self::Checks { digest, checks }
    }

    /// The verifier that a family declares. `python` is the text of its
    /// `verify.py`, where it has one. A component or a command is left
    /// unresolved: what runs it is not known here.
    ///
    /// # Errors
    ///
    /// What is wrong with the declaration, and where.
    pub fn declared(
        declaration: &VerifierDeclaration,
        comparison: Comparison,
        python: Option<String>,
    ) -> Result<Self, String> {
        let kind = declaration.kind();
        match declaration {
            VerifierDeclaration::Checks { checks } => {
                let checks = Checks::new(checks.clone(), comparison)?;
                Ok(Self::checks(checks, comparison))
            }
            VerifierDeclaration::Python { file, limits } => {
                let source = python.ok_or_else(|| format!("{file} is missing"))?;
                let python = PythonVerifier::new(source, limits.clone());
                Ok(Self::Python(python.map_err(|why| format!("{file}: {why}"))?))
            }
            VerifierDeclaration::Component { name, .. } => {
                require_name(name).map_err(|why| format!("use: {why}"))?;
                Ok(Self::Unresolved { kind, name: name.clone() })
            }
            VerifierDeclaration::Command { argv, wall_ms_max, .. } => {
                let Some(program) = argv.first().filter(|program| !program.is_empty()) else {
                    return Err("argv: it names no program".to_owned());
                };
                if !(1..=COMMAND_MS_MAX).contains(wall_ms_max) {
                    return Err(format!(
                        "wall_ms_max: is {wall_ms_max}, not between 1 and {COMMAND_MS_MAX}"
                    ));
                }
                Ok(Self::Unresolved { kind, name: program.clone() })
            }
        }
    }

    /// The digest that is stored with its verdicts. None for one that is not
    /// ready: it gives no verdict.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::Cases => Some(verifier_digest()),
            Self::Checks { digest, .. } => Some(*digest),
            Self::Python(python) => Some(python.digest),
            Self::External(external) => Some(external.digest),
            Self::Unresolved { .. } => None,
        }
    }

    /// Which way it goes.
    pub fn kind(&self) -> VerifierKind {
        match self {
            Self::Cases => VerifierKind::Cases,
            Self::Checks { .. } => VerifierKind::Checks,
            Self::Python(_) => VerifierKind::Python,
            Self::External(external) => external.kind,
            Self::Unresolved { kind, .. } => *kind,
        }
    }
}

impl PythonVerifier {
    /// The verifier of a source text.
    ///
    /// # Errors
    ///
    /// When the text is empty or too long.
    pub fn new(source: String, limits: Limits) -> Result<Self, String> {
        if source.trim().is_empty() {
            return Err("it is empty".to_owned());
        }
        if source.len() > PYTHON_BYTES_MAX {
            return Err(format!("it takes {} bytes, more than {PYTHON_BYTES_MAX}", source.len()));
        }
        let identity = ("verifier", VerifierKind::Python, CONTRACT_VERSION, &source, &limits);
        let digest = Digest::of_json(&identity);
        Ok(Self { source, limits, digest })
    }

    /// Its identity.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What one verification may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Plans one verification: a fresh guest that never ran the answer.
    pub fn plan(&self, outcome: &Outcome, seed: Seed) -> SandboxJob {
        let call = Step::Call { function: "verify".to_owned(), args: vec![outcome.to_value()] };
        SandboxJob {
            seed: seed.derive("verify", &[]),
            limits: self.limits.clone(),
            steps: vec![Step::Run { code: self.source.clone() }, call],
            files: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for ExternalVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { digest, kind, name, verify: _ } = self;
        f.debug_struct("ExternalVerifier")
            .field("digest", &digest.short())
            .field("kind", kind)
            .field("name", name)
            .finish_non_exhaustive()
    }
}

/// The identity of a command: its program's digest, its arguments, and the
/// contract's version.
pub fn command_digest(sha256: &Digest, argv: &[String]) -> Digest {
    Digest::of_json(&("verifier", VerifierKind::Command, CONTRACT_VERSION, sha256, argv))
}
