//! What people do by command line and API.

use certgate::store::{
    BlockEdit, Edit, MappingEdit, NewBlock, NewMapping, NewUser, PatternText, StoreError, UserEdit,
};

use super::on_both;
use crate::support::database::{Database, Kind, by};

on_both! {
    a_block_is_added_changed_and_removed,
    a_mapping_is_added_changed_revoked_and_removed,
    a_refusal_names_the_column,
    a_user_is_added_changed_and_removed,
    after_a_refusal_nothing_of_a_change_counts,
    what_is_not_committed_leaves_nothing_behind,
    what_is_not_there_is_not_found,
    who_reads_cannot_write,
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn alice() -> NewUser {
    NewUser {
        username: "alice".to_owned(),
        display_name: text("Alice Dupont"),
        email: text("alice@example.com"),
        valid_until: text("2027-01-31T12:00:00+01:00"),
        groups: vec!["staff".to_owned(), "ops".to_owned()],
        ..NewUser::default()
    }
}

fn serial(serial: &str) -> PatternText {
    PatternText { issuer: text("CN=Example CA"), serial: text(serial), ..PatternText::default() }
}

async fn a_user_is_added_changed_and_removed(database: Database) {
    let store = database.store().await;
    store.act(&by(), async |work| work.user_add(&alice()).await).await.unwrap();
    let user = store.read().await.unwrap().user_show("alice").await.unwrap();
    assert_eq!(user.groups, ["ops", "staff"]);
    assert_eq!(user.valid_until.as_deref(), Some("2027-01-31T11:00:00Z"));
    assert_eq!((user.origin.as_str(), user.enabled, user.mapped_only), ("operator", true, false));
    assert_eq!(user.created_by.is_some(), database.kind == Kind::Postgres);
    assert!(user.created_at.is_some());
    let edit = UserEdit {
        display_name: Edit::Clear,
        email: Edit::Set("a@example.com".to_owned()),
        mapped_only: Some(true),
        valid_until: Edit::Clear,
        ..UserEdit::default()
    };
    store.act(&by(), async |work| work.user_edit("alice", &edit).await).await.unwrap();
    store.act(&by(), async |work| work.user_set_enabled("alice", false).await).await.unwrap();
    store.act(&by(), async |work| work.user_rename("alice", "bob").await).await.unwrap();
    store.act(&by(), async |work| work.group_remove("bob", "ops").await).await.unwrap();
    store.act(&by(), async |work| work.group_add("bob", "night").await).await.unwrap();
    let [user] = &store.read().await.unwrap().user_list().await.unwrap()[..] else {
        panic!("one user")
    };
    assert_eq!((user.username.as_str(), user.enabled, user.mapped_only), ("bob", false, true));
    assert_eq!((&user.display_name, &user.valid_until), (&None, &None));
    assert_eq!(user.email.as_deref(), Some("a@example.com"));
    assert_eq!(user.groups, ["night", "staff"]);
    store.act(&by(), async |work| work.user_remove("bob").await).await.unwrap();
    assert_eq!(store.read().await.unwrap().user_list().await.unwrap(), []);
    assert_eq!(store.read().await.unwrap().group_members(None).await.unwrap(), []);
}

async fn a_mapping_is_added_changed_revoked_and_removed(database: Database) {
    let store = database.store().await;
    store.act(&by(), async |work| work.user_add(&alice()).await).await.unwrap();
    let new = NewMapping {
        username: "alice".to_owned(),
        pattern: serial("CA:92"),
        created_by: text("carol"),
        ..NewMapping::default()
    };
    let id = store.act(&by(), async |work| work.mapping_add(&new).await).await.unwrap();
    let edit = MappingEdit {
        valid_from: Edit::Set("2026-01-01T00:00:00Z".to_owned()),
        note: Edit::Set("laptop".to_owned()),
        ..MappingEdit::default()
    };
    store.act(&by(), async |work| work.mapping_edit(id, &edit).await).await.unwrap();
    store.act(&by(), async |work| work.mapping_set_enabled(id, false).await).await.unwrap();
    let mapping = store.read().await.unwrap().mapping_show(id).await.unwrap();
    assert_eq!(mapping.pattern, new.pattern);
    assert_eq!(mapping.valid_from.as_deref(), Some("2026-01-01T00:00:00Z"));
    assert_eq!((mapping.enabled, mapping.note.as_deref()), (false, Some("laptop")));
    assert_eq!(mapping.created_by.as_deref(), Some("carol"));
    let later = "9000-01-01T00:00:00Z";
    store
        .act(&by(), async |work| work.mapping_revoke(id, Some("planned"), Some(later)).await)
        .await
        .unwrap();
    assert_eq!(
        store.read().await.unwrap().mapping_show(id).await.unwrap().revoked_at.as_deref(),
        Some(later)
    );
    store
        .act(&by(), async |work| work.mapping_revoke(id, Some("stolen"), None).await)
        .await
        .unwrap();
    let now = store.read().await.unwrap().mapping_show(id).await.unwrap();
    assert!(now.revoked_at.as_deref() < Some(later), "{now:?}");
    assert_eq!(now.revoked_reason.as_deref(), Some("stolen"));
    store.act(&by(), async |work| work.mapping_revoke(id, None, Some(later)).await).await.unwrap();
    assert_eq!(
        store.read().await.unwrap().mapping_show(id).await.unwrap().revoked_at,
        now.revoked_at
    );
    assert_eq!(store.read().await.unwrap().mapping_list(Some("alice")).await.unwrap().len(), 1);
    assert_eq!(store.read().await.unwrap().mapping_list(Some("bob")).await.unwrap(), []);
    store.act(&by(), async |work| work.mapping_remove(id).await).await.unwrap();
    assert!(
        store.act(&by(), async |work| work.mapping_add(&new).await).await.unwrap() > id,
        "an id is never used again"
    );
}

async fn a_block_is_added_changed_and_removed(database: Database) {
    let store = database.store().await;
    let new = NewBlock { pattern: serial("1"), reason: text("stolen"), ..NewBlock::default() };
    let id = store.act(&by(), async |work| work.block_add(&new).await).await.unwrap();
    let edit = BlockEdit { reason: Edit::Clear, ..BlockEdit::default() };
    store.act(&by(), async |work| work.block_edit(id, &edit).await).await.unwrap();
    store.act(&by(), async |work| work.block_set_enabled(id, false).await).await.unwrap();
    let block = store.read().await.unwrap().block_show(id).await.unwrap();
    assert_eq!((&block.pattern, block.enabled, &block.reason), (&new.pattern, false, &None));
    store.act(&by(), async |work| work.block_remove(id).await).await.unwrap();
    assert_eq!(store.read().await.unwrap().block_list().await.unwrap(), []);
}

async fn what_is_not_there_is_not_found(database: Database) {
    let store = database.store().await;
    store.act(&by(), async |work| work.user_add(&alice()).await).await.unwrap();
    // Byte for byte: another case is another name.
    for name in ["bob", "ALICE"] {
        for error in [
            store.read().await.unwrap().user_show(name).await.err(),
            store
                .act(&by(), async |work| work.user_edit(name, &UserEdit::default()).await)
                .await
                .err(),
            store.act(&by(), async |work| work.user_set_enabled(name, true).await).await.err(),
            store.act(&by(), async |work| work.user_rename(name, "carol").await).await.err(),
            store.act(&by(), async |work| work.user_remove(name).await).await.err(),
            store.act(&by(), async |work| work.group_add(name, "x").await).await.err(),
        ] {
            assert!(matches!(error, Some(StoreError::NoSuchUser { .. })), "{error:?}");
        }
    }
    for error in [
        store.act(&by(), async |work| work.group_remove("alice", "x").await).await.err(),
        store.read().await.unwrap().mapping_show(7).await.err(),
        store
            .act(&by(), async |work| work.mapping_edit(7, &MappingEdit::default()).await)
            .await
            .err(),
        store.act(&by(), async |work| work.mapping_revoke(7, None, None).await).await.err(),
        store.act(&by(), async |work| work.mapping_remove(7).await).await.err(),
        store.read().await.unwrap().block_show(7).await.err(),
        store.act(&by(), async |work| work.block_remove(7).await).await.err(),
    ] {
        assert!(matches!(error, Some(StoreError::NotFound { .. })), "{error:?}");
    }
}

async fn a_refusal_names_the_column(database: Database) {
    let store = database.store().await;
    store.act(&by(), async |work| work.user_add(&alice()).await).await.unwrap();
    for name in ["alice", "Alice"] {
        let error = store
            .act(&by(), async |work| {
                work.user_add(&NewUser { username: name.to_owned(), ..alice() }).await
            })
            .await;
        assert!(matches!(error, Err(StoreError::UserExists { .. })), "{error:?}");
    }
    let error = store.act(&by(), async |work| work.group_add("alice", "ops").await).await;
    assert!(matches!(error, Err(StoreError::AlreadyMember { .. })), "{error:?}");
    let column = |error: Option<StoreError>| match error {
        Some(StoreError::BadValue { column, .. }) => column,
        other => panic!("{other:?}"),
    };
    let mapping =
        |pattern| NewMapping { username: "alice".to_owned(), pattern, ..NewMapping::default() };
    let sha1 = PatternText { sha256: text(&"a".repeat(40)), ..PatternText::default() };
    assert_eq!(
        column(store.act(&by(), async |work| work.mapping_add(&mapping(sha1)).await).await.err()),
        "sha256"
    );
    assert_eq!(
        column(
            store
                .act(&by(), async |work| work.mapping_add(&mapping(serial("x"))).await)
                .await
                .err()
        ),
        "serial"
    );
    assert_eq!(
        column(
            store
                .act(&by(), async |work| work.mapping_add(&mapping(serial("0"))).await)
                .await
                .err()
        ),
        "serial"
    );
    assert_eq!(
        column(
            store
                .act(&by(), async |work| work.mapping_add(&mapping(PatternText::default())).await)
                .await
                .err()
        ),
        "pattern"
    );
    assert_eq!(
        column(store.act(&by(), async |work| work.group_add("alice", "a,b").await).await.err()),
        "group_name"
    );
    assert_eq!(
        column(store.act(&by(), async |work| work.user_rename("alice", "a b").await).await.err()),
        "username"
    );
    let at = NewMapping { valid_from: text("yesterday"), ..mapping(serial("1")) };
    assert_eq!(
        column(store.act(&by(), async |work| work.mapping_add(&at).await).await.err()),
        "valid_from"
    );
    let nul = UserEdit { note: Edit::Set("a\0b".to_owned()), ..UserEdit::default() };
    column(store.act(&by(), async |work| work.user_edit("alice", &nul).await).await.err());
    // All or nothing: the second group is refused, so is the user.
    let groups = vec!["ops".to_owned(), "a,b".to_owned()];
    let bob = NewUser { username: "bob".to_owned(), groups, ..NewUser::default() };
    store.act(&by(), async |work| work.user_add(&bob).await).await.unwrap_err();
    assert!(store.read().await.unwrap().user_show("bob").await.is_err());
}

async fn what_is_not_committed_leaves_nothing_behind(database: Database) {
    let store = database.store().await;
    let mut work = store.begin(&by()).await.unwrap();
    work.user_add(&alice()).await.unwrap();
    assert_eq!(work.user_list().await.unwrap().len(), 1, "the act itself sees it");
    assert_eq!(work.load().await.unwrap().users.len(), 1);
    drop(work);
    assert_eq!(store.read().await.unwrap().user_list().await.unwrap(), []);
}

async fn after_a_refusal_nothing_of_a_change_counts(database: Database) {
    let store = database.store().await;
    let mut work = store.begin(&by()).await.unwrap();
    work.user_add(&alice()).await.unwrap();
    let again = work.user_add(&alice()).await;
    assert!(matches!(again, Err(StoreError::UserExists { .. })), "{again:?}");
    assert!(work.commit().await.is_err());
    assert_eq!(store.read().await.unwrap().user_list().await.unwrap(), []);
}

async fn who_reads_cannot_write(database: Database) {
    if database.kind == Kind::Sqlite {
        return;
    }
    let store = database.store().await;
    let mut work = store.read().await.unwrap();
    assert!(work.user_add(&alice()).await.is_err());
}
