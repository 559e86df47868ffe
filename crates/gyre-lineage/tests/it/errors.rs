use std::error::Error;

use gyre_lineage::{DatabaseUrl, Store, StoreError};

use crate::support::{TestDatabase, block_on, on_both, postgres_server};

on_both!(a_newer_schema_is_refused, opening_twice_changes_nothing,);

/// The message with its causes, as a user sees it.
fn shown(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

async fn a_newer_schema_is_refused(db: &TestDatabase) {
    db.plant(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         SELECT 99, description, success, checksum, execution_time FROM _sqlx_migrations \
         WHERE version = 1",
    )
    .await;
    match Store::open(&db.url).await.unwrap_err() {
        StoreError::NewerSchema { found, known, .. } => {
            assert!(found == 99 && known < 99, "{found} {known}")
        }
        other => panic!("{other}"),
    }
}

async fn opening_twice_changes_nothing(db: &TestDatabase) {
    let again = Store::open(&db.url).await.unwrap();
    assert_eq!(again.runs().collect().await.unwrap(), []);
    again.close().await;
}

#[test]
fn a_closed_port_is_unreachable_and_shows_no_password() {
    let url: DatabaseUrl = "postgres://ann:hunter2@127.0.0.1:1/gyre".parse().unwrap();
    let error = block_on(Store::open(&url)).unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(!shown(&error).contains("hunter2") && !format!("{error:?}").contains("hunter2"));
    assert!(shown(&error).contains("postgres://ann:***@127.0.0.1:1/gyre"), "{error}");
}

#[test]
fn a_wrong_password_is_refused_and_not_shown() {
    let server = postgres_server();
    let host = server.rsplit_once('@').unwrap().1;
    let url: DatabaseUrl = format!("postgres://gyre:hunter2@{host}").parse().unwrap();
    let error = block_on(Store::open(&url)).unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    assert!(!shown(&error).contains("hunter2") && !format!("{error:?}").contains("hunter2"));
}

#[test]
fn a_missing_database_is_refused() {
    let server = postgres_server();
    let base = server.rsplit_once('/').unwrap().0;
    let url: DatabaseUrl = format!("{base}/gyre_no_such_database").parse().unwrap();
    let error = block_on(Store::open(&url)).unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
}

#[test]
fn a_missing_folder_is_unwritable() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(folder.path().join("none/lineage.db"));
    let error = block_on(Store::open(&url)).unwrap_err();
    assert!(matches!(error, StoreError::Unwritable { .. }), "{error:?}");
}

#[test]
fn a_file_that_is_no_database_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lineage.db");
    std::fs::write(&path, "no database at all, but long enough to look at").unwrap();
    let error = block_on(Store::open(&DatabaseUrl::Sqlite(path))).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}
