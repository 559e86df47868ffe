//! Sends recorded conversations to a server, and prints what was sent and what came
//! of it: `cargo run --example conversations -p gyre-model -- FILE URL [MODEL]`.
//!
//! Each line is a JSON object. The requests pass through a relay of this program, so
//! what is printed is what was on the wire.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to people")]

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use gyre_model::{ModelClient, OpenAi, OpenAiConfig};
use gyre_types::ChatRequest;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};

#[derive(Deserialize)]
struct Conversation {
    about: String,
    request: ChatRequest,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, url, model @ ..] = arguments.as_slice() else {
        eprintln!("usage: conversations FILE URL [MODEL]");
        return ExitCode::FAILURE;
    };
    match send(file, url, model.first()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn send(file: &str, url: &str, model: Option<&String>) -> Result<(), Box<dyn Error>> {
    let conversations: Vec<Conversation> = serde_json::from_slice(&std::fs::read(file)?)?;
    let (address, path) = address_of(url)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let own = listener.local_addr()?;
    let sent = Arc::new(Mutex::new(Vec::new()));
    tokio::spawn(relay(listener, address, Arc::clone(&sent)));
    let config = OpenAiConfig {
        url: format!("http://{own}{path}"),
        model: model.cloned(),
        retries_max: 0,
        ..OpenAiConfig::default()
    };
    let client = OpenAi::connect(config, None).await?;
    for Conversation { about, request } in conversations {
        let answered = match client.complete(request).await {
            Ok(completion) => json!({
                "finish": completion.finish, "calls": completion.message.tool_calls.len(),
            }),
            Err(error) => json!({ "error": error.kind.to_string() }),
        };
        let request: Value = sent.lock().map(|mut sent| sent.pop()).ok().flatten().into();
        println!("{}", json!({ "about": about, "request": request, "answered": answered }));
    }
    Ok(())
}

/// The host and port of an address without TLS, and its path.
fn address_of(url: &str) -> Result<(String, String), String> {
    let rest = url.strip_prefix("http://").ok_or(format!("{url} does not begin with http://"))?;
    let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    Ok((address.to_owned(), path.to_owned()))
}

/// Passes requests on, one on each connection, and keeps the bodies that are sent.
async fn relay(listener: TcpListener, address: String, sent: Arc<Mutex<Vec<Value>>>) {
    while let Ok((client, _)) = listener.accept().await {
        let (address, sent) = (address.clone(), Arc::clone(&sent));
        // A connection that breaks is an error of the request, which is printed.
        tokio::spawn(async move { pass_on(client, &address, &sent).await });
    }
}

async fn pass_on(
    mut client: TcpStream,
    address: &str,
    sent: &Mutex<Vec<Value>>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        if let Some(request) = parse(&bytes) {
            break request;
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    };
    if let (Ok(body), Ok(mut sent)) = (serde_json::from_slice(&body), sent.lock()) {
        sent.push(body);
    }
    let mut server = TcpStream::connect(address).await?;
    // So that the end of the answer is the end of the connection.
    server.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    server.write_all(&body).await?;
    copy(&mut server, &mut client).await?;
    client.shutdown().await
}

/// The head and the body of a whole request, once it is there.
fn parse(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(Some(0), |length| length.parse().ok())?;
    let body = bytes.get(end + 4..end + 4 + length)?;
    Some((head, body.to_vec()))
}
