use serde::{Deserialize, Serialize};

use crate::{Interface, Value};

/// What an agent acts in during an episode, by kind.
///
/// Grading keys and answers are enums of the same kinds. Whoever looks into one
/// names every kind, so that a new kind shows each place that must decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentSpec {
    /// The agent writes a program, which is graded by cases.
    Program(ProgramSpec),
}

impl EnvironmentSpec {
    /// The name of its kind: `program`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Program(_) => "program",
        }
    }
}

/// An environment in which the agent writes a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramSpec {
    /// The function that the program must define.
    pub entry: String,
    /// How the program is run on a case.
    #[serde(default, skip_serializing_if = "Interface::is_call")]
    pub interface: Interface,
    /// Examples that the agent may see and run.
    pub visible: Vec<Case>,
}

/// One call and what it must return.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Positional arguments.
    pub args: Vec<Value>,
    /// The value expected.
    pub expect: Value,
}
