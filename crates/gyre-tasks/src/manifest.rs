//! What a family says of itself.

use std::path::Path;

use gyre_types::{Interface, Limits};
use gyre_verify::{CheckDeclaration, Checks, Comparison, TextOf, Verifier, VerifierDeclaration};
use serde::{Deserialize, Serialize};

use crate::contract;

/// What `family.toml` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FamilyManifest {
    /// The family's name; its folder has the same.
    pub name: String,
    /// Raised with every change that generates other tasks.
    pub version: u32,
    /// One sentence for people.
    pub description: String,
    /// Where tasks come from; by default `generate.py`.
    #[serde(default)]
    pub source: SourceKind,
    /// The function that answers define, unless a task names another.
    #[serde(default = "default_entry")]
    pub entry: String,
    /// How an answer is run on a case; by default its entry is called.
    #[serde(default, skip_serializing_if = "Interface::is_call")]
    pub interface: Interface,
    /// The levels that may be asked for.
    pub difficulty: Difficulty,
    /// How values are compared; by default exactly.
    #[serde(default)]
    pub comparison: Comparison,
    /// What a guest that runs an answer may use.
    #[serde(default)]
    pub limits: Limits,
    /// What decides; by default the built-in comparison of every hidden case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<VerifierDeclaration>,
}

fn default_entry() -> String {
    "solve".to_owned()
}

/// Where a family's tasks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// `generate.py`, run in the sandbox.
    #[default]
    Generate,
    /// `tasks.jsonl`, one task per line.
    Static,
}

/// The levels of a family, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difficulty {
    /// The easiest.
    pub min: u32,
    /// The hardest.
    pub max: u32,
}

impl FamilyManifest {
    /// The file of its folder that verifies, where it has one.
    pub fn verifier_file(&self) -> Option<&str> {
        match &self.verifier {
            Some(VerifierDeclaration::Python { file, .. }) => Some(file),
            _ => None,
        }
    }

    /// What decides, given the text of [`FamilyManifest::verifier_file`].
    pub(crate) fn verifier(&self, python: Option<String>) -> Result<Verifier, String> {
        declared_verifier(self.verifier.as_ref(), self.interface, self.comparison, python)
    }

    pub(crate) fn validate(&self, dir: &Path) -> Result<(), String> {
        require_family_name(&self.name)?;
        let folder = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let folder = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        if folder.as_deref() != Some(self.name.as_str()) {
            let folder = folder.unwrap_or_default();
            return Err(format!("name is {:?}, but the folder is {folder:?}", self.name));
        }
        if self.difficulty.min > self.difficulty.max {
            return Err("difficulty.min is above difficulty.max".to_owned());
        }
        contract::require_entry(&self.entry).map_err(|why| format!("entry: {why}"))
    }
}

/// The verifier of a family or of a task file. Without a declaration the
/// built-in one screens all cases in one guest by calling. Other interfaces are
/// observed: what a program prints is compared word by word, where numbers may
/// differ by the family's tolerance, and the value of statements as a whole.
pub(crate) fn declared_verifier(
    declaration: Option<&VerifierDeclaration>,
    interface: Interface,
    comparison: Comparison,
    python: Option<String>,
) -> Result<Verifier, String> {
    match declaration {
        Some(declaration) => Verifier::declared(declaration, comparison, python)
            .map_err(|why| format!("verifier: {why}")),
        None => {
            let weight = 1.0;
            let check = match interface {
                Interface::Call => return Ok(Verifier::Cases),
                Interface::Statements => CheckDeclaration::Exact { weight },
                Interface::Stdio => CheckDeclaration::Tokens {
                    of: TextOf::Result,
                    tolerance: comparison.float_tolerance,
                    weight,
                },
            };
            Ok(Verifier::checks(Checks::new(vec![check], comparison)?, comparison))
        }
    }
}

/// Checks a family's name: it becomes a folder and part of ids.
pub(crate) fn require_family_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let fine = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 64
        && name.chars().all(plain);
    if fine {
        Ok(())
    } else {
        Err(format!("{name:?} is not a family name (a-z, 0-9, - and _, a letter first)"))
    }
}
