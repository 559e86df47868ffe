//! The binary `gyre`.

mod args;
mod clock;
mod commands;
mod exit;
mod live;
mod output;
mod printable;
mod session;
mod telemetry;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(ended) = gyre_sandbox::run_as_worker() {
        return ended;
    }
    if let Some(ended) = gyre_train::run_as_supervisor() {
        return ended;
    }
    let args = args::Args::parse();
    let telemetry = match telemetry::start(&args.global) {
        Ok(telemetry) => telemetry,
        Err(error) => return exit::report(&error),
    };
    let done = gyre_orchestrator::Failpoints::from_environment()
        .map_err(anyhow::Error::msg)
        .and_then(|_in_force| commands::run(args));
    drop(telemetry);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
