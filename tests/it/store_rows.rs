//! A snapshot holds what was written, byte for byte, and nothing else.

use certgate::directory::row::{BlockRow, GroupRow, MappingRow, PatternRow, UserRow};

use super::support::shells::{Database, Which, on_both};

on_both! {
    a_snapshot_equals_what_was_written,
    a_load_sees_one_moment_only,
    defaults_say_who_and_when,
}

/// As the database hands a time over that was written in UTC with microseconds.
fn bytes(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

async fn a_snapshot_equals_what_was_written(database: &Database) {
    let hex = "0A".repeat(32);
    database.sql(&format!(
        "insert into app_user (username, display_name, email, origin, mapped_only, enabled, \
            valid_from, valid_until, note)
             values ('alice', 'Zoë \"a|b'' \\', 'alice@example.com', 'rule', true, false,
                 '2026-01-02T03:04:05.678901Z', '2027-01-01T00:00:00Z', 'n');
         insert into app_user (username) values ('bob');
         insert into user_group (username, group_name) values ('alice', 'ops'), ('alice', 'O=x;/%');
         insert into mapping (id, username, sha256, spki_sha256, issuer, issuer_key_id, serial, \
         subject, san_email,
                 san_upn, san_uri, san_dns, common_name, enabled, valid_from, valid_until, \
                 revoked_at, revoked_reason, note)
             values (7, 'alice', '{hex}', '{hex}', 'CN=Example CA, O=Éxample', '0b:ad', \
             '0xCA92', '/CN=alice', 'a@b',
                 'u@p', 'urn:x', '*.example.com', 'alice', false, '1970-01-01T00:00:00Z', \
                 '9999-12-31T23:59:59.999Z',
                 '2026-02-03T04:05:06.000001Z', 'lost', 'remark');
         insert into mapping (id, username, serial) values (9007199254740993, 'bob', 'ca:92');
         insert into block (id, issuer, enabled, reason) values (-3, 'CN=Old CA', true, 'gone');"
    ));
    let mut rows = database.rows().await;
    rows.users.sort_by(|a, b| a.username.cmp(&b.username));
    rows.groups.sort_by(|a, b| a.group_name.cmp(&b.group_name));
    rows.mappings.sort_by_key(|row| row.id);
    let alice = UserRow {
        username: b"alice".to_vec(),
        display_name: bytes("Zoë \"a|b' \\"),
        email: bytes("alice@example.com"),
        origin: b"rule".to_vec(),
        mapped_only: 1,
        enabled: 0,
        valid_from: bytes("2026-01-02T03:04:05.678901Z"),
        valid_until: bytes("2027-01-01T00:00:00Z"),
    };
    let bob = UserRow {
        username: b"bob".to_vec(),
        display_name: None,
        email: None,
        origin: b"operator".to_vec(),
        mapped_only: 0,
        enabled: 1,
        valid_from: None,
        valid_until: None,
    };
    assert_eq!(rows.users, [alice, bob]);
    let group = |name: &[u8]| GroupRow { username: b"alice".to_vec(), group_name: name.to_vec() };
    assert_eq!(rows.groups, [group(b"O=x;/%"), group(b"ops")]);
    let whole = MappingRow {
        id: 7,
        username: b"alice".to_vec(),
        pattern: PatternRow {
            sha256: bytes(&hex),
            spki_sha256: bytes(&hex),
            issuer: bytes("CN=Example CA, O=Éxample"),
            issuer_key_id: bytes("0b:ad"),
            serial: bytes("0xCA92"),
            subject: bytes("/CN=alice"),
            san_email: bytes("a@b"),
            san_upn: bytes("u@p"),
            san_uri: bytes("urn:x"),
            san_dns: bytes("*.example.com"),
            common_name: bytes("alice"),
        },
        enabled: 0,
        valid_from: bytes("1970-01-01T00:00:00Z"),
        valid_until: bytes("9999-12-31T23:59:59.999Z"),
        revoked_at: bytes("2026-02-03T04:05:06.000001Z"),
        revoked_reason: bytes("lost"),
        note: bytes("remark"),
    };
    let short = MappingRow {
        id: 9_007_199_254_740_993,
        username: b"bob".to_vec(),
        pattern: PatternRow { serial: bytes("ca:92"), ..PatternRow::default() },
        enabled: 1,
        valid_from: None,
        valid_until: None,
        revoked_at: None,
        revoked_reason: None,
        note: None,
    };
    assert_eq!(rows.mappings, [whole, short]);
    let block = BlockRow {
        id: -3,
        pattern: PatternRow { issuer: bytes("CN=Old CA"), ..PatternRow::default() },
        enabled: 1,
        valid_from: None,
        valid_until: None,
        reason: bytes("gone"),
    };
    assert_eq!(rows.blocks, [block]);
}

/// A writer moves one mapping between two users, again and again; no load may see it twice or
/// not at all, or with a user who is not there.
async fn a_load_sees_one_moment_only(database: &Database) {
    database.sql(
        "insert into app_user (username) values ('alice');
         insert into mapping (username, serial) values ('alice', '0a');",
    );
    let statements: String = (0..200)
        .map(|round| {
            let (old, new) = if round % 2 == 0 { ("alice", "bob") } else { ("bob", "alice") };
            format!("update app_user set username = '{new}' where username = '{old}';\n")
        })
        .collect();
    let store = database.store().await;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| database.sql(&statements));
        let handle = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            handle.block_on(async {
                loop {
                    let rows = store.load().await.unwrap();
                    assert_eq!(rows.users.len(), 1);
                    assert_eq!(rows.mappings.len(), 1);
                    assert_eq!(rows.mappings[0].username, rows.users[0].username);
                    if writer.is_finished() {
                        break;
                    }
                }
            });
        });
    });
}

async fn defaults_say_who_and_when(database: &Database) {
    database.sql("insert into app_user (username) values ('alice')");
    let row = match database.which {
        Which::Postgres => {
            "select created_by = current_user, now() - created_at < interval '1 minute' from \
                app_user"
        }
        Which::Sqlite => {
            "select case when created_by is null then 't' end,
                 case when julianday('now') - julianday(created_at) < 0.001 then 't' end from \
                 app_user"
        }
    };
    assert_eq!(database.sql(row), "t|t");
}
