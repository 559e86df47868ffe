//! Pieces of work: given out as often as need be, and brought once.

use gyre_lineage::{
    Commit, Delivery, FleetRow, Lease, NewWorker, Store, StoreError, WorkClaim, WorkKey, WorkOffer,
    WorkState, WorkerStatus,
};
use gyre_types::RunId;
use serde_json::json;

use crate::scenario::{digest, started};
use crate::support::{TestDatabase, on_both};

on_both!(
    a_piece_is_brought_once,
    what_a_stale_worker_brings_is_counted_and_discarded,
    an_offer_ends_with_its_driver,
    what_is_taken_in_is_no_longer_there,
    many_claims_at_once_have_one_winner_at_a_time,
    workers_and_runs_find_each_other,
    a_result_that_cannot_be_read_is_made_again,
    what_is_settled_is_forgotten,
);

fn key(run: &RunId, piece: u32) -> WorkKey {
    WorkKey { run: run.clone(), round: 1, batch: "phase-0-wave-0000".to_owned(), piece }
}

async fn offer(store: &Store, lease: &Lease, pieces: u32) -> Result<Vec<u32>, StoreError> {
    let (run, batch) = (&lease.run, "phase-0-wave-0000");
    let offer = WorkOffer { run, epoch: lease.epoch, round: 1, batch, pieces, at_ms: 5 };
    store.offer_work(&offer).await
}

async fn claim(store: &Store, key: &WorkKey, offer: u64, worker: &str) -> Option<u64> {
    match store.claim_work(key, offer, worker, 6).await.unwrap() {
        WorkClaim::Granted(epoch) => Some(epoch),
        WorkClaim::Settled => None,
    }
}

fn delivery(name: &str) -> Delivery {
    Delivery {
        path: format!("work/{name}"),
        sha256: digest(name),
        bytes: 10,
        rows: 2,
        result: json!({"faults": {"0": "lost \u{0} guest"}, "judgements": [name]}),
    }
}

async fn a_piece_is_brought_once(db: &TestDatabase) {
    let store = &db.store;
    let (run, lease) = started(store, "r").await;
    assert_eq!(offer(store, &lease, 2).await.unwrap(), [0, 1]);
    let first = key(&run, 0);
    assert_eq!(claim(store, &first, lease.epoch, "a").await, Some(1));
    assert!(store.deliver_work(&first, 1, &delivery("a"), 7).await.unwrap());

    // Whoever comes later has nothing to do. Who was not told that it was taken
    // brings it again, and that changes nothing.
    assert_eq!(claim(store, &first, lease.epoch, "b").await, None);
    assert!(store.deliver_work(&first, 1, &delivery("again"), 8).await.unwrap());
    let rows = store.work(&run, 1, &first.batch).await.unwrap();
    assert_eq!(rows[0].delivery, Some(delivery("a")));
    let seen = (rows[0].state, rows[0].epoch, rows[0].worker.as_str(), rows[0].discarded);
    assert_eq!(seen, (WorkState::Done, 1, "a", 0));
    assert_eq!((rows[1].state, rows[1].delivery.clone()), (WorkState::Offered, None));
    assert_eq!(store.work_done(&run, 1, &first.batch).await.unwrap(), (1, 2));
    assert_eq!(store.open_claims(&run).await.unwrap(), [(first, 1)]);
}

async fn what_a_stale_worker_brings_is_counted_and_discarded(db: &TestDatabase) {
    let store = &db.store;
    let (run, lease) = started(store, "r").await;
    offer(store, &lease, 1).await.unwrap();
    let piece = key(&run, 0);
    assert_eq!(claim(store, &piece, lease.epoch, "cut off").await, Some(1));
    assert_eq!(claim(store, &piece, lease.epoch, "other").await, Some(2));

    // Late, although the other has not brought it either.
    assert!(!store.deliver_work(&piece, 1, &delivery("cut off"), 8).await.unwrap());
    store.fail_work(&piece, 1, "too late to complain").await.unwrap();
    store.fail_work(&piece, 2, "the disk \0 is full").await.unwrap();
    let row = store.work(&run, 1, &piece.batch).await.unwrap().remove(0);
    assert_eq!((row.state, row.discarded), (WorkState::Claimed, 1));
    assert!(row.detail.contains("disk") && row.detail.contains("is full"), "{}", row.detail);

    assert!(store.deliver_work(&piece, 2, &delivery("other"), 9).await.unwrap());
    let row = store.work(&run, 1, &piece.batch).await.unwrap().remove(0);
    assert_eq!((row.worker.as_str(), row.delivery), ("other", Some(delivery("other"))));
    assert_eq!((row.detail.as_str(), row.discarded), ("", 1));
    assert!(!store.deliver_work(&piece, 1, &delivery("cut off"), 10).await.unwrap());
    let row = store.work(&run, 1, &piece.batch).await.unwrap().remove(0);
    assert_eq!((row.delivery, row.discarded), (Some(delivery("other")), 2));
}

async fn an_offer_ends_with_its_driver(db: &TestDatabase) {
    let store = &db.store;
    let (run, lease) = started(store, "r").await;
    offer(store, &lease, 3).await.unwrap();
    for piece in 0..2 {
        assert_eq!(claim(store, &key(&run, piece), lease.epoch, "a").await, Some(1));
    }
    assert!(store.deliver_work(&key(&run, 0), 1, &delivery("a"), 7).await.unwrap());

    store.release_lease(&lease).await.unwrap();
    let next = store.acquire_lease(&run, "next", 100, 1_000).await.unwrap();
    let stale = offer(store, &lease, 3).await.unwrap_err();
    assert!(matches!(stale, StoreError::Fenced { .. }), "{stale}");
    assert_eq!(offer(store, &next, 3).await.unwrap(), [1, 2]);

    // An old job of the queue finds nothing, but what it began may still be brought.
    assert_eq!(claim(store, &key(&run, 2), lease.epoch, "late").await, None);
    assert!(store.deliver_work(&key(&run, 1), 1, &delivery("b"), 8).await.unwrap());
    assert_eq!(claim(store, &key(&run, 2), next.epoch, "new").await, Some(1));
    assert_eq!(claim(store, &key(&run, 9), next.epoch, "new").await, None);
}

async fn what_is_taken_in_is_no_longer_there(db: &TestDatabase) {
    let store = &db.store;
    let (run, lease) = started(store, "r").await;
    offer(store, &lease, 1).await.unwrap();
    let piece = key(&run, 0);
    claim(store, &piece, lease.epoch, "a").await.unwrap();
    store.deliver_work(&piece, 1, &delivery("a"), 7).await.unwrap();
    let mut commit = Commit::new(run.clone(), lease.epoch, 0, 10);
    commit.taken = Some((1, piece.batch.clone()));
    // A commit that is refused takes nothing.
    let fenced = Commit { epoch: lease.epoch + 1, ..commit.clone() };
    store.commit(fenced).await.unwrap_err();
    assert_eq!(store.open_claims(&run).await.unwrap(), [(piece.clone(), 1)]);
    store.commit(commit).await.unwrap();
    let row = store.work(&run, 1, &piece.batch).await.unwrap().remove(0);
    assert_eq!((row.state, row.delivery), (WorkState::Taken, None));
    assert!(store.deliver_work(&piece, 1, &delivery("a"), 11).await.unwrap());
    assert_eq!(store.open_claims(&run).await.unwrap(), []);
    assert_eq!(offer(store, &lease, 1).await.unwrap(), Vec::<u32>::new());
}

async fn a_result_that_cannot_be_read_is_made_again(db: &TestDatabase) {
    let store = &db.store;
    let (run, lease) = started(store, "r").await;
    offer(store, &lease, 1).await.unwrap();
    let piece = key(&run, 0);
    claim(store, &piece, lease.epoch, "a").await.unwrap();
    // What is not there yet cannot be missing.
    assert!(!store.reopen_work(&piece, lease.epoch, 1, "gone").await.unwrap());
    store.deliver_work(&piece, 1, &delivery("a"), 7).await.unwrap();
    let stale = store.reopen_work(&piece, lease.epoch + 1, 1, "gone").await.unwrap_err();
    assert!(matches!(stale, StoreError::Fenced { .. }), "{stale}");
    assert!(!store.reopen_work(&piece, lease.epoch, 2, "gone").await.unwrap());
    assert!(store.reopen_work(&piece, lease.epoch, 1, "gone \0").await.unwrap());
    let row = store.work(&run, 1, &piece.batch).await.unwrap().remove(0);
    assert_eq!((row.state, row.epoch, row.delivery), (WorkState::Offered, 1, None));
    assert!(row.detail.starts_with("gone"), "{}", row.detail);
    assert_eq!(store.open_claims(&run).await.unwrap(), []);

    // The first result is not taken a second time; the next is.
    assert!(!store.deliver_work(&piece, 1, &delivery("a"), 8).await.unwrap());
    assert_eq!(claim(store, &piece, lease.epoch, "b").await, Some(2));
    assert!(store.deliver_work(&piece, 2, &delivery("b"), 9).await.unwrap());
    let row = store.work(&run, 1, &piece.batch).await.unwrap().remove(0);
    assert_eq!((row.state, row.delivery), (WorkState::Done, Some(delivery("b"))));
}

/// A round is over, and a worker that was lost in it still brings something.
async fn what_is_settled_is_forgotten(db: &TestDatabase) {
    let store = &db.store;
    let (run, lease) = started(store, "r").await;
    let (other, other_lease) = started(store, "other").await;
    let worker = NewWorker {
        id: "a".to_owned(),
        host: "host".to_owned(),
        version: "0.1.0".to_owned(),
        sandbox_digest: digest("sandbox"),
        concurrency: 1,
    };
    store.announce_worker(&worker, 1).await.unwrap();
    offer(store, &lease, 2).await.unwrap();
    offer(store, &other_lease, 1).await.unwrap();
    let (brought, lost) = (key(&run, 0), key(&run, 1));
    assert_eq!(claim(store, &brought, lease.epoch, "a").await, Some(1));
    assert_eq!(claim(store, &lost, lease.epoch, "lost").await, Some(1));
    assert_eq!(claim(store, &lost, lease.epoch, "a").await, Some(2));
    store.deliver_work(&brought, 1, &delivery("a"), 7).await.unwrap();
    store.deliver_work(&lost, 2, &delivery("a"), 7).await.unwrap();
    let mut commit = Commit::new(run.clone(), lease.epoch, 0, 10);
    commit.taken = Some((1, brought.batch.clone()));
    store.commit(commit).await.unwrap();
    let (run_of, batch) = (&run, "phase-0-wave-0001");
    let later =
        WorkOffer { run: run_of, epoch: lease.epoch, round: 2, batch, pieces: 1, at_ms: 11 };
    store.offer_work(&later).await.unwrap();

    let stale = store.prune_work(&run, lease.epoch + 1, 1).await.unwrap_err();
    assert!(matches!(stale, StoreError::Fenced { .. }), "{stale}");
    let pieces = async || store.workers(1).await.unwrap().remove(0).pieces;
    assert_eq!(pieces().await, 2);
    assert_eq!(store.prune_work(&run, lease.epoch, 0).await.unwrap(), 0);
    assert_eq!(store.prune_work(&run, lease.epoch, 1).await.unwrap(), 2);
    assert_eq!(store.prune_work(&run, lease.epoch, 1).await.unwrap(), 0, "again, as after a crash");
    assert_eq!(store.work(&run, 1, &brought.batch).await.unwrap(), []);
    assert_eq!(pieces().await, 2, "what a worker brought still counts");

    // Neither who was lost nor who was not told is believed, and an old job of
    // the queue finds nothing.
    assert!(!store.deliver_work(&lost, 1, &delivery("lost"), 12).await.unwrap());
    assert!(!store.deliver_work(&brought, 1, &delivery("a"), 12).await.unwrap());
    store.fail_work(&lost, 1, "too late to complain").await.unwrap();
    assert_eq!(claim(store, &lost, lease.epoch, "b").await, None);
    assert_eq!(store.work(&run, 1, &brought.batch).await.unwrap(), []);

    // What is still wanted stays: a later round, and another run.
    let counts = store.work_counts().await.unwrap();
    assert_eq!(counts, [(WorkState::Offered, 2), (WorkState::Claimed, 0)]);
    assert_eq!(store.work(&run, 2, batch).await.unwrap().len(), 1);
    assert_eq!(store.work(&other, 1, &brought.batch).await.unwrap().len(), 1);
}

async fn many_claims_at_once_have_one_winner_at_a_time(db: &TestDatabase) {
    let store = &db.store;
    let (run, lease) = started(store, "r").await;
    offer(store, &lease, 1).await.unwrap();
    let piece = key(&run, 0);
    let claims = (0..8).map(|n| {
        let (store, piece) = (store.clone(), piece.clone());
        tokio::spawn(async move {
            let worker = format!("w-{n}");
            let epoch = claim(&store, &piece, lease_epoch(), &worker).await;
            (epoch, worker)
        })
    });
    let mut epochs = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        epochs.push(claim.await.unwrap());
    }
    epochs.sort();
    let granted: Vec<_> = epochs.iter().filter_map(|(epoch, _)| *epoch).collect();
    assert_eq!(granted, [1, 2, 3, 4, 5, 6, 7, 8], "each claim takes it from the one before");
    let mut accepted = 0;
    for (epoch, worker) in &epochs {
        let brought = store.deliver_work(&piece, epoch.unwrap(), &delivery(worker), 9).await;
        accepted += u32::from(brought.unwrap());
    }
    assert_eq!(accepted, 1);
    let row = store.work(&run, 1, &piece.batch).await.unwrap().remove(0);
    assert_eq!((row.epoch, row.discarded), (8, 7));
}

/// The epoch of a run's first lease.
fn lease_epoch() -> u64 {
    1
}

async fn workers_and_runs_find_each_other(db: &TestDatabase) {
    let store = &db.store;
    let (run, lease) = started(store, "r").await;
    let worker = NewWorker {
        id: "host-7".to_owned(),
        host: "host".to_owned(),
        version: "0.1.0".to_owned(),
        sandbox_digest: digest("sandbox"),
        concurrency: 2,
    };
    store.announce_worker(&worker, 10).await.unwrap();
    store.hear_worker("host-7", WorkerStatus::Draining, 20).await.unwrap();
    offer(store, &lease, 2).await.unwrap();
    claim(store, &key(&run, 0), lease.epoch, "host-7").await.unwrap();
    claim(store, &key(&run, 1), lease.epoch, "host-7").await.unwrap();
    store.deliver_work(&key(&run, 0), 1, &delivery("a"), 7).await.unwrap();
    let row = store.workers(10).await.unwrap().remove(0);
    assert_eq!((row.status, row.started_at_ms, row.last_seen_ms), (WorkerStatus::Draining, 10, 20));
    assert_eq!((row.worker, row.pieces), (worker, 1));

    let fleet = FleetRow {
        run: run.clone(),
        version: "0.1.0".to_owned(),
        sandbox_digest: digest("sandbox"),
    };
    let stale = store.open_fleet(&fleet, lease.epoch + 1).await.unwrap_err();
    assert!(matches!(stale, StoreError::Fenced { .. }), "{stale}");
    store.open_fleet(&fleet, lease.epoch).await.unwrap();
    assert_eq!(store.open_fleets(50).await.unwrap(), [fleet]);
    // What a driver asked for that is silent for too long does not count.
    assert_eq!(store.open_fleets(1_000_001).await.unwrap(), []);
    // Only the driver that opened it may say that it is over.
    store.close_fleet(&run, lease.epoch + 1).await.unwrap();
    assert_eq!(store.open_fleets(50).await.unwrap().len(), 1);
    store.close_fleet(&run, lease.epoch).await.unwrap();
    assert_eq!(store.open_fleets(50).await.unwrap(), []);
}
