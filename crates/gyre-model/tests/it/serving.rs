//! What a server serves, asked after each change.

use std::path::Path;
use std::sync::{Arc, Mutex};

use gyre_model::{Dialect, ModelClient, ModelErrorKind, OpenAi, OpenAiConfig};
use serde_json::{Value, json};

use crate::server::{Act, Received, Server, completion, http, ok, request};

/// Answers that name this model.
fn answers_as(model: Option<&str>) -> Value {
    let mut body = completion("Hello.");
    body["model"] = json!(model);
    body
}

/// A server with this list of models, or none, that answers as this model.
async fn server(listed: Option<Vec<&'static str>>, model: Option<&'static str>) -> Server {
    Server::start(move |_, request| {
        Act::Send(match (&listed, request.head.starts_with("get ")) {
            (Some(names), true) => ok(&models(names)),
            (None, true) => http(404, "", ""),
            _ => ok(&answers_as(model)),
        })
    })
    .await
}

fn models<S: AsRef<str>>(names: &[S]) -> Value {
    json!({"data": names.iter().map(|name| json!({"id": name.as_ref()})).collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_model_is_served_where_the_list_or_the_answer_names_it() {
    for (listed, model) in [
        (Some(vec!["other", "m"]), None),
        // Hosted servers answer by the name of a version.
        (Some(vec!["m"]), Some("m-2026-11-01")),
        // Servers that load what they are asked for list what lies in their cache.
        (Some(vec!["cached"]), Some("m")),
        (Some(vec![]), None),
        (None, None),
    ] {
        let server = server(listed.clone(), model).await;
        let client = server.client(server.config()).await;
        client.require_serving().await.unwrap_or_else(|error| panic!("{listed:?}: {error}"));
        assert_eq!(server.received().len(), 2, "it is asked, and made to answer once");
    }
}

#[tokio::test]
async fn another_model_is_told_of() {
    let server = server(Some(vec!["base", "v1"]), Some("base")).await;
    let client = server.client(server.config()).await;
    let error = client.require_serving().await.expect_err("it serves another model");
    assert!(matches!(error.kind, ModelErrorKind::NotServed { .. }), "{error:?}");
    assert_eq!(
        server.named(error).to_string(),
        "server: the server does not serve \"m\": it lists \"base\", \"v1\" and answers as \
         \"base\"; serve that model under that name, or name the one that is served"
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_serves_nothing() {
    let server = Server::start(|_, request| {
        let is_list = request.head.starts_with("get ");
        Act::Send(if is_list { ok(&models(&["m"])) } else { http(404, "", "no such model") })
    })
    .await;
    let client = server.client(server.config()).await;
    let error = client.require_serving().await.expect_err("it does not answer");
    assert!(error.to_string().contains("answered 404: \"no such model\""), "{error}");
}

/// The adapters of a server that speaks vLLM's endpoints as its documentation has them
/// (<https://docs.vllm.ai/en/latest/features/lora.html>): adapters are listed as models
/// beside the base, loading one twice is refused, and so is unloading one that is not
/// there. No weights are loaded: what is tried is the protocol.
#[derive(Default)]
struct Adapters {
    loaded: Vec<String>,
    orders: Vec<String>,
}

impl Adapters {
    fn answer(&mut self, request: &Received) -> Vec<u8> {
        let line = request.head.lines().next().unwrap_or_default().to_owned();
        let name = request.body["lora_name"].as_str().unwrap_or_default().to_owned();
        let is_loaded = self.loaded.contains(&name);
        if line.starts_with("get /v1/models ") {
            let base = ["base".to_owned()];
            let all: Vec<_> = base.iter().chain(&self.loaded).collect();
            return ok(&models(&all));
        }
        if line.starts_with("post /v1/chat/completions ") {
            let model = request.body["model"].as_str().unwrap_or_default();
            let is_served = model == "base" || self.loaded.iter().any(|name| name == model);
            return if is_served {
                ok(&answers_as(Some(model)))
            } else {
                http(404, "", format!(r#"{{"error": {{"message": "no model {model}"}}}}"#))
            };
        }
        let refused = |why: &str| http(400, "", format!(r#"{{"error": {{"message": "{why}"}}}}"#));
        if line.starts_with("post /v1/load_lora_adapter ") {
            if is_loaded {
                return refused("The lora adapter has already been loaded.");
            }
            self.orders.push(format!("load {name}"));
            self.loaded.push(name.clone());
            return http(200, "", format!("Success: LoRA adapter '{name}' added successfully."));
        }
        if line.starts_with("post /v1/unload_lora_adapter ") {
            if !is_loaded {
                return refused("The lora adapter cannot be found.");
            }
            self.orders.push(format!("unload {name}"));
            self.loaded.retain(|loaded| *loaded != name);
            return http(200, "", format!("Success: LoRA adapter '{name}' removed successfully."));
        }
        http(404, "", r#"{"detail": "Not Found"}"#)
    }
}

#[tokio::test]
async fn each_adapter_is_loaded_once_and_then_answers() {
    let adapters = Arc::new(Mutex::new(Adapters::default()));
    let own = Arc::clone(&adapters);
    let server =
        Server::start(move |_, request| Act::Send(own.lock().expect("no panic").answer(request)))
            .await;
    let client = async |model: &str| -> OpenAi {
        let model = Some(model.to_owned());
        server.client(OpenAiConfig { dialect: Dialect::Vllm, model, ..server.config() }).await
    };
    let v1 = client("v1").await;
    let error = v1.require_serving().await.expect_err("nothing is loaded");
    assert!(error.to_string().contains("answered 404: \"no model v1\""), "{error}");
    for _ in 0..2 {
        // The second time is that of a process that goes on after a crash.
        v1.load_adapter("v1", Path::new("/adapters/v1")).await.expect("loaded");
    }
    v1.require_serving().await.expect("it is served");
    let v2 = client("v2").await;
    v2.load_adapter("v2", Path::new("/adapters/v2")).await.expect("loaded");
    v2.require_serving().await.expect("it is served");
    v2.unload_adapter("v1").await.expect("unloaded");
    v1.require_serving().await.expect_err("it is served no more");
    client("base").await.require_serving().await.expect("the base stays");
    assert_eq!(adapters.lock().expect("no panic").orders, ["load v1", "load v2", "unload v1"]);
}

/// SGLang's weights may change in place, under the same name: no error, and each turn
/// says which it was.
#[tokio::test]
async fn the_version_of_weights_is_told_with_the_name() {
    let server = Server::start(|number, _| {
        let mut body = answers_as(Some("m"));
        match number {
            0 => body["metadata"] = json!({"weight_version": "default"}),
            1 => body["metadata"] = json!({"weight_version": "7"}),
            _ => body["choices"][0]["meta_info"] = json!({"weight_version": "8"}),
        }
        Act::Send(ok(&body))
    })
    .await;
    let client = server.client(server.config()).await;
    for expected in ["m", "m@7", "m@8"] {
        let completion = client.complete(request()).await.expect("a completion");
        assert_eq!(completion.model.as_deref(), Some(expected));
    }
}
