//! One server, from its start to its end.

use std::path::Path;
use std::time::Duration;

use gyre_fault::crash_point;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::process::{Exit, Process, Program};
use crate::serve::config::ServeConfig;
use crate::serve::ready;
use crate::serve::target::Target;
use crate::{Host, ServeError};

/// Attempts to start a server when something else takes its port meanwhile.
const PORTS_MAX: usize = 4;

/// A server that was ready once. Dropping it kills it, with all that it started.
#[derive(Debug)]
pub struct Server {
    url: String,
    stop: CancellationToken,
    died: watch::Receiver<Option<String>>,
    task: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1, and waits until it is ready.
    ///
    /// If Gyre crashes meanwhile, the supervisor kills the server.
    ///
    /// # Errors
    ///
    /// When it cannot be started, ends, or is not ready in time. Nothing of it is left.
    pub async fn start(
        config: &ServeConfig,
        host: &Host,
        target: &Target,
        log: &Path,
        cancel: &CancellationToken,
    ) -> Result<Self, ServeError> {
        config.check()?;
        let mut attempt = 1;
        loop {
            let port = free_port().await.map_err(ServeError::Port)?;
            match Self::start_on(port, config, host, target, log, cancel).await {
                Err(error) if attempt < PORTS_MAX && is_taken(&error) => attempt += 1,
                started => return started,
            }
        }
    }

    async fn start_on(
        port: u16,
        config: &ServeConfig,
        host: &Host,
        target: &Target,
        log: &Path,
        cancel: &CancellationToken,
    ) -> Result<Self, ServeError> {
        crash_point("server::starting");
        let program = Program {
            command: target.fill(&config.command, Some(port), host),
            env: &config.env,
            folder: &host.project(),
            log,
            log_bytes_max: config.log_bytes_max,
            input: None,
        };
        let (mut process, lines) = Process::start(program, host).await?;
        // A server reports no progress.
        drop(lines);
        crash_point("server::started");
        let url = format!("http://127.0.0.1:{port}");
        let grace = Duration::from_secs(config.grace_seconds);
        if let Err(error) = ready::wait(&mut process, config, port, cancel).await {
            // The first error is the one to report.
            let _ = process.stop(grace).await;
            return Err(error);
        }
        crash_point("server::ready");
        let (sender, died) = watch::channel(None);
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep(process, stop.clone(), grace, sender));
        Ok(Self { url, stop, died, task: Some(task) })
    }

    /// Where it listens: `http://127.0.0.1:` and the port.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the server is still running, as far as is known.
    pub fn is_alive(&self) -> bool {
        self.died.borrow().is_none()
    }

    /// Waits until the server has ended by itself, and describes how, with its last lines.
    pub async fn died(&self) -> String {
        let mut died = self.died.clone();
        match died.wait_for(Option::is_some).await {
            Ok(how) => how.clone().unwrap_or_default(),
            Err(_stopped) => "the server was stopped".to_owned(),
        }
    }

    /// Stops the server, by force where it does not end in time.
    pub async fn stop(mut self) {
        crash_point("server::stopping");
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // The task does not panic, and is aborted only on drop.
            let _ = task.await;
        }
        crash_point("server::stopped");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            // This drops the process, and so kills it and everything below it.
            task.abort();
        }
    }
}

/// Holds a process until it ends or is to be stopped.
async fn keep(
    mut process: Process,
    stop: CancellationToken,
    grace: Duration,
    died: watch::Sender<Option<String>>,
) {
    tokio::select! {
        exit = process.wait() => {
            let how = match exit {
                Ok(exit) => describe(&mut process, exit).await,
                Err(error) => error.to_string(),
            };
            died.send_replace(Some(how));
        }
        () = stop.cancelled() => {
            if let Ok(exit) = process.stop(grace).await {
                process.drain(exit).await;
            }
        }
    }
}

async fn describe(process: &mut Process, exit: Exit) -> String {
    process.drain(exit).await;
    format!("the server {}; {}", exit.describe(), process.log_excerpt().await)
}

/// A port that nothing listens on now. Something else may take it before the server
/// does, which is why starting is tried again.
async fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port())
}

/// Whether a server ended because of its port, by the words of the system.
fn is_taken(error: &ServeError) -> bool {
    let ServeError::Ended { log, .. } = error else { return false };
    let log = log.to_ascii_lowercase();
    ["address already in use", "address in use", "eaddrinuse"]
        .iter()
        .any(|words| log.contains(words))
}
