//! The audit, played again from nothing: it has to end in the very rows that the tables hold.

use std::collections::BTreeMap;

use serde_json::{Deserializer, Value};

use super::database::{Database, Kind};

/// The tables that the audit tells of, each with its key.
const RELATIONS: [(&str, &[&str]); 5] = [
    ("app_user", &["username"]),
    ("user_group", &["username", "group_name"]),
    ("mapping", &["id"]),
    ("block", &["id"]),
    ("rule", &["priority"]),
];

/// The rows of all tables, by table and key.
type Tables = BTreeMap<String, Value>;

/// The rows of the audit, the oldest first, if they tell exactly what the tables hold.
///
/// # Errors
/// The first row that is in one and not in the other.
pub(crate) fn replay(database: &Database) -> Result<Vec<Value>, String> {
    let (audit, tables) = read(database);
    let mut told = Tables::new();
    for change in &audit {
        let (before, after) = (parsed(&change["before"]), parsed(&change["after"]));
        let about = change["about"].as_str().unwrap();
        if let Some(before) = before {
            let held = told.remove(&key(about, &before));
            if held.as_ref() != Some(&before) {
                return Err(format!("{change} was told of {before}, and there was {held:?}"));
            }
        }
        if let Some(after) = after
            && let Some(held) = told.insert(key(about, &after), after)
        {
            return Err(format!("{change} takes the place of {held}"));
        }
    }
    for (key, row) in &tables {
        if told.get(key) != Some(row) {
            return Err(format!("{key} is {row}, and the audit tells {:?}", told.get(key)));
        }
    }
    let lost = told.keys().find(|key| !tables.contains_key(*key));
    lost.map_or(Ok(audit), |key| Err(format!("{key} is told of, and is not there")))
}

/// The audit and the tables, as of one instant.
fn read(database: &Database) -> (Vec<Value>, Tables) {
    let mut sql = match database.kind {
        Kind::Postgres => "set timezone = 'UTC'; begin isolation level repeatable read;",
        // What somebody who died left half done would be in `acting`.
        Kind::Sqlite => {
            ".mode json\nbegin; pragma integrity_check; select 'acting' as relation from acting;"
        }
    }
    .to_owned();
    let mut add = |select: &str| match database.kind {
        Kind::Postgres => sql.push_str(&format!("select row_to_json(t) from ({select}) t;")),
        Kind::Sqlite => sql.push_str(&format!("{select};")),
    };
    let text = match database.kind {
        Kind::Postgres => "::text",
        Kind::Sqlite => "",
    };
    add(&format!(
        "select 'audit' as relation, action, relation as about, key, transaction_id, source,
             before{text} as before, after{text} as after
         from audit order by id"
    ));
    for (relation, _) in RELATIONS {
        add(&format!("select '{relation}' as relation, {relation}.* from {relation}"));
    }
    let output = database.sql(&format!("{sql} commit;"));
    let mut audit = Vec::new();
    let mut tables = Tables::new();
    let documents = Deserializer::from_str(&output).into_iter::<Value>().map(Result::unwrap);
    // A shell prints a row at a time, the other one all rows as a list.
    let rows = documents.flat_map(|document| match document {
        Value::Array(rows) => rows,
        row => vec![row],
    });
    for mut row in rows {
        if let Some(verdict) = row.get("integrity_check") {
            assert_eq!(verdict, "ok");
            continue;
        }
        let relation = row.as_object_mut().unwrap().remove("relation").unwrap();
        match relation.as_str().unwrap() {
            "audit" => audit.push(row),
            "acting" => panic!("somebody acts who is gone"),
            relation => {
                let row = alike(row);
                assert_eq!(tables.insert(key(relation, &row), row), None);
            }
        }
    }
    (audit, tables)
}

fn parsed(text: &Value) -> Option<Value> {
    text.as_str().map(|text| alike(serde_json::from_str(text).unwrap()))
}

/// The same for both databases: one has no booleans, and keeps JSON as text.
fn alike(mut row: Value) -> Value {
    for value in row.as_object_mut().unwrap().values_mut() {
        if let Value::Bool(value_of_it) = value {
            *value = u8::from(*value_of_it).into();
        }
    }
    if let Some(Value::String(text)) = row.get("conditions") {
        row["conditions"] = serde_json::from_str(text).unwrap();
    }
    row
}

fn key(relation: &str, row: &Value) -> String {
    let (_, columns) = RELATIONS.into_iter().find(|(name, _)| *name == relation).unwrap();
    let values: Vec<_> = columns.iter().map(|column| row[*column].to_string()).collect();
    format!("{relation} {}", values.join(" "))
}
