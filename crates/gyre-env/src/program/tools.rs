//! The two tools of the program environment.

use gyre_types::{Interface, Message, Task, ToolCall, ToolSpec};
use serde::{Deserialize, Serialize};

use super::fenced;

/// Runs a program on the visible examples.
pub const RUN_EXAMPLES: &str = "run_examples";
/// Hands in the final program and ends the episode.
pub const SUBMIT: &str = "submit";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    code: String,
}

/// What a call asks for, with the id of the call that an answer must name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    RunExamples {
        id: Option<String>,
        code: String,
    },
    Submit {
        id: Option<String>,
        code: String,
    },
    /// Not a call that can be carried out; the text tells the model why.
    Refused {
        id: Option<String>,
        why: String,
    },
}

/// A call of `tool` with a program, in a turn counted from 0.
pub fn call(turn: u32, tool: &str, code: &str) -> ToolCall {
    let arguments = serde_json::json!({ "code": code }).to_string();
    ToolCall { id: format!("call-{turn}"), name: tool.to_owned(), arguments }
}

/// The tool description's text on the environment that programs run in; docs/sandbox.md
/// tells the rest.
const PROGRAM: &str = "A complete Python program. It runs in CPython 3.14 with the standard library, \
                       without files, network, processes, ctypes, bz2 and lzma; a thread runs to its \
                       end when it is started.";

/// The tools that are declared to the model.
pub fn specs() -> Vec<ToolSpec> {
    let tool = |name: &str, description: &str| ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters: serde_json::json!({
            "type": "object",
            "properties": { "code": { "type": "string", "description": PROGRAM } },
            "required": ["code"],
            "additionalProperties": false,
        }),
    };
    vec![
        tool(RUN_EXAMPLES, "Run a program on the visible examples and see what each gave."),
        tool(SUBMIT, "Hand in the final program. Ends the episode."),
    ]
}

/// The tools' declaration, in the shape that chat APIs use.
pub fn specs_json() -> String {
    let tool = |tool: ToolSpec| {
        let ToolSpec { name, description, parameters } = tool;
        serde_json::json!({
            "type": "function",
            "function": { "name": name, "description": description, "parameters": parameters },
        })
    };
    serde_json::Value::Array(specs().into_iter().map(tool).collect()).to_string()
}

/// How a model that calls no tools is told to answer. Small models often get the
/// name of the function wrong unless its first line is given.
pub(crate) fn how_to_answer(task: &Task) -> String {
    let what = match (task.interface, task.visible.first()) {
        (Interface::Stdio, _) => "a Python program that reads its standard input".to_owned(),
        (Interface::Call, Some(case)) => {
            let names: Vec<_> = PARAMETERS.iter().copied().take(case.args.len()).collect();
            format!("a Python function. Start with: def {}({}):", task.entry, names.join(", "))
        }
        (Interface::Call, None) | (Interface::Statements, _) => {
            format!("Python code that defines {}", task.entry)
        }
    };
    format!("Answer with one fenced code block. Write {what}")
}

/// What parameters are called that the task gives no names.
const PARAMETERS: [&str; 8] = ["x", "y", "z", "u", "v", "w", "s", "t"];

/// What a model is told whose answer holds no program.
pub(crate) fn no_program(task: &Task) -> String {
    format!("Your answer holds no program. {}", how_to_answer(task))
}

/// The program of an answer in text.
pub(crate) fn program(text: &str, task: &Task) -> Option<String> {
    let entry = match task.interface {
        Interface::Stdio => None,
        Interface::Call | Interface::Statements => Some(task.entry.as_str()),
    };
    fenced::code(text, entry, false)
}

/// What an assistant's message asks for, in order. A message without a call
/// counts as a submission of its text, fenced or plain.
pub(crate) fn actions(message: &Message, task: &Task) -> Vec<Action> {
    if message.tool_calls.is_empty() {
        let code = program(&message.content, task).unwrap_or_else(|| message.content.clone());
        return vec![Action::Submit { id: None, code }];
    }
    message.tool_calls.iter().map(action).collect()
}

fn action(call: &ToolCall) -> Action {
    let id = Some(call.id.clone());
    let code = match serde_json::from_str::<Arguments>(&call.arguments) {
        Ok(arguments) => arguments.code,
        Err(error) => {
            return Action::Refused { id, why: format!("the arguments are malformed: {error}") };
        }
    };
    match call.name.as_str() {
        RUN_EXAMPLES => Action::RunExamples { id, code },
        SUBMIT => Action::Submit { id, code },
        other => {
            let why = format!("there is no tool {other:?}: use run_examples or submit");
            Action::Refused { id, why }
        }
    }
}

#[cfg(test)]
mod tests {
    use gyre_types::{Case, Composition, Digest, Limits, Role, Seed, Split, TaskId, Value};

    use super::*;

    fn task() -> Task {
        let digest = Digest::of(b"task");
        Task {
            id: TaskId::from_digest(&digest),
            digest,
            family: "family".to_owned(),
            family_version: 1,
            seed: Seed(1),
            difficulty: 1,
            composition: Composition(vec![]),
            skills: vec![],
            split: Split::Train,
            instruction: "Add one.".to_owned(),
            entry: "solve".to_owned(),
            interface: Interface::Call,
            visible: vec![Case { args: vec![Value::Int(1)], expect: Value::Int(2) }],
            limits: Limits::default(),
            key_digest: digest,
        }
    }

    #[test]
    fn a_model_without_tools_is_told_how_its_function_begins() {
        let told = how_to_answer(&task());
        assert!(told.ends_with("Start with: def solve(x):"), "{told}");
        let stdio = Task { interface: Interface::Stdio, ..task() };
        assert!(how_to_answer(&stdio).ends_with("reads its standard input"));
        assert_eq!(program("I cannot do that.", &task()), None);
        let drafts =
            "```python\nx = 1\n```\nBetter:\n```python\ndef solve(x):\n    return x + 1\n```";
        let last = Some("def solve(x):\n    return x + 1\n".to_owned());
        assert_eq!(program(drafts, &task()), last);
    }

    fn assistant(content: &str, tool_calls: Vec<ToolCall>) -> Message {
        let content = content.to_owned();
        Message { role: Role::Assistant, content, tool_calls, tool_call_id: None }
    }

    fn only(message: &Message) -> Action {
        let mut actions = actions(message, &task());
        assert_eq!(actions.len(), 1);
        actions.remove(0)
    }

    #[test]
    fn a_fence_is_unwrapped() {
        let submitted = |text| match only(&assistant(text, vec![])) {
            Action::Submit { id: None, code } => code,
            other => panic!("{other:?}"),
        };
        assert_eq!(submitted("Here:\n```python\nx = 1\n```\nDone."), "x = 1\n");
        assert_eq!(submitted("x = 2"), "x = 2");
    }

    #[test]
    fn each_tool_says_where_a_program_runs() {
        let tools: serde_json::Value = serde_json::from_str(&specs_json()).unwrap();
        for tool in tools.as_array().unwrap() {
            let told = tool["function"]["parameters"]["properties"]["code"]["description"].as_str();
            assert!(told.unwrap().contains("without files, network, processes"), "{told:?}");
        }
    }

    #[test]
    fn calls_round_trip_and_odd_ones_are_refused() {
        let message = assistant("", vec![call(0, RUN_EXAMPLES, "a\n\"b\"")]);
        let (id, code) = (Some("call-0".to_owned()), "a\n\"b\"".to_owned());
        assert_eq!(only(&message), Action::RunExamples { id, code });
        let mut odd = call(0, SUBMIT, "x");
        odd.arguments = r#"{"code":"x","grade":1}"#.to_owned();
        let unknown = call(1, "cheat", "x");
        let refused = actions(&assistant("", vec![odd, unknown]), &task());
        assert!(refused.iter().all(|action| matches!(action, Action::Refused { .. })));
        assert_eq!(refused.len(), 2);
    }
}
