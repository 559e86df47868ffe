//! A running `gyre serve`, and requests to it byte for byte: names, origins and
//! methods are what the tests want them to be.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;

use crate::support::{Running, gyre, text};

pub(crate) const TOKEN: &str = "a-token-of-the-tests-0123456789";

/// A service on a free port, stopped when dropped.
pub(crate) struct Served {
    running: Option<Running>,
    pub(crate) address: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Served {
    /// Serves a data folder on loopback, with a token.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_on(data, "127.0.0.1:0")
    }

    pub(crate) fn start_on(data: &Path, listen: &str) -> Self {
        Self::serve(data, &[], listen)
    }

    /// Serves with more of what every command takes.
    pub(crate) fn start_with(data: &Path, global: &[&str]) -> Self {
        Self::serve(data, global, "127.0.0.1:0")
    }

    fn serve(data: &Path, global: &[&str], listen: &str) -> Self {
        let mut command = gyre();
        command.args(["--json", "--data-dir"]).arg(data).args(global);
        command.args(["serve", "--listen", listen]);
        let mut running = Running::start(command.env("GYRE_SERVER_TOKEN", TOKEN));
        let said = running.next().expect("a service says where it listens");
        let url = text(&said, "url");
        let (_, port) = url.rsplit_once(':').unwrap();
        Self { running: Some(running), address: format!("127.0.0.1:{port}") }
    }

    /// Sends a request with exactly these lines after the first.
    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, lines: &[&str], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{lines}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Answer::of(&bytes)
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[&format!("Host: {}", self.address)], "")
    }

    /// A document of the API.
    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// A page, which must be there.
    #[track_caller]
    pub(crate) fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    }

    /// All that comes back, which may break off in the middle.
    pub(crate) fn get_raw(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let host = &self.address;
        let close = "Connection: close";
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n{close}\r\n\r\n").unwrap();
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The status of an answer, of which nothing more is read.
    pub(crate) fn get_head(&self, path: &str) -> u16 {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let host = &self.address;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        String::from_utf8_lossy(&status[9..]).parse().unwrap()
    }

    /// The id of its process.
    pub(crate) fn process(&self) -> u32 {
        self.running.as_ref().map_or(0, Running::id)
    }

    /// Asks it to stop, as a supervisor does, and gives its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let running = self.running.take().unwrap();
        let killed = std::process::Command::new("kill").arg(running.id().to_string()).status();
        assert!(killed.unwrap().success());
        running.wait().code
    }
}

impl Answer {
    fn of(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let raw = &bytes[end + 4..];
        let chunked = head.contains("transfer-encoding: chunked");
        Self { status, body: if chunked { unchunked(raw) } else { raw.to_vec() }, head }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The stable code of a problem.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        assert!(self.head.contains("application/problem+json"), "{}", self.head);
        text(&self.json(), "code").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(start.as_str()))
    }
}

fn unchunked(mut raw: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = raw.windows(2).position(|two| two == b"\r\n").expect("a chunk's length");
        let length = std::str::from_utf8(&raw[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return whole;
        }
        whole.extend(&raw[end + 2..end + 2 + length]);
        raw = &raw[end + 4 + length..];
    }
}
