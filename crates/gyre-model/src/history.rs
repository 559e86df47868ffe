use std::borrow::Cow;

use gyre_types::{Message, ToolCall};
use serde_json::{Value, json};

use crate::arguments::{parse_arguments, preview};

/// Characters of bad arguments that are sent back: enough for a model to see
/// what it did.
const SENT_BACK_CHARS_MAX: usize = 200;
/// Characters of a function's name that OpenAI-compatible servers accept.
const NAME_CHARS_MAX: usize = 64;

/// A history that servers accept, whatever the model sent.
///
/// Chat templates decode the arguments of earlier calls, and fail for the whole
/// conversation where these are no JSON object; servers refuse a request whose
/// history calls a function by a name of other characters than `a-z A-Z 0-9 _ -`.
/// So bad arguments become `{"invalid_arguments": "the first 200 characters"}`
/// and bad characters of a name become `_`.
/// What is recorded of the episode keeps what was sampled.
pub fn renderable(messages: &[Message]) -> Vec<Message> {
    messages
        .iter()
        .map(|message| Message {
            tool_calls: message.tool_calls.iter().map(renderable_call).collect(),
            ..message.clone()
        })
        .collect()
}

fn renderable_call(call: &ToolCall) -> ToolCall {
    let arguments = match parse_arguments(&call.arguments) {
        Ok(arguments) if arguments.is_empty() => "{}".to_owned(),
        Ok(_) => call.arguments.clone(),
        Err(_) => {
            let shown = preview(&call.arguments, SENT_BACK_CHARS_MAX);
            json!({"invalid_arguments": shown}).to_string()
        }
    };
    ToolCall { id: call.id.clone(), name: renderable_name(&call.name).into_owned(), arguments }
}

fn renderable_name(name: &str) -> Cow<'_, str> {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() {
        return Cow::Borrowed("unknown");
    }
    if name.len() <= NAME_CHARS_MAX && name.chars().all(is_valid) {
        return Cow::Borrowed(name);
    }
    let replaced = name.chars().take(NAME_CHARS_MAX);
    replaced.map(|c| if is_valid(c) { c } else { '_' }).collect()
}

/// The messages as servers read them.
pub(crate) fn to_wire(messages: &[Message]) -> Value {
    messages.iter().map(message_to_wire).collect()
}

fn message_to_wire(message: &Message) -> Value {
    // Content is a text beside tool calls too: some templates fail on null.
    let mut wire = json!({"role": message.role.as_str(), "content": message.content});
    if !message.tool_calls.is_empty() {
        wire["tool_calls"] = message.tool_calls.iter().map(call_to_wire).collect();
    }
    if let Some(id) = &message.tool_call_id {
        wire["tool_call_id"] = json!(id);
    }
    wire
}

fn call_to_wire(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    })
}

#[cfg(test)]
mod tests {
    use gyre_types::Role;
    use proptest::prelude::*;

    use super::*;

    fn message(role: Role, content: &str) -> Message {
        Message { role, content: content.to_owned(), tool_calls: vec![], tool_call_id: None }
    }

    fn calls(calls: &[(&str, &str)]) -> Message {
        let call = |(name, arguments): &(&str, &str)| ToolCall {
            id: "call00001".to_owned(),
            name: (*name).to_owned(),
            arguments: (*arguments).to_owned(),
        };
        Message { tool_calls: calls.iter().map(call).collect(), ..message(Role::Assistant, "") }
    }

    #[test]
    fn bad_arguments_and_names_are_sent_back_in_a_form_that_servers_accept() {
        let long = format!("{{\"code\": \"{}", "x".repeat(1_000));
        let history = [calls(&[
            ("submit", r#"{"code": "x"}"#),
            ("submit", ""),
            ("submit", "[1]"),
            ("functions.submit:0", "print('é')"),
            ("", &long),
        ])];
        let sent = &renderable(&history)[0].tool_calls;
        let sent: Vec<_> =
            sent.iter().map(|call| (call.name.as_str(), call.arguments.as_str())).collect();
        let cut = format!("{{\"invalid_arguments\":\"{{\\\"code\\\": \\\"{}…\"}}", "x".repeat(190));
        assert_eq!(
            sent,
            [
                ("submit", r#"{"code": "x"}"#),
                ("submit", "{}"),
                ("submit", r#"{"invalid_arguments":"[1]"}"#),
                ("functions_submit_0", r#"{"invalid_arguments":"print('é')"}"#),
                ("unknown", &cut),
            ]
        );
    }

    proptest! {
        #[test]
        fn whatever_a_model_sends_is_sent_back_as_an_object(name in ".{0,100}", text in ".{0,400}") {
            let sent = renderable(&[calls(&[(&name, &text)])]);
            let call = &sent[0].tool_calls[0];
            prop_assert!(serde_json::from_str::<serde_json::Map<_, _>>(&call.arguments).is_ok());
            prop_assert!(!call.name.is_empty() && call.name.len() <= NAME_CHARS_MAX);
            let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            prop_assert!(call.name.chars().all(is_valid));
        }
    }
}
