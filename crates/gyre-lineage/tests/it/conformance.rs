use std::collections::HashSet;

use gyre_lineage::{
    AuditRules, Cursor, Edge, GateDecision, GateRow, Kind, NewTask, Node, Promotion, RolloutFilter,
    RunStatus, ScoreBounds, Store, StoreError, TaskFilter, VerdictCount, VerdictFilter, VerdictRow,
};
use gyre_types::{Message, Role, RolloutId, RunId, Split, Verdict};
use serde_json::json;

use crate::scenario::{
    checkpoint, event, judgement, new_run, part, rollout, rows_of, shard, started, task,
    verdict_of, write,
};
use crate::support::{TestDatabase, execute, on_both};

on_both!(
    runs_are_numbered_by_name,
    runs_created_at_once_get_different_ordinals,
    a_lease_keeps_others_out_until_it_ends,
    a_commit_reads_back_whole,
    a_refused_commit_leaves_nothing,
    commits_are_fenced_and_ordered,
    two_runs_may_hold_the_same_ids,
    pages_cover_every_rollout_once,
    rollouts_are_found_by_what_they_say,
    runs_and_verdicts_come_in_pages,
    the_newest_verdict_counts,
    promotion_is_compare_and_swap,
    held_out_rows_are_refused,
    tasks_are_recorded_once_and_never_change_sides,
    tasks_of_every_version_are_read_and_found_by_their_words,
    ids_are_found_by_their_start,
    lineage_leads_from_task_to_promotion,
    bulk_commits_are_complete,
);

async fn runs_are_numbered_by_name(db: &TestDatabase) {
    let store = &db.store;
    assert_eq!(store.latest_run(None).await.unwrap(), None);
    let first = store.create_run(&new_run("quick")).await.unwrap();
    let mut newer = new_run("quick");
    newer.created_at_ms = 2_000;
    let second = store.create_run(&newer).await.unwrap();
    let other = store.create_run(&new_run("other")).await.unwrap();
    assert_eq!([&first, &second, &other].map(|r| r.id.as_str()), ["quick-1", "quick-2", "other-1"]);
    assert_eq!(store.run(&second.id).await.unwrap(), Some(second.clone()));
    assert_eq!(store.latest_run(Some("quick")).await.unwrap(), Some(second.clone()));
    assert_eq!(store.latest_run(None).await.unwrap(), Some(second.clone()));
    assert_eq!(store.latest_run(Some("none")).await.unwrap(), None);
    assert_eq!(store.runs_page(None, 2).await.unwrap().rows, [second, first]);
    assert_eq!(store.runs().collect().await.unwrap().len(), 3);
    let bad = store.create_run(&new_run("No Name")).await.unwrap_err();
    assert!(matches!(bad, StoreError::Row { table: "runs", .. }), "{bad}");
}

async fn runs_created_at_once_get_different_ordinals(db: &TestDatabase) {
    let create = |store: Store| async move { store.create_run(&new_run("many")).await };
    let tasks: Vec<_> = (0..8).map(|_| tokio::spawn(create(db.store.clone()))).collect();
    let mut ids = HashSet::new();
    for task in tasks {
        ids.insert(task.await.unwrap().unwrap().id.to_string());
    }
    let expected: HashSet<_> = (1..=8).map(|n| format!("many-{n}")).collect();
    assert_eq!(ids, expected);
}

async fn a_lease_keeps_others_out_until_it_ends(db: &TestDatabase) {
    let store = &db.store;
    let run = store.create_run(&new_run("r")).await.unwrap().id;
    let lease = store.acquire_lease(&run, "ann", 100, 50).await.unwrap();
    assert_eq!((lease.epoch, lease.expires_at_ms), (1, 150));
    match store.acquire_lease(&run, "bob", 149, 50).await.unwrap_err() {
        StoreError::Held { owner, epoch, expires_at_ms, .. } => {
            assert_eq!((owner.as_str(), epoch, expires_at_ms), ("ann", 1, 150));
        }
        other => panic!("{other}"),
    }
    let lease = store.renew_lease(&lease, 140, 60).await.unwrap();
    assert_eq!(lease.expires_at_ms, 200);
    assert!(matches!(
        store.acquire_lease(&run, "bob", 199, 50).await,
        Err(StoreError::Held { .. })
    ));
    let taken = store.acquire_lease(&run, "bob", 200, 50).await.unwrap();
    assert_eq!(taken.epoch, 2);
    assert!(matches!(
        store.renew_lease(&lease, 201, 50).await,
        Err(StoreError::Fenced { epoch: 1, .. })
    ));
    assert!(matches!(store.release_lease(&lease).await, Err(StoreError::Fenced { .. })));
    // A holder known to be dead need not be waited for, but only that one.
    assert!(matches!(
        store.steal_lease(&run, 1, "cy", 201, 50).await,
        Err(StoreError::Held { .. })
    ));
    let stolen = store.steal_lease(&run, 2, "cy", 201, 50).await.unwrap();
    assert_eq!(stolen.epoch, 3);
    store.release_lease(&stolen).await.unwrap();
    assert_eq!(store.acquire_lease(&run, "dee", 202, 50).await.unwrap().epoch, 4);
    let unknown: RunId = "none-1".parse().unwrap();
    assert!(matches!(
        store.acquire_lease(&unknown, "ann", 0, 1).await,
        Err(StoreError::UnknownRun { .. })
    ));
}

async fn a_commit_reads_back_whole(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    let run = &recorded.run;
    let events = store.events_after(run, 1, 2).await.unwrap();
    let seen: Vec<_> = events.iter().map(|e| (e.seq, e.round, e.kind.as_str(), e.at_ms)).collect();
    assert_eq!(seen, [(2, 0, "base_ready", 10), (3, 1, "rolled_out", 20)]);
    assert_eq!(events[1].body, event(1, "").body);

    for new in &recorded.tasks {
        let (row, key) = store.task(run, &new.task.id).await.unwrap().unwrap();
        assert_eq!((&row.task, row.round, &key), (&new.task, 1, &new.key));
    }
    for (rollout, verdict) in recorded.rollouts.iter().zip(&recorded.verdicts) {
        let read = store.rollout(run, &rollout.id).await.unwrap().unwrap();
        assert_eq!((&read.rollout, read.verdict.as_ref()), (rollout, Some(verdict)));
    }
    assert_eq!(store.part(run, &recorded.part.id).await.unwrap(), Some(recorded.part.clone()));
    assert_eq!(store.parts(run).collect().await.unwrap(), [recorded.part]);
    assert_eq!(store.shards(run).collect().await.unwrap(), std::slice::from_ref(&recorded.shard));
    let shard_rows = store.shard_rows(run, &recorded.shard.id).collect().await.unwrap();
    assert_eq!(shard_rows, recorded.shard_rows);
    let checkpoints = store.checkpoints(run).collect().await.unwrap();
    assert_eq!(checkpoints, [recorded.base.clone(), recorded.candidate.clone()]);
    let candidate = store.checkpoint(run, &recorded.candidate.id).await.unwrap();
    assert_eq!(candidate, Some(recorded.candidate.clone()));
    assert_eq!(store.gates(run).collect().await.unwrap(), std::slice::from_ref(&recorded.gate));
    assert_eq!(store.gate(run, recorded.gate.round).await.unwrap().as_ref(), Some(&recorded.gate));
    assert_eq!(store.gate(run, recorded.gate.round + 1).await.unwrap(), None);
    let champion = store.champion(run).await.unwrap().unwrap();
    assert_eq!(champion.champion, recorded.candidate.id);
    assert_eq!(champion.previous, Some(recorded.base.id));
    let promotions = store.promotions(run).collect().await.unwrap();
    assert_eq!(promotions.len(), 2);
    assert_eq!(promotions[1..], [champion]);
    assert_eq!(store.run(run).await.unwrap().unwrap().last_seq, 4);
    assert_eq!(store.audit_rows(run, AuditRules::default()).await.unwrap(), []);

    let filter = TaskFilter { split: Some(Split::Gate), ..TaskFilter::default() };
    assert_eq!(store.tasks(run, &filter).collect().await.unwrap().len(), 2);
    let filter = TaskFilter { difficulty: Some(1), round: Some(1), ..TaskFilter::default() };
    assert_eq!(store.tasks(run, &filter).collect().await.unwrap().len(), 3);
    let with_keys = store.tasks_with_keys_page(run, &filter, None, 2).await.unwrap();
    assert_eq!(with_keys.rows.len(), 2);
    for (row, key) in &with_keys.rows {
        let new = recorded.tasks.iter().find(|new| new.task.id == row.task.id).unwrap();
        assert_eq!((&row.task, key), (&new.task, &new.key));
    }
    let rest = store.tasks_with_keys_page(run, &filter, with_keys.next.as_ref(), 2).await.unwrap();
    assert_eq!((rest.rows.len(), rest.next), (1, None));
    let round: Vec<_> = store.round_events(run, 1).await.unwrap().iter().map(|e| e.seq).collect();
    assert_eq!(round, [3, 4]);
    let filter = TaskFilter { family: Some("other".to_owned()), ..TaskFilter::default() };
    assert_eq!(store.tasks(run, &filter).collect().await.unwrap(), []);
}

async fn a_refused_commit_leaves_nothing(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    let run = &recorded.run;
    let part = part("late", 1);
    let mut commit = recorded.commit();
    commit.events = vec![event(2, "rolled_out")];
    commit.rollout_parts = vec![part.clone()];
    let late = rollout(2, &recorded.tasks[0], 0, &recorded.base, (&part, 0));
    commit.rollouts = vec![late.clone()];
    commit.run_status = Some(RunStatus::Finished);
    // The last rows of the commit repeat a primary key.
    commit.shard_rows = recorded.shard_rows.clone();
    let refused = store.commit(commit.clone()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Constraint { .. }), "{refused}");
    assert_eq!(store.rollout(run, &late.id).await.unwrap(), None);
    assert_eq!(store.part(run, &part.id).await.unwrap(), None);
    let row = store.run(run).await.unwrap().unwrap();
    assert_eq!((row.last_seq, row.status), (4, RunStatus::Active));

    commit.shard_rows.clear();
    assert_eq!(store.commit(commit).await.unwrap(), 5);
    let row = store.run(run).await.unwrap().unwrap();
    assert_eq!((row.last_seq, row.status), (5, RunStatus::Finished));
}

async fn commits_are_fenced_and_ordered(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    let run = &recorded.run;
    let mut stale = recorded.commit();
    stale.expected_seq = 3;
    stale.events = vec![event(2, "planned")];
    match store.commit(stale).await.unwrap_err() {
        StoreError::Conflict { expected, found, .. } => assert_eq!((expected, found), (3, 4)),
        other => panic!("{other}"),
    }
    let epoch = recorded.lease.epoch;
    store.steal_lease(run, epoch, "other", 0, 1_000).await.unwrap();
    let fenced = store.commit(recorded.commit()).await.unwrap_err();
    assert!(matches!(fenced, StoreError::Fenced { .. }), "{fenced}");
    let mut unknown = recorded.commit();
    unknown.run = "none-1".parse().unwrap();
    assert!(store.commit(unknown).await.is_err());
    assert_eq!(store.run(run).await.unwrap().unwrap().last_seq, 4);
}

async fn two_runs_may_hold_the_same_ids(db: &TestDatabase) {
    let first = write(&db.store, "r").await;
    let second = write(&db.store, "r").await;
    assert_ne!(first.run, second.run);
    assert_eq!(first.rollouts, second.rollouts);
    for run in [&first.run, &second.run] {
        assert_eq!(db.store.audit_rows(run, AuditRules::default()).await.unwrap(), []);
    }
}

async fn pages_cover_every_rollout_once(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    let run = &recorded.run;
    let filter = RolloutFilter { round: Some(1), ..RolloutFilter::default() };
    let mut seen: Vec<RolloutId> = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let page = store.rollouts_page(run, &filter, after.as_ref(), 5).await.unwrap();
        assert!(page.rows.len() <= 5);
        seen.extend(page.rows.into_iter().map(|row| row.rollout.id));
        // A cursor survives its text, as in a URL.
        match page.next {
            Some(next) => after = Some(next.to_string().parse().unwrap()),
            None => break,
        }
    }
    let mut expected: Vec<_> = recorded.rollouts.iter().map(|r| r.id.clone()).collect();
    expected.sort();
    assert_eq!(seen, expected);

    let count =
        async |filter: RolloutFilter| store.rollouts(run, &filter).collect().await.unwrap().len();
    let of = |verdict| RolloutFilter { verdict: Some(verdict), ..RolloutFilter::default() };
    assert_eq!(count(of(VerdictFilter::Pass)).await, 6);
    assert_eq!(count(of(VerdictFilter::Fail)).await, 5);
    assert_eq!(count(of(VerdictFilter::Invalid)).await, 5);
    assert_eq!(count(of(VerdictFilter::Pending)).await, 0);
    let task = Some(recorded.tasks[2].task.id.clone());
    assert_eq!(count(RolloutFilter { task, ..RolloutFilter::default() }).await, 2);
    let purpose = Some(Split::Gate);
    assert_eq!(count(RolloutFilter { purpose, ..RolloutFilter::default() }).await, 4);
    let checkpoint = Some(recorded.candidate.id.clone());
    assert_eq!(count(RolloutFilter { checkpoint, ..RolloutFilter::default() }).await, 0);
    assert!("no cursor".parse::<Cursor>().is_err());
}

async fn rollouts_are_found_by_what_they_say(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    let run = &recorded.run;
    let count =
        async |filter: RolloutFilter| store.rollouts(run, &filter).collect().await.unwrap().len();
    let all = RolloutFilter::default;
    let task = &recorded.tasks[0].task;
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(count(RolloutFilter { family: some(&task.family), ..all() }).await, 16);
    assert_eq!(count(RolloutFilter { family: some("none"), ..all() }).await, 0);
    assert_eq!(
        count(RolloutFilter {
            score: ScoreBounds { at_least: Some(0.5), ..Default::default() },
            ..all()
        })
        .await,
        6
    );
    assert_eq!(
        count(RolloutFilter {
            score: ScoreBounds { at_most: Some(0.5), ..Default::default() },
            ..all()
        })
        .await,
        5
    );
    let by_reason = async |kind: &str| count(RolloutFilter { reason: some(kind), ..all() }).await;
    let mut invalid = 0;
    for kind in gyre_types::InvalidReason::KINDS {
        invalid += by_reason(kind).await;
    }
    assert_eq!(invalid, 5);
    assert_eq!(by_reason("%").await, 0, "no pattern of the caller's is obeyed");

    let shouted = task.instruction().to_uppercase();
    let found = count(RolloutFilter { text: Some(shouted), ..all() }).await;
    assert!(found > 0, "{:?}", task.instruction());
    assert_eq!(count(RolloutFilter { text: some("' OR 1=1 --"), ..all() }).await, 0);
    assert_eq!(count(RolloutFilter { text: some("%_!"), ..all() }).await, 0);

    let filter = TaskFilter { text: some(task.instruction()), ..TaskFilter::default() };
    let tasks = store.tasks(run, &filter).collect().await.unwrap();
    assert!(tasks.iter().any(|row| row.task.id == task.id));
    let ids: Vec<_> = recorded.tasks.iter().map(|new| new.task.id.clone()).collect();
    let rates = store.rates_of_tasks(run, &ids).await.unwrap();
    assert_eq!(rates.iter().map(|rate| rate.count.rollouts).sum::<u64>(), 16);
    assert!(store.rates_of_tasks(run, &[]).await.unwrap().is_empty());
}

async fn runs_and_verdicts_come_in_pages(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    for _ in 0..3 {
        store.create_run(&new_run("later")).await.unwrap();
    }
    let whole: Vec<_> =
        store.runs().collect().await.unwrap().into_iter().map(|run| run.id).collect();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.runs_page(after.as_ref(), 2).await.unwrap();
        seen.extend(page.rows.into_iter().map(|run| run.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, whole);

    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.verdicts_page(&recorded.run, after.as_ref(), 3).await.unwrap();
        seen.extend(page.rows.into_iter().map(|row| (row.rollout, row.revision)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let distinct: HashSet<_> = seen.iter().cloned().collect();
    assert_eq!((seen.len(), distinct.len()), (16, 16));
    assert!(seen.is_sorted());
}

async fn the_newest_verdict_counts(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    let run = &recorded.run;
    let counts = store.verdict_counts(run).await.unwrap();
    let count = |passed, failed, invalid| VerdictCount {
        rollouts: passed + failed + invalid,
        passed,
        failed,
        invalid,
    };
    let base = Some(recorded.base.id.clone());
    let expected = [
        (1, Split::Gate, base.clone(), count(2, 1, 1)),
        (1, Split::Train, base.clone(), count(4, 4, 4)),
    ];
    assert_eq!(counts, expected);

    // Rollout 1 failed; a correction says that it passed.
    let mut commit = recorded.commit();
    commit.events = vec![event(1, "corrected")];
    let correction = VerdictRow {
        revision: 1,
        ..verdict_of(&recorded.rollouts[1], judgement(Verdict::Pass).verdict)
    };
    commit.verdicts = vec![correction.clone()];
    store.commit(commit).await.unwrap();
    let id = &recorded.rollouts[1].id;
    let read = store.rollout(run, id).await.unwrap().unwrap();
    assert_eq!(read.verdict, Some(correction.clone()));
    let all = store.verdicts(run, id).await.unwrap();
    assert_eq!(all, [recorded.verdicts[1].clone(), correction]);
    assert_eq!(store.verdict_counts(run).await.unwrap()[1].3, count(5, 3, 4));

    let cells = store.cell_rates(run).await.unwrap();
    assert_eq!(cells.iter().map(|cell| cell.count.rollouts).sum::<u64>(), 16);
    assert_eq!(cells[0].family, "chain");
    let rates = store.task_rates(run, Split::Train, None, 4).await.unwrap();
    assert_eq!(rates.len(), 4);
    let rest = store.task_rates(run, Split::Train, Some(&rates[3].task), 4).await.unwrap();
    assert_eq!(rest.len(), 2);
    let first = recorded.tasks[0].task.id.clone();
    let rate = rates.iter().chain(&rest).find(|rate| rate.task == first).unwrap();
    assert_eq!((rate.count, rate.count.pass_rate()), (count(2, 0, 0), Some(1.0)));
}

async fn promotion_is_compare_and_swap(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    let next = checkpoint("next", 2, Some(&recorded.candidate));
    let gate = |decision| {
        let pair = (next.id.clone(), recorded.candidate.id.clone());
        GateRow::new(2, pair, decision, json!({"p": 0.2}))
    };
    let promotion = |gate: &GateRow| Promotion {
        expected_champion: Some(recorded.candidate.id.clone()),
        champion: next.id.clone(),
        round: 2,
        gate_digest: Some(gate.digest),
    };
    let commit = |gate: GateRow, promotion: Promotion| {
        let mut commit = recorded.commit();
        commit.events = vec![event(2, "decided")];
        commit.checkpoints = vec![next.clone()];
        commit.gates = vec![gate];
        commit.promotion = Some(promotion);
        commit
    };
    let promoted = gate(GateDecision::Promoted);
    let mut wrong = promotion(&promoted);
    wrong.expected_champion = Some(recorded.base.id.clone());
    match store.commit(commit(promoted.clone(), wrong)).await.unwrap_err() {
        StoreError::NotChampion { expected, found, .. } => {
            assert_eq!(expected, recorded.base.id.to_string());
            assert_eq!(found, recorded.candidate.id.to_string());
        }
        other => panic!("{other}"),
    }
    let rejected = gate(GateDecision::Rejected);
    let refused = commit(rejected.clone(), promotion(&rejected));
    let mut ungated = promotion(&promoted);
    ungated.gate_digest = None;
    for refused in [refused, commit(promoted.clone(), ungated)] {
        let error = store.commit(refused).await.unwrap_err();
        assert!(matches!(error, StoreError::InvalidCommit { .. }), "{error}");
    }
    store.commit(commit(promoted.clone(), promotion(&promoted))).await.unwrap();
    let champion = store.champion(&recorded.run).await.unwrap().unwrap();
    assert_eq!((champion.champion, champion.ordinal), (next.id.clone(), 3));
}

async fn held_out_rows_are_refused(db: &TestDatabase) {
    let recorded = write(&db.store, "r").await;
    let held_out = &recorded.rollouts[12];
    assert_eq!(held_out.purpose, Split::Gate);
    let mut commit = recorded.commit();
    let shard = shard("train-round-0002", 2, 1);
    commit.shard_rows = rows_of(&shard, &[held_out]);
    commit.shards = vec![shard];
    let error = db.store.commit(commit).await.unwrap_err().to_string();
    assert!(error.contains(held_out.id.as_str()) && error.contains("held-out"), "{error}");
}

async fn tasks_are_recorded_once_and_never_change_sides(db: &TestDatabase) {
    let store = &db.store;
    let (run, lease) = started(store, "r").await;
    let mut commit = gyre_lineage::Commit::new(run.clone(), lease.epoch, 0, 1);
    commit.tasks = vec![task(1, Split::Train), task(2, Split::Test)];
    store.commit(commit.clone()).await.unwrap();
    let again = NewTask { round: 5, ..task(1, Split::Train) };
    commit.tasks = vec![again.clone(), task(3, Split::Train)];
    store.commit(commit.clone()).await.unwrap();
    let (row, _) = store.task(&run, &again.task.id).await.unwrap().unwrap();
    assert_eq!(row.round, 0);
    commit.tasks = vec![task(4, Split::Train), task(2, Split::Train)];
    let error = store.commit(commit).await.unwrap_err().to_string();
    assert!(error.contains("is a test task and cannot become a train task"), "{error}");
    let page = store.tasks_page(&run, &TaskFilter::default(), None, 100).await.unwrap();
    assert_eq!(page.rows.len(), 3);
}

/// A task as version 1 recorded it, never written again.
const TASK_OF_VERSION_1: &str = include_str!("../../../gyre-env/tests/fixtures/task-1.json");

async fn tasks_of_every_version_are_read_and_found_by_their_words(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    let run = &recorded.run;
    let body = TASK_OF_VERSION_1.trim_end();
    let old = gyre_env::task_from_stored(serde_json::from_str(body).unwrap()).unwrap();
    let (id, digest, key) = (&old.id, old.digest, old.key_digest);
    let sql = format!(
        "INSERT INTO tasks VALUES ('{run}', '{id}', 0, 'corpus', 1, 6, '[\"factorial\"]', \
         'train', '{}', '{digest}', '{key}', '{body}'); \
         INSERT INTO grading_keys VALUES ('{run}', '{id}', '{{\"hidden\": []}}')",
        old.seed
    );
    execute(&db.url, &sql).await;

    let mut new = task(77, Split::Train);
    let system = Message { role: Role::System, ..Message::user("You speak TERSELY, please.") };
    new.task.messages = vec![system, Message::user("Turn 'a list' around.")];
    let mut commit = recorded.commit();
    commit.events = vec![event(2, "tasks_generated")];
    commit.tasks = vec![new.clone()];
    store.commit(commit).await.unwrap();

    for task in [&old, &new.task] {
        let (row, _) = store.task(run, &task.id).await.unwrap().unwrap();
        assert_eq!(row.task, *task);
    }
    let named = async |text: &str| {
        let filter = TaskFilter { text: Some(text.to_owned()), ..TaskFilter::default() };
        let rows = store.tasks(run, &filter).collect().await.unwrap();
        rows.into_iter().map(|row| row.task.id).collect::<Vec<_>>()
    };
    assert_eq!(named("whole FACTORIAL").await, [old.id]);
    assert_eq!(named("tersely around").await, [new.task.id]);
    assert!(named("messages").await.is_empty() && named("role").await.is_empty());
}

async fn ids_are_found_by_their_start(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    let again = write(store, "r").await;
    let id = recorded.rollouts[0].id.as_str();
    let found = store.find(id).await.unwrap();
    let seen: Vec<_> = found.iter().map(|f| (f.kind, f.run.clone(), f.id.as_str())).collect();
    assert_eq!(
        seen,
        [(Kind::Rollout, again.run.clone(), id), (Kind::Rollout, recorded.run.clone(), id)]
    );
    assert_eq!(store.find(&id[..12]).await.unwrap(), found);
    assert_eq!(store.find("r-1").await.unwrap()[0].kind, Kind::Run);
    assert_eq!(store.find("task-").await.unwrap().len(), 16);
    assert_eq!(store.find("ckpt-ffff_").await.unwrap(), []);
    assert_eq!(store.find("").await.unwrap(), []);
}

async fn lineage_leads_from_task_to_promotion(db: &TestDatabase) {
    let store = &db.store;
    let recorded = write(store, "r").await;
    let run = &recorded.run;
    let task = Node::Task(recorded.tasks[0].task.id.to_string());
    let lineage = store.lineage(run, &task, 1_000).await.unwrap();
    let rollout = Node::Rollout(recorded.rollouts[0].id.to_string());
    let shard = Node::Shard(recorded.shard.id.to_string());
    let candidate = Node::Checkpoint(recorded.candidate.id.to_string());
    let base = Node::Checkpoint(recorded.base.id.to_string());
    assert!(!lineage.truncated && lineage.upstream.is_empty());
    for (from, to) in [
        (task.clone(), rollout.clone()),
        (rollout.clone(), Node::Verdict(recorded.rollouts[0].id.to_string(), 0)),
    ] {
        assert!(lineage.downstream.contains(&Edge { from, to }));
    }
    // Rollout 0 passed and was published.
    for (from, to) in [
        (rollout.clone(), shard.clone()),
        (shard.clone(), candidate.clone()),
        (candidate.clone(), Node::Gate(1)),
        (Node::Gate(1), Node::Promotion(2)),
    ] {
        assert!(lineage.downstream.contains(&Edge { from, to }));
    }
    let upstream = store.lineage(run, &Node::Promotion(2), 1_000).await.unwrap().upstream;
    for (from, to) in [
        (Node::Gate(1), Node::Promotion(2)),
        (candidate.clone(), Node::Gate(1)),
        (shard.clone(), candidate),
    ] {
        assert!(upstream.contains(&Edge { from, to }));
    }
    let of_shard = store.lineage(run, &shard, 1_000).await.unwrap().upstream;
    assert!(of_shard.contains(&Edge { from: rollout.clone(), to: shard }));
    assert!(of_shard.contains(&Edge { from: base, to: rollout }));
    assert!(store.lineage(run, &task, 2).await.unwrap().truncated);
}

async fn bulk_commits_are_complete(db: &TestDatabase) {
    let store = &db.store;
    let (run, lease) = started(store, "bulk").await;
    let base = checkpoint("base", 0, None);
    let part = part("bulk", 12_000);
    let tasks: Vec<_> = (0..3_000).map(|number| task(number, Split::Train)).collect();
    let samples = tasks.iter().flat_map(|task| (0..4).map(move |sample| (task, sample)));
    let mut commit = gyre_lineage::Commit::new(run.clone(), lease.epoch, 0, 1);
    commit.rollouts = (0..)
        .zip(samples)
        .map(|(row, (task, sample))| rollout(1, task, sample, &base, (&part, row)))
        .collect();
    commit.verdicts = commit.rollouts.iter().map(|r| verdict_of(r, Verdict::Pass)).collect();
    commit.events = vec![event(1, "rolled_out")];
    commit.checkpoints = vec![base];
    commit.rollout_parts = vec![part];
    commit.tasks = tasks;
    store.commit(commit).await.unwrap();
    let counts = store.verdict_counts(&run).await.unwrap();
    assert_eq!(counts[0].3.passed, 12_000);
    assert_eq!(store.audit_rows(&run, AuditRules::default()).await.unwrap(), []);
}
