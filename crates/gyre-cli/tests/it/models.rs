//! `gyre model check`, against servers on a socket: what it finds, and what it has a
//! model do.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::scripted_server::{Act, Received, Server, http, ok};
use crate::support::{Ran, SMALL, gyre, on, repository, run, text};

/// What a server does with the task, once it has shown what it supports.
#[derive(Clone, Copy, PartialEq)]
enum Model {
    /// Calls tools, and submits the reference solution.
    Tools,
    /// Answers in prose, with the reference solution in a fence.
    Prose,
    /// Calls tools, and submits something else.
    Wrong,
    /// Fails as soon as it is asked for the task.
    Down,
}

/// The task of the check, and its solution.
fn reference(data: &Path) -> String {
    let task = on(data, ["task", "show", "compose", "--json"]).ok().json();
    text(&task["key"]["program"], "reference").to_owned()
}

fn answer(model: Model, reference: &str, request: &Received) -> Act {
    if request.head.starts_with("get /v1/models ") {
        return Act::Send(ok(&json!({"data": [{"id": "m", "max_model_len": 4096}]})));
    }
    let messages = request.body["messages"].as_array().expect("messages");
    let declares = |tool: &str| {
        let tools = request.body["tools"].as_array().into_iter().flatten();
        tools.into_iter().any(|declared| declared["function"]["name"] == tool)
    };
    let call = |name: &str, arguments: Value| {
        let function = json!({"name": name, "arguments": arguments.to_string()});
        json!({"content": null, "tool_calls": [{"id": "a", "function": function}]})
    };
    let asked = messages[0]["content"].as_str().unwrap_or_default();
    let is_task = declares("submit") || asked.contains("Answer with one fenced code block");
    let message = match model {
        Model::Down if is_task => return Act::Send(http(500, "", "out of memory")),
        Model::Prose if is_task => {
            json!({"content": format!("Here:\n```python\n{reference}\n```")})
        }
        Model::Wrong if is_task => call("submit", json!({"code": "def solve(x):\n    return 0\n"})),
        _ if is_task => call("submit", json!({"code": reference})),
        Model::Prose => json!({"content": format!("As for {}: fine.", request.body["seed"])}),
        _ if declares("report_number") && messages.len() == 1 => {
            call("report_number", json!({"number": 7}))
        }
        _ => json!({"content": format!("As for {}: fine.", request.body["seed"])}),
    };
    Act::Send(ok(&json!({
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    })))
}

/// A server with a model behind it, and the folder of a check.
struct Place {
    folder: tempfile::TempDir,
    server: Server,
}

impl Place {
    async fn new(model: Model) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let reference = tokio::task::spawn_blocking(move || reference(&data)).await.unwrap();
        let reference: Arc<str> = reference.into();
        let server = Server::start(move |_, request| answer(model, &reference, request)).await;
        Self { folder, server }
    }

    /// Runs `gyre model check` with these arguments, `URL` being the server's.
    async fn check(&self, args: &[&str]) -> Ran {
        let url = format!("{}/v1", self.server.origin);
        let args: Vec<_> = args.iter().map(|arg| arg.replace("URL", &url)).collect();
        let data = self.folder.path().join("data");
        tokio::task::spawn_blocking(move || {
            let mut command = gyre();
            command.arg("--data-dir").arg(data).args(["model", "check"]).args(args);
            run(command.env("MODEL_KEY_OF_TEST", "sk-hidden"))
        })
        .await
        .unwrap()
    }

    /// A configuration whose model is behind the server.
    fn config(&self, acting: &str) -> PathBuf {
        let small = fs::read_to_string(repository().join(SMALL)).unwrap();
        let path = self.folder.path().join("real.toml");
        let url = &self.server.origin;
        let model = format!(
            "[start]\ncheckpoint = 'models/small'\n[trainer]\nkind = 'command'\ncommand = ['true']\n\
             [model]\nkind = 'openai'\nacting = '{acting}'\n[model.server]\nurl = '{url}/v1'\n\
             [model.serve]\ncommand = ['serve', '--port={{port}}', '--model={{checkpoint}}']\n"
        );
        fs::write(&path, format!("{small}\n{model}")).unwrap();
        path
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_calls_tools_attempts_a_task_by_them() {
    let place = Place::new(Model::Tools).await;
    let said = place.check(&["URL", "--api-key-env", "MODEL_KEY_OF_TEST"]).await.ok().stdout;
    for line in [
        "tool calls         yes      called",
        "context            yes      4096 tokens, as `/models` tells",
        "token ids          no       ",
        "task               yes      compose level 1 by tool calls, turns: 1, passed",
    ] {
        assert!(said.contains(line), "no {line:?} in\n{said}");
    }
    assert!(said.starts_with("m at http://127.0.0.1:"), "{said}");
    assert!(said.lines().count() <= 24, "one screen:\n{said}");
    let received = place.server.received();
    let has_key = |request: &Received| request.head.contains("authorization: bearer sk-hidden");
    assert!(received.iter().all(has_key), "a request without the key");
    assert!(!said.contains("sk-hidden"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_calls_none_attempts_it_in_text() {
    let place = Place::new(Model::Prose).await;
    let found = place.check(&["URL", "--json", "--model", "m"]).await.ok().json();
    assert_eq!(found["server"]["tools"]["support"], "no", "{found:#}");
    assert_eq!(found["server"]["seed"]["support"], "yes", "{found:#}");
    assert_eq!(found["task"]["acting"], "text", "{found:#}");
    assert_eq!(found["task"]["verdict"], json!({"verdict": "pass"}), "{found:#}");

    // A configuration that has it call tools is wrong for it, and says what to do.
    let config = place.config("tools");
    let ran = place.check(&["--config", config.to_str().unwrap()]).await;
    ran.fails(32, &["it makes none", "answered in prose", "acting = \"text\""]);
    let config = place.config("text");
    let said = place.check(&["--config", config.to_str().unwrap()]).await.ok().stdout;
    assert!(said.contains("compose level 1 in text, turns: "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_the_task_can_be_used() {
    let place = Place::new(Model::Wrong).await;
    let said = place.check(&["URL"]).await.ok().stdout;
    let line = said.lines().last().unwrap();
    assert!(
        line.starts_with("task               no       compose level 1 by tool calls"),
        "{said}"
    );
    assert!(line.contains("failed with a score of 0."), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_used_is_told_in_one_message() {
    let place = Place::new(Model::Down).await;
    let ran = place.check(&["URL"]).await;
    let ran =
        ran.fails(32, &["the task has no verdict", "the model failed", "500", "out of memory"]);
    assert!(ran.stdout.contains("tool calls         yes"), "what was found is shown: {ran:#?}");
    assert!(ran.stdout.contains("task               unknown"), "{ran:#?}");

    let nobody = Server::always(http(404, "", "")).await;
    let url = format!("{}/v1", nobody.origin);
    drop(nobody);
    place
        .check(&[&url, "--model", "m"])
        .await
        .fails(32, &["cannot be reached", "start the server"]);
    let unset = place.check(&["URL", "--api-key-env", "NO_SUCH_VARIABLE_OF_TEST"]).await;
    unset.fails(2, &["NO_SUCH_VARIABLE_OF_TEST is not set"]);
    let args = ["URL", "--family", "no-such-family"];
    place.check(&args).await.fails(61, &["no-such-family"]);
    let sent = place.server.received().len();
    let unknown = place.check(&["URL", "--dialect", "latin"]).await;
    assert_eq!(unknown.code, Some(2), "{unknown:#?}");
    assert!(unknown.stderr.contains("llamacpp"), "the dialects are listed: {unknown:#?}");
    assert_eq!(place.server.received().len(), sent, "nothing was sent for a wrong argument");
}
