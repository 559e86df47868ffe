//! The requests by which a server is tried.

use gyre_types::{ChatRequest, Message, Role, Sampling, Seed, ToolChoice, ToolSpec};
use serde_json::json;

/// The tool that a server is made to call.
pub(crate) const TOOL: &str = "report_number";
/// The number that it has to report.
pub(crate) const NUMBER: i64 = 7;
/// Tokens of a sampled answer: enough to time, and for seeds to differ in.
pub(crate) const ANSWER_TOKENS: u32 = 48;
/// Words of a prompt that is longer than the context of most servers.
const LONG_PROMPT_WORDS: usize = 150_000;

fn request(content: &str, sampling: Sampling) -> ChatRequest {
    ChatRequest {
        messages: vec![message(Role::User, content)],
        tools: vec![],
        tool_choice: ToolChoice::Auto,
        sampling,
        seed: Seed(1),
    }
}

fn message(role: Role, content: &str) -> Message {
    Message { role, content: content.to_owned(), tool_calls: vec![], tool_call_id: None }
}

/// Asks for something that has many answers.
pub(crate) fn story(seed: u64) -> ChatRequest {
    let sampling = Sampling { temperature: 1.0, tokens_max: ANSWER_TOKENS };
    ChatRequest { seed: Seed(seed), ..request("Tell a story about a lighthouse.", sampling) }
}

/// Asks for as little as makes a server answer. Models that reason do so first.
pub(crate) fn greeting() -> ChatRequest {
    request("Say hello.", Sampling { temperature: 0.0, tokens_max: 16 })
}

/// Asks for a call of the tool.
pub(crate) fn call(choice: ToolChoice) -> ChatRequest {
    let tool = ToolSpec {
        name: TOOL.to_owned(),
        description: "Reports a number.".to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {"number": {"type": "integer"}},
            "required": ["number"],
        }),
    };
    let asked = format!("Call the tool {TOOL} with the number {NUMBER}. Say nothing else.");
    // Models that reason do so before they call.
    let sampling = Sampling { temperature: 0.0, tokens_max: 1_024 };
    ChatRequest { tools: vec![tool], tool_choice: choice, ..request(&asked, sampling) }
}

/// Goes on after a call, with what the tool gave.
pub(crate) fn after_call(call: ChatRequest, answer: Message) -> ChatRequest {
    let answers: Vec<Message> = answer
        .tool_calls
        .iter()
        .map(|call| Message {
            tool_call_id: Some(call.id.clone()),
            ..message(Role::Tool, "The number was reported.")
        })
        .collect();
    let mut messages = call.messages;
    messages.push(answer);
    messages.extend(answers);
    let sampling = Sampling { tokens_max: 8, ..call.sampling };
    ChatRequest { messages, sampling, tool_choice: ToolChoice::Auto, ..call }
}

/// Asks with more words than most contexts hold.
pub(crate) fn long_prompt() -> ChatRequest {
    request(&"word ".repeat(LONG_PROMPT_WORDS), Sampling { temperature: 0.0, tokens_max: 1 })
}
