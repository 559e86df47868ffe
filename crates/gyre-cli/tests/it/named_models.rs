//! Runs that start from a model by its name on a server, and servers that somebody else
//! runs: adapters are loaded while they serve.
//!
//! The server is a small one of this file. It speaks chat completions and vLLM's LoRA
//! endpoints over a real socket, and solves the tasks of `gyre task new` by rule. What
//! is tried is the protocol and the loop around it, not a model.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{clean_state, on, run, sql, text};

/// The base knows one kind of task, an adapter all of them.
const KNOWN_TO_BASE: &str = "the sum";

#[derive(Default)]
struct State {
    adapters: BTreeSet<String>,
    /// What was loaded and unloaded, in order.
    orders: Vec<String>,
    asked: BTreeSet<String>,
}

/// A server; its thread ends with the test's process.
struct RuleServer {
    address: String,
    state: Arc<Mutex<State>>,
}

impl RuleServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, state }
    }

    fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    fn orders(&self) -> Vec<String> {
        self.state.lock().unwrap().orders.clone()
    }
}

/// Answers requests until the client closes the connection.
fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some((line, body)) = receive(&mut reader) {
        let (status, answer) = answer(&line, &body, &mut state.lock().unwrap());
        let length = answer.len();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n");
        if writer.write_all(format!("{head}{answer}").as_bytes()).is_err() {
            return;
        }
    }
}

fn receive(reader: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((line, serde_json::from_slice(&body).unwrap_or_default()))
}

fn answer(line: &str, body: &Value, state: &mut State) -> (u16, String) {
    let path = line.split(' ').nth(1).unwrap_or_default();
    let refused = |status: u16, why: &str| (status, json!({"error": {"message": why}}).to_string());
    let name = body["lora_name"].as_str().unwrap_or_default().to_owned();
    match path {
        "/v1/models" => {
            let names = ["base".to_owned()].into_iter().chain(state.adapters.clone());
            let listed: Vec<_> = names.map(|name| json!({"id": name})).collect();
            (200, json!({"data": listed}).to_string())
        }
        "/v1/load_lora_adapter" if state.adapters.contains(&name) => {
            refused(400, "The lora adapter has already been loaded.")
        }
        "/v1/load_lora_adapter" => {
            let folder = Path::new(body["lora_path"].as_str().unwrap_or_default());
            if !folder.is_absolute() || !folder.join("adapter_config.json").is_file() {
                return refused(404, "No adapter found in that folder.");
            }
            state.orders.push(format!("load {name}"));
            state.adapters.insert(name);
            (200, "Success: LoRA adapter added successfully.".to_owned())
        }
        "/v1/unload_lora_adapter" if !state.adapters.remove(&name) => {
            refused(400, "The lora adapter cannot be found.")
        }
        "/v1/unload_lora_adapter" => {
            state.orders.push(format!("unload {name}"));
            (200, "Success: LoRA adapter removed successfully.".to_owned())
        }
        "/v1/chat/completions" => {
            let model = body["model"].as_str().unwrap_or_default();
            if model != "base" && !state.adapters.contains(model) {
                return refused(404, "The model does not exist.");
            }
            state.asked.insert(model.to_owned());
            let prompt = body["messages"][0]["content"].as_str().unwrap_or_default();
            (200, completion(model, prompt).to_string())
        }
        _ => refused(404, "Not Found"),
    }
}

fn completion(model: &str, prompt: &str) -> Value {
    let is_known = model != "base" || prompt.contains(KNOWN_TO_BASE);
    let content = match (is_known, program(prompt)) {
        (true, Some(program)) => format!("```python\n{program}```"),
        (false, Some(_)) => "```python\ndef solved(x):\n    return x\n```".to_owned(),
        (_, None) => "Hello.".to_owned(),
    };
    json!({
        "model": model,
        "choices": [{
            "message": {"role": "assistant", "content": content}, "finish_reason": "stop",
        }],
        "usage": {"prompt_tokens": 20, "completion_tokens": 10},
    })
}

/// The program that a task of `gyre task new` asks for, by its words.
fn program(prompt: &str) -> Option<String> {
    let first = |of: &[(&str, &'static str)]| {
        of.iter().find(|(words, _)| prompt.contains(words)).map(|(_, code)| *code)
    };
    let keep = first(&[
        ("the even numbers", "n % 2 == 0"),
        ("the odd numbers", "n % 2 == 1"),
        ("the numbers above 10", "n > 10"),
        ("all the numbers", "True"),
    ])?;
    let change = first(&[(" squared", "n * n"), (" doubled", "2 * n"), ("", "n")])?;
    let fold = first(&[
        ("the sum", "sum(values)"),
        ("how many different", "len(set(values))"),
        ("the largest", "max(values, default=0)"),
    ])?;
    Some(format!(
        "def solve(numbers):\n    values = [{change} for n in numbers if {keep}]\n    return {fold}\n"
    ))
}

/// Leaves an adapter: a configuration, and one weight that the round decides.
const TRAINER: &str = r#"
import json, os, struct, sys
arguments = dict(argument.split("=", 1) for argument in sys.argv[1:])
assert any(name.endswith(".parquet") for _, _, names in os.walk(arguments["--dataset"]) for name in names)
output = arguments["--output"]
with open(os.path.join(output, "adapter_config.json"), "w") as file:
    json.dump({"peft_type": "LORA", "base_model_name_or_path": "base",
               "from": os.path.basename(arguments.get("--parent", ""))}, file)
header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
header += b" " * (-len(header) % 8)
with open(os.path.join(output, "adapter_model.safetensors"), "wb") as file:
    file.write(struct.pack("<Q", len(header)) + header + struct.pack("<f", float(arguments["--round"])))
print(json.dumps({"step": 1, "steps": 1, "loss": 0.5}))
"#;

/// A configuration over the family of `gyre task new`, written into a folder.
fn configuration(folder: &Path, server: &RuleServer, sections: &str) -> String {
    on(folder, ["task", "new", "sums", "--tasks-dir", folder.to_str().unwrap()]).ok();
    let text = format!(
        r#"
name = "named"
seed = 1
rounds = 2

[tasks]
dir = {folder:?}

[[curriculum.families]]
family = "sums"
difficulty_min = 2
difficulty_max = 3
difficulty_start = 3
weight = 1

[held_out]
gate = 24
test = 12
tasks_per_composition_max = 24

[rollout]
tasks_per_round = 24
samples = 2
extra_samples = 0
turns_max = 1
turn_tokens_max = 256
rollout_tokens_max = 256

[canaries]
per_round = 2

[start]
model = "base"

[model]
kind = "openai"
acting = "text"

[model.server]
url = "{}"
dialect = "vllm"
retries_max = 1

# Few held-out tasks can show little at the usual level.
[gate]
alpha_total = 0.5
{sections}
"#,
        server.url()
    );
    let path = folder.join("named.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn adapters_of_a_named_model_are_loaded_gated_and_served() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = RuleServer::start();
    fs::write(folder.path().join("train.py"), TRAINER).unwrap();
    let trainer = folder.path().join("train.py");
    let sections = format!(
        r#"
[model.update]
kind = "vllm_lora"

[trainer]
kind = "command"
command = [
  "python3", {trainer:?}, "--dataset={{dataset}}", "--parent={{parent}}", "--output={{output}}",
  "--round={{round}}",
]
"#
    );
    let config = configuration(folder.path(), &server, &sections);
    let events = on(&data, ["run", "--json", "--config", &config]).ok().json_lines();
    let last = events.last().unwrap();
    assert_eq!(last["base"]["stage"], "promoted", "{last:#}");
    assert_eq!(last["rounds"][0]["stage"], "promoted", "{last:#}");
    assert_eq!(last["rounds"][1]["stage"], "rejected", "it has nothing to gain: {last:#}");
    assert!(last["base"]["pass_at_1"].as_f64().unwrap() < 0.9, "{last:#}");
    assert_eq!(last["champion"]["pass_at_1"], 1.0);
    clean_state(&data);

    // Each candidate was loaded once, under its own name; the third would unload the first.
    let candidates = sql(&data, "SELECT candidate FROM gates ORDER BY round");
    let loads: Vec<_> = candidates.lines().map(|candidate| format!("load {candidate}")).collect();
    assert_eq!(server.orders(), loads);
    let asked = server.state.lock().unwrap().asked.clone();
    assert_eq!(asked, candidates.lines().chain(["base"]).map(str::to_owned).collect());

    // What is recorded says who acted: a name first, then adapters.
    let base = text(&last["base"], "checkpoint");
    let shown = on(&data, ["show", base, "--json"]).ok().json();
    assert_eq!(shown["training"], json!({ "model": "base" }));
    let first = candidates.lines().next().unwrap();
    let shown = on(&data, ["show", first, "--json"]).ok().json();
    assert_eq!(text(&shown, "parent"), base);
    assert_eq!(shown["training"]["checkpoint"]["kind"], "adapter");
    let rollouts = sql(&data, "SELECT id FROM rollouts WHERE round = 2 AND purpose = 'train'");
    let rollout = rollouts.lines().next().unwrap();
    let shown = on(&data, ["show", rollout, "--json"]).ok().json();
    assert_eq!(shown["answered_by"], json!([first]));
    assert_eq!(shown["spans_versions"], false);
    assert_eq!(shown["rollout"]["policy"]["checkpoint"], json!(first));

    // The second adapter was trained from the first, and not from the name.
    let second = candidates.lines().nth(1).unwrap();
    let of_second = on(&data, ["show", second, "--json"]).ok().json();
    let trained_from = |shown: &Value| {
        let config = Path::new(text(shown, "folder")).join("adapter_config.json");
        let config: Value = serde_json::from_str(&fs::read_to_string(config).unwrap()).unwrap();
        text(&config, "from").to_owned()
    };
    assert_eq!(trained_from(&of_second), "round-0001");

    // A server that lost its adapters loads them again.
    *server.state.lock().unwrap() = State::default();
    let args = ["evaluate", first, base, "--part", "gate", "--json"];
    let both = on(&data, args).ok().json();
    assert_eq!(server.orders(), [format!("load {first}")]);
    assert_eq!(both["models"][0]["evaluation"]["overall"]["pass_at_1"]["value"], 1.0);
    let failures = &both["models"][1]["evaluation"]["overall"]["failures"];
    let wrong_name = failures["wrong_name"].as_u64().unwrap();
    assert_eq!(*failures, json!({ "wrong_name": wrong_name }));
}

#[test]
fn a_run_without_a_trainer_collects_rows_and_ends_each_round_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = RuleServer::start();
    let config = configuration(folder.path(), &server, "[trainer]\nkind = \"none\"\n");
    let events = on(&data, ["run", "--json", "--config", &config]).ok().json_lines();
    let last = events.last().unwrap();
    assert_eq!(last["base"]["stage"], "promoted");
    assert_eq!(last["base"]["tasks"], 12, "the base is measured once");
    for round in last["rounds"].as_array().unwrap() {
        assert_eq!(round["stage"], "collected", "{round:#}");
        assert!(round["rows"].as_u64().unwrap() > 0, "{round:#}");
        assert_eq!(round["checkpoint"], Value::Null);
    }
    let kinds: BTreeSet<_> = events
        .iter()
        .filter(|event| event["round"].as_u64() > Some(0) && event.get("seq").is_some())
        .map(|event| text(event, "event").to_owned())
        .collect();
    assert!(kinds.contains("curated"));
    for none in ["trained", "evaluated", "decided"] {
        assert!(!kinds.contains(none), "{kinds:?}");
    }
    clean_state(&data);
    let rounds = on(&data, ["rounds"]).ok().stdout;
    assert_eq!(rounds.matches("collected").count(), 2, "{rounds}");

    // Nothing is measured where there is nothing to measure on.
    let text = fs::read_to_string(&config).unwrap();
    let unmeasured = text.replace("gate = 24", "gate = 0").replace("test = 12", "test = 0");
    fs::write(&config, unmeasured).unwrap();
    let data = folder.path().join("unmeasured");
    let events = on(&data, ["run", "--json", "--config", &config, "--rounds", "1"]).ok();
    let last = events.json_lines().pop().unwrap();
    assert_eq!(last["base"]["pass_at_1"], Value::Null);
    assert_eq!(last["rounds"][0]["stage"], "collected");
    clean_state(&data);
}

#[test]
fn the_only_model_of_a_server_is_measured_by_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = RuleServer::start();
    let config = configuration(folder.path(), &server, "[trainer]\nkind = \"none\"\n");
    let args = ["evaluate", "--url", &server.url(), "--config", &config, "--tasks", "8", "--json"];
    let report = on(&data, args).ok().json();
    assert_eq!(text(&report["model"], "name"), format!("base at http://{}", server.address));
    assert_eq!(report["model"].get("checkpoint"), None, "nobody has seen its weights");
    assert_eq!(report["results"].as_array().unwrap().len(), 16);
    let overall = &report["evaluation"]["overall"];
    assert_eq!(overall["tasks"], 16);
    assert_eq!(overall["tokens"], 160);

    let args = ["evaluate", "--url", &server.url(), "--model", "other", "--config", &config];
    on(&data, args).fails(32, &["The model does not exist"]);
    let mut command = crate::support::gyre();
    command.args(["evaluate", "--url", "http://127.0.0.1:9/v1", "--config", &config]);
    run(command.arg("--data-dir").arg(&data)).fails(32, &["cannot be reached"]);
}
