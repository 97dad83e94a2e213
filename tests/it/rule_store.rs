//! Rules in the schema, on both databases, through the stock shells and the store's own functions.

use certgate::store::{Edit, RuleEdit, RuleText, Session, StoreError};

use crate::store_contract::on_both;
use crate::support::database::{Database, Kind, by};

on_both! {
    a_change_of_a_rule_is_fed,
    a_rule_is_added_changed_and_removed,
    the_schema_refuses_what_is_no_rule,
}

const ALICE: &str = "insert into rule (priority, issuer, conditions, username) \
     values (10, 'CN=Example CA', '{\"all\":[]}', '{subject.CN}');";

fn rule() -> RuleText {
    RuleText {
        priority: 10,
        issuer: "CN=Example CA".to_owned(),
        conditions: r#"{"all":[]}"#.to_owned(),
        username: "{subject.CN}".to_owned(),
        users: "any".to_owned(),
        group_names: Some("ops,staff".to_owned()),
        valid_until: Some("2027-01-31T12:00:00+01:00".to_owned()),
        ..RuleText::default()
    }
}

async fn a_rule_is_added_changed_and_removed(database: Database) {
    let store = database.store().await;
    store.act(&by(), async |work| work.rule_add(&rule(), Some("carol")).await).await.unwrap();
    let shown = store.read().await.unwrap().rule_show(10).await.unwrap();
    let until = Some("2027-01-31T11:00:00Z".to_owned());
    assert_eq!(shown.text, RuleText { valid_until: until, ..rule() });
    assert_eq!((shown.enabled, shown.created_by.as_deref()), (true, Some("carol")));
    let taken = store.act(&by(), async |work| work.rule_add(&rule(), None).await).await;
    let is_taken =
        matches!(&taken, Err(StoreError::BadValue { column, .. }) if column == "priority");
    assert!(is_taken, "{taken:?}");
    let edit = RuleEdit {
        priority: Some(20),
        conditions: Some(r#"{"all":[{"policy":"1.2.3"}]}"#.to_owned()),
        users: Some("existing".to_owned()),
        group_names: Edit::Clear,
        note: Edit::Set("x".to_owned()),
        ..RuleEdit::default()
    };
    store.act(&by(), async |work| work.rule_edit(10, &edit).await).await.unwrap();
    store.act(&by(), async |work| work.rule_set_enabled(20, false).await).await.unwrap();
    let [changed] = &store.read().await.unwrap().rule_list().await.unwrap()[..] else {
        panic!("one rule")
    };
    assert_eq!(changed.text, shown.text.edited(&edit));
    assert!(!changed.enabled);
    let snapshot = store.load().await.unwrap();
    assert_eq!(snapshot.rules, [changed.text.row(false)]);
    for error in [
        store.read().await.unwrap().rule_show(10).await.err(),
        store.act(&by(), async |work| work.rule_edit(10, &edit).await).await.err(),
        store.act(&by(), async |work| work.rule_set_enabled(10, true).await).await.err(),
        store.act(&by(), async |work| work.rule_remove(10).await).await.err(),
    ] {
        assert!(matches!(error, Some(StoreError::NotFound { .. })), "{error:?}");
    }
    store.act(&by(), async |work| work.rule_remove(20).await).await.unwrap();
    assert_eq!(store.read().await.unwrap().rule_list().await.unwrap(), []);
}

async fn the_schema_refuses_what_is_no_rule(database: Database) {
    database.sql(ALICE);
    let cases = [
        ("priority", "-1", "rule_priority_range"),
        ("issuer", "''", "rule_issuer_text"),
        ("issuer", "null", "issuer"),
        ("conditions", "null", "conditions"),
        ("conditions", "'[]'", "rule_conditions_object"),
        ("conditions", "'1'", "rule_conditions_object"),
        ("username", "null", "username"),
        ("username", "''", "rule_username_text"),
        ("group_names", "''", "rule_group_names_text"),
        ("users", "'all'", "rule_users_kind"),
        ("users", "null", "users"),
        ("valid_from", "'1969-01-01T00:00:00Z'", "rule_valid_from_time"),
    ];
    for (column, value, name) in cases {
        let error = database.refused(&format!("update rule set {column} = {value};"));
        assert!(error.contains(name), "{column} = {value}: {error}");
    }
    let nul = database.text(b"{}\0");
    for json in ["'{'", "''", "'{\"all\":[]} x'", "'{all:[]}'", &nul] {
        database.refused(&format!("update rule set conditions = {json};"));
    }
    let long = format!("'{{\"all\":[\"{}\"]}}'", "x".repeat(16 * 1024));
    let error = database.refused(&format!("update rule set conditions = {long};"));
    assert!(error.contains("rule_conditions_size"), "{error}");
    for column in ["name", "issuer", "username", "display_name", "email", "note", "created_by"] {
        let control = database.text(b"a\nb");
        let error = database.refused(&format!("update rule set {column} = {control};"));
        assert!(error.contains(&format!("rule_{column}_text")), "{error}");
    }
    database.refused("update rule set enabled = null;");
    database.refused("update rule set valid_from = '2027-01-01T00:00:00Z', valid_until = '2026-01-01T00:00:00Z';");
    let error = database.refused(ALICE);
    assert!(error.contains("rule"), "{error}");
}

async fn a_change_of_a_rule_is_fed(database: Database) {
    let keys = "select relation || ' ' || coalesce(nullif(key, ''), 'all') from change order by 1;";
    let expect = |sql: &str, expected: &[&str]| {
        database.forget_changes();
        database.sql(sql);
        assert_eq!(database.sql(keys).lines().collect::<Vec<_>>(), expected, "{sql}");
    };
    expect(ALICE, &["rule 10"]);
    expect("update rule set priority = 20;", &["rule 10", "rule 20"]);
    expect("update rule set note = 'x';", &["rule 20"]);
    let store = database.store().await;
    expect("delete from rule;", &["rule 20"]);
    database.sql(ALICE);
    let mut session = Session::start(&store).await.unwrap();
    session.load().await.unwrap();
    database.sql("delete from rule;");
    assert!(session.look().await.unwrap().is_news());
    if database.kind == Kind::Postgres {
        expect("truncate rule;", &["rule all"]);
        let replayed = format!("set session_replication_role = replica; {ALICE}");
        expect(&replayed, &["rule 10"]);
    }
}
