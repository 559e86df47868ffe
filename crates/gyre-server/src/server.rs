use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gyre_orchestrator::{Clock, Project};
use tokio::net::TcpListener;

use crate::app::App;
use crate::connections;
use crate::guard::Guard;
use crate::limits::ServerLimits;
use crate::router::router;
use crate::shutdown::Shutdown;
use crate::token::Token;

/// How long requests may take to end once the service is asked to stop.
const GRACE: Duration = Duration::from_secs(10);

/// How a service is reached.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Its names, beside `localhost` and plain addresses.
    pub hosts: Vec<String>,
    /// The token; without one nothing can be started over HTTP.
    pub token: Option<Token>,
    /// The environment variable that the token comes from, for messages.
    pub token_env: String,
    /// The folder of task families, for replays.
    pub tasks_dir: PathBuf,
    /// The clock: for when schedules tick next, and for ticks that are asked for.
    pub clock: Clock,
    /// What it bears of its callers.
    pub limits: ServerLimits,
}

/// Why a service cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Others can reach the address, and there is no token.
    #[error(
        "{listen} can be reached from other machines, so a token is asked for; set {token_env} \
         (`openssl rand -hex 24` makes one), or listen on 127.0.0.1"
    )]
    TokenRequired {
        /// The address.
        listen: SocketAddr,
        /// The variable that would hold the token.
        token_env: String,
    },
    /// The address is taken or not of this machine.
    #[error("cannot listen on {listen}; choose another with `--listen`")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The system does not say where it listens.
    #[error("cannot tell the address of the server")]
    Failed(#[source] std::io::Error),
}

/// A service that listens already.
pub struct Server {
    listener: TcpListener,
    app: Arc<App>,
}

impl Server {
    /// Takes the address. Until [`Server::run`] runs, callers wait.
    ///
    /// # Errors
    ///
    /// See [`ServeError`].
    pub async fn bind(
        project: Project,
        options: ServerOptions,
        shutdown: Shutdown,
    ) -> Result<Self, ServeError> {
        let ServerOptions { listen, hosts, token, token_env, tasks_dir, clock, limits } = options;
        if !listen.ip().is_loopback() && token.is_none() {
            return Err(ServeError::TokenRequired { listen, token_env });
        }
        let bound = TcpListener::bind(listen).await;
        let listener = bound.map_err(|source| ServeError::Listen { listen, source })?;
        let guard = Guard { listen, hosts, token, token_env };
        let app = Arc::new(App::new(project, guard, tasks_dir, clock, shutdown, limits));
        Ok(Self { listener, app })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn address(&self) -> Result<SocketAddr, ServeError> {
        self.listener.local_addr().map_err(ServeError::Failed)
    }

    /// Answers until the shutdown starts; then lets open requests end, for some
    /// seconds.
    pub async fn run(self) {
        let (shutdown, limits) = (self.app.shutdown.clone(), self.app.limits);
        let served = connections::serve(self.listener, router(self.app), limits, shutdown.clone());
        let overdue = async {
            shutdown.started().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            () = served => {}
            () = overdue => tracing::warn!("some requests did not end in time; they are cut off"),
        }
    }
}
