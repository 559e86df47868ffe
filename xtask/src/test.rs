use std::process::{Command, ExitCode};

use crate::command::{self, CommandError, cargo, succeeds};
use crate::lint;
use crate::services::{self, Postgres};
use crate::step::Steps;

/// Whether the lints run too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lint {
    After,
    No,
}

/// What the tests are told of the services, by environment.
struct Services {
    postgres: Option<Postgres>,
    pgbouncer: Option<String>,
    python: Option<String>,
    chromium: Option<String>,
}

/// Runs all tests, and the lints where asked.
pub(crate) fn run(lint: Lint) -> ExitCode {
    let mut steps = Steps::default();
    if lint == Lint::After {
        lint::format(&mut steps);
    }
    let services = Services {
        postgres: steps.run("postgres", Postgres::start),
        pgbouncer: steps.run("pgbouncer", services::pgbouncer),
        python: steps.run("python", services::python),
        chromium: steps.run("chromium", services::chromium),
    };
    steps.run("sqlite3", services::sqlite);
    steps.run("openssl", services::openssl);
    steps.run("systemd-analyze", services::systemd);
    steps.run("iproute2", services::iproute);
    steps.run("wasm32-wasip2", services::wasm_target);
    if steps.run("build", build).is_some() {
        steps.run("tests", || tests(&services));
    } else {
        steps.skip("tests", "the build failed");
    }
    if let Some(postgres) = services.postgres {
        steps.run("stop postgres", || postgres.stop());
    }
    if lint == Lint::After {
        lint::analyse(&mut steps);
    }
    steps.finish()
}

/// Walks the full product of failpoints, faults and databases, and kills
/// services and workers hundreds of times.
pub(crate) fn crash() -> ExitCode {
    let mut steps = Steps::default();
    let postgres = steps.run("postgres", Postgres::start);
    let services = Services { postgres, pgbouncer: None, python: None, chromium: None };
    steps.run("sqlite3", services::sqlite);
    if steps.run("build", build_cli).is_some() {
        steps.run("crash harness", || {
            let arguments = ["test", "--release", "--workspace", "--test", "it"];
            let mut tests = cargo();
            let filters = [
                "--",
                "faults::",
                "long_run::",
                "revoke::registering",
                "workers::drivers",
                "workers::workers_killed",
                "--nocapture",
            ];
            let tests = tests.args(arguments).args(filters);
            let tests = tests.env("GYRE_CRASH_FULL", "1").env("GYRE_CRASH_KILLS", "300");
            command::run(services.tell(tests))
        });
    }
    if let Some(postgres) = services.postgres {
        steps.run("stop postgres", || postgres.stop());
    }
    steps.finish()
}

fn build_cli() -> Result<(), CommandError> {
    command::run(cargo().args(["build", "--release", "--workspace"]))
}

/// Builds the binary first, so that the end-to-end tests drive the program that
/// ships. With the same selection as the tests: another would have other
/// features, and build every crate once more.
fn build() -> Result<(), CommandError> {
    build_cli()?;
    command::run(cargo().args(["test", "--release", "--workspace", "--no-run"]))
}

fn tests(services: &Services) -> Result<(), CommandError> {
    if succeeds(cargo().args(["nextest", "--version"])) {
        let arguments = ["nextest", "run", "--release", "--workspace", "--no-fail-fast"];
        let tests = command::run(services.tell(cargo().args(arguments)));
        // nextest leaves the examples in the documentation to cargo.
        let examples = ["test", "--release", "--workspace", "--doc", "--quiet"];
        tests.and(command::run(services.tell(cargo().args(examples))))
    } else {
        let arguments = ["test", "--release", "--workspace", "--no-fail-fast"];
        command::run(services.tell(cargo().args(arguments)))
    }
}

impl Services {
    fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if let Some(postgres) = &self.postgres {
            command.env("GYRE_TEST_POSTGRES_URL", &postgres.url);
        }
        if let Some(pgbouncer) = &self.pgbouncer {
            command.env("GYRE_TEST_PGBOUNCER", pgbouncer);
        }
        if let Some(python) = &self.python {
            command.env("GYRE_TEST_PYTHON", python);
        }
        if let Some(chromium) = &self.chromium {
            command.env("GYRE_TEST_CHROMIUM", chromium);
        }
        command
    }
}
