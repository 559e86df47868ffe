//! Several real processes on one database: the test binary starts itself again.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use gyre_lineage::{AuditRules, Commit, DatabaseUrl, Store};
use gyre_types::{RunId, Split};

use crate::scenario::{checkpoint, event, part, rollout, started, task, verdict, verdict_of};
use crate::support::{TestDatabase, block_on, on_both};

on_both!(processes_share_a_database, a_killed_process_loses_no_finished_commit);

const ROLE: &str = "GYRE_TEST_CHILD_ROLE";
const DATABASE: &str = "GYRE_TEST_CHILD_DATABASE";
const COMMITS: u32 = 15;
const ROLLOUTS: u32 = 200;

fn child(role: &str, url: &DatabaseUrl) -> Child {
    let url = match url {
        DatabaseUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
        DatabaseUrl::Postgres(url) => url.clone(),
    };
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::child_entry", "--nocapture"])
        .env(ROLE, role)
        .env(DATABASE, url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a child does; nothing when run as an ordinary test.
#[test]
#[expect(clippy::disallowed_methods, reason = "a child is told its part by its parent")]
fn child_entry() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let url: DatabaseUrl = std::env::var(DATABASE).unwrap().parse().unwrap();
    block_on(async {
        let store = Store::open(&url).await.unwrap();
        let commits = if role == "endless" { u32::MAX } else { COMMITS };
        work(&store, commits).await;
    });
}

/// Commits rounds of rollouts to a run of its own and tells of each after it.
async fn work(store: &Store, commits: u32) {
    use std::io::Write;
    let (run, lease) = started(store, "shared").await;
    let mut last_seq = 0;
    for round in 0..commits {
        let commit = round_commit(&run, lease.epoch, last_seq, round);
        last_seq = store.commit(commit).await.unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "committed {run} {last_seq}").unwrap();
        out.flush().unwrap();
    }
}

fn round_commit(run: &RunId, epoch: u64, last_seq: u64, round: u32) -> Commit {
    let base = checkpoint(&format!("base {round}"), round, None);
    let part = part(&format!("part {round}"), ROLLOUTS as usize);
    let task = task(round, Split::Train);
    let mut commit = Commit::new(run.clone(), epoch, last_seq, 1);
    commit.events = vec![event(round, "began"), event(round, "rolled_out")];
    commit.rollouts =
        (0..ROLLOUTS).map(|row| rollout(round, &task, row, &base, (&part, row))).collect();
    let verdicts = commit.rollouts.iter().enumerate();
    commit.verdicts = verdicts.map(|(n, r)| verdict_of(r, verdict(n))).collect();
    commit.checkpoints = vec![base];
    commit.rollout_parts = vec![part];
    commit.tasks = vec![task];
    commit
}

async fn processes_share_a_database(db: &TestDatabase) {
    let children: Vec<_> = (0..4).map(|_| child("worker", &db.url)).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
    }
    let runs = db.store.runs().collect().await.unwrap();
    let mut names: Vec<_> = runs.iter().map(|run| run.id.to_string()).collect();
    names.sort();
    assert_eq!(names, ["shared-1", "shared-2", "shared-3", "shared-4"]);
    for run in runs {
        assert_eq!(run.last_seq, u64::from(2 * COMMITS));
        assert_eq!(db.store.audit_rows(&run.id, AuditRules::default()).await.unwrap(), []);
        let counts = db.store.verdict_counts(&run.id).await.unwrap();
        let rollouts: u64 = counts.iter().map(|(_, _, _, count)| count.rollouts).sum();
        assert_eq!(rollouts, u64::from(COMMITS * ROLLOUTS));
    }
}

/// Kills a committing process at several points: what it told of is there, and
/// of what it did not tell of all or nothing is.
async fn a_killed_process_loses_no_finished_commit(db: &TestDatabase) {
    for commits_before in [1, 2, 4, 7] {
        let mut child = child("endless", &db.url);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines
            .map(|line| line.unwrap())
            .filter_map(|line| line.split_once("committed ").map(|(_, rest)| rest.to_owned()))
            .nth(commits_before - 1)
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let (run, told) = told.split_once(' ').unwrap();
        let run: RunId = run.parse().unwrap();
        let told: u64 = told.parse().unwrap();
        let row = db.store.run(&run).await.unwrap().unwrap();
        assert!(row.last_seq >= told && row.last_seq % 2 == 0, "{} {told}", row.last_seq);
        let counts = db.store.verdict_counts(&run).await.unwrap();
        let rollouts: u64 = counts.iter().map(|(_, _, _, count)| count.rollouts).sum();
        assert_eq!(rollouts, row.last_seq / 2 * u64::from(ROLLOUTS));
        assert_eq!(db.store.audit_rows(&run, AuditRules::default()).await.unwrap(), []);
        // Its lease stands in nobody's way once its death is known.
        let lease = db.store.steal_lease(&run, 1, "heir", 1, 1_000).await.unwrap();
        let rounds = u32::try_from(row.last_seq / 2).unwrap();
        let next = round_commit(&run, lease.epoch, row.last_seq, rounds);
        assert_eq!(db.store.commit(next).await.unwrap(), row.last_seq + 2);
    }
}
