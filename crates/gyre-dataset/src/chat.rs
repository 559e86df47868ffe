//! Messages as chat APIs and chat templates take them: JSON values, each with the
//! keys that it needs and no others.

use gyre_types::{Message, Role, ToolCall};
use serde_json::{Map, Value, json};

/// Every message of a conversation, as JSON text.
pub(crate) fn messages(conversation: &[Message]) -> Vec<String> {
    conversation.iter().map(|message| chat_message(message, conversation).to_string()).collect()
}

/// Every tool of a JSON list of tools, as JSON text; none where it is no list.
pub(crate) fn tools(list: &str) -> Vec<String> {
    let tools: Vec<Value> = serde_json::from_str(list).unwrap_or_default();
    tools.iter().map(Value::to_string).collect()
}

/// How many messages come before the first one that the policy gave.
pub(crate) fn prompt_len(conversation: &[Message]) -> usize {
    let sampled = |message: &Message| message.role == Role::Assistant;
    conversation.iter().position(sampled).unwrap_or(conversation.len())
}

fn chat_message(message: &Message, conversation: &[Message]) -> Value {
    let mut fields = Map::new();
    fields.insert("role".to_owned(), json!(message.role.as_str()));
    fields.insert("content".to_owned(), json!(message.content));
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().map(tool_call).collect();
        fields.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    if let Some(id) = &message.tool_call_id {
        fields.insert("tool_call_id".to_owned(), json!(id));
        let mut calls = conversation.iter().flat_map(|message| &message.tool_calls);
        if let Some(called) = calls.find(|call| call.id == *id) {
            fields.insert("name".to_owned(), json!(called.name));
        }
    }
    Value::Object(fields)
}

fn tool_call(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.name, "arguments": arguments(&call.arguments) },
    })
}

/// Arguments as the object that they are. Text that is no JSON object stands in
/// one, since chat templates render objects only.
fn arguments(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::Object(arguments)) => Value::Object(arguments),
        _ => json!({ "arguments": text }),
    }
}
