//! The one server of a model, as its checkpoint changes.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::config::ServeConfig;
use super::server::Server;
use super::target::Target;
use crate::{Host, ServeError};

/// Logs that are kept: the present server's, and some before it.
const LOGS: usize = 8;

/// Holds the server that serves a model, and replaces it when another checkpoint is
/// to be served.
#[derive(Debug)]
pub struct ServerSlot {
    config: ServeConfig,
    host: Host,
    /// The folder of its logs, `server-0.log` and so on.
    logs: PathBuf,
    started: usize,
    current: Option<(Target, Server)>,
}

impl ServerSlot {
    /// A slot without a server. `logs` is a folder that exists.
    pub fn new(config: ServeConfig, host: Host, logs: PathBuf) -> Self {
        Self { config, host, logs, started: 0, current: None }
    }

    /// The server of a target: the present one where it serves that and lives, and
    /// else a new one.
    ///
    /// # Errors
    ///
    /// When the new one does not start. The last one goes on serving if servers
    /// overlap, and is stopped if they do not.
    pub async fn serve(
        &mut self,
        target: &Target,
        cancel: &CancellationToken,
    ) -> Result<&Server, ServeError> {
        let last = match self.current.take() {
            Some(last) if last.0 == *target && last.1.is_alive() => {
                return Ok(&self.current.insert(last).1);
            }
            last => last,
        };
        if self.config.overlap {
            // It goes on serving if the next one does not start.
            self.current = last;
        } else if let Some((_, last)) = last {
            last.stop().await;
        }
        let log = self.logs.join(format!("server-{}.log", self.started % LOGS));
        self.started += 1;
        let next = Server::start(&self.config, &self.host, target, &log, cancel).await?;
        self.stop().await;
        Ok(&self.current.insert((target.clone(), next)).1)
    }

    /// Whether a server runs, as far as is known.
    pub fn is_serving(&self) -> bool {
        self.current.as_ref().is_some_and(|(_, server)| server.is_alive())
    }

    /// Waits until the present server has ended by itself, and describes how. It waits
    /// for ever where there is none.
    pub async fn died(&self) -> String {
        match &self.current {
            Some((_, server)) => server.died().await,
            None => std::future::pending().await,
        }
    }

    /// Stops the server, if there is one.
    pub async fn stop(&mut self) {
        if let Some((_, server)) = self.current.take() {
            server.stop().await;
        }
    }
}
