//! The same run with PostgreSQL as its database.

use std::process::Command;

use crate::support::{Running, SMALL, clean_state, clean_state_with, finished, gyre, run};

/// A database of the test's own, gone after it.
pub(crate) struct Database {
    server: String,
    name: String,
    pub(crate) url: String,
}

impl Database {
    #[expect(clippy::disallowed_methods, reason = "the caller chooses the server")]
    pub(crate) fn create(label: &str) -> Self {
        let server = std::env::var("GYRE_TEST_POSTGRES_URL").expect(
            "GYRE_TEST_POSTGRES_URL is not set; start a server with: \
             export GYRE_TEST_POSTGRES_URL=$(.ci/postgres up)",
        );
        let name = format!("gyre_cli_test_{label}_{}", std::process::id());
        let (base, _) = server.rsplit_once('/').unwrap();
        let url = format!("{base}/{name}");
        let database = Self { server, name, url };
        database.server_does(&format!("CREATE DATABASE {}", database.name));
        database
    }

    /// Runs SQL on the database; rows as sqlite3 prints them.
    pub(crate) fn sql(&self, statements: &str) -> String {
        let args = ["--quiet", "--tuples-only", "--no-align", "--dbname", &self.url, "--command"];
        run(Command::new("psql").args(args).arg(statements)).ok().stdout
    }

    fn server_does(&self, sql: &str) {
        run(Command::new("psql").args(["--quiet", "--dbname", &self.server, "--command", sql]))
            .ok();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.server_does(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

#[test]
fn a_killed_run_on_postgres_ends_in_the_state_of_an_unkilled_one_on_sqlite() {
    let database = Database::create("killed");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let on_postgres = ["--database", &database.url];
    let mut begin = gyre();
    begin.arg("--data-dir").arg(data).args(on_postgres);
    let mut running = Running::start(begin.args(["run", "--json", "--config", SMALL]));
    for _ in 0..8 {
        running.next_event().expect("eight events");
    }
    running.kill();
    clean_state_with(data, &on_postgres);

    let mut resume = gyre();
    resume.arg("--data-dir").arg(data).args(on_postgres).args(["run", "--json", "--resume"]);
    let resumed = run(&mut resume).ok().json_lines();
    assert_eq!(resumed.last().unwrap()["event"], "run_finished");
    assert_eq!(clean_state_with(data, &on_postgres), clean_state(&finished().data));
    assert!(!data.join("lineage.db").exists(), "SQLite has nothing to do here");
}
