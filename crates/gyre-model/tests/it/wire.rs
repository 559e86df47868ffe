//! A server over real sockets that does what a script says, connection by connection.
//!
//! The tests of the whole program use this file too: it knows nothing of the client.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a server does with one request.
pub(crate) enum Act {
    /// Sends these bytes and closes the connection.
    Send(Vec<u8>),
    /// Sends these bytes and then nothing, with the connection open.
    Hang(Vec<u8>),
    /// Sends these bytes, and then one byte a millisecond for ever.
    Drip(Vec<u8>),
    /// Sends these bytes, and then so many more.
    Flood(Vec<u8>, u64),
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Value,
}

/// A server; it ends when it is dropped.
pub(crate) struct Server {
    pub(crate) origin: String,
    received: Arc<Mutex<Vec<Received>>>,
    sent: Arc<AtomicU64>,
    accepts: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

impl Server {
    /// Answers request n, from 0, as the script says.
    pub(crate) async fn start(
        script: impl Fn(usize, &Received) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("bound"));
        let received = Arc::new(Mutex::new(Vec::new()));
        let sent = Arc::new(AtomicU64::new(0));
        let script = Arc::new(script);
        let (requests, bytes) = (Arc::clone(&received), Arc::clone(&sent));
        let accepts = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (script, requests) = (Arc::clone(&script), Arc::clone(&requests));
                let bytes = Arc::clone(&bytes);
                tokio::spawn(async move {
                    serve(stream, script.as_ref(), &requests, &bytes).await;
                });
            }
        });
        Self { origin, received, sent, accepts }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no panic").clone()
    }

    /// Bytes that were handed to the network.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

async fn serve(
    mut stream: TcpStream,
    script: &(impl Fn(usize, &Received) -> Act + Send + Sync),
    requests: &Mutex<Vec<Received>>,
    sent: &AtomicU64,
) {
    let Some(request) = read(&mut stream).await else { return };
    let number = {
        let mut requests = requests.lock().expect("no panic");
        requests.push(request.clone());
        requests.len() - 1
    };
    match script(number, &request) {
        Act::Send(bytes) => {
            let _ = stream.write_all(&bytes).await;
        }
        Act::Hang(bytes) => {
            let _ = stream.write_all(&bytes).await;
            // Ends when the client has closed the connection.
            let _ = stream.read(&mut [0]).await;
        }
        Act::Drip(bytes) => {
            let _ = stream.write_all(&bytes).await;
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Act::Flood(bytes, more) => {
            let _ = stream.write_all(&bytes).await;
            let piece = [b' '; 1 << 16];
            let mut own = 0;
            while own < more && stream.write_all(&piece).await.is_ok() {
                own += piece.len() as u64;
                sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    loop {
        if let Some(request) = parse(&bytes) {
            return Some(request);
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// A whole request, once it is there.
fn parse(bytes: &[u8]) -> Option<Received> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
    let body = bytes.get(end + 4..end + 4 + length)?;
    Some(Received { head, body: serde_json::from_slice(body).unwrap_or_default() })
}

/// An HTTP answer with this body.
pub(crate) fn http(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub(crate) fn ok(body: &Value) -> Vec<u8> {
    http(200, "content-type: application/json\r\n", body.to_string())
}

/// A completion that says this.
pub(crate) fn completion(content: &str) -> Value {
    json!({
        "model": "m",
        "choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4},
    })
}
