//! From the body of an answer to a completion. Nothing of a body is taken for
//! granted: servers differ in every field.

use std::collections::HashSet;

use gyre_types::{ChatCompletion, ChatRequest, FinishReason, Message, Role, ToolCall, Usage};
use serde_json::Value;

use crate::error::{Billed, ModelErrorKind};
use crate::tokens::{self, Sampled};

/// Reads a chat completion.
///
/// Where a body has several choices the first is read, since one was asked for.
/// At most `calls_max` tool calls are kept.
///
/// # Errors
///
/// When the body holds no message, or says that the server stopped for a reason
/// of its own.
pub(crate) fn read(
    body: &Value,
    request: &ChatRequest,
    calls_max: u32,
) -> Result<ChatCompletion, ModelErrorKind> {
    let choice = &body["choices"][0];
    let message = &choice["message"];
    if !message.is_object() {
        return Err(no_message(body));
    }
    let (reasoning, content) = said(message);
    let Calls { kept, dropped } = read_calls(message, request, calls_max);
    let sampled = tokens::read(body, choice).counted_by(&body["usage"]);
    let Sampled { prompt, tokens, logprobs } = sampled;
    let usage = usage(&body["usage"], prompt.len(), tokens.len());
    let sampled_max = usage.completion >= u64::from(request.sampling.tokens_max);
    let finish = finish(&choice["finish_reason"], !kept.is_empty(), sampled_max)?;
    Ok(ChatCompletion {
        message: Message { role: Role::Assistant, content, tool_calls: kept, tool_call_id: None },
        calls_dropped: dropped,
        reasoning,
        finish,
        prompt_tokens: prompt,
        tokens,
        logprobs,
        usage,
        model: answered_by(body),
    })
}

/// The model that answered, by its name, and behind `@` the version of its weights where
/// the server tells it: SGLang does, whose weights may change in place.
fn answered_by(body: &Value) -> Option<String> {
    let name = body["model"].as_str()?;
    let places = [&body["metadata"], &body["choices"][0]["meta_info"]];
    let version = places.iter().find_map(|place| place["weight_version"].as_str());
    Some(match version.filter(|version| !matches!(*version, "" | "default")) {
        Some(version) => format!("{name}@{version}"),
        None => name.to_owned(),
    })
}

fn no_message(body: &Value) -> ModelErrorKind {
    let billed = if body["usage"].is_object() { Billed::Yes } else { Billed::Unknown };
    ModelErrorKind::Malformed {
        why: "it is JSON and holds no `choices[0].message`; is `url` the base address of an \
              OpenAI-compatible server?"
            .to_owned(),
        billed,
        retry: false,
    }
}

/// What the message says, reasoning apart.
fn said(message: &Value) -> (Option<String>, String) {
    let (thought, text) = content(&message["content"]);
    let split = gyre_types::split_reasoning(&text);
    let named = ["reasoning_content", "reasoning"].iter().find_map(|key| nonempty(&message[*key]));
    let parts: Vec<String> = [named, thought, split.reasoning].into_iter().flatten().collect();
    let mut answer = split.answer;
    if answer.is_empty()
        && let Some(refusal) = nonempty(&message["refusal"])
    {
        answer = refusal;
    }
    ((!parts.is_empty()).then(|| parts.join("\n\n")), answer)
}

fn nonempty(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Content as reasoning and text: it may be null, a text, or a list of parts.
fn content(content: &Value) -> (Option<String>, String) {
    match content {
        Value::String(text) => (None, text.clone()),
        Value::Array(parts) => {
            let (mut thoughts, mut texts) = (Vec::new(), String::new());
            for part in parts {
                match part["type"].as_str() {
                    Some("thinking" | "reasoning") => thoughts.extend(
                        ["thinking", "reasoning", "text"]
                            .iter()
                            .find_map(|key| thought(&part[*key])),
                    ),
                    _ => texts.push_str(part_text(part)),
                }
            }
            ((!thoughts.is_empty()).then(|| thoughts.join("\n\n")), texts)
        }
        _ => (None, String::new()),
    }
}

/// The text of a part of reasoning, which some servers make a list of parts again.
fn thought(value: &Value) -> Option<String> {
    match value {
        Value::Array(parts) => Some(parts.iter().map(part_text).collect()),
        other => nonempty(other),
    }
}

fn part_text(part: &Value) -> &str {
    let places = [part, &part["text"], &part["refusal"]];
    places.iter().find_map(|place| place.as_str()).unwrap_or_default()
}

/// The tool calls of a turn.
struct Calls {
    kept: Vec<ToolCall>,
    /// How many came after them.
    dropped: u32,
}

fn read_calls(message: &Value, request: &ChatRequest, calls_max: u32) -> Calls {
    let legacy = std::slice::from_ref(message);
    let calls = match message["tool_calls"].as_array() {
        Some(calls) if !calls.is_empty() => calls.as_slice(),
        _ if message["function_call"].is_object() => legacy,
        _ => &[],
    };
    let mut ids = Ids::of(request);
    let kept: Vec<ToolCall> =
        calls.iter().take(calls_max as usize).map(|call| read_call(call, &mut ids)).collect();
    let dropped = u32::try_from(calls.len() - kept.len()).unwrap_or(u32::MAX);
    Calls { kept, dropped }
}

fn read_call(call: &Value, ids: &mut Ids) -> ToolCall {
    let places = ["function", "function_call", "custom"];
    let function = places.iter().map(|key| &call[*key]).find(|value| value.is_object());
    let function = function.unwrap_or(call);
    let arguments = match (&function["arguments"], &function["input"]) {
        (Value::Null, input) => input,
        (arguments, _) => arguments,
    };
    ToolCall {
        id: ids.unique(call["id"].as_str().unwrap_or_default()),
        name: function["name"].as_str().unwrap_or_default().to_owned(),
        arguments: match arguments {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            // Some servers decode the arguments that a model wrote.
            other => other.to_string(),
        },
    }
}

/// The ids of calls in a conversation, which servers leave out, and some begin
/// anew in each turn.
struct Ids(HashSet<String>);

impl Ids {
    fn of(request: &ChatRequest) -> Self {
        let calls = request.messages.iter().flat_map(|message| &message.tool_calls);
        Self(calls.map(|call| call.id.clone()).collect())
    }

    /// This id, or the first free one of the form `call00001`: nine letters and
    /// digits, which is all that Mistral's templates take.
    fn unique(&mut self, id: &str) -> String {
        let is_free = !id.is_empty() && !self.0.contains(id);
        let mut numbers = self.0.len() + 1..;
        let mut id = if is_free { id.to_owned() } else { String::new() };
        while id.is_empty() || self.0.contains(&id) {
            let number = numbers.next().unwrap_or(usize::MAX);
            id = format!("call{number:05}");
        }
        self.0.insert(id.clone());
        id
    }
}

fn usage(usage: &Value, prompt_ids: usize, token_ids: usize) -> Usage {
    let count = |value: &Value, known: usize| value.as_u64().unwrap_or(known as u64);
    let cached = &usage["prompt_tokens_details"]["cached_tokens"];
    Usage {
        prompt: count(&usage["prompt_tokens"], prompt_ids),
        // DeepSeek uses a key of its own.
        cached: cached.as_u64().unwrap_or_else(|| count(&usage["prompt_cache_hit_tokens"], 0)),
        completion: count(&usage["completion_tokens"], token_ids),
    }
}

/// Why sampling ended; where the server does not say, what the rest shows.
fn finish(
    reason: &Value,
    has_calls: bool,
    sampled_max: bool,
) -> Result<FinishReason, ModelErrorKind> {
    match reason.as_str().unwrap_or_default() {
        "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" => Ok(FinishReason::Stop),
        "length" | "max_tokens" | "max_length" | "model_length" => Ok(FinishReason::Length),
        "tool_calls" | "function_call" | "tool_use" => Ok(FinishReason::ToolCalls),
        "content_filter" | "safety" | "refusal" => Ok(FinishReason::ContentFilter),
        reason @ ("abort" | "aborted" | "cancelled" | "error") => {
            Err(ModelErrorKind::ErrorBody { says: format!("finish_reason is {reason}") })
        }
        _ if has_calls => Ok(FinishReason::ToolCalls),
        _ if sampled_max => Ok(FinishReason::Length),
        _ => Ok(FinishReason::Stop),
    }
}

#[cfg(test)]
mod tests;
