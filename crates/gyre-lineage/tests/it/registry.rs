use gyre_lineage::{
    NewRevocation, NewVerifier, RevocationTarget, RevokedVerifier, StoreError, VerifierKind,
    VerifierStatus,
};
use gyre_types::TaskId;
use serde_json::json;

use crate::scenario::{digest, write};
use crate::support::{TestDatabase, on_both};

on_both!(
    verifiers_are_found_by_digest_and_by_name,
    a_revoked_verifier_stays_revoked,
    revocations_are_numbered_and_made_once,
    revocations_made_at_once_get_different_ordinals,
);

fn new(name: &str, code: &str, at_ms: i64) -> NewVerifier {
    NewVerifier {
        digest: digest(code),
        name: name.to_owned(),
        kind: VerifierKind::Component,
        trusted: false,
        scorecard: json!({"false_accepts": 0, "killed": 0.97}),
        registered_at_ms: at_ms,
    }
}

fn revocation(target: RevocationTarget, replacement: Option<&str>) -> NewRevocation {
    NewRevocation {
        target,
        why: "it accepts everything, π too".to_owned(),
        replacement: replacement.map(digest),
        at_ms: 99,
    }
}

async fn verifiers_are_found_by_digest_and_by_name(db: &TestDatabase) {
    let store = &db.store;
    assert_eq!(store.verifier(&digest("one")).await.unwrap(), None);
    let first = store.register_verifier(&new("sorted", "one", 10)).await.unwrap();
    let second = store.register_verifier(&new("sorted", "two", 20)).await.unwrap();
    let command = NewVerifier { kind: VerifierKind::Command, trusted: true, ..new("own", "c", 5) };
    let command = store.register_verifier(&command).await.unwrap();
    assert_eq!(store.verifier(&digest("one")).await.unwrap(), Some(first.clone()));
    assert_eq!((first.status, first.revoked.clone()), (VerifierStatus::Active, None));
    assert_eq!(store.verifier_named("sorted").await.unwrap(), Some(second.clone()));
    assert_eq!(store.verifier_named("none").await.unwrap(), None);
    assert_eq!(store.verifiers().await.unwrap(), [command.clone(), second, first]);
    assert!(command.trusted);

    // Registered again, it is the newest of its name, with the newest scorecard.
    let again = NewVerifier { scorecard: json!({"killed": 1.0}), ..new("sorted", "one", 30) };
    let again = store.register_verifier(&again).await.unwrap();
    assert_eq!(store.verifier_named("sorted").await.unwrap(), Some(again));
    assert_eq!(store.verifiers().await.unwrap().len(), 3);
}

async fn a_revoked_verifier_stays_revoked(db: &TestDatabase) {
    let store = &db.store;
    let old = store.register_verifier(&new("sorted", "old", 10)).await.unwrap();
    let wrong = store.register_verifier(&new("sorted", "wrong", 20)).await.unwrap();
    let target = RevocationTarget::Verifier(wrong.digest);
    store.revoke(&revocation(target, Some("old"))).await.unwrap();

    assert_eq!(store.verifier_named("sorted").await.unwrap(), Some(old.clone()));
    let found = store.verifier(&wrong.digest).await.unwrap().unwrap();
    assert_eq!(found.status, VerifierStatus::Revoked);
    let why = "it accepts everything, π too".to_owned();
    let revoked = RevokedVerifier { at_ms: 99, why, replaced_by: Some(old.digest) };
    assert_eq!(found.revoked, Some(revoked));

    match store.register_verifier(&new("sorted", "wrong", 30)).await.unwrap_err() {
        StoreError::Revoked { verifier, .. } => assert_eq!(verifier, wrong.digest),
        other => panic!("{other}"),
    }
    // One that was never registered is refused as well, once it was revoked.
    let target = RevocationTarget::Verifier(digest("unknown"));
    store.revoke(&revocation(target, None)).await.unwrap();
    let error = store.register_verifier(&new("u", "unknown", 40)).await.unwrap_err();
    assert!(matches!(error, StoreError::Revoked { .. }), "{error}");
    assert_eq!(store.verifiers().await.unwrap().len(), 2);
}

async fn revocations_are_numbered_and_made_once(db: &TestDatabase) {
    let store = &db.store;
    let verifier = RevocationTarget::Verifier(digest("wrong"));
    let task = RevocationTarget::Task(TaskId::from_digest(&digest("task 1")));
    assert_eq!(store.revocation_of(&verifier).await.unwrap(), None);
    let first = store.revoke(&revocation(verifier.clone(), Some("right"))).await.unwrap();
    let second = store.revoke(&revocation(task.clone(), None)).await.unwrap();
    assert_eq!((first.ordinal, second.ordinal), (1, 2));
    assert_eq!(second.replacement, None);

    // Asked for again with other words, the first record stands.
    let again = NewRevocation { why: "again".to_owned(), ..revocation(verifier.clone(), None) };
    assert_eq!(store.revoke(&again).await.unwrap(), first);
    assert_eq!(store.revocation_of(&verifier).await.unwrap(), Some(first.clone()));
    assert_eq!(store.revocation_of(&task).await.unwrap(), Some(second.clone()));
    assert_eq!(store.revocations().await.unwrap(), [first, second]);

    let run = write(store, "r").await.run;
    assert_eq!(store.revocation_report(&run, 1).await.unwrap(), None);
}

async fn revocations_made_at_once_get_different_ordinals(db: &TestDatabase) {
    let names: Vec<_> = (0..8).map(|n| format!("verifier {n}")).collect();
    let made = names.iter().map(|name| {
        let store = db.store.clone();
        let new = revocation(RevocationTarget::Verifier(digest(name)), None);
        tokio::spawn(async move { store.revoke(&new).await.unwrap().ordinal })
    });
    let mut ordinals = Vec::new();
    for made in made.collect::<Vec<_>>() {
        ordinals.push(made.await.unwrap());
    }
    ordinals.sort_unstable();
    assert_eq!(ordinals, (1..=8).collect::<Vec<_>>());
}
