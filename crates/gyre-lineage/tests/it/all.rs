//! Whole lists: whatever their pages, nothing is left out.

use gyre_lineage::{
    AlarmRow, All, CanaryRow, Commit, NewEvent, NewSchedule, RolloutFilter, TaskFilter,
};
use gyre_types::{Digest, RolloutId, TaskId, Verdict};
use serde_json::json;

use crate::scenario::{
    Recorded, checkpoint, digest, event, judgement, part, rollout, rows_of, shard, started, task,
    verdict_of, write,
};
use crate::support::{TestDatabase, on_both};

on_both!(more_than_a_page_is_whole, every_list_is_the_same_in_pages_of_any_size);

/// More than the largest page, which has 10,000 rows.
const MANY: u32 = 10_050;

async fn more_than_a_page_is_whole(db: &TestDatabase) {
    let store = &db.store;
    let (run, lease) = started(store, "many").await;
    let base = checkpoint("base", 0, None);
    let mut first = Commit::new(run.clone(), lease.epoch, 0, 10);
    first.checkpoints = vec![base.clone()];
    store.commit(first).await.unwrap();
    let tasks: Vec<_> = (0..MANY).map(|n| task(n, gyre_types::Split::Train)).collect();
    let whole = part("whole", MANY as usize);
    let rollouts: Vec<_> =
        (0..MANY).map(|n| rollout(1, &tasks[n as usize], 0, &base, (&whole, n))).collect();
    let published = shard("long", 1, MANY as usize);
    let mut checkpoints = vec![base.clone()];
    checkpoints.extend((1..MANY).map(|n| {
        let mut row = checkpoint(&format!("candidate {n}"), n, Some(&base));
        row.shards = vec![published.id.clone()];
        row
    }));
    let mut commit = Commit::new(run.clone(), lease.epoch, 0, 10);
    commit.events = (0..MANY).map(|n| NewEvent { round: n, ..event(0, "told") }).collect();
    commit.rollout_parts = vec![whole];
    commit.rollout_parts.extend((1..MANY).map(|n| part(&format!("part {n}"), 0)));
    commit.verdicts = rollouts.iter().map(|row| verdict_of(row, Verdict::Pass)).collect();
    commit.shard_rows = rows_of(&published, &rollouts.iter().collect::<Vec<_>>());
    (commit.tasks, commit.rollouts) = (tasks, rollouts);
    commit.checkpoints = checkpoints[1..].to_vec();
    commit.shards = vec![published.clone()];
    commit.alarms = (0..MANY).map(alarm).collect();
    store.commit(commit.clone()).await.unwrap();

    let many = MANY as usize;
    assert_eq!(store.checkpoints(&run).collect().await.unwrap(), checkpoints);
    assert_eq!(store.shard_rows(&run, &published.id).collect().await.unwrap(), commit.shard_rows);
    assert_eq!(store.parts(&run).collect().await.unwrap().len(), many);
    assert_eq!(store.events(&run).collect().await.unwrap().len(), many);
    assert_eq!(store.alarms(&run).collect().await.unwrap(), commit.alarms);
    assert_eq!(store.tasks(&run, &TaskFilter::default()).collect().await.unwrap().len(), many);
    let rollouts = store.rollouts(&run, &RolloutFilter::default());
    let rollouts = rollouts.collect().await.unwrap();
    assert_eq!(rollouts.len(), many);

    // The same by their ids, some at a time; what the run does not have is no error.
    let mut ids: Vec<_> = rollouts.iter().map(|row| row.rollout.id.clone()).collect();
    ids.push(RolloutId::from_digest(&digest("none")));
    let mut among = store.rollouts_among(&run, &ids).await.unwrap();
    among.sort_by(|a, b| a.rollout.id.cmp(&b.rollout.id));
    assert_eq!(among, rollouts);
    assert_eq!(store.rollouts_among(&run, &ids[many..]).await.unwrap(), []);
    assert_eq!(store.rollouts_among(&run, &[]).await.unwrap(), []);
}

async fn every_list_is_the_same_in_pages_of_any_size(db: &TestDatabase) {
    let store = &db.store;
    let Recorded { run, .. } = &write(store, "r").await;
    let recorded = write(store, "s").await;
    let mut commit = recorded.commit();
    commit.canaries = (0..5).map(|n| canary(&recorded, n)).collect();
    commit.alarms = (0..5).map(alarm).collect();
    store.commit(commit).await.unwrap();
    for name in ["a", "b", "c"] {
        let (name, campaign) = (name.to_owned(), "s".to_owned());
        let schedule = NewSchedule { name: name.clone(), spec: json!({}), campaign, at_ms: 1 };
        store.register_schedule(&schedule).await.unwrap();
        for at in [10, 20] {
            store.run_now(&name, at).await.unwrap();
        }
    }
    let shard = &recorded.shard.id;
    let run_s = &recorded.run;
    same(|| store.runs()).await;
    same(|| store.events(run)).await;
    same(|| store.parts(run)).await;
    same(|| store.shards(run)).await;
    same(|| store.shard_rows(run_s, shard)).await;
    same(|| store.checkpoints(run)).await;
    same(|| store.gates(run)).await;
    same(|| store.promotions(run)).await;
    same(|| store.canaries(run_s, None)).await;
    same(|| store.canaries(run_s, Some(1))).await;
    same(|| store.alarms(run_s)).await;
    same(|| store.tasks(run, &TaskFilter::default())).await;
    same(|| store.tasks_with_keys(run, &TaskFilter::default())).await;
    same(|| store.rollouts(run, &RolloutFilter::default())).await;
    same(|| store.open_ticks()).await;
    assert_eq!(store.open_ticks().collect().await.unwrap().len(), 6);
    assert_eq!(store.canaries(run_s, None).collect().await.unwrap().len(), 5);
}

/// Walks a list in pages of several sizes.
async fn same<T: PartialEq + std::fmt::Debug>(list: impl Fn() -> All<T>) {
    let whole = list().collect().await.unwrap();
    assert!(!whole.is_empty(), "{}", std::any::type_name::<T>());
    for rows in [0, 1, 2, 3, 1_000_000] {
        let walked = list().rows_at_a_time(rows).collect().await.unwrap();
        assert_eq!(walked, whole, "{rows} rows at a time");
    }
    let mut pages = list().rows_at_a_time(2);
    while let Some(page) = pages.next().await.unwrap() {
        assert!(page.len() <= 2);
    }
    assert_eq!(pages.next().await.unwrap(), None, "a list that has ended stays so");
}

fn alarm(number: u32) -> AlarmRow {
    AlarmRow {
        round: number / 3,
        kind: format!("kind_{}", number % 3),
        subject: format!("subject {number:06}"),
        body: json!({ "number": number }),
    }
}

fn canary(recorded: &Recorded, number: u32) -> CanaryRow {
    let name = Digest::of(&number.to_le_bytes());
    CanaryRow {
        rollout: RolloutId::from_digest(&name),
        round: 1 + number / 3,
        task: TaskId::from_digest(&name),
        made_from: recorded.tasks[0].task.id.clone(),
        checkpoint: recorded.base.id.clone(),
        verdict: Verdict::Pass,
        verifier_digest: digest("verifier"),
        checks: judgement(Verdict::Pass).checks,
        body: json!({ "answer": "return 1" }),
        grading_key: json!({}),
    }
}
