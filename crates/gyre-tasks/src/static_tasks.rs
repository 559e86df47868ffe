use std::collections::HashSet;

use gyre_types::{Case, Composition, Seed};
use gyre_verify::{Comparison, VerifierKind};
use serde::{Deserialize, Serialize};

use crate::admitted::{AdmittedTask, Origin, assemble};
use crate::contract::{Content, require_content};
use crate::manifest::FamilyManifest;

/// A task that is written down: one line of a family's `tasks.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticTask {
    /// Unique in its family; decides the side of the split.
    pub name: String,
    /// The level at which it is found.
    pub difficulty: u32,
    /// Cells for the curriculum.
    #[serde(default)]
    pub skills: Vec<String>,
    /// The instruction.
    pub instruction: String,
    /// The function that an answer defines.
    pub entry: String,
    /// Examples that an agent may see; may be empty.
    pub visible: Vec<Case>,
    /// The cases that decide.
    pub hidden: Vec<Case>,
    /// How values are compared; by default as the family says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// A program that passes.
    pub reference: String,
    /// Programs that must fail.
    pub failures: Vec<String>,
}

impl StaticTask {
    pub(crate) fn composition(&self) -> Composition {
        Composition(vec![self.name.clone()])
    }

    pub(crate) fn content(&self) -> Content {
        Content {
            instruction: self.instruction.clone(),
            entry: self.entry.clone(),
            visible: self.visible.clone(),
            hidden: self.hidden.clone(),
            reference: self.reference.clone(),
            failures: self.failures.clone(),
        }
    }

    /// How its values are compared in a family.
    pub(crate) fn comparison_in(&self, family: &FamilyManifest) -> Comparison {
        self.comparison.unwrap_or(family.comparison)
    }

    /// The task with its key. The seed is recorded and changes nothing else.
    pub(crate) fn admitted(&self, manifest: &FamilyManifest, seed: Seed) -> AdmittedTask {
        let origin = Origin {
            manifest,
            seed,
            difficulty: self.difficulty,
            composition: self.composition(),
            skills: self.skills.clone(),
            comparison: self.comparison_in(manifest),
        };
        assemble(self.content(), origin)
    }
}

/// Reads `tasks.jsonl`.
pub(crate) fn parse(text: &str, manifest: &FamilyManifest) -> Result<Vec<StaticTask>, String> {
    let mut tasks: Vec<StaticTask> = Vec::new();
    let mut names = HashSet::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = |why: String| format!("line {}: {why}", number + 1);
        let mut deserializer = serde_json::Deserializer::from_str(line);
        let task: StaticTask = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| at(format!("{}: {}", error.path(), error.inner())))?;
        deserializer.end().map_err(|error| at(error.to_string()))?;
        require_content(&task.content(), manifest.interface).map_err(at)?;
        require_comparison(&task, manifest).map_err(at)?;
        let levels = manifest.difficulty;
        if task.difficulty < levels.min || task.difficulty > levels.max {
            return Err(at(format!(
                "difficulty {} is outside the family's levels",
                task.difficulty
            )));
        }
        if !names.insert(task.name.clone()) {
            return Err(at(format!("the name {:?} is there twice", task.name)));
        }
        tasks.push(task);
    }
    if tasks.is_empty() { Err("there is no task in it".to_owned()) } else { Ok(tasks) }
}

/// Declared checks are made ready once for the family, so a task cannot have a
/// comparison of its own there: it would be ignored.
fn require_comparison(task: &StaticTask, manifest: &FamilyManifest) -> Result<(), String> {
    let checks = match &manifest.verifier {
        Some(declaration) => declaration.kind() == VerifierKind::Checks,
        None => !manifest.interface.is_call(),
    };
    match task.comparison {
        Some(comparison) if checks && comparison != manifest.comparison => {
            Err("comparison: the family's checks compare as family.toml says; leave it out".into())
        }
        _ => Ok(()),
    }
}
