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
    match commands::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
