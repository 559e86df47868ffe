//! The check finds out what a server does, and believes nothing that it says.

use gyre_model::{Support, check};
use serde_json::{Value, json};

use crate::server::{Act, Received, Server, http, ok};

/// A good server, or one that takes tools and answers in prose.
fn answer(request: &Received, has_tools: bool) -> Vec<u8> {
    if request.head.starts_with("get /v1/models ") {
        return ok(&json!({"data": [{"id": "m", "max_model_len": 4096}]}));
    }
    let calls =
        json!([{"id": "a", "function": {"name": "report_number", "arguments": "{\"number\": 7}"}}]);
    let messages = request.body["messages"].as_array().expect("messages");
    let is_asked = request.body["tools"].is_array() && messages.len() == 1;
    let message = if is_asked && has_tools {
        json!({"content": null, "tool_calls": calls})
    } else {
        json!({"content": format!("As for {}: fine.", request.body["seed"])})
    };
    let mut body = json!({
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    });
    if has_tools {
        body["prompt_token_ids"] = json!([1, 2, 3]);
        body["choices"][0]["token_ids"] = json!([4, 5]);
        body["choices"][0]["logprobs"] = json!({"content": [{"logprob": -1.0}, {"logprob": -2.0}]});
    }
    ok(&body)
}

async fn supports(has_tools: bool) -> (Vec<Support>, Value) {
    let server = Server::start(move |_, request| Act::Send(answer(request, has_tools))).await;
    let report = check(server.config(), None).await.expect("a server that answers");
    let told = serde_json::to_value(&report).expect("JSON");
    // The last row is a matter of time.
    (report.rows()[..8].iter().map(|(_, finding)| finding.support).collect(), told)
}

#[tokio::test]
async fn a_good_server_supports_everything() {
    let (found, told) = supports(true).await;
    assert_eq!(found, [Support::Yes; 8]);
    assert_eq!(told["context_tokens"], 4096);
    assert_eq!(told["models"], json!(["m"]));
}

#[tokio::test]
async fn a_server_that_takes_tools_and_answers_in_prose_has_none() {
    use Support::{No, Unknown, Yes};
    let (found, told) = supports(false).await;
    assert_eq!(found, [No, Unknown, No, No, No, Yes, Yes, Yes]);
    let detail = told["tools"]["detail"].as_str().expect("a text");
    assert_eq!(detail, "answered in prose: \"As for 1: fine.\"; use `acting = \"text\"`");
}

#[tokio::test]
async fn a_server_that_answers_nothing_is_an_error() {
    let server = Server::always(http(404, "", "")).await;
    let error = check(server.config(), None).await.expect_err("no completion");
    assert_eq!(server.named(error).to_string(), "server: the server answered 404");
}
