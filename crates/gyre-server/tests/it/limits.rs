//! What callers may not do: each is ended by the service, not by the test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use gyre_orchestrator::Project;
use gyre_server::{Server, ServerLimits, ServerOptions, Shutdown};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A service over an empty data folder, stopped when dropped.
struct Service {
    address: SocketAddr,
    shutdown: Shutdown,
    _runtime: Runtime,
    _folder: TempDir,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shutdown.start();
    }
}

fn serve(limits: ServerLimits) -> Service {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let project = Project::open(folder.path(), None, runtime.handle().clone()).unwrap();
    let shutdown = Shutdown::default();
    let options = ServerOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        hosts: vec![],
        token: None,
        token_env: "T".to_owned(),
        tasks_dir: "tasks".into(),
        clock: || 0,
        limits,
    };
    let server = runtime.block_on(Server::bind(project, options, shutdown.clone())).unwrap();
    let address = server.address().unwrap();
    runtime.spawn(server.run());
    Service { address, shutdown, _runtime: runtime, _folder: folder }
}

impl Service {
    fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    }
}

/// Whatever comes until the other end closes: with a service that does not, this
/// never returns.
fn until_closed(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset is closed as well.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

const SOON: Duration = Duration::from_millis(300);

#[test]
fn a_head_that_does_not_end_and_an_idle_connection_are_closed() {
    let service = serve(ServerLimits { head_max: SOON, ..ServerLimits::default() });
    let half = service.send("GET /livez HTTP/1.1\r\nHost: loc");
    let silent = service.send("");
    let idle = service.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(!until_closed(half).contains("200 OK"));
    assert_eq!(until_closed(silent), "");
    assert!(until_closed(idle).starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let service = serve(ServerLimits { body_max: SOON, ..ServerLimits::default() });
    let start = "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\ntoken=";
    let told = until_closed(service.send(start));
    assert!(told.starts_with("HTTP/1.1 408"), "{told}");
}

#[test]
fn a_new_connection_takes_the_place_of_the_oldest_that_asks_for_nothing() {
    let service = serve(ServerLimits { connections_max: 2, ..ServerLimits::default() });
    let oldest = service.send("GET /livez HTTP/1.1\r\n");
    let next = service.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n");
    let newest = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let newest = until_closed(service.send(newest));
    assert!(newest.starts_with("HTTP/1.1 200 OK"), "{newest}");
    assert_eq!(until_closed(oldest), "");
    // The other one is still heard.
    let mut next = next;
    next.write_all(b"Connection: close\r\n\r\n").unwrap();
    assert!(until_closed(next).starts_with("HTTP/1.1 200 OK"));
}

/// The script of the pages is asked for again and again on one connection, and
/// nothing of the answers is read.
#[test]
fn a_caller_who_does_not_read_is_cut_off() {
    let service = serve(ServerLimits { stall_max: SOON, ..ServerLimits::default() });
    let mut stream = service.send("");
    let request = "GET /assets/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(64);
    // Ends once the service closes: it takes no more, and resets what comes.
    while stream.write_all(request.as_bytes()).is_ok() {}
    // It lives on for others.
    let other = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(until_closed(service.send(other)).starts_with("HTTP/1.1 200 OK"));
}
