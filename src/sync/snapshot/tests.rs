//! What is written comes back; what anybody could have touched does not.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::{SnapshotError, SnapshotFile};
use crate::directory::row::{GroupRow, MappingRow, PatternRow, UserRow};
use crate::directory::{Directory, Rows, Settings};
use crate::pki::UnixTime;

const NOON: UnixTime = UnixTime::from_micros(1_000_000_000_000_000);
const LATER: UnixTime = UnixTime::from_micros(1_000_000_060_000_000);

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn snapshot(folder: &Path) -> SnapshotFile {
    SnapshotFile {
        path: folder.join("directory.snapshot"),
        database: "postgres://certgate@127.0.0.1/certgate".to_owned(),
        schema: 4,
        settings: Settings::default(),
    }
}

fn directory() -> Directory {
    let user = |name: &str| UserRow {
        username: name.as_bytes().to_vec(),
        display_name: Some("Alice Dupont".into()),
        email: None,
        origin: b"operator".to_vec(),
        mapped_only: 0,
        enabled: 1,
        valid_from: None,
        valid_until: None,
    };
    let mapping = |id, name: &str| MappingRow {
        id,
        username: name.as_bytes().to_vec(),
        pattern: PatternRow { subject: Some(b"CN=alice".to_vec()), ..PatternRow::default() },
        enabled: 1,
        valid_from: None,
        valid_until: None,
        revoked_at: None,
        revoked_reason: None,
        note: None,
    };
    let rows = Rows {
        users: vec![user("alice"), user("bob")],
        groups: vec![GroupRow { username: b"alice".to_vec(), group_name: b"ops".to_vec() }],
        mappings: vec![mapping(1, "alice"), mapping(2, "bob")],
        ..Rows::default()
    };
    Directory::build(&rows, &Settings::default())
}

/// Why this file is refused.
fn refusal(file: &SnapshotFile) -> String {
    match file.read(LATER) {
        Ok(_) => "it was believed".to_owned(),
        Err(error) => error.to_string().rsplit_once(": ").unwrap().1.to_owned(),
    }
}

#[test]
fn what_was_written_comes_back_with_its_time() {
    let folder = folder();
    let file = snapshot(folder.path());
    let before = directory();
    file.write(&before, NOON).unwrap();
    let (after, true_at) = file.read(LATER).unwrap();
    assert!(after.is_same(&before));
    assert_eq!(true_at, NOON);
    let mode = fs::metadata(&file.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    file.write(&Directory::default(), LATER).unwrap();
    assert_eq!(file.read(LATER).unwrap().0.user_count(), 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_changed_byte_anywhere_and_a_lost_end_are_noticed() {
    let folder = folder();
    let file = snapshot(folder.path());
    file.write(&directory(), NOON).unwrap();
    let whole = fs::read(&file.path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&file.path, &bytes).unwrap();
        assert!(file.read(LATER).is_err(), "byte {at}");
        fs::write(&file.path, &whole[..at]).unwrap();
        assert!(file.read(LATER).is_err(), "the first {at} bytes");
    }
    let more = [&whole[..], b"x"].concat();
    fs::write(&file.path, more).unwrap();
    assert!(refusal(&file).contains("something follows its end"));
    fs::write(&file.path, &whole).unwrap();
    assert!(file.read(LATER).is_ok());
}

#[test]
fn a_file_that_somebody_else_could_have_made_is_refused() {
    let folder = folder();
    let file = snapshot(folder.path());
    file.write(&directory(), NOON).unwrap();
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for mode in [0o620, 0o602, 0o666] {
        set(&file.path, mode);
        assert!(refusal(&file).starts_with("others may write it"), "{mode:o}");
    }
    set(&file.path, 0o600);
    set(folder.path(), 0o777);
    assert!(refusal(&file).starts_with("others may write this folder"));
    set(folder.path(), 0o1777);
    assert!(file.read(LATER).is_ok(), "in a sticky folder nobody takes it away");
    set(folder.path(), 0o700);
    let link = SnapshotFile { path: folder.path().join("link"), ..file.clone() };
    symlink(&file.path, &link.path).unwrap();
    assert!(matches!(link.read(LATER), Err(SnapshotError::Io { .. })));
    let no_file = SnapshotFile { path: folder.path().join("folder"), ..file };
    fs::create_dir(&no_file.path).unwrap();
    assert!(refusal(&no_file).starts_with("it is no regular file"));
}

#[test]
fn a_snapshot_of_another_database_version_separator_or_time_is_refused() {
    let folder = folder();
    let file = snapshot(folder.path());
    file.write(&directory(), NOON).unwrap();
    let other = SnapshotFile { database: "sqlite://certgate.db".to_owned(), ..file.clone() };
    assert!(refusal(&other).contains("not of sqlite://certgate.db") || other.read(LATER).is_err());
    let other = SnapshotFile { schema: 5, ..file.clone() };
    assert!(refusal(&other).contains("another version"));
    let settings = Settings { group_separator: ';', ..Settings::default() };
    let other = SnapshotFile { settings, ..file.clone() };
    assert!(refusal(&other).contains("group_separator"));
    let just_before = UnixTime::from_micros(NOON.as_micros() - 1);
    assert!(matches!(file.read(just_before), Err(SnapshotError::Unfit { .. })));
}

#[test]
fn what_cannot_be_written_leaves_the_old_one() {
    let folder = folder();
    let file = snapshot(folder.path());
    let nowhere = SnapshotFile { path: folder.path().join("no/such"), ..file };
    assert!(matches!(nowhere.write(&directory(), NOON), Err(SnapshotError::Io { .. })));
}
