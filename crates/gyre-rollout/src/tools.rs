//! The two tools that every policy may call.

use gyre_types::{Message, Role, ToolCall};
use serde::{Deserialize, Serialize};

/// Runs a program on the visible examples.
pub const RUN_EXAMPLES: &str = "run_examples";
/// Hands in the final program and ends the episode.
pub const SUBMIT: &str = "submit";

/// Starts the tool message of a run in which every example agreed.
pub(crate) const ALL_AGREE: &str = "all examples agree";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    code: String,
}

/// What a tool call asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    RunExamples {
        code: String,
    },
    Submit {
        code: String,
    },
    /// Not a call that the loop can execute; the text tells the policy why.
    Refused(String),
}

/// A call of `tool` with a program.
pub fn tool_call(turn: u32, tool: &str, code: &str) -> ToolCall {
    let arguments = serde_json::json!({ "code": code }).to_string();
    ToolCall { id: format!("call-{turn}"), name: tool.to_owned(), arguments }
}

/// The tool description's text on the environment that programs run in; docs/sandbox.md
/// tells the rest.
const PROGRAM: &str = "A complete Python program. It runs in CPython 3.14 with the standard library, \
                       without files, network, processes, ctypes, bz2 and lzma; a thread runs to its \
                       end when it is started.";

/// The tools' declaration, in the shape that chat APIs use.
pub fn tools_json() -> String {
    let tool = |name: &str, description: &str| {
        serde_json::json!({
            "type": "function",
            "function": {
                "name": name,
                "description": description,
                "parameters": {
                    "type": "object",
                    "properties": { "code": { "type": "string", "description": PROGRAM } },
                    "required": ["code"],
                    "additionalProperties": false,
                },
            },
        })
    };
    serde_json::json!([
        tool(RUN_EXAMPLES, "Run a program on the visible examples and see what each gave."),
        tool(SUBMIT, "Hand in the final program. Ends the episode."),
    ])
    .to_string()
}

/// Whether the last message tells that every visible example agreed.
pub fn last_examples_passed(messages: &[Message]) -> bool {
    messages.last().is_some_and(|m| m.role == Role::Tool && m.content.starts_with(ALL_AGREE))
}

/// Reads what an assistant's message asks for. A message without a call counts
/// as a submission of its text, fenced or plain.
pub(crate) fn read_request(message: &Message) -> Request {
    let Some(call) = message.tool_calls.first() else {
        return Request::Submit { code: unfenced(&message.content).to_owned() };
    };
    let code = match serde_json::from_str::<Arguments>(&call.arguments) {
        Ok(arguments) => arguments.code,
        Err(error) => return Request::Refused(format!("the arguments are malformed: {error}")),
    };
    match call.name.as_str() {
        RUN_EXAMPLES => Request::RunExamples { code },
        SUBMIT => Request::Submit { code },
        other => {
            Request::Refused(format!("there is no tool {other:?}: use run_examples or submit"))
        }
    }
}

/// The text inside the first code fence, or the whole text.
fn unfenced(text: &str) -> &str {
    let Some((_, rest)) = text.split_once("```") else { return text };
    let rest = rest.split_once('\n').map_or(rest, |(_language, rest)| rest);
    rest.split_once("```").map_or(rest, |(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assistant(content: &str, tool_calls: Vec<ToolCall>) -> Message {
        Message {
            role: Role::Assistant,
            content: content.to_owned(),
            tool_calls,
            tool_call_id: None,
        }
    }

    #[test]
    fn a_fence_is_unwrapped() {
        let message = assistant("Here:\n```python\nx = 1\n```\nDone.", vec![]);
        assert_eq!(read_request(&message), Request::Submit { code: "x = 1\n".to_owned() });
        let message = assistant("x = 2", vec![]);
        assert_eq!(read_request(&message), Request::Submit { code: "x = 2".to_owned() });
    }

    #[test]
    fn each_tool_says_where_a_program_runs() {
        let tools: serde_json::Value = serde_json::from_str(&tools_json()).unwrap();
        for tool in tools.as_array().unwrap() {
            let told = tool["function"]["parameters"]["properties"]["code"]["description"].as_str();
            assert!(told.unwrap().contains("without files, network, processes"), "{told:?}");
        }
    }

    #[test]
    fn calls_round_trip_and_odd_ones_are_refused() {
        let message = assistant("", vec![tool_call(0, RUN_EXAMPLES, "a\n\"b\"")]);
        assert_eq!(read_request(&message), Request::RunExamples { code: "a\n\"b\"".to_owned() });
        let mut odd = tool_call(0, SUBMIT, "x");
        odd.arguments = r#"{"code":"x","grade":1}"#.to_owned();
        assert!(matches!(read_request(&assistant("", vec![odd])), Request::Refused(_)));
        let unknown = tool_call(0, "cheat", "x");
        assert!(matches!(read_request(&assistant("", vec![unknown])), Request::Refused(_)));
    }
}
