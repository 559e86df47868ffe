use gyre_types::{ChatRequest, Seed, ToolChoice, ToolSpec};
use serde_json::{Map, Value, json};

use crate::config::OpenAiConfig;
use crate::dialect::Cuts;
use crate::history::{renderable, to_wire};

/// The body of a request: everything that decides the answer is said, and nothing
/// is left to a server's defaults.
pub(crate) fn body(config: &OpenAiConfig, model: &str, request: &ChatRequest) -> Value {
    let messages = renderable(&request.messages);
    let mut body = Map::new();
    let mut add = |key: &str, value: Value| body.insert(key.to_owned(), value);
    add("model", json!(model));
    add("messages", to_wire(&messages));
    add("stream", json!(false));
    add("n", json!(1));
    add("temperature", json!(request.sampling.temperature));
    add("top_p", json!(config.top_p));
    add("presence_penalty", json!(0.0));
    add("frequency_penalty", json!(0.0));
    add(config.max_tokens_key.as_str(), json!(request.sampling.tokens_max));
    add("seed", json!(wire_seed(request.seed)));
    if !request.tools.is_empty() {
        add("tools", request.tools.iter().map(tool_to_wire).collect());
        let choice = match &request.tool_choice {
            ToolChoice::Auto => json!("auto"),
            ToolChoice::Tool(name) => config.dialect.tool_choice(name),
        };
        add("tool_choice", choice);
    }
    let cuts = Cuts { top_k: config.top_k, min_p: config.min_p };
    config.dialect.add_keys(cuts, &mut body);
    merge(&mut body, &config.extra);
    Value::Object(body)
}

fn tool_to_wire(tool: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    })
}

/// A seed that every server takes: 31 bits, since llama.cpp keeps 32 of them and
/// takes the largest for "none".
fn wire_seed(seed: Seed) -> u64 {
    seed.0 & 0x7fff_ffff
}

/// Merges `extra` as a JSON merge patch (RFC 7396) of depth one: null removes.
fn merge(body: &mut Map<String, Value>, extra: &Map<String, Value>) {
    for (key, value) in extra {
        if value.is_null() {
            body.remove(key);
        } else {
            body.insert(key.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use gyre_types::{Message, Role, Sampling};

    use super::*;

    fn check(config: Value, has_tools: bool, expected: Expect) {
        let config: OpenAiConfig = serde_json::from_value(config).expect("known keys");
        let tool = ToolSpec {
            name: "submit".to_owned(),
            description: "Ends the task.".to_owned(),
            parameters: json!({"type": "object"}),
        };
        let message = |role, content: &str| Message {
            role,
            content: content.to_owned(),
            tool_calls: vec![],
            tool_call_id: None,
        };
        let request = ChatRequest {
            messages: vec![message(Role::User, "Write f.")],
            tools: if has_tools { vec![tool] } else { vec![] },
            tool_choice: ToolChoice::Tool("submit".to_owned()),
            sampling: Sampling { temperature: 0.5, tokens_max: 64 },
            seed: Seed(u64::MAX),
        };
        expected.assert_eq(&gyre_types::canonical_json(&body(&config, "m", &request)));
    }

    #[test]
    fn each_dialect_is_told_all_of_the_sampling() {
        check(
            json!({}),
            true,
            expect![[
                r#"{"frequency_penalty":0.0,"max_tokens":64,"messages":[{"content":"Write f.","role":"user"}],"model":"m","n":1,"presence_penalty":0.0,"seed":2147483647,"stream":false,"temperature":0.5,"tool_choice":{"function":{"name":"submit"},"type":"function"},"tools":[{"function":{"description":"Ends the task.","name":"submit","parameters":{"type":"object"}},"type":"function"}],"top_p":1.0}"#
            ]],
        );
        check(
            json!({"dialect": "vllm", "top_k": 20}),
            false,
            expect![[
                r#"{"frequency_penalty":0.0,"logprobs":true,"max_tokens":64,"messages":[{"content":"Write f.","role":"user"}],"min_p":0.0,"model":"m","n":1,"presence_penalty":0.0,"repetition_penalty":1.0,"return_token_ids":true,"seed":2147483647,"stream":false,"temperature":0.5,"top_k":20,"top_p":1.0}"#
            ]],
        );
        check(
            json!({"dialect": "llamacpp", "top_p": 0.5}),
            true,
            expect![[
                r#"{"frequency_penalty":0.0,"logprobs":true,"max_tokens":64,"messages":[{"content":"Write f.","role":"user"}],"min_p":0.0,"model":"m","n":1,"presence_penalty":0.0,"repeat_penalty":1.0,"return_tokens":true,"seed":2147483647,"stream":false,"temperature":0.5,"tool_choice":"required","tools":[{"function":{"description":"Ends the task.","name":"submit","parameters":{"type":"object"}},"type":"function"}],"top_k":0,"top_logprobs":1,"top_p":0.5,"typical_p":1.0,"verbose":true}"#
            ]],
        );
        check(
            json!({"max_tokens_key": "max_completion_tokens",
                   "extra": {"temperature": null, "seed": null, "reasoning_effort": "low"}}),
            false,
            expect![[
                r#"{"frequency_penalty":0.0,"max_completion_tokens":64,"messages":[{"content":"Write f.","role":"user"}],"model":"m","n":1,"presence_penalty":0.0,"reasoning_effort":"low","stream":false,"top_p":1.0}"#
            ]],
        );
    }
}
