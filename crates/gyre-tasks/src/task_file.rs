use std::fs;
use std::path::Path;

use gyre_env::TaskV1;
use gyre_types::{EnvironmentSpec, Task, TaskId};
use gyre_verify::{GradingKey, ProgramKey, Verifier, VerifierDeclaration};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::contract::{Content, require_content};
use crate::manifest::declared_verifier;
use crate::{AdmittedTask, Family, TaskError, task_digest};

/// The version of the format that is written.
pub const TASK_FILE_FORMAT: u32 = 2;

/// Read as well: a task and a key of a program, without its kind.
const TASK_FILE_FORMAT_1: u32 = 1;

/// A task and its key in a file, for `gyre judge` and `gyre task show`.
///
/// It holds everything that decides the task: it is for people who debug
/// tasks and verifiers, and no agent may see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskFile {
    /// [`TASK_FILE_FORMAT`].
    pub format: u32,
    /// The task.
    pub task: Task,
    /// Its key.
    pub key: GradingKey,
    /// What decides, where it is not the built-in comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<WrittenVerifier>,
}

/// [`TASK_FILE_FORMAT_1`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskFileV1 {
    #[serde(rename = "format")]
    _format: u32,
    task: TaskV1,
    key: ProgramKey,
    #[serde(default)]
    verifier: Option<WrittenVerifier>,
}

impl From<TaskFileV1> for TaskFile {
    fn from(v1: TaskFileV1) -> Self {
        let TaskFileV1 { task, key, verifier, .. } = v1;
        let (task, key) = (task.into(), GradingKey::Program(key));
        Self { format: TASK_FILE_FORMAT, task, key, verifier }
    }
}

/// A family's verifier in a task file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenVerifier {
    /// What the family declares.
    pub declaration: VerifierDeclaration,
    /// The text of its `verify.py`, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
}

impl TaskFile {
    /// The file of an admitted task of a family.
    pub fn new(family: &Family, admitted: AdmittedTask) -> Self {
        let python = match &family.verifier {
            Verifier::Python(python) => Some(python.source().to_owned()),
            _ => None,
        };
        let written = |declaration: &VerifierDeclaration| WrittenVerifier {
            declaration: declaration.clone(),
            python,
        };
        let verifier = family.manifest.verifier.as_ref().map(written);
        let AdmittedTask { task, key } = admitted;
        Self { format: TASK_FILE_FORMAT, task, key, verifier }
    }

    /// What decides the task. A component or a command is unresolved.
    ///
    /// # Errors
    ///
    /// What is wrong with the declaration.
    pub fn verifier(&self) -> Result<Verifier, String> {
        let declaration = self.verifier.as_ref().map(|written| &written.declaration);
        let python = self.verifier.as_ref().and_then(|written| written.python.clone());
        let EnvironmentSpec::Program(spec) = &self.task.environment;
        let GradingKey::Program(key) = &self.key;
        declared_verifier(declaration, spec.interface, key.comparison, python)
    }

    /// Reads a file strictly.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or [`TaskFile::parse`] refuses it.
    pub fn read(path: &Path) -> Result<Self, TaskError> {
        let text = fs::read_to_string(path).map_err(TaskError::io("read", path))?;
        Self::parse(&text).map_err(|detail| TaskError::invalid(path, detail))
    }

    /// Parses a file's text strictly: no unknown field, a known format, and
    /// digests that are those of the content.
    ///
    /// # Errors
    ///
    /// What is wrong, with the field's path.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: Self = match read_format(text)? {
            TASK_FILE_FORMAT_1 => read_strictly::<TaskFileV1>(text)?.into(),
            _ => read_strictly(text)?,
        };
        file.require_consistent()?;
        Ok(file)
    }

    /// The file's text: JSON, indented.
    ///
    /// # Errors
    ///
    /// Never for tasks of this crate: all their maps have text keys.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    fn require_consistent(&self) -> Result<(), String> {
        let Self { task, key, .. } = self;
        let EnvironmentSpec::Program(spec) = &task.environment;
        let GradingKey::Program(programs) = key;
        let content = Content {
            instruction: task.instruction().to_owned(),
            entry: spec.entry.clone(),
            visible: spec.visible.clone(),
            hidden: programs.hidden.clone(),
            reference: programs.reference.clone(),
            failures: programs.failures.clone(),
        };
        require_content(&content, spec.interface)?;
        self.verifier()?;
        let key_digest = key.digest();
        if key_digest != task.key_digest {
            return Err(format!("task.key_digest: the key's digest is {key_digest}"));
        }
        let Task { messages, tools, environment, limits, .. } = task;
        let digest = task_digest(messages, tools, environment, limits, &key_digest);
        if digest != task.digest {
            return Err(format!("task.digest: the content's digest is {digest}"));
        }
        let id = TaskId::from_digest(&digest);
        if id != task.id {
            return Err(format!("task.id: the digest's id is {id}"));
        }
        Ok(())
    }
}

fn read_strictly<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let file = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| format!("{}: {}", error.path(), error.inner()))?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(file)
}

/// Reads the format before the rest, so that a file of another version is called
/// that, and not by the first field that it has more or less.
fn read_format(text: &str) -> Result<u32, String> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    match serde_json::from_str::<Head>(text) {
        Ok(Head { format: format @ (TASK_FILE_FORMAT_1 | TASK_FILE_FORMAT) }) => Ok(format),
        Ok(Head { format }) => Err(format!(
            "format: {format} is not known; this version reads {TASK_FILE_FORMAT_1} and \
             {TASK_FILE_FORMAT}"
        )),
        Err(error) => Err(format!("it is no task file: {error}")),
    }
}
