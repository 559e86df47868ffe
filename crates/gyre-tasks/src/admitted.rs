//! Requests for tasks, and the tasks that came of them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use gyre_env::own_tools;
use gyre_types::{
    Composition, Digest, EnvironmentSpec, Limits, Message, ProgramSpec, Seed, Split, Task, TaskId,
    ToolSpec, Value, canonical_json, instruction,
};
use gyre_verify::{Comparison, GradingKey, ProgramKey};
use serde::Serialize;

use crate::contract::Content;
use crate::manifest::FamilyManifest;
use crate::{Reason, Refusal, TaskError};

/// How often one request is tried before it is given up. A held-out side gets
/// one composition in ten, so 64 attempts miss it once in 850 requests.
pub const ATTEMPTS_MAX: u32 = 64;

/// Asks for one task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRequest {
    /// Everything random about the task comes from here.
    pub seed: Seed,
    /// The family's level.
    pub difficulty: u32,
    /// The side that it must be on; `None` takes whichever its composition is on.
    pub split: Option<Split>,
    /// What the family's `compose` is given as its options: a dict. Requests
    /// that share one `Arc` share guests.
    pub options: Arc<Value>,
}

impl TaskRequest {
    /// A request without options.
    pub fn new(seed: Seed, difficulty: u32, split: Option<Split>) -> Self {
        Self { seed, difficulty, split, options: Arc::new(Value::Dict(Vec::new())) }
    }
}

/// A task that came through every gate, with its key.
#[derive(Debug, Clone, PartialEq)]
pub struct AdmittedTask {
    /// What an agent may see.
    pub task: Task,
    /// What decides. Stays on the host.
    pub key: GradingKey,
}

impl AdmittedTask {
    /// Environment and key of a task whose answer is a program.
    pub fn program(&self) -> (&ProgramSpec, &ProgramKey) {
        let EnvironmentSpec::Program(spec) = &self.task.environment;
        let GradingKey::Program(key) = &self.key;
        (spec, key)
    }
}

/// How many tasks reached and left each gate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AdmissionReport {
    /// Tasks asked for.
    pub requested: u64,
    /// Attempts made for them.
    pub attempts: u64,
    /// Attempts whose content was generated.
    pub generated: u64,
    /// Tasks admitted.
    pub admitted: u64,
    /// Attempts refused.
    pub refused: BTreeMap<Reason, u64>,
    /// For each reason, what was seen the first time. For people, on the host.
    pub examples: BTreeMap<Reason, String>,
}

impl AdmissionReport {
    pub(crate) fn refuse(&mut self, refusal: &Refusal) {
        let reason = &refusal.reason;
        self.examples.entry(reason.clone()).or_insert_with(|| refusal.detail.clone());
        *self.refused.entry(reason.clone()).or_default() += 1;
    }
}

/// Which tasks there are already. A run of many rounds need not have them all
/// in memory to say so.
pub trait KnownTasks {
    /// Those of `digests` that belong to a task which is there.
    ///
    /// # Errors
    ///
    /// Why it cannot be said.
    fn known_among(&self, digests: &[Digest]) -> Result<HashSet<Digest>, String>;
}

impl KnownTasks for HashSet<Digest> {
    fn known_among(&self, digests: &[Digest]) -> Result<HashSet<Digest>, String> {
        Ok(digests.iter().filter(|digest| self.contains(*digest)).copied().collect())
    }
}

/// Tasks that were there before a call, and those that it made.
pub(crate) struct Seen<'a> {
    known: &'a dyn KnownTasks,
    here: HashSet<Digest>,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(known: &'a dyn KnownTasks) -> Self {
        Self { known, here: HashSet::new() }
    }

    /// For each digest, in order, whether it is seen for the first time.
    pub(crate) fn add(&mut self, digests: &[Digest]) -> Result<Vec<bool>, TaskError> {
        let known = self.known.known_among(digests).map_err(|why| TaskError::Known { why })?;
        let is_fresh = |digest: &Digest| !known.contains(digest) && self.here.insert(*digest);
        Ok(digests.iter().map(is_fresh).collect())
    }
}

/// The side of a composition: by its digest, one in ten for the gate, one in
/// ten for the test, the rest for training.
pub fn split_of(family: &str, composition: &Composition) -> Split {
    match composition.digest(family).to_u64() % 10 {
        0 => Split::Gate,
        1 => Split::Test,
        _ => Split::Train,
    }
}

/// The digest of a task's content: what an agent sees and what decides, but
/// not seed, split or difficulty.
///
/// It is what it was before tasks held messages, tools and kinds of environment:
/// of a conversation that opens with one user's message only that text is digested,
/// and tools that are the environment's own add nothing. Whatever else opens a
/// conversation or is offered is chained.
pub fn task_digest(
    messages: &[Message],
    tools: &[ToolSpec],
    environment: &EnvironmentSpec,
    limits: &Limits,
    key_digest: &Digest,
) -> Digest {
    let instruction = instruction(messages);
    let mut digest = match environment {
        EnvironmentSpec::Program(ProgramSpec { entry, interface, visible }) => {
            let content = ("task", instruction, entry, visible, limits, key_digest);
            let digest = Digest::of_json(&content);
            match interface.is_call() {
                true => digest,
                false => digest.chain(interface.as_str().as_bytes()),
            }
        }
    };
    if messages != [Message::user(instruction)] {
        digest = digest.chain(canonical_json(&("messages", messages)).as_bytes());
    }
    if tools != own_tools(environment) {
        digest = digest.chain(canonical_json(&("tools", tools)).as_bytes());
    }
    digest
}

/// Where a task comes from.
pub(crate) struct Origin<'a> {
    pub(crate) manifest: &'a FamilyManifest,
    pub(crate) seed: Seed,
    pub(crate) difficulty: u32,
    pub(crate) composition: Composition,
    pub(crate) skills: Vec<String>,
    pub(crate) comparison: Comparison,
}

/// Puts a task together from its content.
pub(crate) fn assemble(content: Content, origin: Origin<'_>) -> AdmittedTask {
    let manifest = origin.manifest;
    let Content { instruction, entry, visible, hidden, reference, failures } = content;
    let comparison = origin.comparison;
    let key = GradingKey::Program(ProgramKey { hidden, comparison, reference, failures });
    let key_digest = key.digest();
    let spec = ProgramSpec { entry, interface: manifest.interface, visible };
    let environment = EnvironmentSpec::Program(spec);
    let (messages, tools) = (vec![Message::user(instruction)], own_tools(&environment));
    let digest = task_digest(&messages, &tools, &environment, &manifest.limits, &key_digest);
    let task = Task {
        id: TaskId::from_digest(&digest),
        digest,
        family: manifest.name.clone(),
        family_version: manifest.version,
        seed: origin.seed,
        difficulty: origin.difficulty,
        split: split_of(&manifest.name, &origin.composition),
        composition: origin.composition,
        skills: origin.skills,
        messages,
        tools,
        environment,
        limits: manifest.limits.clone(),
        key_digest,
    };
    AdmittedTask { task, key }
}
