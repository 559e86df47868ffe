//! The same run with PostgreSQL as its database.

use std::fs;
use std::path::Path;

use crate::http::{Served, TOKEN};
use crate::support::{
    Database, RUN, Running, SMALL, clean_state, clean_state_with, finished, gyre, repository, run,
};

#[test]
fn a_killed_run_on_postgres_ends_in_the_state_of_an_unkilled_one_on_sqlite() {
    let database = Database::create();
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

/// The files below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// With the password in the configuration that a run is begun with, and stored.
#[test]
fn no_secret_is_in_a_row_a_file_or_a_page() {
    let database = Database::create();
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("config.toml"));
    let small = fs::read_to_string(repository().join(SMALL)).unwrap();
    fs::write(&config, format!("{small}\n[database]\nurl = {:?}\n", database.url)).unwrap();
    let (credentials, _) = database.url.rsplit_once('@').unwrap();
    let (_, password) = credentials.rsplit_once(':').unwrap();
    assert!(password.len() > 8, "too short to be looked for");

    let mut command = gyre();
    command.arg("--data-dir").arg(&data).args(["run", "--rounds", "1", "--config"]).arg(&config);
    let ran = run(command.env("GYRE_SERVER_TOKEN", TOKEN).env("GYRE_LOG", "debug")).ok();
    let secrets = [password, TOKEN];
    let hold_none = |what: &str, text: &str| {
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{what} holds a secret");
    };
    hold_none("standard output", &ran.stdout);
    hold_none("the log", &ran.stderr);

    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'gyre'";
    let tables = database.sql(tables);
    assert!(tables.lines().any(|table| table == "runs"), "{tables}");
    for table in tables.lines().filter(|table| !table.is_empty()) {
        hold_none(table, &database.sql(&format!("SELECT x::text FROM gyre.{table} x")));
    }
    for file in files(&data) {
        hold_none(&file.display().to_string(), &String::from_utf8_lossy(&fs::read(&file).unwrap()));
    }
    let served = Served::start_with(&data, &["--database", &database.url]);
    let run = format!("/runs/{RUN}");
    for path in ["/", &run, &format!("{run}/rounds/1"), "/metrics", "/schedules", "/verifiers"] {
        hold_none(path, &served.page(path));
    }
    for path in [&format!("/api/v1{run}"), "/api/v1/runs", "/api/v1/openapi.json"] {
        hold_none(path, &served.json(path).to_string());
    }
}
