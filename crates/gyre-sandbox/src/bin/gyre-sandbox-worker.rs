//! A sandbox worker by itself, for this crate's tests. The binary `gyre`
//! starts itself instead.

use std::process::ExitCode;

fn main() -> ExitCode {
    gyre_sandbox::run_as_worker().unwrap_or(ExitCode::FAILURE)
}
