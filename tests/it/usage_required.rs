//! `usage.require_*`: which of the certificates on a card comes in, from the configuration to the
//! answer.

use certgate::config::{Config, Environment, Places};
use rcgen::KeyUsagePurpose::{ContentCommitment, DigitalSignature};

use super::cli_desk::{Desk, path};
use super::support::certgate::Certgate;
use super::support::pki::{Issuer, Leaf};

/// The problems of a file with this text, one line each; the file itself is `given.toml`.
fn problems(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("given.toml");
    std::fs::write(&file, text).unwrap();
    let nowhere = folder.path().join("nowhere.toml");
    let places = Places { system: nowhere.clone(), working: nowhere, user: 0 };
    match Config::load_from(Some(&file), &Environment::new(), &places) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.to_string().lines().map(str::to_owned).collect(),
    }
}

#[test]
fn usages_are_read_by_name_and_identifier() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere.toml");
    let places = Places { system: nowhere.clone(), working: nowhere, user: 0 };
    let env = [
        ("CERTGATE_USAGE__REQUIRE_EXTENDED_KEY_USAGE", "smartcardLogon,1.3.6.1.5.5.7.3.2"),
        ("CERTGATE_USAGE__REQUIRE_KEY_USAGE", "digitalSignature,contentCommitment"),
        ("CERTGATE_USAGE__REQUIRE_POLICIES", "[\"1.2.250.1.1\", \"1.2.250.1.2\"]"),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let usage = Config::load_from(None, &env, &places).unwrap().config.usage;
    assert_eq!(usage.extended_key_usage, ["1.3.6.1.4.1.311.20.2.2", "1.3.6.1.5.5.7.3.2"]);
    assert_eq!(usage.key_usage, 0b11);
    assert_eq!(usage.policies, ["1.2.250.1.1", "1.2.250.1.2"]);
}

#[test]
fn a_usage_that_cannot_be_read_is_refused_with_its_place_and_a_remedy() {
    for (key, value, said) in [
        ("require_extended_key_usage", "clientauth", "did you mean \"clientAuth\"?"),
        ("require_extended_key_usage", "1.2.", "is no purpose; write clientAuth"),
        ("require_extended_key_usage", "", "is empty; write []"),
        ("require_extended_key_usage", "anyExtendedKeyUsage", "name the purposes"),
        ("require_extended_key_usage", "2.5.29.37.0", "name the purposes"),
        ("require_key_usage", "digitalSignatur", "did you mean \"digitalSignature\"?"),
        ("require_key_usage", "2.5.29.15", "is no key usage; write digitalSignature"),
        ("require_key_usage", "keyCertSign", "a CA's certificate never comes in; take it out"),
        ("require_policies", "anyPolicy", "name the policies"),
        ("require_policies", "2.5.29.32.0", "name the policies"),
        ("require_policies", "gold", "is no policy; write its OID"),
        ("require_policies", "02.5.29", "is no policy"),
    ] {
        let lines = problems(&format!("[usage]\n{key} = [\"{value}\"]\n"));
        let [line] = &lines[..] else { panic!("{key} {value}: {lines:?}") };
        assert!(line.contains("given.toml:2: usage."), "{line}");
        assert!(line.contains(said), "{key} {value}: {line}");
    }
    assert!(problems("[usage]\nrequire_eku = [\"clientAuth\"]\n")[0].contains("usage.require_eku"));
}

#[test]
fn headers_show_no_usage_so_that_one_which_is_required_is_refused() {
    for (key, value) in [
        ("require_extended_key_usage", "clientAuth"),
        ("require_key_usage", "digitalSignature"),
        ("require_policies", "1.2.3"),
    ] {
        let setting = format!("{key} = [\"{value}\"]\n");
        let lines = problems(&format!("[identity]\nsource = \"headers\"\n[usage]\n{setting}"));
        let [line] = &lines[..] else { panic!("{lines:?}") };
        let said = format!("given.toml:4: usage.{key}: needs the certificate");
        assert!(line.contains(&said), "{line}");
    }
    let nothing = "[usage]\nrequire_key_usage = []\n[identity]\nsource = \"headers\"\n";
    assert_eq!(problems(nothing), Vec::<String>::new());
}

#[test]
fn explain_says_which_certificate_of_a_card_to_pick() {
    let desk = Desk::new()
        .with("USAGE__REQUIRE_EXTENDED_KEY_USAGE", "clientAuth")
        .with("USAGE__REQUIRE_KEY_USAGE", "digitalSignature");
    desk.run(&["user", "add", "alice"]);
    let certificate = |usage, file| {
        let issued = desk.ca.issue(file, Leaf::client("alice").key_usage(&[usage]));
        let file = path(&issued);
        desk.run(&["mapping", "add", "alice", "--cert", &file]);
        file
    };
    let to_sign = certificate(ContentCommitment, "to-sign");
    let to_come_in = certificate(DigitalSignature, "to-come-in");
    let said = desk.say(&["explain", "--cert", &to_sign]);
    assert_eq!((said.code, said.out.lines().next()), (1, Some("usage_not_allowed")), "{said:?}");
    let why = "usage: not allowed: its key usage lacks digitalSignature (usage.require_key_usage); \
               of two certificates on a card, the one to pick is the one that has it";
    assert!(said.out.lines().any(|line| line == why), "{}", said.out);
    assert!(said.out.contains("key_usage     nonRepudiation\n"), "{}", said.out);
    let said = desk.say(&["explain", "--json", "--cert", &to_sign]);
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["usage"]["allowed"], false);
    assert_eq!(told["usage"]["required"]["key_usage"], serde_json::json!(["digitalSignature"]));
    assert_eq!(told["certificate"]["key_usage"], serde_json::json!(["nonRepudiation"]));
    assert!(told["usage"]["why"].as_str().unwrap().contains("lacks digitalSignature"));
    let said = desk.run(&["explain", "--cert", &to_come_in]);
    assert!(said.starts_with("mapped\n"), "{said}");
    assert!(said.contains("\nusage: has clientAuth, digitalSignature\n"), "{said}");
}

#[test]
fn of_two_mapped_certificates_only_the_one_of_the_required_usage_comes_in() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Issuer::root(folder.path(), "Example CA");
    let both = "usage.require_key_usage = [\"digitalSignature\"]\n";
    let certgate = Certgate::start_with(both);
    certgate.run(&["user", "add", "alice"]);
    for (file, usage, code) in
        [("signs", ContentCommitment, "usage_not_allowed"), ("enters", DigitalSignature, "mapped")]
    {
        let issued = ca.issue(file, Leaf::client("alice").key_usage(&[usage]));
        certgate.run(&["mapping", "add", "alice", "--cert", issued.alone.to_str().unwrap()]);
        certgate.wait_for_reason(&issued, code);
    }
}
