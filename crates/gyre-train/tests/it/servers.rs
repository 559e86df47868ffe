//! Servers: ready, replaced, dead, and in the way.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use gyre_train::{HookConfig, ServeConfig, ServeError, Server, ServerSlot, Target, UpdateConfig};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::Place;

/// A server that writes down when it starts and stops, and ends when it is asked to.
pub(crate) const SERVER: &str = r#"
import http.server, socketserver
def note(what):
    with open(os.path.dirname(__file__) + "/events", "a") as file: file.write(what + " " + arguments["--name"] + "\n")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            print("dying", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()
        self.wfile.write(json.dumps(arguments).encode())
    def log_message(self, *_): pass
def end(*_):
    note("stop"); os._exit(0)
signal.signal(signal.SIGTERM, end)
class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
note("start")
Server(("127.0.0.1", int(arguments["--port"])), Handler).serve_forever()
"#;

fn config(place: &Place, body: &str, changes: Value) -> ServeConfig {
    place.write_program("serve.py", body);
    let command = [
        "python3",
        "{project}/serve.py",
        "--port={port}",
        "--name={name}",
        "--checkpoint={checkpoint}",
        "--adapter={adapter}",
    ];
    let mut config = json!({ "command": command, "ready_seconds": 120 });
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    serde_json::from_value(config).unwrap()
}

fn target(name: &str) -> Target {
    Target {
        checkpoint: Some(format!("/checkpoints/{name}").into()),
        adapter: None,
        name: name.into(),
    }
}

async fn start(place: &Place, body: &str, changes: Value) -> Result<Server, ServeError> {
    let (config, log) = (config(place, body, changes), place.path("server.log"));
    let cancel = CancellationToken::new();
    Server::start(&config, &place.host(), &target("first"), &log, &cancel).await
}

/// What a server answers, until it closes the connection.
fn get(server: &Server, path: &str) -> String {
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn events(place: &Place) -> Vec<String> {
    let text = fs::read_to_string(place.path("events")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_replaced_when_what_is_served_changes() {
    for (overlap, expected) in [
        (false, ["start first", "stop first", "start second", "stop second"]),
        (true, ["start first", "start second", "stop first", "stop second"]),
    ] {
        let place = Place::new();
        let config = config(&place, SERVER, json!({ "overlap": overlap }));
        let mut slot = ServerSlot::new(config, place.host(), place.root().to_owned());
        let cancel = CancellationToken::new();
        let first = slot.serve(&target("first"), &cancel).await.unwrap();
        let url = first.url().to_owned();
        let answer = get(first, "/health");
        let arguments: Value =
            serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let port = url.rsplit(':').next().unwrap();
        let given =
            json!({ "--port": port, "--name": "first", "--checkpoint": "/checkpoints/first" });
        assert_eq!(arguments, given, "the adapter is left out");
        assert_eq!(slot.serve(&target("first"), &cancel).await.unwrap().url(), url);
        slot.serve(&target("second"), &cancel).await.unwrap();
        slot.stop().await;
        assert_eq!(events(&place), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_next_server_that_does_not_start_leaves_the_last_one_if_they_overlap() {
    let refuses =
        format!("if arguments['--name'] == 'second': sys.exit('no such checkpoint')\n{SERVER}");
    for overlap in [false, true] {
        let place = Place::new();
        let config = config(&place, &refuses, json!({ "overlap": overlap }));
        let mut slot = ServerSlot::new(config, place.host(), place.root().to_owned());
        let cancel = CancellationToken::new();
        slot.serve(&target("first"), &cancel).await.unwrap();
        let error = slot.serve(&target("second"), &cancel).await.unwrap_err();
        assert_eq!(
            place.shown(&error),
            "the server ended with exit code 1 before it was ready; its last lines (more in \
             [place]/server-1.log):\n  no such checkpoint"
        );
        slot.serve(&target("first"), &cancel).await.unwrap();
        let starts = events(&place).iter().filter(|event| *event == "start first").count();
        assert_eq!(starts, if overlap { 1 } else { 2 });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_is_told_of_and_started_again() {
    let place = Place::new();
    let config = config(&place, SERVER, json!({}));
    let mut slot = ServerSlot::new(config, place.host(), place.root().to_owned());
    let cancel = CancellationToken::new();
    assert!(!slot.is_serving());
    let server = slot.serve(&target("first"), &cancel).await.unwrap();
    assert!(server.is_alive());
    assert_eq!(get(server, "/die"), "");
    let how = slot.died().await;
    assert_eq!(
        place.shown(&how),
        "the server was killed by signal 9; the system may have been out of memory; its last \
         lines (more in [place]/server-0.log):\n  dying"
    );
    assert!(!slot.is_serving());
    slot.serve(&target("first"), &cancel).await.unwrap();
    assert!(slot.is_serving());
    assert_eq!(events(&place), ["start first", "start first"]);
}

#[tokio::test]
async fn a_server_that_is_never_ready_is_stopped() {
    let place = Place::new();
    let changes = json!({ "ready": "/ready", "ready_seconds": 3 });
    let error = start(&place, SERVER, changes).await.unwrap_err();
    let ServeError::NotReady { url, .. } = &error else { panic!("{error}") };
    let expected = format!(
        "the server did not answer {url} with 200 within 3 s (it answered \"503\"); raise \
         ready_seconds, or correct `ready`; it printed nothing ([place]/server.log)"
    );
    assert_eq!(place.shown(&error), expected);
    assert_eq!(events(&place), ["start first", "stop first"]);
}

#[tokio::test]
async fn a_port_that_something_else_took_is_tried_again() {
    let place = Place::new();
    let clash = r#"
try:
    open(os.path.dirname(__file__) + "/clash", "x")
    sys.exit("OSError: [Errno 98] Address already in use")
except FileExistsError: pass
"#;
    let server = start(&place, &format!("{clash}{SERVER}"), json!({})).await.unwrap();
    server.stop().await;
    assert_eq!(events(&place), ["start first", "stop first"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_dropped_is_killed() {
    let place = Place::new();
    let server = start(&place, SERVER, json!({})).await.unwrap();
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    drop(server);
    // The system closes it, or resets it where it was not accepted yet.
    let closed = stream.read(&mut [0]);
    assert!(matches!(closed, Ok(0)) || closed.is_err(), "{closed:?}");
    assert_eq!(events(&place), ["start first"]);
}

#[tokio::test]
async fn starting_a_server_can_be_cancelled() {
    let place = Place::new();
    let (config, log) = (config(&place, "signal.pause()", json!({})), place.path("server.log"));
    let cancel = CancellationToken::new();
    cancel.cancel();
    let started = Server::start(&config, &place.host(), &target("first"), &log, &cancel).await;
    assert_eq!(started.unwrap_err().to_string(), "starting the server was cancelled");
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused() {
    let place = Place::new();
    let refused = async |changes| start(&place, "", changes).await.unwrap_err().to_string();
    assert_eq!(
        refused(json!({ "command": ["serve"] })).await,
        "the server's configuration: the command does not name {port}, on which the server must \
         listen"
    );
    assert_eq!(
        refused(json!({ "ready": "health" })).await,
        "the server's configuration: ready = \"health\" is not a path such as /health"
    );
}

#[tokio::test]
async fn a_hook_is_run_and_its_failure_told() {
    let place = Place::new();
    let body = r#"
print(arguments["--name"], arguments.get("--adapter"), file=sys.stderr)
sys.exit(arguments["--name"] == "bad" and "cannot reach the server")
"#;
    place.write_program("hook.py", body);
    let command = ["python3", "{project}/hook.py", "--name={name}", "--adapter={adapter}"];
    let config: HookConfig = serde_json::from_value(json!({ "command": command })).unwrap();
    let (log, cancel) = (place.path("hook.log"), CancellationToken::new());
    let good = Target { adapter: Some("/a".into()), ..target("good") };
    config.run(&place.host(), &good, &log, &cancel).await.unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), "good /a\n");
    let error = config.run(&place.host(), &target("bad"), &log, &cancel).await.unwrap_err();
    assert_eq!(
        place.shown(&error),
        "the update hook ended with exit code 1; its last lines (more in [place]/hook.log):\n  \
         bad None\n  cannot reach the server"
    );
}

#[test]
fn a_server_that_somebody_else_runs_is_told_in_one_of_three_ways() {
    let read = |update: Value| serde_json::from_value::<UpdateConfig>(update);
    for (kind, loads_adapters) in [("vllm_lora", true), ("sglang_lora", true)] {
        let update = read(json!({ "kind": kind })).unwrap();
        assert_eq!(update.loads_adapters(), loads_adapters);
        update.check().unwrap();
    }
    let hook = read(json!({ "kind": "hook", "command": ["update", "{checkpoint}"] })).unwrap();
    assert!(!hook.loads_adapters());
    hook.check().unwrap();
    assert!(read(json!({ "kind": "hook", "command": ["update"], "grace": 1 })).is_err());
    let port = read(json!({ "kind": "hook", "command": ["update", "{port}"] })).unwrap();
    assert_eq!(
        port.check().unwrap_err().to_string(),
        "the server's configuration: an update hook cannot name {port}: its server is not Gyre's"
    );
}
