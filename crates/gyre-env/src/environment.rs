//! What an episode has of its environment, by kind: the one place in which the
//! kinds are told apart while an episode runs.

use gyre_types::{
    Acting, Answer, EnvironmentSpec, Message, StepReport, Task, ToolChoice, ToolSpec,
};

use crate::act::{Act, CallId};
use crate::observation::Observation;
use crate::program::{Program, tools};

/// An environment on its way.
#[derive(Debug)]
pub(crate) enum Environment<'a> {
    Program(Program<'a>),
}

impl<'a> Environment<'a> {
    pub(crate) fn new(task: &'a Task, acting: Acting) -> Self {
        match &task.environment {
            EnvironmentSpec::Program(spec) => Self::Program(Program::new(task, spec, acting)),
        }
    }

    /// Takes in what the model asks for by a message.
    pub(crate) fn receive(&mut self, said: &Message, is_last_turn: bool) {
        match self {
            Self::Program(program) => program.receive(said, is_last_turn),
        }
    }

    /// Goes on with the next call of the turn; nothing where all are done.
    pub(crate) fn next(&mut self) -> Option<(CallId, Act)> {
        match self {
            Self::Program(program) => program.next(),
        }
    }

    /// Takes in the report of the next step of a run.
    pub(crate) fn take(&mut self, report: StepReport) {
        match self {
            Self::Program(program) => program.take(report),
        }
    }

    /// Whether steps that were asked for and not run make sense no more.
    pub(crate) fn is_run_over(&self) -> bool {
        match self {
            Self::Program(program) => program.is_run_over(),
        }
    }

    /// Fuel of the run that is not over.
    pub(crate) fn fuel_of_run(&self) -> u64 {
        match self {
            Self::Program(program) => program.fuel_of_run(),
        }
    }

    /// Ends a run: what it gave.
    pub(crate) fn end_run(&mut self) -> Option<Observation> {
        match self {
            Self::Program(program) => program.end_run(),
        }
    }

    /// What the model would say that submits what there is, in a turn counted from 0.
    pub(crate) fn submission(&self, turn: u32) -> Message {
        match self {
            Self::Program(program) => program.submission(turn),
        }
    }

    pub(crate) fn into_answer(self) -> Answer {
        match self {
            Self::Program(program) => program.into_answer(),
        }
    }
}

/// The messages that state a task to the policy.
pub fn opening_messages(task: &Task, acting: Acting) -> Vec<Message> {
    let mut messages = task.messages.clone();
    if acting == Acting::Text
        && let Some(last) = messages.last_mut()
    {
        last.content.push_str("\n\n");
        last.content.push_str(&match &task.environment {
            EnvironmentSpec::Program(spec) => tools::how_to_answer(spec),
        });
    }
    messages
}

/// The tools that an environment has of its own: what a task offers that says
/// nothing else.
pub fn own_tools(environment: &EnvironmentSpec) -> Vec<ToolSpec> {
    match environment {
        EnvironmentSpec::Program(_) => tools::specs(),
    }
}

/// The tools' declaration, in the shape that chat APIs use.
pub fn tools_json(tools: &[ToolSpec]) -> String {
    let tool = |tool: &ToolSpec| {
        let ToolSpec { name, description, parameters } = tool;
        serde_json::json!({
            "type": "function",
            "function": { "name": name, "description": description, "parameters": parameters },
        })
    };
    serde_json::Value::Array(tools.iter().map(tool).collect()).to_string()
}

/// Which tool the last turn must call.
pub(crate) fn last_choice(environment: &EnvironmentSpec) -> ToolChoice {
    match environment {
        EnvironmentSpec::Program(_) => ToolChoice::Tool(tools::SUBMIT.to_owned()),
    }
}
