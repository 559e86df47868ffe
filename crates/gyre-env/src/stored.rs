//! Tasks as they are recorded, in every version of their form.

use gyre_types::{
    Case, Composition, Digest, EnvironmentSpec, Interface, JsonError, Limits, Message, ProgramSpec,
    Seed, Split, StoredError, Task, TaskId, from_stored, is_of_first_version, to_stored,
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::environment::own_tools;

/// The version that is written.
const VERSION: u32 = 2;

/// Turns a task into the JSON that is recorded. Tools that are the environment's
/// own are left out.
///
/// # Errors
///
/// When the task cannot be written as JSON.
pub fn task_to_stored(task: &Task) -> Result<Value, JsonError> {
    let mut body = to_stored("a task", VERSION, task)?;
    if task.tools == own_tools(&task.environment)
        && let Some(fields) = body.as_object_mut()
    {
        fields.remove("tools");
    }
    Ok(body)
}

/// Reads a recorded task of any version.
///
/// # Errors
///
/// When it is of a version that is not known, or not of the form of its version.
pub fn task_from_stored(mut body: Value) -> Result<Task, StoredError> {
    if is_of_first_version(&body) {
        return from_stored::<TaskV1>(1, body).map(Task::from);
    }
    let has_own_tools = body.get("tools").is_none();
    if let Some(fields) = body.as_object_mut().filter(|_| has_own_tools) {
        fields.insert("tools".to_owned(), Value::Array(vec![]));
    }
    let mut task: Task = from_stored(VERSION, body)?;
    if has_own_tools {
        task.tools = own_tools(&task.environment);
    }
    Ok(task)
}

/// A task as the JSON API gives it, and as a run's state is digested: one of a
/// program has the fields of version 1, whose readers it keeps.
#[derive(Debug, Clone, Copy)]
pub struct TaskDocument<'a>(pub &'a Task);

impl Serialize for TaskDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.environment {
            EnvironmentSpec::Program(spec) => TaskV1::of(self.0, spec).serialize(serializer),
        }
    }
}

/// Version 1 of a task: one of a program alone, whose conversation opens with one
/// message and whose tools are the environment's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of `Task` and of `ProgramSpec`")]
pub struct TaskV1 {
    pub id: TaskId,
    pub digest: Digest,
    pub family: String,
    pub family_version: u32,
    pub seed: Seed,
    pub difficulty: u32,
    pub composition: Composition,
    pub skills: Vec<String>,
    pub split: Split,
    /// The content of the first user's message.
    pub instruction: String,
    pub entry: String,
    #[serde(default, skip_serializing_if = "Interface::is_call")]
    pub interface: Interface,
    pub visible: Vec<Case>,
    pub limits: Limits,
    pub key_digest: Digest,
}

impl TaskV1 {
    /// What version 1 can say of a task of a program.
    pub fn of(task: &Task, spec: &ProgramSpec) -> Self {
        Self {
            id: task.id.clone(),
            digest: task.digest,
            family: task.family.clone(),
            family_version: task.family_version,
            seed: task.seed,
            difficulty: task.difficulty,
            composition: task.composition.clone(),
            skills: task.skills.clone(),
            split: task.split,
            instruction: task.instruction().to_owned(),
            entry: spec.entry.clone(),
            interface: spec.interface,
            visible: spec.visible.clone(),
            limits: task.limits.clone(),
            key_digest: task.key_digest,
        }
    }
}

impl From<TaskV1> for Task {
    fn from(v1: TaskV1) -> Self {
        let TaskV1 { entry, interface, visible, .. } = v1;
        let environment = EnvironmentSpec::Program(ProgramSpec { entry, interface, visible });
        Self {
            id: v1.id,
            digest: v1.digest,
            family: v1.family,
            family_version: v1.family_version,
            seed: v1.seed,
            difficulty: v1.difficulty,
            composition: v1.composition,
            skills: v1.skills,
            split: v1.split,
            messages: vec![Message::user(v1.instruction)],
            tools: own_tools(&environment),
            environment,
            limits: v1.limits,
            key_digest: v1.key_digest,
        }
    }
}
