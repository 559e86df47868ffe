//! Traces of rollouts, named by OpenTelemetry's conventions for generative AI.
//!
//! Spans and nothing else: who collects them, and whether anybody does, is the
//! program's affair. What was said is part of a span only where spans of the
//! target [`MESSAGES`] are enabled too, since it may be long, and private.

use gyre_env::{EpisodeOutcome, EpisodeSpec};
use gyre_types::{ChatCompletion, ChatRequest, FinishReason, Message, PolicyRef, Role};
use serde_json::{Value, json};
use tracing::field::{Empty, display};
use tracing::{Level, Span, info_span};

/// Who enables spans of this target asks for messages in those of rollouts.
pub const MESSAGES: &str = "gyre_rollout::messages";

const PROVIDER: &str = "gyre";

fn with_messages() -> bool {
    tracing::enabled!(target: MESSAGES, Level::INFO)
}

/// What the conventions call the model: the checkpoint, where there is one.
fn model(policy: &PolicyRef) -> String {
    policy.checkpoint.as_ref().map_or_else(|| policy.digest.to_string(), ToString::to_string)
}

/// A rollout, from its first turn to its end.
pub(crate) fn agent(request: &EpisodeSpec<'_>, policy: &PolicyRef) -> Span {
    // A trace of its own: a round has thousands.
    info_span!(
        parent: None,
        "invoke_agent",
        otel.name = "invoke_agent gyre",
        gen_ai.operation.name = "invoke_agent",
        gen_ai.provider.name = PROVIDER,
        gen_ai.agent.name = "gyre",
        gen_ai.conversation.id = %request.id,
        gen_ai.request.model = model(policy),
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gyre.round = request.round,
        gyre.purpose = %request.purpose,
        gyre.task = %request.task.id,
        gyre.family = %request.task.family,
        gyre.sample = request.sample,
        gyre.stop = Empty,
        gyre.fuel = Empty,
        otel.status_code = Empty,
        error.type = Empty,
    )
}

pub(crate) fn end_agent(span: &Span, made: &EpisodeOutcome) {
    if span.is_disabled() {
        return;
    }
    let record = &made.record;
    let sampled: usize = record.turns.iter().map(|turn| turn.tokens.len()).sum();
    span.record("gen_ai.usage.input_tokens", record.prompt_tokens().len());
    span.record("gen_ai.usage.output_tokens", sampled);
    span.record("gyre.stop", record.stop.as_str());
    span.record("gyre.fuel", record.fuel);
    if let Some(fault) = &made.fault {
        failed(span, fault.kind());
    }
}

pub(crate) fn failed(span: &Span, kind: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", kind);
}

/// A turn: from when the policy is asked until it has answered.
pub(crate) fn chat(agent: &Span, policy: &PolicyRef, request: &ChatRequest) -> Span {
    let span = info_span!(
        parent: agent,
        "chat",
        otel.name = format!("chat {}", model(policy)),
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = PROVIDER,
        gen_ai.request.model = model(policy),
        gen_ai.request.temperature = f64::from(request.sampling.temperature),
        gen_ai.request.max_tokens = request.sampling.tokens_max,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.input.messages = Empty,
        gen_ai.output.messages = Empty,
    );
    if !span.is_disabled() && with_messages() {
        let said: Vec<Value> = request.messages.iter().map(message).collect();
        span.record("gen_ai.input.messages", display(Value::Array(said)));
    }
    span
}

pub(crate) fn end_chat(span: &Span, completion: &ChatCompletion) {
    if span.is_disabled() {
        return;
    }
    let reason = match completion.finish {
        FinishReason::Rule => "stop",
        finish => finish.as_str(),
    };
    if !completion.prompt_tokens.is_empty() {
        span.record("gen_ai.usage.input_tokens", completion.prompt_tokens.len());
    }
    span.record("gen_ai.usage.output_tokens", completion.tokens.len());
    span.record("gen_ai.response.finish_reasons", display(json!([reason])));
    if with_messages() {
        let mut said = message(&completion.message);
        said["finish_reason"] = json!(reason);
        span.record("gen_ai.output.messages", display(json!([said])));
    }
}

/// A call of a tool, which runs a program in a guest.
pub(crate) fn tool(agent: &Span, said: Option<&Message>) -> Span {
    let Some(call) = said.and_then(|message| message.tool_calls.first()) else {
        return Span::none();
    };
    let span = info_span!(
        parent: agent,
        "execute_tool",
        otel.name = format!("execute_tool {}", call.name),
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = call.name,
        gen_ai.tool.type = "function",
        gen_ai.tool.call.id = call.id,
        gen_ai.tool.call.arguments = Empty,
        gen_ai.tool.call.result = Empty,
        gyre.fuel = Empty,
        otel.status_code = Empty,
        error.type = Empty,
    );
    if !span.is_disabled() && with_messages() {
        span.record("gen_ai.tool.call.arguments", call.arguments.as_str());
    }
    span
}

pub(crate) fn end_tool(span: &Span, fuel: u64, result: Option<&Message>, faulted: bool) {
    if span.is_disabled() {
        return;
    }
    span.record("gyre.fuel", fuel);
    if let Some(result) = result.filter(|_| with_messages()) {
        span.record("gen_ai.tool.call.result", result.content.as_str());
    }
    if faulted {
        failed(span, "infrastructure");
    }
}

/// A message in the conventions' shape.
fn message(message: &Message) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut parts = Vec::new();
    if let Some(id) = &message.tool_call_id {
        let part = json!({ "type": "tool_call_response", "id": id, "response": message.content });
        parts.push(part);
    } else if !message.content.is_empty() {
        parts.push(json!({ "type": "text", "content": message.content }));
    }
    for call in &message.tool_calls {
        let arguments: Value = serde_json::from_str(&call.arguments)
            .unwrap_or_else(|_| Value::String(call.arguments.clone()));
        parts.push(json!({
            "type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments,
        }));
    }
    json!({ "role": role, "parts": parts })
}
