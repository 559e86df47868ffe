use gyre_types::{Sampling, Seed, ToolChoice};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn request() -> ChatRequest {
    ChatRequest {
        messages: vec![],
        tools: vec![],
        tool_choice: ToolChoice::Auto,
        sampling: Sampling { temperature: 1.0, tokens_max: 8 },
        seed: Seed(1),
    }
}

fn read_message(message: Value) -> ChatCompletion {
    let body = json!({"choices": [{"message": message, "finish_reason": "stop"}]});
    read(&body, &request(), 4).expect("a completion")
}

#[test]
fn content_is_null_missing_a_text_or_a_list_of_parts() {
    let parts = json!([
        {"type": "text", "text": "a"}, {"type": "image_url"}, "b", {"type": "output_text", "text": "c"},
    ]);
    for (message, content) in [
        (json!({"content": null}), ""),
        (json!({}), ""),
        (json!({"content": "abc"}), "abc"),
        (json!({"content": parts}), "abc"),
        (json!({"content": []}), ""),
        (json!({"content": 7}), ""),
        (json!({"content": null, "refusal": "I will not."}), "I will not."),
    ] {
        assert_eq!(read_message(message.clone()).message.content, content, "{message}");
    }
}

#[test]
fn reasoning_is_kept_apart_wherever_it_is() {
    let think = json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                       {"type": "text", "text": "a"}]);
    for (message, reasoning, content) in [
        (json!({"content": "a", "reasoning_content": "hm"}), Some("hm"), "a"),
        (json!({"content": "a", "reasoning": "hm"}), Some("hm"), "a"),
        (json!({"content": "a", "reasoning": "hm", "reasoning_content": "hm"}), Some("hm"), "a"),
        (json!({"content": "<think>hm</think>\n\na"}), Some("hm"), "a"),
        (json!({"content": think}), Some("hm"), "a"),
        (json!({"content": "a", "reasoning_content": null}), None, "a"),
        (json!({"reasoning_content": "hm"}), Some("hm"), ""),
    ] {
        let completion = read_message(message.clone());
        assert_eq!(completion.reasoning.as_deref(), reasoning, "{message}");
        assert_eq!(completion.message.content, content, "{message}");
    }
}

fn calls_of(calls: Value) -> Vec<(String, String, String)> {
    let calls = read_message(json!({"content": null, "tool_calls": calls})).message.tool_calls;
    calls.into_iter().map(|call| (call.id, call.name, call.arguments)).collect()
}

fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
    (id.to_owned(), name.to_owned(), arguments.to_owned())
}

#[test]
fn arguments_are_kept_as_they_were_sampled() {
    let calls = calls_of(json!([
        {"id": "a", "function": {"name": "submit", "arguments": "{\"code\": \"def"}},
        {"id": "b", "function": {"name": "submit", "arguments": {"code": "x"}}},
        {"id": "c", "function": {"name": "submit", "arguments": "[1]"}},
        {"id": "d", "function": {"arguments": null}},
    ]));
    assert_eq!(
        calls,
        [
            call("a", "submit", "{\"code\": \"def"),
            call("b", "submit", "{\"code\":\"x\"}"),
            call("c", "submit", "[1]"),
            call("d", "", ""),
        ]
    );
    let custom =
        json!([{"id": "e", "type": "custom", "custom": {"name": "run", "input": "x = 1"}}]);
    assert_eq!(calls_of(custom), [call("e", "run", "x = 1")]);
    assert_eq!(calls_of(json!([7])), [call("call00001", "", "")]);
    assert_eq!(calls_of(json!({})), []);
}

#[test]
fn ids_are_unique_in_the_conversation() {
    let one = json!({"id": "call_0", "function": {"name": "f", "arguments": "{}"}});
    let without = json!({"function": {"name": "f", "arguments": "{}"}});
    let message = json!({"tool_calls": [one, one, without]});
    let first = read_message(message.clone()).message;
    let ids = |message: &Message| -> Vec<String> {
        message.tool_calls.iter().map(|call| call.id.clone()).collect()
    };
    assert_eq!(ids(&first), ["call_0", "call00002", "call00003"]);
    let later = ChatRequest { messages: vec![first], ..request() };
    let body = json!({"choices": [{"message": message}]});
    let second = read(&body, &later, 4).expect("a completion").message;
    assert_eq!(ids(&second), ["call00004", "call00005", "call00006"]);
}

#[test]
fn a_flood_of_calls_is_bounded_and_counted() {
    let one = json!({"id": "x", "function": {"name": "f", "arguments": "{}"}});
    let completion = read_message(json!({"tool_calls": vec![one; 1_000]}));
    assert_eq!((completion.message.tool_calls.len(), completion.calls_dropped), (4, 996));
}

#[test]
fn the_legacy_form_is_one_call() {
    let legacy = json!({"content": null, "function_call": {"name": "f", "arguments": "{}"}});
    let calls = read_message(legacy).message.tool_calls;
    let expected = ToolCall { id: "call00001".into(), name: "f".into(), arguments: "{}".into() };
    assert_eq!(calls, [expected]);
}

#[test]
fn every_finish_reason_has_a_meaning() {
    let finish_of = |reason: Value, message: Value, sampled: u64| {
        let body = json!({
            "choices": [{"message": message, "finish_reason": reason}],
            "usage": {"completion_tokens": sampled},
        });
        read(&body, &request(), 4).map(|completion| completion.finish)
    };
    let text = json!({"content": "a"});
    let call = json!({"tool_calls": [{"function": {"name": "f"}}]});
    for (reason, message, sampled, expected) in [
        (json!("stop"), &text, 1, FinishReason::Stop),
        (json!("stop"), &call, 1, FinishReason::Stop),
        (json!("length"), &text, 8, FinishReason::Length),
        (json!("tool_calls"), &call, 1, FinishReason::ToolCalls),
        (json!("function_call"), &call, 1, FinishReason::ToolCalls),
        (json!("content_filter"), &text, 1, FinishReason::ContentFilter),
        (json!(null), &text, 1, FinishReason::Stop),
        (json!(null), &text, 8, FinishReason::Length),
        (json!(null), &call, 1, FinishReason::ToolCalls),
        (json!("something new"), &text, 1, FinishReason::Stop),
        (json!({"type": "stop"}), &text, 1, FinishReason::Stop),
    ] {
        let finish = finish_of(reason.clone(), message.clone(), sampled);
        assert_eq!(finish, Ok(expected), "{reason} {message} {sampled}");
    }
    let aborted = finish_of(json!("abort"), text, 1).expect_err("the server's own reason");
    assert_eq!((aborted.billed(), aborted.retry().is_some()), (Billed::Unknown, true));
}

#[test]
fn usage_is_what_the_server_counted_or_what_the_ids_show() {
    let usage_of = |extra: Value| {
        let mut body = json!({"choices": [{"message": {}, "token_ids": [4, 5, 6]}],
                              "prompt_token_ids": [1, 2]});
        body["usage"] = extra;
        read(&body, &request(), 4).expect("a completion").usage
    };
    let details = json!({"prompt_tokens": 20, "completion_tokens": 7,
                         "prompt_tokens_details": {"cached_tokens": 16}});
    assert_eq!(usage_of(details), Usage { prompt: 20, cached: 16, completion: 7 });
    let deepseek = json!({"prompt_tokens": 20, "completion_tokens": 7,
                          "prompt_cache_hit_tokens": 12});
    assert_eq!(usage_of(deepseek), Usage { prompt: 20, cached: 12, completion: 7 });
    assert_eq!(usage_of(Value::Null), Usage { prompt: 2, cached: 0, completion: 3 });
}

#[test]
fn a_body_without_a_message_is_no_completion() {
    for body in [
        json!({}),
        json!([]),
        json!(null),
        json!({"choices": []}),
        json!({"choices": [{"text": "legacy"}]}),
        json!({"choices": [{"message": null}]}),
    ] {
        let error = read(&body, &request(), 4).expect_err("no message");
        assert!(error.to_string().contains("holds no `choices[0].message`"), "{body}: {error}");
        assert_eq!(error.retry(), None);
    }
    let paid = read(&json!({"choices": [], "usage": {}}), &request(), 4).expect_err("no message");
    assert_eq!(paid.billed(), Billed::Yes);
}

/// JSON of the keys that are read, in any order and of any type.
fn any_body() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(vec![
        "choices",
        "message",
        "content",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "logprobs",
        "token_ids",
        "usage",
        "completion_tokens",
        "finish_reason",
        "reasoning",
        "text",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec!["", "a", "stop", "</think>", "thinking"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        let object =
            prop::collection::vec((keys.clone(), inner.clone()), 0..6).prop_map(|fields| {
                fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            });
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::Array),
            object.prop_map(Value::Object)
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_a_completion_or_an_error(message in any_body(), choice in any_body()) {
        let body = json!({"choices": [{"message": {"tool_calls": [message, message],
            "content": choice}, "logprobs": choice, "finish_reason": message}], "usage": message});
        if let Ok(completion) = read(&body, &request(), 4) {
            let calls = &completion.message.tool_calls;
            let ids: HashSet<_> = calls.iter().map(|call| &call.id).collect();
            prop_assert_eq!(ids.len(), calls.len());
        }
        let _ = read(&choice, &request(), 4);
    }
}
