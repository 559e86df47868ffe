//! The same run with PostgreSQL as its database.

use crate::support::{
    Database, Running, SMALL, clean_state, clean_state_with, finished, gyre, run,
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
