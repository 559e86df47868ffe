//! The binary `gyre`.

mod args;
mod clock;
mod commands;
mod exit;
mod live;
mod output;
mod session;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(ended) = gyre_sandbox::run_as_worker() {
        return ended;
    }
    let args = args::Args::parse();
    session::start_logging(&args.global);
    let done = gyre_orchestrator::Failpoints::from_environment()
        .map_err(anyhow::Error::msg)
        .and_then(|_in_force| commands::run(args));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
