use std::process::ExitCode;

use crate::command::{self, cargo, succeeds};
use crate::step::Steps;

/// Runs the lints alone.
pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::default();
    format(&mut steps);
    analyse(&mut steps);
    steps.finish()
}

/// rustfmt: seconds, so it stands before everything.
pub(crate) fn format(steps: &mut Steps) {
    steps.run("format", || command::run(cargo().args(["fmt", "--all", "--check"])));
}

/// Clippy reads the dependencies a second time, so it stands after the tests.
pub(crate) fn analyse(steps: &mut Steps) {
    steps.run("clippy", || {
        let targets = ["clippy", "--release", "--workspace", "--all-targets"];
        command::run(cargo().args(targets).args(["--", "-D", "warnings"]))
    });
    if succeeds(cargo().args(["deny", "--version"])) {
        steps.run("deny", || command::run(cargo().args(["deny", "check"])));
    } else {
        steps.skip("deny", "cargo-deny is not installed (cargo install --locked cargo-deny)");
    }
}
