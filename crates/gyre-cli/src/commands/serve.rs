use std::net::SocketAddr;

use anyhow::Context;
use gyre_orchestrator::scheduler::Schedule;
use gyre_orchestrator::{Cancel, Error, ServerSettings};
use gyre_server::{Server, ServerLimits, ServerOptions, Shutdown, Token};

use crate::args::{Global, ServeArgs};
use crate::clock::now_ms;
use crate::commands::scheduler;
use crate::exit::Failure;
use crate::{output, session};

/// Serves the data folder, and keeps the configured schedules, until Ctrl-C or
/// SIGTERM.
pub(crate) fn serve(global: &Global, args: &ServeArgs) -> anyhow::Result<()> {
    let config = session::read_config(args.config.as_deref())?;
    let schedules = match &args.config {
        Some(path) => Schedule::of(&config, path).map_err(Error::from)?,
        None => Vec::new(),
    };
    let runtime = session::runtime()?;
    let project = session::open_project(global, &runtime, config.database.url.as_deref())?;
    let options = options(&config.server, args, config.tasks.dir.clone())?;
    let (shutdown, cancel) = (Shutdown::default(), Cancel::default());
    stop_on_signal(&runtime, &shutdown, &cancel)?;
    let bind = Server::bind(project.clone(), options, shutdown.clone());
    let server = runtime.block_on(bind)?;
    say(global, server.address()?)?;
    let drained = cancel.clone();
    let served = runtime.spawn(async move {
        server.run().await;
        drained.cancel();
    });
    let kept = scheduler::keep(global, project.clone(), schedules, cancel);
    if kept.is_err() {
        shutdown.start();
    }
    runtime.block_on(served).context("the server panicked")?;
    runtime.block_on(project.store.close());
    kept
}

fn options(
    settings: &ServerSettings,
    args: &ServeArgs,
    tasks_dir: std::path::PathBuf,
) -> anyhow::Result<ServerOptions> {
    let listen = args.listen.as_ref().unwrap_or(&settings.listen);
    let listen: SocketAddr = listen.parse().map_err(|_| {
        let message = format!(
            "cannot listen on {listen:?}: give an address and a port, such as 127.0.0.1:8500"
        );
        Failure::error(12, message)
    })?;
    Ok(ServerOptions {
        listen,
        hosts: settings.hosts.clone(),
        token: token(&settings.token_env)?,
        token_env: settings.token_env.clone(),
        tasks_dir,
        clock: now_ms,
        limits: ServerLimits::default(),
    })
}

#[expect(clippy::disallowed_methods, reason = "the configuration names the variable")]
fn token(name: &str) -> anyhow::Result<Option<Token>> {
    match std::env::var(name) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => match Token::new(&text) {
            Ok(token) => Ok(Some(token)),
            Err(why) => Err(Failure::error(12, format!("{name} is refused: {why}"))),
        },
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(Failure::error(12, format!("{name} is refused: {error}"))),
    }
}

fn say(global: &Global, address: SocketAddr) -> anyhow::Result<()> {
    let url = format!("http://{address}");
    if global.json {
        return output::json(&serde_json::json!({ "event": "listening", "url": url }));
    }
    output::line(format!("serving {} on {url} (Ctrl-C stops)", global.data_dir.display()));
    Ok(())
}

/// The first signal asks everything to end, a second one ends it at once.
fn stop_on_signal(
    runtime: &tokio::runtime::Runtime,
    shutdown: &Shutdown,
    cancel: &Cancel,
) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let _inside = runtime.enter();
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let (shutdown, cancel) = (shutdown.clone(), cancel.clone());
    runtime.spawn(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        shutdown.start();
        cancel.cancel();
        if tokio::signal::ctrl_c().await.is_ok() {
            end_now();
        }
    });
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "asked for twice; what is durable is taken up at the next start"
)]
fn end_now() {
    std::process::exit(130);
}
