//! Opening and migrating: nothing is created unasked, and each way to fail has its own error, in
//! one line, without the password.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use certgate::store::{DatabaseUrl, Migrated, Open, SCHEMA_VERSION, Store, StoreError};
use tempfile::TempDir;

use super::support::shells::{Database, Which, admin_url, on_both, only_on};

on_both! {
    a_second_migration_finds_nothing_to_do,
    a_schema_too_new_is_refused_and_left_alone,
    a_newer_schema_that_admits_this_program_is_used,
    a_schema_without_its_row_is_not_used,
}
only_on! { on_postgres: Postgres:
    an_old_schema_is_named_and_migrated_only_on_request,
    a_migration_waits_for_no_forgotten_transaction,
    a_wrong_password_is_told_from_a_missing_database,
    a_missing_database_is_told,
    a_database_with_another_encoding_is_refused,
}
only_on! { on_sqlite: Sqlite:
    an_old_schema_is_migrated_by_opening_it_where_that_is_allowed,
    a_file_that_is_no_database_is_told,
    a_file_that_cannot_be_opened_is_told,
    a_missing_folder_is_told,
    a_file_of_another_program_is_not_touched,
    a_file_that_somebody_locks_is_told_from_a_bad_one,
    the_file_is_in_write_ahead_mode,
}

/// What a person reads: one line, and not the password.
fn line(error: &StoreError) -> String {
    let line = error.to_string();
    assert!(!line.contains('\n'), "{line}");
    for secret in [password().as_str(), "s3cret"] {
        assert!(!line.contains(secret), "{line}");
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
    line
}

/// The password of the tests' server.
fn password() -> String {
    let url = admin_url();
    let (_, rest) = url.split_once("://").unwrap();
    let (credentials, _) = rest.split_once('@').unwrap();
    credentials.split_once(':').unwrap().1.to_owned()
}

async fn fails(url: &str, open: Open) -> StoreError {
    let url = DatabaseUrl::parse(url).unwrap();
    Store::open(&url, open).await.unwrap_err()
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

async fn from_nothing(which: Which) {
    let database = Database::empty(which);
    let error = Store::open(&database.url(), Open::Existing).await.unwrap_err();
    match which {
        Which::Postgres => {
            assert!(matches!(error, StoreError::SchemaMissing { .. }), "{error:?}");
            let error = Store::open(&database.url(), Open::Create).await.unwrap_err();
            assert!(matches!(error, StoreError::SchemaMissing { .. }), "{error:?}");
            assert_eq!(
                database.sql("select count(*) from pg_tables where schemaname = 'public'"),
                "0"
            );
        }
        Which::Sqlite => {
            assert!(matches!(error, StoreError::NoDatabaseFile { .. }), "{error:?}");
            assert_eq!(fs::read_dir(database.file().parent().unwrap()).unwrap().count(), 0);
        }
    }
    assert!(line(&error).contains("certgate migrate"), "{error}");
    let migrated = Store::migrate(&database.url()).await.unwrap();
    assert_eq!(migrated, Migrated { from: 0, to: SCHEMA_VERSION });
    let rows = database.rows().await;
    assert!(rows.users.is_empty());
    assert!(rows.mappings.is_empty());
}

#[test]
fn postgres_migrates_from_nothing_and_opening_creates_nothing() {
    block_on(from_nothing(Which::Postgres));
}

#[test]
fn sqlite_migrates_from_nothing_and_opening_creates_nothing() {
    block_on(from_nothing(Which::Sqlite));
}

#[test]
fn sqlite_is_made_by_opening_it_where_that_is_allowed() {
    block_on(async {
        let database = Database::empty(Which::Sqlite);
        Store::open(&database.url(), Open::Create).await.unwrap();
        assert!(database.rows().await.users.is_empty());
    });
}

/// Four programs start at once; they find the same empty database.
async fn at_once(which: Which) {
    let database = Database::empty(which);
    let url = database.url();
    let (a, b, c, d) = tokio::join!(
        tokio::spawn({
            let url = url.clone();
            async move { Store::migrate(&url).await }
        }),
        tokio::spawn({
            let url = url.clone();
            async move { Store::migrate(&url).await }
        }),
        tokio::spawn({
            let url = url.clone();
            async move { Store::migrate(&url).await }
        }),
        tokio::spawn({
            let url = url.clone();
            async move { Store::migrate(&url).await }
        }),
    );
    let mut from: Vec<_> = [a, b, c, d].map(|done| done.unwrap().unwrap().from).to_vec();
    from.sort_unstable();
    assert_eq!(from, [0, SCHEMA_VERSION, SCHEMA_VERSION, SCHEMA_VERSION]);
    assert!(database.rows().await.users.is_empty());
}

#[test]
fn of_several_programs_one_migrates_postgres() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(at_once(Which::Postgres));
}

#[test]
fn of_several_programs_one_migrates_sqlite() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for _ in 0..10 {
        runtime.block_on(at_once(Which::Sqlite));
    }
}

async fn a_second_migration_finds_nothing_to_do(database: &Database) {
    database.sql("insert into app_user (username) values ('alice')");
    let migrated = Store::migrate(&database.url()).await.unwrap();
    assert_eq!(migrated, Migrated { from: SCHEMA_VERSION, to: SCHEMA_VERSION });
    assert_eq!(database.sql("select username from app_user"), "alice");
}

async fn a_schema_too_new_is_refused_and_left_alone(database: &Database) {
    let (next, after) = (SCHEMA_VERSION + 1, SCHEMA_VERSION + 2);
    database
        .sql(&format!("update certgate_schema set version = {after}, compatible_from = {next}"));
    let opened = Store::open(&database.url(), Open::Create).await.unwrap_err();
    let migrated = Store::migrate(&database.url()).await.unwrap_err();
    for error in [opened, migrated] {
        let StoreError::SchemaTooNew { found, compatible_from, known, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!((found, compatible_from, known), (after, next, SCHEMA_VERSION));
        assert!(line(&error).contains("upgrade certgate"));
    }
    let kept = database.sql("select version, compatible_from from certgate_schema");
    assert_eq!(kept, format!("{after}|{next}"));
}

async fn a_newer_schema_that_admits_this_program_is_used(database: &Database) {
    let newer = SCHEMA_VERSION + 1;
    database.sql(&format!(
        "update certgate_schema set version = {newer}, compatible_from = {SCHEMA_VERSION}"
    ));
    let migrated = Store::migrate(&database.url()).await.unwrap();
    assert_eq!(migrated, Migrated { from: newer, to: newer });
    assert!(database.rows().await.users.is_empty());
}

async fn a_schema_without_its_row_is_not_used(database: &Database) {
    database.sql("delete from certgate_schema");
    let error = Store::open(&database.url(), Open::Existing).await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaMissing { .. }), "{error:?}");
    // The tables are there: making them anew fails, and changes nothing.
    Store::migrate(&database.url()).await.unwrap_err();
    assert_eq!(database.sql("select count(*) from certgate_schema"), "0");
}

/// A schema of version 1, as its migration makes it.
fn version_one(which: Which) -> Database {
    let database = Database::empty(which);
    let folder = match which {
        Which::Postgres => "postgres",
        Which::Sqlite => "sqlite",
    };
    let path = format!("{}/migrations/{folder}/0001_directory.sql", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    database.sql(&format!(
        "begin;\n{text}\n;insert into certgate_schema (version, compatible_from) values (1, 1);
         insert into app_user (username) values ('alice');\ncommit;"
    ));
    database
}

async fn an_old_schema_is_named_and_migrated_only_on_request(_: &Database) {
    let database = version_one(Which::Postgres);
    let error = Store::open(&database.url(), Open::Create).await.unwrap_err();
    assert!(
        matches!(error, StoreError::SchemaOld { found: 1, needed: SCHEMA_VERSION, .. }),
        "{error:?}"
    );
    assert!(line(&error).contains("certgate migrate"));
    let migrated = Store::migrate(&database.url()).await.unwrap();
    assert_eq!(migrated, Migrated { from: 1, to: SCHEMA_VERSION });
    assert_eq!(database.rows().await.users[0].username, b"alice");
}

async fn a_migration_waits_for_no_forgotten_transaction(_: &Database) {
    use sqlx::Connection as _;
    let database = version_one(Which::Postgres);
    let mut forgotten = sqlx::PgConnection::connect(&database.url_text()).await.unwrap();
    sqlx::raw_sql("begin; update app_user set note = 'x'").execute(&mut forgotten).await.unwrap();
    let error = Store::migrate(&database.url()).await.unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error:?}");
    assert!(line(&error).contains("end that program's transaction"), "{error}");
    sqlx::raw_sql("rollback").execute(&mut forgotten).await.unwrap();
    let migrated = Store::migrate(&database.url()).await.unwrap();
    assert_eq!(migrated, Migrated { from: 1, to: SCHEMA_VERSION });
}

async fn an_old_schema_is_migrated_by_opening_it_where_that_is_allowed(_: &Database) {
    let database = version_one(Which::Sqlite);
    let error = Store::open(&database.url(), Open::Existing).await.unwrap_err();
    assert!(
        matches!(error, StoreError::SchemaOld { found: 1, needed: SCHEMA_VERSION, .. }),
        "{error:?}"
    );
    Store::open(&database.url(), Open::Create).await.unwrap();
    assert_eq!(database.rows().await.users[0].username, b"alice");
    let version = database.sql("select version, compatible_from from certgate_schema");
    assert_eq!(version, format!("{SCHEMA_VERSION}|2"));
}

async fn a_wrong_password_is_told_from_a_missing_database(database: &Database) {
    let url = database.url_text().replace(&password(), "s3cret-and-wrong");
    let error = fails(&url, Open::Existing).await;
    assert!(matches!(error, StoreError::WrongPassword { .. }), "{error:?}");
    assert!(!error.is_retryable());
    line(&error);
}

async fn a_missing_database_is_told(database: &Database) {
    let url = database.url_text().replace(database.name(), "certgate_test_of_nobody");
    let error = fails(&url, Open::Create).await;
    assert!(matches!(error, StoreError::DatabaseMissing { .. }), "{error:?}");
    assert!(line(&error).contains("certgate_test_of_nobody"));
    let error = Store::migrate(&DatabaseUrl::parse(&url).unwrap()).await.unwrap_err();
    assert!(matches!(error, StoreError::DatabaseMissing { .. }), "{error:?}");
}

async fn a_database_with_another_encoding_is_refused(database: &Database) {
    let other = format!("{}_latin1", database.name());
    database
        .sql(&format!("create database {other} encoding 'LATIN1' locale 'C' template template0"));
    let url = DatabaseUrl::parse(&database.url_text().replace(database.name(), &other)).unwrap();
    let error = Store::migrate(&url).await.unwrap_err();
    database.sql(&format!("drop database {other} with (force)"));
    assert!(line(&error).contains("encoding UTF8"), "{error}");
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    block_on(async {
        let error =
            fails(&format!("postgres://alice:s3cret@127.0.0.1:{port}/x"), Open::Existing).await;
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
        assert!(error.is_retryable());
        line(&error);
    });
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    block_on(async {
        let start = Instant::now();
        let error =
            fails(&format!("postgres://alice:s3cret@127.0.0.1:{port}/x"), Open::Existing).await;
        assert!(matches!(error, StoreError::TimedOut { .. }), "{error:?}");
        assert!(error.is_retryable());
        assert!(start.elapsed() < Duration::from_secs(10));
        line(&error);
    });
}

async fn a_file_that_is_no_database_is_told(_: &Database) {
    let database = Database::empty(Which::Sqlite);
    let text = "-----BEGIN CERTIFICATE-----\n".repeat(100);
    fs::write(database.file(), &text).unwrap();
    for open in [Open::Existing, Open::Create] {
        let error = Store::open(&database.url(), open).await.unwrap_err();
        assert!(matches!(error, StoreError::NotADatabase { .. }), "{error:?}");
        assert!(line(&error).contains("not a SQLite database"), "{error}");
    }
    let error = Store::migrate(&database.url()).await.unwrap_err();
    assert!(matches!(error, StoreError::NotADatabase { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(database.file()).unwrap(), text);
}

async fn a_file_that_cannot_be_opened_is_told(_: &Database) {
    // A folder cannot be opened as a file by anybody, root included.
    let folder = TempDir::new().unwrap();
    for open in [Open::Existing, Open::Create] {
        let error = fails(&format!("sqlite://{}", folder.path().display()), open).await;
        assert!(matches!(error, StoreError::Unreadable { .. }), "{error:?}");
        line(&error);
    }
    let file = folder.path().join("closed.db");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&file).is_err() {
        let error = fails(&format!("sqlite://{}", file.display()), Open::Existing).await;
        assert!(matches!(error, StoreError::Unreadable { .. }), "{error:?}");
    }
}

async fn a_missing_folder_is_told(_: &Database) {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}/nowhere/certgate.db", folder.path().display());
    let error = fails(&url, Open::Create).await;
    assert!(matches!(error, StoreError::FolderMissing { .. }), "{error:?}");
    assert!(line(&error).contains("nowhere does not exist"), "{error}");
    let error = fails(&url, Open::Existing).await;
    assert!(matches!(error, StoreError::NoDatabaseFile { .. }), "{error:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

async fn a_file_of_another_program_is_not_touched(_: &Database) {
    let database = Database::empty(Which::Sqlite);
    database.sql("create table bookmark (url text)");
    let before = fs::read(database.file()).unwrap();
    let error = Store::open(&database.url(), Open::Existing).await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaMissing { .. }), "{error:?}");
    line(&error);
    assert_eq!(fs::read(database.file()).unwrap(), before);
    assert_eq!(fs::read_dir(database.file().parent().unwrap()).unwrap().count(), 1);
}

async fn a_file_that_somebody_locks_is_told_from_a_bad_one(database: &Database) {
    use sqlx::Connection as _;
    let mut other = sqlx::SqliteConnection::connect(&database.url_text()).await.unwrap();
    // It takes the file for itself as soon as the connections of the migration have gone.
    let deadline = Instant::now() + Duration::from_secs(20);
    let lock = "pragma journal_mode = delete; begin exclusive";
    while let Err(error) = sqlx::raw_sql(lock).execute(&mut other).await {
        assert!(Instant::now() < deadline, "{error}");
    }
    let error = Store::open(&database.url(), Open::Existing).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    line(&error);
    sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    database.rows().await;
}

async fn the_file_is_in_write_ahead_mode(database: &Database) {
    assert_eq!(database.sql("pragma journal_mode"), "wal");
}
