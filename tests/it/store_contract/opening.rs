//! Opening and migrating: what is there, what is not, and whose fault it is.

use certgate::store::{DatabaseUrl, Migrated, Open, SCHEMA_VERSION, Store, StoreError};

use super::on_both;
use crate::support::database::{Database, Kind};

on_both! {
    a_migrated_database_has_nothing_left_to_migrate,
    a_schema_of_an_older_program_asks_for_migrate,
    a_schema_that_needs_a_newer_program_is_left_alone,
}

async fn a_migrated_database_has_nothing_left_to_migrate(database: Database) {
    let again = Store::migrate(&database.url()).await.unwrap();
    assert_eq!(again, Migrated { from: SCHEMA_VERSION, to: SCHEMA_VERSION });
    Store::open(&database.url(), Open::Existing).await.unwrap();
}

async fn a_schema_that_needs_a_newer_program_is_left_alone(database: Database) {
    database.sql("update certgate_schema set version = 99, compatible_from = 98;");
    for result in [
        Store::open(&database.url(), Open::Existing).await.err(),
        Store::open(&database.url(), Open::Create).await.err(),
        Store::migrate(&database.url()).await.err(),
    ] {
        let error = result.unwrap();
        assert!(matches!(error, StoreError::SchemaTooNew { found: 99, .. }), "{error}");
        assert!(!error.is_retryable());
    }
    // Newer, but compatible with this program.
    database.sql(&format!("update certgate_schema set compatible_from = {SCHEMA_VERSION};"));
    Store::open(&database.url(), Open::Existing).await.unwrap();
}

async fn a_schema_of_an_older_program_asks_for_migrate(database: Database) {
    database.sql("update certgate_schema set version = 1, compatible_from = 1;");
    let error = Store::open(&database.url(), Open::Existing).await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaOld { found: 1, .. }), "{error}");
    assert!(error.to_string().contains("certgate migrate"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_programs_that_migrate_at_once_one_applies() {
    for kind in [Kind::Postgres, Kind::Sqlite] {
        let database = Database::empty(kind);
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let url = database.url();
                tokio::spawn(async move { Store::migrate(&url).await.unwrap() })
            })
            .collect();
        let mut applied = 0;
        for task in tasks {
            let migrated = task.await.unwrap();
            assert_eq!(migrated.to, SCHEMA_VERSION);
            applied += i32::from(migrated.from == 0);
        }
        assert_eq!(applied, 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_command_that_creates_nothing_names_the_missing_file() {
    let database = Database::empty(Kind::Sqlite);
    let error = Store::open(&database.url(), Open::Existing).await.unwrap_err();
    assert!(matches!(error, StoreError::NoDatabaseFile { .. }), "{error}");
    assert!(error.to_string().contains("--config"), "{error}");
    assert!(!database.path().exists());
    Store::open(&database.url(), Open::Create).await.unwrap();
    assert_eq!(database.sql("pragma journal_mode;"), "wal");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_told_from_an_empty_one() {
    let database = Database::empty(Kind::Sqlite);
    std::fs::write(database.path(), [b'x'; 4096]).unwrap();
    for open in [Open::Existing, Open::Create] {
        let error = Store::open(&database.url(), open).await.unwrap_err();
        assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");
    }
    std::fs::write(database.path(), []).unwrap();
    let error = Store::open(&database.url(), Open::Existing).await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaMissing { .. }), "{error}");
}

#[tokio::test]
async fn postgres_is_never_migrated_by_opening_it() {
    let database = Database::empty(Kind::Postgres);
    for open in [Open::Existing, Open::Create] {
        let error = Store::open(&database.url(), open).await.unwrap_err();
        assert!(matches!(error, StoreError::SchemaMissing { .. }), "{error}");
    }
    let error =
        Store::open(&database.url_with(database.name(), "no_such_database"), Open::Existing).await;
    assert!(matches!(error, Err(StoreError::DatabaseMissing { .. })), "{error:?}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_worth_another_try() {
    // Bound and never accepting for long: connects, then silence. Closed: refused at once.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for port in [silent.local_addr().unwrap().port(), closed.port()] {
        let url = format!("postgres://alice:s3cret@127.0.0.1:{port}/x?sslmode=disable");
        let url = DatabaseUrl::parse(&url).unwrap();
        let error = Store::open(&url, Open::Existing).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
}

#[tokio::test]
async fn an_unknown_role_is_refused_for_good() {
    let database = Database::empty(Kind::Postgres);
    let url = database.url_as("nobody_such", "password");
    let error = Store::open(&url, Open::Existing).await.unwrap_err();
    assert!(matches!(error, StoreError::WrongPassword { .. }), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_wrong_password_is_refused_for_good_and_never_shown() {
    let database = Database::empty(Kind::Postgres);
    let role = format!("{}_guarded", database.name());
    database.sql(&format!("create role {role} login password 'the right one'"));
    let error = Store::open(&database.url_as(&role, "hunter2"), Open::Existing).await.unwrap_err();
    assert!(matches!(error, StoreError::WrongPassword { .. }), "{error}");
    assert!(!error.is_retryable());
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    database.sql(&format!("drop role {role}"));
}
