//! Ticks: decided once, held by one service, never lost.

use gyre_lineage::{
    NewSchedule, ScheduleStatus, Settlement, Store, StoreError, TickClaim, TickDecision, TickKind,
    TickLease, TickState,
};
use serde_json::json;

use crate::scenario::new_run;
use crate::support::{TestDatabase, on_both};

on_both!(
    a_schedule_keeps_its_place_when_it_is_told_anew,
    ticks_are_decided_once,
    a_tick_has_one_holder_until_that_ends,
    a_schedule_makes_one_tick_at_a_time,
    what_a_late_holder_says_is_refused,
    a_run_is_bound_with_its_creation_or_not_made,
    a_paused_schedule_does_only_what_it_is_asked,
    many_services_claim_each_tick_once,
);

const TTL: i64 = 1_000;

async fn registered(store: &Store, name: &str) {
    let (spec, campaign) = (json!({"cron": "* * * * *"}), "small".to_owned());
    let new = NewSchedule { name: name.to_owned(), spec, campaign, at_ms: 100 };
    store.register_schedule(&new).await.unwrap();
}

fn decision(expected: i64, watched: i64, due: &[i64]) -> TickDecision {
    TickDecision {
        schedule: "nightly".to_owned(),
        expected_watched_ms: expected,
        watched_ms: watched,
        ticks: due.iter().map(|tick| (*tick, TickState::Due, String::new())).collect(),
        at_ms: watched,
    }
}

async fn claim(store: &Store, tick_ms: i64, owner: &str, now_ms: i64) -> Option<TickLease> {
    let claim = TickClaim { owner, now_ms, ttl_ms: TTL, dead_epoch: None };
    store.claim_tick("nightly", tick_ms, claim).await.unwrap().map(|(lease, _)| lease)
}

fn settlement(state: TickState) -> Settlement {
    Settlement { state, detail: String::new(), stop: None, at_ms: 900 }
}

async fn a_schedule_keeps_its_place_when_it_is_told_anew(db: &TestDatabase) {
    let store = &db.store;
    registered(store, "nightly").await;
    registered(store, "hourly").await;
    assert!(store.decide_ticks(&decision(100, 200, &[150])).await.unwrap());
    let new = NewSchedule {
        name: "nightly".to_owned(),
        spec: json!({"cron": "0 * * * *"}),
        campaign: "other".to_owned(),
        at_ms: 500,
    };
    let row = store.register_schedule(&new).await.unwrap();
    assert_eq!((row.watched_ms, row.created_at_ms, row.campaign.as_str()), (200, 100, "other"));
    assert_eq!(store.schedule("nightly").await.unwrap(), row);
    let names: Vec<_> = store.schedules().await.unwrap().into_iter().map(|s| s.name).collect();
    assert_eq!(names, ["hourly", "nightly"]);
    let unknown = store.schedule("none").await.unwrap_err();
    assert!(matches!(unknown, StoreError::UnknownSchedule { .. }), "{unknown}");
}

async fn ticks_are_decided_once(db: &TestDatabase) {
    let store = &db.store;
    registered(store, "nightly").await;
    assert!(store.decide_ticks(&decision(100, 200, &[150, 160])).await.unwrap());
    // Another service that looked at the same moment decides nothing.
    assert!(!store.decide_ticks(&decision(100, 200, &[150, 160])).await.unwrap());
    let ticks = store.ticks("nightly", None, 10).await.unwrap();
    let seen: Vec<_> = ticks.iter().map(|tick| (tick.tick_ms, tick.state, tick.kind)).collect();
    let planned = |at| (at, TickState::Due, TickKind::Planned);
    assert_eq!(seen, [planned(160), planned(150)]);
    assert_eq!(store.ticks("nightly", Some(160), 10).await.unwrap().len(), 1);
    // One that somebody asked for at the same instant stays, and stands for both.
    assert_eq!(store.run_now("nightly", 250).await.unwrap(), 250);
    assert!(store.decide_ticks(&decision(200, 300, &[250, 260])).await.unwrap());
    assert_eq!(store.schedule("nightly").await.unwrap().watched_ms, 300);
    let ticks = store.ticks("nightly", None, 10).await.unwrap();
    let kinds: Vec<_> = ticks.iter().map(|tick| tick.kind).collect();
    let (planned, manual) = (TickKind::Planned, TickKind::Manual);
    assert_eq!(kinds, [planned, manual, planned, planned]);
    assert_eq!(store.tick_events("nightly", 250).await.unwrap().len(), 1);
}

async fn a_tick_has_one_holder_until_that_ends(db: &TestDatabase) {
    let store = &db.store;
    registered(store, "nightly").await;
    store.decide_ticks(&decision(100, 200, &[150])).await.unwrap();
    let first = claim(store, 150, "ann", 200).await.unwrap();
    assert_eq!(claim(store, 150, "bob", 200 + TTL - 1).await, None);
    store.renew_tick(&first, 2_000, (10, 20)).await.unwrap();
    assert_eq!(claim(store, 150, "bob", 1_999).await, None);
    let second = claim(store, 150, "bob", 2_000).await.unwrap();
    assert_eq!(second.epoch, 2);
    // A holder known to be dead need not be waited for, but only that one.
    let dead = |dead_epoch| TickClaim {
        owner: "cy",
        now_ms: 2_001,
        ttl_ms: TTL,
        dead_epoch: Some(dead_epoch),
    };
    assert_eq!(store.claim_tick("nightly", 150, dead(1)).await.unwrap(), None);
    let (third, tick) = store.claim_tick("nightly", 150, dead(2)).await.unwrap().unwrap();
    // What it has cost goes on over its holders.
    assert_eq!((tick.cpu_ms, tick.wall_ms, tick.owner.as_str()), (10, 20, "cy"));
    store.settle_tick(&third, &settlement(TickState::Done)).await.unwrap();
    assert_eq!(claim(store, 150, "dee", 9_000).await, None);
    assert_eq!(store.open_ticks().collect().await.unwrap(), []);
    let events = store.tick_events("nightly", 150).await.unwrap();
    let seen: Vec<_> =
        events.iter().map(|e| (e.ordinal, e.state, e.epoch, e.owner.as_str())).collect();
    let expected = [
        (1, TickState::Due, 0, ""),
        (2, TickState::Claimed, 1, "ann"),
        (3, TickState::Claimed, 2, "bob"),
        (4, TickState::Claimed, 3, "cy"),
        (5, TickState::Done, 3, "cy"),
    ];
    assert_eq!(seen, expected);
    assert!(events.windows(2).all(|pair| pair[0].state.may_become(pair[1].state)));
}

async fn a_schedule_makes_one_tick_at_a_time(db: &TestDatabase) {
    let store = &db.store;
    registered(store, "nightly").await;
    store.decide_ticks(&decision(100, 200, &[150, 160])).await.unwrap();
    let first = claim(store, 150, "ann", 200).await.unwrap();
    assert_eq!(claim(store, 160, "bob", 200).await, None);
    // Even where its holder is dead: that tick is taken over first.
    assert_eq!(claim(store, 160, "bob", 200 + TTL).await, None);
    store.settle_tick(&first, &settlement(TickState::Due)).await.unwrap();
    let again = claim(store, 150, "bob", 210).await.unwrap();
    store.settle_tick(&again, &settlement(TickState::Failed)).await.unwrap();
    assert!(claim(store, 160, "bob", 220).await.is_some());
}

async fn what_a_late_holder_says_is_refused(db: &TestDatabase) {
    let store = &db.store;
    registered(store, "nightly").await;
    store.decide_ticks(&decision(100, 200, &[150])).await.unwrap();
    let late = claim(store, 150, "ann", 200).await.unwrap();
    let current = claim(store, 150, "bob", 200 + TTL).await.unwrap();
    let run = store.create_run(&new_run("small")).await.unwrap().id;
    let lost = |result: Result<(), StoreError>| {
        assert!(matches!(result, Err(StoreError::TickLost { epoch: 1, .. })), "{result:?}");
    };
    lost(store.renew_tick(&late, 9_000, (0, 0)).await);
    lost(store.begin_tick(&late, &run, 0, 300).await);
    lost(store.settle_tick(&late, &settlement(TickState::Done)).await);
    store.begin_tick(&current, &run, 3, 300).await.unwrap();
    let tick = store.ticks("nightly", None, 1).await.unwrap().remove(0);
    assert_eq!((tick.state, tick.round, tick.run), (TickState::Running, Some(3), Some(run)));
    let ends = Settlement { stop: Some("no gain".to_owned()), ..settlement(TickState::Done) };
    store.settle_tick(&current, &ends).await.unwrap();
    let schedule = store.schedule("nightly").await.unwrap();
    assert_eq!((schedule.status, schedule.why.as_str()), (ScheduleStatus::Stopped, "no gain"));
}

async fn a_run_is_bound_with_its_creation_or_not_made(db: &TestDatabase) {
    let store = &db.store;
    registered(store, "nightly").await;
    store.decide_ticks(&decision(100, 200, &[150])).await.unwrap();
    let late = claim(store, 150, "ann", 200).await.unwrap();
    let current = claim(store, 150, "bob", 200 + TTL).await.unwrap();
    let lost = store.create_scheduled_run(&new_run("small"), &late).await;
    assert!(matches!(lost, Err(StoreError::TickLost { .. })), "{lost:?}");
    assert_eq!(store.runs().collect().await.unwrap(), []);
    let run = store.create_scheduled_run(&new_run("small"), &current).await.unwrap();
    assert_eq!(store.schedule("nightly").await.unwrap().run, Some(run.id));
}

async fn a_paused_schedule_does_only_what_it_is_asked(db: &TestDatabase) {
    let store = &db.store;
    registered(store, "nightly").await;
    store.decide_ticks(&decision(100, 200, &[150])).await.unwrap();
    store.pause_schedule("nightly", "holidays").await.unwrap();
    assert!(!store.decide_ticks(&decision(200, 300, &[250])).await.unwrap());
    assert_eq!(claim(store, 150, "ann", 310).await, None);
    let first = store.run_now("nightly", 310).await.unwrap();
    let second = store.run_now("nightly", 310).await.unwrap();
    assert_eq!((first, second), (310, 311));
    assert!(claim(store, first, "ann", 320).await.is_some());
    let row = store.resume_schedule("nightly", 7, 400).await.unwrap();
    assert_eq!((row.status, row.counts_from, row.watched_ms), (ScheduleStatus::Active, 7, 400));
    let unknown = store.pause_schedule("none", "").await;
    assert!(matches!(unknown, Err(StoreError::UnknownSchedule { .. })), "{unknown:?}");
}

async fn many_services_claim_each_tick_once(db: &TestDatabase) {
    registered(&db.store, "nightly").await;
    let ticks: Vec<i64> = (0..20).map(|n| 150 + n).collect();
    db.store.decide_ticks(&decision(100, 200, &ticks)).await.unwrap();
    let service = |store: Store, owner: String, ticks: Vec<i64>| async move {
        let mut mine = Vec::new();
        for tick in ticks {
            // The others may hold the one before: whoever comes then takes it.
            if let Some(lease) = claim(&store, tick, &owner, 200).await {
                store.settle_tick(&lease, &settlement(TickState::Done)).await.unwrap();
                mine.push(tick);
            }
        }
        mine
    };
    let mut done = Vec::new();
    while done.len() < ticks.len() {
        let services: Vec<_> = (0..4)
            .map(|n| tokio::spawn(service(db.store.clone(), format!("s{n}"), ticks.clone())))
            .collect();
        for mine in services {
            done.extend(mine.await.unwrap());
        }
    }
    done.sort_unstable();
    assert_eq!(done, ticks);
    for tick in ticks {
        assert_eq!(db.store.tick_events("nightly", tick).await.unwrap().len(), 3);
    }
}
