//! Whether a server answers.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::config::ServeConfig;
use crate::ServeError;
use crate::process::Process;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// How long one attempt may take: a server that is loading may accept and be silent.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(5);

/// Bytes of an answer that are read: its first line is what counts.
const ANSWER_BYTES: u64 = 256;

/// Waits until the server answers, or ends, or its time is over.
pub(super) async fn wait(
    process: &mut Process,
    config: &ServeConfig,
    port: u16,
    cancel: &CancellationToken,
) -> Result<(), ServeError> {
    let mut last = "it was not asked".to_owned();
    let answers = async {
        while let Err(error) = attempt(port, &config.ready).await {
            last = error.to_string();
            sleep(PAUSE).await;
        }
    };
    tokio::select! {
        biased;
        exit = process.wait() => {
            let exit = exit?;
            process.drain(exit).await;
            Err(ServeError::Ended { how: exit.describe(), log: process.log_excerpt().await })
        }
        () = cancel.cancelled() => Err(ServeError::Cancelled),
        answered = timeout(Duration::from_secs(config.ready_seconds), answers) => match answered {
            Ok(()) => Ok(()),
            Err(_late) => Err(ServeError::NotReady {
                url: format!("http://127.0.0.1:{port}{}", config.ready),
                seconds: config.ready_seconds,
                last,
                log: process.log_excerpt().await,
            }),
        },
    }
}

/// One GET by HTTP/1.1 (RFC 9112), of whose answer the status counts.
async fn attempt(port: u16, path: &str) -> io::Result<()> {
    let answer = timeout(ATTEMPT_LIMIT, get(port, path)).await;
    let answer = answer.map_err(|_late| io::Error::other("no answer"))??;
    let line = answer.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
    match (is_http, words.next()) {
        (true, Some("200")) => Ok(()),
        (true, Some(status)) => Err(io::Error::other(format!("it answered {status:?}"))),
        _ => Err(io::Error::other("it does not speak HTTP")),
    }
}

async fn get(port: u16, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
    Ok(answer)
}
