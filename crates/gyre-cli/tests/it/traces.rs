//! Traces, as a collector gets them over HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::support::{SMALL, finished, finished_copy, gyre, run, sql};

const MESSAGES: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Takes what is posted to it, as a collector does.
struct Collector {
    url: String,
    requests: Arc<Mutex<Vec<(String, ExportTraceServiceRequest)>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let taken = requests.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                taken.lock().unwrap().push(take(client));
            }
        });
        Self { url, requests }
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.requests.lock().unwrap();
        let of_request = requests.iter().flat_map(|(_, request)| &request.resource_spans);
        let of_scope = of_request.flat_map(|of| &of.scope_spans);
        of_scope.flat_map(|of| of.spans.iter().cloned()).collect()
    }
}

/// The request's head, and what it posts.
fn take(client: TcpStream) -> (String, ExportTraceServiceRequest) {
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    reader.get_mut().write_all(answer.as_bytes()).unwrap();
    (head, ExportTraceServiceRequest::decode(body.as_slice()).unwrap())
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |v: &opentelemetry_proto::tonic::common::v1::AnyValue| v.value.as_ref().map(text);
    let pair = |kv: &'_ opentelemetry_proto::tonic::common::v1::KeyValue| {
        kv.value.as_ref().and_then(value)
    };
    span.attributes.iter().filter_map(|kv| Some((kv.key.as_str(), pair(kv)?))).collect()
}

fn operation<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    let is =
        |span: &&Span| attributes(span).get("gen_ai.operation.name").is_some_and(|of| of == name);
    spans.iter().filter(is).collect()
}

#[test]
fn a_run_sends_its_rounds_and_rollouts_and_nothing_of_what_was_said() {
    let collector = Collector::start();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut command = gyre();
    command.arg("--data-dir").arg(&data).args(["run", "--config", SMALL]);
    // At the finest, so that lines could carry messages too.
    command.env("GYRE_LOG", "trace").env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=to-be-kept");
    let ran = run(command.env(ENDPOINT, &collector.url)).ok();
    let spans = collector.spans();

    let head = collector.requests.lock().unwrap()[0].0.to_ascii_lowercase();
    assert!(head.starts_with("post /v1/traces ") && head.contains("x-key: to-be-kept"), "{head}");
    assert!(!ran.stderr.contains("to-be-kept"), "a secret of the collector's is in the log");

    // Every rollout once, under its own id, with what the lineage knows of it.
    let agents = operation(&spans, "invoke_agent");
    let of = |span: &&Span| {
        let of = attributes(span);
        let fields =
            ["gen_ai.conversation.id", "gyre.task", "gyre.round", "gyre.stop", "gyre.fuel"];
        fields.map(|name| of[name].clone()).join("|")
    };
    let sent: BTreeSet<_> = agents.iter().map(of).collect();
    let known = sql(
        &data,
        "SELECT id || '|' || task || '|' || round || '|' || stop || '|' || fuel FROM rollouts",
    );
    let known: BTreeSet<_> = known.lines().map(str::to_owned).collect();
    assert!(known.is_subset(&sent), "{:?}", known.difference(&sent).next());
    assert!(agents.iter().all(|span| span.parent_span_id.is_empty()));

    // Turns and tools are theirs.
    let roots: BTreeSet<_> = agents.iter().map(|span| span.span_id.clone()).collect();
    // A turn of the environment's own asks no model.
    let rollouts = sql(&data, "SELECT COUNT(*) FROM rollouts");
    let chats = operation(&spans, "chat");
    assert!(chats.len() as u64 >= rollouts.trim().parse::<u64>().unwrap());
    for span in chats.iter().copied().chain(operation(&spans, "execute_tool")) {
        assert!(roots.contains(&span.parent_span_id), "{span:#?}");
    }
    let chat = attributes(chats[0]);
    assert_eq!(chats[0].name, format!("chat {}", chat["gen_ai.request.model"]));
    assert!(chat["gen_ai.response.finish_reasons"].starts_with("[\""), "{chat:#?}");
    assert!(chat["gen_ai.usage.output_tokens"].parse::<u32>().unwrap() > 0, "{chat:#?}");

    let names: BTreeSet<_> = spans.iter().map(|span| span.name.as_str()).collect();
    for name in ["round 0", "round 1", "generate tasks", "roll out", "verify", "train", "decide"] {
        assert!(names.contains(name), "no {name:?} in {names:?}");
    }
    assert!(!names.contains("execute_tool"), "{names:?}");

    let said = |span: &&Span| {
        attributes(span).keys().any(|key| key.ends_with("messages") || key.ends_with("arguments"))
    };
    assert_eq!(spans.iter().filter(said).count(), 0);
    assert!(!ran.stderr.contains("def solve"), "an answer is in the log");
}

#[test]
fn what_was_said_is_sent_where_it_is_asked_for() {
    let collector = Collector::start();
    let data = finished_copy();
    let mut command = gyre();
    command.arg("--data-dir").arg(data.path()).args(["replay", "--sample", "20"]);
    run(command.env(ENDPOINT, &collector.url).env(MESSAGES, "true")).ok();
    let spans = collector.spans();
    let chats = operation(&spans, "chat");
    assert!(chats.len() >= 20);
    for span in chats {
        let of = attributes(span);
        let input: serde_json::Value = serde_json::from_str(&of["gen_ai.input.messages"]).unwrap();
        assert_eq!(input[0]["role"], "user", "{input:#}");
        assert_eq!(input[0]["parts"][0]["type"], "text", "{input:#}");
        let output = serde_json::from_str(&of["gen_ai.output.messages"]);
        let output: serde_json::Value = output.unwrap();
        assert_eq!(output[0]["parts"][0]["type"], "tool_call", "{output:#}");
        assert_eq!(output[0]["finish_reason"], "stop", "{output:#}");
    }
    for span in operation(&spans, "execute_tool") {
        let of = attributes(span);
        assert!(of["gen_ai.tool.call.arguments"].contains("code"), "{of:#?}");
        assert!(!of["gen_ai.tool.call.result"].is_empty(), "{of:#?}");
    }
}

#[test]
fn a_collector_that_is_away_holds_nothing_up() {
    let data = finished().data;
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let replay = ["replay", "--sample", "20"];
    let mut command = gyre();
    command.arg("--data-dir").arg(&data).args(replay);
    let ran = run(command.env(ENDPOINT, format!("http://user:secret@{closed}"))).ok();
    assert_eq!(ran.stderr.matches("takes no traces").count(), 1, "{ran:#?}");
    assert!(!ran.stderr.contains("secret"), "{ran:#?}");

    let mut command = gyre();
    command.arg("--data-dir").arg(&data).args(replay).env(ENDPOINT, "https://127.0.0.1:4318");
    run(&mut command).fails(2, &[ENDPOINT, "https", "collector on this host"]);

    let mut command = gyre();
    command.arg("--data-dir").arg(&data).args(replay).env("OTEL_SDK_DISABLED", "true");
    let ran = run(command.env(ENDPOINT, format!("http://{closed}"))).ok();
    assert_eq!(ran.stderr, "");
}
