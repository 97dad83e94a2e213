//! The table of routes and the document that is made from it.

use std::collections::BTreeSet;

use actix_web::http::Method;

use super::document::document;
use super::operation::Verb;
use super::routes::{OPERATIONS, PREFIX, Routed, route, variables};

/// Method and path of every operation of the document.
fn documented() -> BTreeSet<(String, String)> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &serde_json::Value)| -> Vec<(String, String)> {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| (method.to_uppercase(), path.clone())).collect()
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn the_router_and_the_document_know_the_same_calls() {
    let routed: BTreeSet<_> = OPERATIONS
        .iter()
        .map(|operation| {
            (operation.verb.method().to_string(), format!("{PREFIX}{}", operation.path))
        })
        .collect();
    assert_eq!(routed.len(), OPERATIONS.len(), "a call stands twice");
    assert_eq!(routed, documented());
    for (method, path) in documented() {
        let path = path.replace(['{', '}'], "");
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert!(matches!(route(&method, &path), Routed::Found(..)), "{method} {path}");
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let text = document.to_string();
    let mut found = 0;
    for rest in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = rest.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
        found += 1;
    }
    assert!(found > 50, "{found}");
}

#[test]
fn a_name_of_the_document_is_one_type() {
    let mut types = std::collections::BTreeMap::new();
    for shape in super::document::shapes() {
        let mut parts = vec![((shape.name)().into_owned(), (shape.schema)())];
        (shape.parts)(&mut parts);
        for (name, schema) in parts {
            let schema = serde_json::to_string(&schema).unwrap();
            let known = types.entry(name.clone()).or_insert_with(|| schema.clone());
            assert_eq!(*known, schema, "{name}");
        }
    }
}

#[test]
fn no_name_stands_twice_and_what_changes_something_is_no_get() {
    let names: BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!(names.len(), OPERATIONS.len());
    for operation in OPERATIONS {
        let takes_body = operation.body.is_some();
        let is_right = operation.verb != Verb::Get || !takes_body;
        assert!(is_right, "{} takes a body and is a GET", operation.name);
        assert!(variables(operation.path).count() <= 1, "{}", operation.name);
    }
}

#[test]
fn a_path_is_one_only_as_a_whole_and_names_may_hold_anything_escaped() {
    let values = |path: &str| match route(&Method::GET, path) {
        Routed::Found(_, values) => Some(values),
        Routed::OtherMethods(_) | Routed::Nowhere => None,
    };
    assert_eq!(values("/api/v1/users"), Some(vec![]));
    assert_eq!(values("/api/v1/users/host%2Fa%20%25"), Some(vec!["host/a %".to_owned()]));
    for path in [
        "",
        "/",
        "/api/v1",
        "/api/v1/",
        "/api/v1/users/",
        "/api/v1//users",
        "/api/v1/Users",
        "/api/v2/users",
        "/x/api/v1/users",
        "/api/v1/users/alice/",
        "/api/v1/users/alice/nothing",
        "/api/v1/users/%00",
        "/api/v1/users/%ff",
    ] {
        assert_eq!(values(path), None, "{path}");
    }
    let Routed::OtherMethods(verbs) = route(&Method::PUT, "/api/v1/users") else {
        panic!("no other methods");
    };
    assert_eq!(verbs, [Verb::Get, Verb::Post]);
}
