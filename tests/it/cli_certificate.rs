//! `certgate certificate block` tells what its holder can still use, and nothing else.

use serde_json::{Value, json};

use crate::support::certgate::Certgate;
use crate::support::pki::Issuer;

#[test]
fn a_mapping_of_the_blocked_certificate_itself_is_not_among_what_its_holder_can_still_use() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Issuer::root(folder.path(), "Example CA");
    let [laptop, phone] = ["laptop", "phone"].map(|name| ca.client(name));
    let certgate = Certgate::start();
    certgate.run(&["user", "add", "alice"]);
    for certificate in [&laptop, &phone] {
        let file = certificate.alone.to_str().unwrap();
        certgate.run(&["mapping", "add", "alice", "--cert", file]);
    }
    let file = laptop.alone.to_str().unwrap();
    let done = certgate.run(&["certificate", "block", file, "--json"]);
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(done["users"], json!(["alice"]));
    let still = done["still_usable"].as_array().unwrap();
    assert_eq!(still.iter().map(|mapping| &mapping["id"]).collect::<Vec<_>>(), [&json!(2)]);
}
