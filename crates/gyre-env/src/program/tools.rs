//! The two tools of the program environment, and what is said in their place where a
//! model calls none.

use gyre_types::{Interface, ProgramSpec, ToolCall, ToolSpec};
use serde::{Deserialize, Serialize};

use super::fenced;
use crate::observation::Refusal;

/// Runs a program on the visible examples.
pub const RUN_EXAMPLES: &str = "run_examples";
/// Hands in the final program and ends the episode.
pub const SUBMIT: &str = "submit";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    code: String,
}

/// What a call asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    RunExamples {
        code: String,
    },
    Submit {
        code: String,
    },
    /// Not a call that can be carried out.
    Refused(Refusal),
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

/// How a model that calls no tools is told to answer. Small models often get the
/// name of the function wrong unless its first line is given.
pub(crate) fn how_to_answer(spec: &ProgramSpec) -> String {
    let what = match (spec.interface, spec.visible.first()) {
        (Interface::Stdio, _) => "a Python program that reads its standard input".to_owned(),
        (Interface::Call, Some(case)) => {
            let names: Vec<_> = PARAMETERS.iter().copied().take(case.args.len()).collect();
            format!("a Python function. Start with: def {}({}):", spec.entry, names.join(", "))
        }
        (Interface::Call, None) | (Interface::Statements, _) => {
            format!("Python code that defines {}", spec.entry)
        }
    };
    format!("Answer with one fenced code block. Write {what}")
}

/// What parameters are called that the task gives no names.
const PARAMETERS: [&str; 8] = ["x", "y", "z", "u", "v", "w", "s", "t"];

/// The program of an answer in text.
pub(crate) fn program(text: &str, spec: &ProgramSpec) -> Option<String> {
    let entry = match spec.interface {
        Interface::Stdio => None,
        Interface::Call | Interface::Statements => Some(spec.entry.as_str()),
    };
    fenced::code(text, entry, false)
}

/// What a call asks for, of the tools that are offered.
pub(crate) fn action(call: &ToolCall, offered: &[ToolSpec]) -> Action {
    let code = match serde_json::from_str::<Arguments>(&call.arguments) {
        Ok(arguments) => arguments.code,
        Err(error) => {
            return Action::Refused(Refusal::MalformedArguments { error: error.to_string() });
        }
    };
    let is_offered = offered.iter().any(|tool| tool.name == call.name);
    match call.name.as_str() {
        RUN_EXAMPLES if is_offered => Action::RunExamples { code },
        SUBMIT if is_offered => Action::Submit { code },
        name => Action::Refused(Refusal::UnknownTool {
            name: name.to_owned(),
            offered: offered.iter().map(|tool| tool.name.clone()).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use gyre_types::{Case, Digest, Value};

    use super::*;

    fn spec() -> ProgramSpec {
        ProgramSpec {
            entry: "solve".to_owned(),
            interface: Interface::Call,
            visible: vec![Case { args: vec![Value::Int(1)], expect: Value::Int(2) }],
        }
    }

    #[test]
    fn a_model_without_tools_is_told_how_its_function_begins() {
        let told = how_to_answer(&spec());
        assert!(told.ends_with("Start with: def solve(x):"), "{told}");
        let stdio = ProgramSpec { interface: Interface::Stdio, ..spec() };
        assert!(how_to_answer(&stdio).ends_with("reads its standard input"));
        assert_eq!(program("I cannot do that.", &spec()), None);
        let drafts =
            "```python\nx = 1\n```\nBetter:\n```python\ndef solve(x):\n    return x + 1\n```";
        let last = Some("def solve(x):\n    return x + 1\n".to_owned());
        assert_eq!(program(drafts, &spec()), last);
    }

    /// Models read these texts, and a task that offers other tools has another digest.
    #[test]
    fn the_declaration_of_both_tools_stays_byte_for_byte() {
        let declared = crate::tools_json(&specs());
        assert_eq!(Digest::of(declared.as_bytes()).short(), "d3ab0981b075");
        assert!(declared.contains("without files, network, processes"));
    }

    #[test]
    fn calls_round_trip_and_odd_ones_are_refused() {
        let sent = call(0, RUN_EXAMPLES, "a\n\"b\"");
        let code = "a\n\"b\"".to_owned();
        assert_eq!(action(&sent, &specs()), Action::RunExamples { code });
        let odd = ToolCall { arguments: r#"{"code":"x","grade":1}"#.to_owned(), ..sent };
        let malformed = action(&odd, &specs());
        assert!(matches!(malformed, Action::Refused(Refusal::MalformedArguments { .. })));
        let unknown = action(&call(1, "cheat", "x"), &specs());
        assert!(matches!(unknown, Action::Refused(Refusal::UnknownTool { .. })));
    }

    #[test]
    fn a_tool_that_is_not_offered_cannot_be_called() {
        let offered: Vec<_> = specs().into_iter().filter(|tool| tool.name == SUBMIT).collect();
        let refused = action(&call(0, RUN_EXAMPLES, "x"), &offered);
        let Action::Refused(why) = refused else { panic!("{refused:?}") };
        assert_eq!(why.to_string(), "there is no tool \"run_examples\": use submit");
    }
}
