//! What a model does, right or wrong, is a completion.

use std::path::Path;

use gyre_model::{Budget, Dialect, ModelClient, OpenAi, OpenAiConfig, Prices};
use gyre_types::{FinishReason, ToolCall, Usage};
use serde_json::{Value, json};

use crate::server::{Act, Server, completion, http, ok, request};

fn called(calls: Value) -> Value {
    let mut body = completion("");
    body["choices"][0]["message"] =
        json!({"role": "assistant", "content": null, "tool_calls": calls});
    body["choices"][0]["finish_reason"] = json!("tool_calls");
    body
}

#[tokio::test]
async fn calls_are_kept_in_order_and_as_they_were_sampled() {
    let calls = json!([
        {"id": "a", "type": "function", "function": {"name": "no_such_tool", "arguments": "{\"x\":"}},
        {"id": "a", "type": "function", "function": {"name": "submit", "arguments": "{}"}},
    ]);
    let server = Server::always(ok(&called(calls))).await;
    let completion = server.ask(server.config()).await.expect("a completion");
    let call = |id: &str, name: &str, arguments: &str| ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    };
    assert_eq!(
        completion.message.tool_calls,
        [call("a", "no_such_tool", "{\"x\":"), call("call00002", "submit", "{}")]
    );
    assert_eq!(completion.finish, FinishReason::ToolCalls);
}

#[tokio::test]
async fn a_flood_of_calls_is_bounded() {
    let one = json!({"id": "a", "function": {"name": "submit", "arguments": "{}"}});
    let server = Server::always(ok(&called(json!(vec![one; 20_000])))).await;
    let completion = server.ask(server.config()).await.expect("a completion");
    assert_eq!((completion.message.tool_calls.len(), completion.calls_dropped), (32, 19_968));
}

#[tokio::test]
async fn an_answer_of_reasoning_alone_is_an_answer() {
    let mut body = completion("");
    body["choices"][0]["message"] = json!({"role": "assistant", "reasoning_content": "hm"});
    let server = Server::always(ok(&body)).await;
    let completion = server.ask(server.config()).await.expect("a completion");
    assert_eq!(
        (completion.message.content.as_str(), completion.reasoning.as_deref()),
        ("", Some("hm"))
    );
}

#[tokio::test]
async fn the_only_model_of_a_server_needs_no_name() {
    let list = |names: &[&str]| {
        let models: Vec<_> = names.iter().map(|name| json!({"id": name})).collect();
        ok(&json!({"data": models}))
    };
    let nameless = |server: &Server| OpenAiConfig { model: None, ..server.config() };
    let server = Server::always(list(&["the-one"])).await;
    let client = server.client(nameless(&server)).await;
    assert_eq!(client.model(), "the-one");
    assert!(server.received()[0].head.starts_with("get /v1/models "));
    for (names, why) in [(vec![], "lists no model"), (vec!["a", "b"], "lists 2 models")] {
        let server = Server::always(list(&names)).await;
        let error = OpenAi::connect(nameless(&server), None).await.expect_err("not one model");
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn the_identity_is_what_decides_the_answers() {
    let server = Server::always(vec![]).await;
    let identity = async |config| server.client(config).await.identity();
    let own = identity(server.config()).await;
    assert!(!own.covers_weights() && own.name == "m");
    let faster = OpenAiConfig { in_flight_max: 2, retries_max: 9, ..server.config() };
    assert_eq!(identity(faster).await, own, "how it is asked decides nothing");
    let narrower = OpenAiConfig { top_p: 0.9, ..server.config() };
    assert_ne!(identity(narrower).await.digest, own.digest);
    let checkpoint = "ckpt-0123456789abcdef".parse().expect("an id");
    let known = server.client(server.config()).await.serving(checkpoint).identity();
    assert!(known.covers_weights() && known.digest != own.digest);
    assert_eq!(known.policy().checkpoint, known.checkpoint);
}

#[tokio::test]
async fn llamacpp_tells_the_ids_of_a_prompt_by_its_tokenizer() {
    let mut body = completion("hi");
    body["usage"] = json!({"prompt_tokens": 3, "completion_tokens": 2});
    body["__verbose"] = json!({"prompt": "<s>Write f.", "tokens": [7, 2]});
    for (ids, known) in [(json!([1, 5, 6]), vec![1, 5, 6]), (json!([1, 5]), vec![])] {
        let body = body.clone();
        let server = Server::start(move |_, request| {
            let is_tokenizer = request.head.starts_with("post /tokenize ");
            Act::Send(if is_tokenizer { ok(&json!({"tokens": ids})) } else { ok(&body) })
        })
        .await;
        let config = OpenAiConfig { dialect: Dialect::LlamaCpp, ..server.config() };
        let completion = server.ask(config).await.expect("a completion");
        assert_eq!((completion.prompt_tokens, completion.tokens), (known, vec![7, 2]));
        let asked = &server.received()[1].body;
        assert_eq!(
            (&asked["content"], &asked["parse_special"]),
            (&json!("<s>Write f."), &json!(true))
        );
    }
}

#[tokio::test]
async fn adapters_are_loaded_by_the_dialects_that_can() {
    let good = [
        (Dialect::Vllm, "post /v1/load_lora_adapter ", "Success: LoRA adapter 'v2' added."),
        (Dialect::SgLang, "post /load_lora_adapter ", r#"{"success": true}"#),
    ];
    for (dialect, line, answer) in good {
        let server = Server::always(http(200, "", answer)).await;
        let client = server.client(OpenAiConfig { dialect, ..server.config() }).await;
        client.load_adapter("v2", Path::new("/adapters/v2")).await.expect("loaded");
        let received = &server.received()[1];
        assert!(received.head.starts_with(line), "{}", received.head);
        assert_eq!(received.body, json!({"lora_name": "v2", "lora_path": "/adapters/v2"}));
    }
    for (dialect, status, answer, why) in [
        (Dialect::Vllm, 404, r#"{"detail": "Not Found"}"#, "answered 404: \"Not Found\""),
        (Dialect::SgLang, 200, r#"{"success": false, "error_message": "rank"}"#, "body: \"rank\""),
        (Dialect::LlamaCpp, 200, "", "servers of this dialect load no adapters"),
    ] {
        let server = Server::always(http(status, "", answer)).await;
        let client = server.client(OpenAiConfig { dialect, ..server.config() }).await;
        let error = client.unload_adapter("v1").await.expect_err("refused");
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn what_is_spent_is_counted_and_bound() {
    let server = Server::always(ok(&completion("hi"))).await;
    let config = OpenAiConfig {
        prices: Prices { input: 1_000.0, output: 100_000.0, ..Prices::default() },
        budget: Budget { tokens_max: Some(28), ..Budget::default() },
        ..server.config()
    };
    let client = server.client(config).await;
    for _ in 0..2 {
        client.complete(request()).await.expect("within the budget");
    }
    let spent = client.spent();
    assert_eq!(spent.usage, Usage { prompt: 20, cached: 0, completion: 8 });
    assert_eq!((spent.requests, spent.unknown, spent.money), (2, 0, 0.82));
    let error = client.complete(request()).await.expect_err("the budget is spent");
    assert_eq!(
        server.named(error).to_string(),
        "server: the budget is spent: 28 of 28 tokens; raise `budget.tokens_max` to go on"
    );
    assert_eq!(server.received().len(), 2, "nothing more was sent");
}
