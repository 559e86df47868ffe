//! A backup of either database, put back into either.

use gyre_lineage::{AuditRules, DatabaseUrl, Finding, Store, StoreError, restore};
use gyre_types::RunId;

use crate::migrations::row_queries;
use crate::scenario::write;
use crate::support::{Backend, Place, TestDatabase, execute, on_both, texts};

on_both!(
    a_backup_goes_into_either_database,
    a_damaged_backup_leaves_nothing,
    a_lineage_is_never_overwritten,
);

async fn audited(store: &Store, run: &RunId) -> Vec<Finding> {
    store.audit_rows(run, AuditRules::default()).await.unwrap()
}

async fn backed_up(store: &Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    let summary = store.backup(&mut bytes, 7).await.unwrap();
    assert_eq!(summary.schema_version, store.schema_version().await.unwrap());
    bytes
}

/// All rows of all tables, as text; a whole real is `1.0` in one database and
/// `1` in the other.
async fn rows(url: &DatabaseUrl) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for (table, query) in row_queries(url).await {
        let mut rows: Vec<_> = texts(url, &query).await;
        rows.iter_mut().for_each(|row| *row = row.replace(".0|", "|"));
        rows.sort();
        all.push((table, rows));
    }
    all
}

async fn a_backup_goes_into_either_database(db: &TestDatabase) {
    let recorded = write(&db.store, "r").await;
    write(&db.store, "another").await;
    // A revision, a text that JSON escapes, and a real without a short form.
    let awkward = "UPDATE verdicts SET score = 0.1 WHERE verdict = 'fail'; \
        UPDATE gates SET record = '{\"a\":\"\\u0000 \\\\ π\"}'";
    execute(&db.url, awkward).await;
    let bytes = backed_up(&db.store).await;
    let before = rows(&db.url).await;
    let findings = audited(&db.store, &recorded.run).await;
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let place = Place::make(backend).await;
        place
            .with(async |url| {
                let summary = restore(url, &mut bytes.as_slice()).await.unwrap();
                assert_eq!(summary.created_at_ms, 7);
                assert_eq!(summary.rows["runs"], 2);
                assert_eq!(rows(url).await, before);
                let store = Store::open(url).await.unwrap();
                let run = store.run(&recorded.run).await.unwrap().unwrap();
                assert_eq!(run.last_seq, recorded.last_seq);
                assert_eq!(audited(&store, &recorded.run).await, findings);
                let again = backed_up(&store).await;
                assert_eq!(again, bytes, "a backup of what was put back is the same");
                let lease = store.acquire_lease(&recorded.run, "heir", i64::MAX / 2, 1).await;
                assert_eq!(lease.unwrap().epoch, recorded.lease.epoch + 1);
                store.close().await;
            })
            .await;
    }
}

async fn a_damaged_backup_leaves_nothing(db: &TestDatabase) {
    write(&db.store, "r").await;
    let bytes = backed_up(&db.store).await;
    let backend = match &db.url {
        DatabaseUrl::Sqlite(_) => Backend::Sqlite,
        DatabaseUrl::Postgres(_) => Backend::Postgres,
    };
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    let cut = bytes[..bytes.len() - 40].to_vec();
    for (what, damaged) in
        [("flipped", flipped), ("cut", cut), ("empty", vec![]), ("other", b"no backup".to_vec())]
    {
        let place = Place::make(backend).await;
        place
            .with(async |url| {
                let error = restore(url, &mut damaged.as_slice()).await.unwrap_err();
                let is_told = matches!(error, StoreError::BackupUnusable { .. });
                assert!(is_told, "{what}: {error:?}");
                let store = Store::open(url).await.unwrap();
                assert_eq!(store.runs().collect().await.unwrap(), [], "{what}");
                store.close().await;
                // The same place then takes the sound one.
                restore(url, &mut bytes.as_slice()).await.unwrap();
            })
            .await;
    }
}

async fn a_lineage_is_never_overwritten(db: &TestDatabase) {
    write(&db.store, "r").await;
    let bytes = backed_up(&db.store).await;
    let before = rows(&db.url).await;
    let error = restore(&db.url, &mut bytes.as_slice()).await.unwrap_err();
    assert!(matches!(error, StoreError::NotEmpty { .. }), "{error:?}");
    assert_eq!(rows(&db.url).await, before);
}
