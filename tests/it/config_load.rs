//! A configuration is found, layered and read whole, or refused with every problem.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use certgate::config::{
    Config, ConfigErrors, Dialect, Environment, GroupSeparator, Listen, Loaded, MaxStaleness,
    Origin, Places, Source, Warning, WeakKind, example, keys,
};

/// A folder of its own with the places in it.
struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("write");
        path
    }

    fn write_private(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("mode");
        path
    }

    fn places(&self) -> Places {
        let user = fs::metadata(self.folder.path()).expect("folder").uid();
        Places { system: self.path("system.toml"), working: self.path("certgate.toml"), user }
    }

    fn load(&self, option: Option<&Path>, env: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
        Config::load_from(option, &environment(env), &self.places())
    }
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Loads a file with this text and nothing else.
fn load_text(text: &str) -> Result<Loaded, ConfigErrors> {
    let host = Host::new();
    let path = host.write("given.toml", text);
    host.load(Some(&path), &[])
}

/// Loads these variables and nothing else.
fn load_env(env: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    Host::new().load(None, env)
}

fn lines(result: Result<Loaded, ConfigErrors>) -> Vec<String> {
    result.expect_err("problems").to_string().lines().map(str::to_owned).collect()
}

/// The only problem's line.
fn only(result: Result<Loaded, ConfigErrors>) -> String {
    let lines = lines(result);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines.into_iter().next().expect("line")
}

fn origin_of(loaded: &Loaded, key: &str) -> Origin {
    let found = loaded.effective.iter().find(|effective| effective.key == key);
    found.expect("key").origin.clone()
}

#[test]
fn with_no_file_at_all_the_defaults_hold() {
    let loaded = load_env(&[]).expect("defaults");
    let config = loaded.config;
    assert_eq!(config.database.url.expose(), "sqlite://certgate.db");
    assert_eq!(config.auth.listen, Listen::Tcp("127.0.0.1:9180".parse().expect("address")));
    assert_eq!(config.ops.listen, Listen::Tcp("127.0.0.1:9181".parse().expect("address")));
    assert_eq!(config.admin.listener.listen, Listen::Off);
    assert_eq!(config.auth.socket_mode.bits(), 0o660);
    assert_eq!(config.proxy.dialect, Dialect::Nginx);
    assert_eq!(config.identity.source, Source::Certificate);
    assert_eq!(config.identity.weak, [WeakKind::IssuerSubject]);
    let day = Duration::from_secs(24 * 60 * 60);
    assert_eq!(config.directory.max_staleness, MaxStaleness::Limited(day));
    assert_eq!(config.output.headers.user.as_str(), "x-remote-user");
    assert_eq!(config.output.group_separator, GroupSeparator::Comma);
    assert_eq!(loaded.file, None);
    assert_eq!(loaded.warnings, []);
}

#[test]
fn every_key_of_the_table_is_read_and_shown_in_its_order() {
    let loaded = load_env(&[]).expect("defaults");
    let shown: Vec<&str> = loaded.effective.iter().map(|effective| effective.key).collect();
    let table: Vec<&str> = keys::KEYS.iter().map(|key| key.name).collect();
    assert_eq!(shown, table);
}

#[test]
fn the_example_as_printed_equals_the_defaults() {
    let host = Host::new();
    let defaults = host.load(None, &[]).expect("defaults").config;
    let path = host.write("given.toml", &example());
    assert_eq!(host.load(Some(&path), &[]).expect("example").config, defaults);
}

#[test]
fn the_example_with_every_default_set_equals_the_defaults_too() {
    let mut set = String::new();
    let mut before = String::new();
    for line in example().lines() {
        let is_key = line.starts_with('#') && !line.starts_with("# ");
        let is_default = is_key && !before.ends_with("For example:");
        set.push_str(if is_default { line.trim_start_matches('#') } else { line });
        set.push('\n');
        before = line.to_owned();
    }
    let defaults = load_env(&[]).expect("defaults").config;
    let loaded = load_text(&set).expect("example");
    assert_eq!(loaded.config, defaults);
    let from_file =
        loaded.effective.iter().filter(|one| matches!(one.origin, Origin::File { .. })).count();
    assert!(from_file > 20, "only {from_file} keys were set");
}

#[test]
fn every_sample_of_the_example_parses() {
    for key in keys::KEYS {
        let keys::Fallback::Words { sample, .. } = key.fallback else { continue };
        if let Err(errors) = load_text(&format!("{} = {sample}\n", key.name)) {
            let text = errors.to_string();
            let expected = ["No such file", "not available"];
            assert!(expected.iter().any(|part| text.contains(part)), "{}: {text}", key.name);
        }
    }
}

#[test]
fn the_environment_wins_over_the_file_and_the_origin_says_so() {
    let host = Host::new();
    let path =
        host.write("given.toml", "[auth]\nlisten = \"127.0.0.1:1\"\nsocket_mode = \"0600\"\n");
    let env = [("CERTGATE_AUTH__LISTEN", "127.0.0.1:2")];
    let loaded = host.load(Some(&path), &env).expect("load");
    assert_eq!(loaded.config.auth.listen, Listen::Tcp("127.0.0.1:2".parse().expect("address")));
    assert_eq!(loaded.config.auth.socket_mode.bits(), 0o600);
    let variable = Origin::Variable("CERTGATE_AUTH__LISTEN".to_owned());
    assert_eq!(origin_of(&loaded, "auth.listen"), variable);
    let line = Origin::File { path, line: Some(3) };
    assert_eq!(origin_of(&loaded, "auth.socket_mode"), line);
    assert_eq!(origin_of(&loaded, "ops.listen"), Origin::Default);
}

#[test]
fn every_key_can_be_set_by_its_variable() {
    for key in keys::KEYS {
        let variable = key.variable();
        let sample = match key.fallback {
            keys::Fallback::Value(value) => value,
            keys::Fallback::Words { sample, .. } => sample,
        };
        let value = sample.trim_matches('"');
        let result = load_env(&[(&variable, value)]);
        match result {
            Ok(loaded) => assert_eq!(origin_of(&loaded, key.name), Origin::Variable(variable)),
            Err(errors) => {
                let text = errors.to_string();
                assert!(text.contains(&variable) && !text.contains("no such"), "{text}");
            }
        }
    }
}

#[test]
fn the_places_are_tried_in_order() {
    let host = Host::new();
    let address =
        |loaded: Result<Loaded, ConfigErrors>| match loaded.expect("load").config.ops.listen {
            Listen::Tcp(address) => address.port(),
            _ => 0,
        };
    let text = |port: u16| format!("[ops]\nlisten = \"127.0.0.1:{port}\"\n");
    host.write("certgate.toml", &text(4));
    assert_eq!(address(host.load(None, &[])), 4);
    host.write("system.toml", &text(3));
    assert_eq!(address(host.load(None, &[])), 3);
    let named = host.write("variable.toml", &text(2));
    let env = [("CERTGATE_CONFIG", named.to_str().expect("path"))];
    assert_eq!(address(host.load(None, &env)), 2);
    let option = host.write("option.toml", &text(1));
    assert_eq!(address(host.load(Some(&option), &env)), 1);
}

#[test]
fn a_named_file_that_does_not_exist_is_an_error_though_another_place_has_one() {
    let host = Host::new();
    host.write("system.toml", "");
    let missing = host.path("missing.toml");
    assert!(only(host.load(Some(&missing), &[])).starts_with("--config: "));
    let env = [("CERTGATE_CONFIG", missing.to_str().expect("path"))];
    assert!(only(host.load(None, &env)).starts_with("CERTGATE_CONFIG: "));
    assert!(only(host.load(None, &[("CERTGATE_CONFIG", "")])).contains("cannot be read"));
    let folder = host.path("");
    assert!(only(host.load(Some(&folder), &[])).contains("cannot be read"));
}

#[test]
fn a_file_of_somebody_else_in_the_working_folder_is_not_read() {
    let host = Host::new();
    let path = host.write("certgate.toml", "[auth]\nlisten = \"off\"\n");
    let mut places = host.places();
    places.user += 1;
    let loaded = Config::load_from(None, &BTreeMap::new(), &places).expect("defaults");
    assert_ne!(loaded.config.auth.listen, Listen::Off);
    assert_eq!(loaded.warnings, [Warning::NotOurs { path: path.clone() }]);
    // Naming it is a decision; then it is read.
    let loaded = Config::load_from(Some(&path), &BTreeMap::new(), &places).expect("named");
    assert_eq!(loaded.config.auth.listen, Listen::Off);
}

#[test]
fn a_link_in_the_working_folder_counts_with_its_own_owner_and_the_files() {
    let host = Host::new();
    let file = host.write("mine.toml", "[auth]\nlisten = \"off\"\n");
    std::os::unix::fs::symlink(&file, host.path("certgate.toml")).expect("link");
    let loaded = host.load(None, &[]).expect("load");
    assert_eq!(loaded.config.auth.listen, Listen::Off);
    // Only root can give a link away; elsewhere the rest of the test still holds.
    let other = host.places().user + 1;
    if std::os::unix::fs::lchown(host.path("certgate.toml"), Some(other), None).is_ok() {
        let loaded = host.load(None, &[]).expect("load");
        assert_eq!(loaded.warnings, [Warning::NotOurs { path: host.path("certgate.toml") }]);
    }
    fs::remove_file(&file).expect("remove");
    let loaded = host.load(None, &[]).expect("load");
    assert_eq!(loaded.warnings, [Warning::NotOurs { path: host.path("certgate.toml") }]);
}

#[test]
fn invalid_toml_names_file_line_and_column() {
    let host = Host::new();
    let path = host.write("given.toml", "[auth]\nlisten = \n");
    let line = only(host.load(Some(&path), &[]));
    assert!(line.starts_with(&format!("{}:2:10: not valid TOML", path.display())), "{line}");
    let path = host.write("given.toml", "[auth]\nlisten = \"off\"\nlisten = \"off\"\n");
    let line = only(host.load(Some(&path), &[]));
    assert!(line.starts_with(&format!("{}:3:1: not valid TOML", path.display())), "{line}");
}

#[test]
fn every_problem_is_reported_at_once() {
    let host = Host::new();
    let text = "[auth]\nlisten = \"0.0.0.0:80\"\nlisten_on = \"off\"\n[identity]\nweak = [\"sbject\"]\n\
                [proxy]\ndialect = \"ngnx\"\nlegacy_dn = \"yes\"\n";
    let path = host.write("given.toml", text);
    let env = [("CERTGATE_OUTPUT__PROFIL", "remote"), ("CERTGATE_REVOCATION__GRACE", "soon")];
    let lines = lines(host.load(Some(&path), &env));
    let file = path.display();
    let expected = [
        format!("{file}:2: auth.listen: 0.0.0.0:80 can be reached from other machines"),
        format!("{file}:3: auth.listen_on: no such key; did you mean auth.listen?"),
        format!("{file}:5: identity.weak: \"sbject\" is not known; did you mean \"subject\"?"),
        format!("{file}:7: proxy.dialect: \"ngnx\" is not known; did you mean \"nginx\"?"),
        format!("{file}:8: proxy.legacy_dn: must be true or false, without quotes"),
        "CERTGATE_OUTPUT__PROFIL: no such setting; did you mean CERTGATE_OUTPUT__PROFILE?".into(),
        "CERTGATE_REVOCATION__GRACE: revocation.grace: \"soon\" is no duration".into(),
    ];
    for part in &expected {
        assert!(lines.iter().any(|line| line.starts_with(part)), "{part}\n{lines:#?}");
    }
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
}

#[test]
fn an_unknown_name_is_an_error_wherever_it_stands() {
    for text in [
        "nonsense = 1",
        "listen = \"off\"",
        "[nonsense]",
        "[proxy.header]\nverify = \"X\"",
        "[auth.listen]\nport = 1",
        "auth = \"off\"",
        "proxy.headers = \"off\"",
        "[AUTH]\nlisten = \"off\"",
        "[auth]\n\"socket.mode\" = \"0600\"",
        "[[auth]]\nlisten = \"off\"",
        "\"auth.listen\" = \"off\"",
        "[proxy]\n\"headers.verify\" = \"X-Verify\"",
    ] {
        assert!(load_text(text).is_err(), "{text}");
    }
    for name in [
        "CERTGATE__AUTH__LISTEN",
        "CERTGATE_AUTH__LISTEN__PORT",
        "CERTGATE_AUTH__",
        "CERTGATE_auth__listen",
        "certgate_auth__listen",
        "CERTGATE_PROXY__HEADERS",
        "CERTGATE_PROXY__HEADERS_VERIFY",
    ] {
        assert!(only(load_env(&[(name, "off")])).contains("no such setting"), "{name}");
    }
}

#[test]
fn a_key_in_the_wrong_section_is_suggested_with_its_section() {
    assert!(only(load_text("socket_mode = \"0600\"")).contains("did you mean auth.socket_mode?"));
}

#[test]
fn a_variable_without_two_underscores_is_not_ours() {
    let env = [("CERTGATE_PORT_9180_TCP_ADDR", "10.0.0.1"), ("CERTGATE_SERVICE_HOST", "10.0.0.1")];
    assert_eq!(load_env(&env).expect("load").warnings, []);
    let loaded = load_env(&[("CERTGATE_AUTH_LISTEN", "off")]).expect("load");
    assert_ne!(loaded.config.auth.listen, Listen::Off);
    let meant = "CERTGATE_AUTH__LISTEN".to_owned();
    let name = "CERTGATE_AUTH_LISTEN".to_owned();
    assert_eq!(loaded.warnings, [Warning::NotASetting { name, meant }]);
}

#[test]
fn a_list_in_a_variable_has_commas_or_is_an_array() {
    for value in ["subject, serial", "[\"subject\", \"serial\"]", " ['serial','subject',] "] {
        let loaded = load_env(&[("CERTGATE_IDENTITY__WEAK", value)]).expect("load");
        assert_eq!(loaded.config.identity.weak, [WeakKind::Subject, WeakKind::Serial], "{value}");
    }
    for value in ["", ",", "subject,", "[\"subject\"", "[1]", "[\"subject\"]\nx = 1", "[[]]"] {
        assert!(load_env(&[("CERTGATE_IDENTITY__WEAK", value)]).is_err(), "{value}");
    }
    let loaded = load_env(&[("CERTGATE_IDENTITY__WEAK", "[]")]).expect("load");
    assert_eq!(loaded.config.identity.weak, []);
}

#[test]
fn an_issuer_in_a_variable_keeps_its_commas() {
    let one = "CN=Example CA,O=Example,C=FR";
    let name = "CERTGATE_IDENTITY__ISSUERS";
    let loaded = load_env(&[(name, one)]).expect("load");
    let names = |loaded: &Loaded| -> Vec<String> {
        loaded.config.identity.issuers.iter().map(|issuer| issuer.name.to_string()).collect()
    };
    assert_eq!(names(&loaded), [one]);
    let two = format!("[\"{one}\", \"CN=Other CA\"]");
    let loaded = load_env(&[(name, &two)]).expect("load");
    assert_eq!(names(&loaded), [one, "CN=Other CA"]);
}

#[test]
fn an_empty_value_is_never_taken_as_absent() {
    for key in keys::KEYS {
        assert!(load_env(&[(&key.variable(), "")]).is_err(), "{}", key.name);
    }
}

#[test]
fn the_database_url_comes_from_a_file_without_its_line_end() {
    let host = Host::new();
    let path = host.write_private("url", "postgres://alice:hunter2@db/certgate\n");
    let env = [("CERTGATE_DATABASE__URL_FILE", path.to_str().expect("path"))];
    let loaded = host.load(None, &env).expect("load");
    assert_eq!(loaded.config.database.url.expose(), "postgres://alice:hunter2@db/certgate");
    assert_eq!(loaded.warnings, []);
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

#[test]
fn url_and_url_file_together_are_an_error() {
    let host = Host::new();
    let url = host.write_private("url", "postgres://db/certgate");
    let file = host.write("given.toml", "[database]\nurl = \"sqlite://certgate.db\"\n");
    let env = [("CERTGATE_DATABASE__URL_FILE", url.to_str().expect("path"))];
    assert!(only(host.load(Some(&file), &env)).contains("keep one"));
}

#[test]
fn a_url_that_does_not_parse_is_not_repeated() {
    let host = Host::new();
    let path = host.write_private("url", "hunter2");
    let env = [("CERTGATE_DATABASE__URL_FILE", path.to_str().expect("path"))];
    assert!(!only(host.load(None, &env)).contains("hunter2"));
    assert!(!only(load_env(&[("CERTGATE_DATABASE__URL", "my:hunter2")])).contains("hunter2"));
}

#[test]
fn a_url_file_that_everybody_reads_is_warned_about() {
    let host = Host::new();
    let path = host.write("url", "postgres://db/certgate");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("mode");
    let env = [("CERTGATE_DATABASE__URL_FILE", path.to_str().expect("path"))];
    let loaded = host.load(None, &env).expect("load");
    assert_eq!(loaded.warnings, [Warning::ReadableByAll { key: "database.url_file", path }]);
}

#[test]
fn a_secret_is_private_long_and_plain_or_refused() {
    let secret = "0123456789abcdef";
    let host = Host::new();
    let load = |path: &Path| {
        host.load(None, &[("CERTGATE_PROXY__SECRET_FILE", path.to_str().expect("path"))])
    };
    let good = host.write_private("good", &format!("{secret}\n"));
    let loaded = load(&good).expect("load");
    assert_eq!(loaded.config.proxy.secret.as_ref().expect("secret").expose(), secret.as_bytes());
    assert!(!format!("{loaded:?}").contains(secret));

    let large = "x".repeat(5000);
    let bad = ["", "0123456789abcde\n", "0123456789 abcdef", "0123456789abcdef\n\n", &large];
    for text in bad {
        let path = host.write_private("bad", text);
        assert!(only(load(&path)).contains("proxy.secret_file"), "{text:?}");
    }
    for mode in [0o604, 0o602, 0o601] {
        fs::set_permissions(&good, fs::Permissions::from_mode(mode)).expect("mode");
        assert!(only(load(&good)).contains("chmod"), "{mode:o}");
    }
    assert!(only(load(&host.path("missing"))).contains("No such file"));
    assert!(only(load(&host.path(""))).contains("not a regular file"));
}

/// A value other than the default for every key, as TOML.
const OTHER: &[(&str, &str)] = &[
    ("database.url", "\"sqlite:///tmp/other.db\""),
    ("database.url_file", "\"/nonexistent/url\""),
    ("auth.listen", "\"127.0.0.1:1\""),
    ("auth.socket_mode", "\"0600\""),
    ("auth.socket_group", "\"other\""),
    ("ops.listen", "\"127.0.0.1:2\""),
    ("ops.socket_mode", "\"0600\""),
    ("ops.socket_group", "\"other\""),
    ("admin.listen", "\"unix:/run/other.sock\""),
    ("admin.socket_mode", "\"0600\""),
    ("admin.socket_group", "\"other\""),
    ("admin.group", "\"other\""),
    ("admin.origin", "\"https://other.example.com\""),
    ("proxy.dialect", "\"django-x509\""),
    ("proxy.legacy_dn", "true"),
    ("proxy.trusted", "[\"10.0.0.0/8\"]"),
    ("proxy.secret_file", "\"/nonexistent/secret\""),
    ("proxy.headers.verify", "\"x-other\""),
    ("proxy.headers.certificate", "\"x-other\""),
    ("proxy.headers.serial", "\"x-other\""),
    ("proxy.headers.subject", "\"x-other\""),
    ("proxy.headers.issuer", "\"x-other\""),
    ("identity.source", "\"headers\""),
    ("identity.weak", "[\"serial\"]"),
    ("identity.issuers", "[\"CN=Other CA\"]"),
    ("output.profile", "\"remote\""),
    ("output.group_separator", "\"|\""),
    ("output.headers.user", "\"x-other\""),
    ("output.headers.groups", "\"x-other\""),
    ("output.headers.name", "\"x-other\""),
    ("output.headers.email", "\"x-other\""),
    ("directory.max_staleness", "\"unlimited\""),
    ("directory.snapshot_file", "\"/nonexistent/snapshot\""),
    ("directory.wait_for_database", "true"),
    ("revocation.crl", "[\"/nonexistent/crl\"]"),
    ("revocation.unknown", "\"allow\""),
    ("revocation.expired", "\"allow\""),
    ("revocation.grace", "\"1h\""),
    ("trust.mode", "\"both\""),
    ("trust.anchors", "[\"/nonexistent/ca\"]"),
    ("trust.intermediates", "[\"/nonexistent/ca\"]"),
    ("usage.require_extended_key_usage", "[\"clientAuth\"]"),
    ("usage.require_key_usage", "[\"digitalSignature\"]"),
    ("usage.require_policies", "[\"1.2.3\"]"),
    ("log.format", "\"text\""),
    ("log.filter", "\"debug\""),
];

#[test]
fn every_key_takes_effect_from_the_file_and_from_its_variable() {
    let covered: Vec<&str> = OTHER.iter().map(|(key, _)| *key).collect();
    let table: Vec<&str> = keys::KEYS.iter().map(|key| key.name).collect();
    assert_eq!(covered, table, "each key has a row");
    let defaults = load_env(&[]).expect("defaults").config;
    for (key, value) in OTHER {
        let variable = keys::find(key).expect("key").variable();
        let loads = [
            load_text(&format!("{key} = {value}\n")),
            load_env(&[(&variable, value.trim_matches('"'))]),
        ];
        for result in loads {
            match result {
                Ok(loaded) => {
                    assert_ne!(loaded.config, defaults, "{key} changes nothing");
                    let shown = loaded.effective.iter().find(|one| one.key == *key).expect("key");
                    assert_eq!(shown.value.to_string(), value.replace("\", \"", "\",\""), "{key}");
                }
                Err(errors) => {
                    let text = errors.to_string();
                    let why = ["No such file", "trust.anchors is empty"];
                    assert!(why.iter().any(|part| text.contains(part)), "{key}: {text}");
                    assert!(text.contains(key), "{key}: {text}");
                }
            }
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn no_file_or_variable_panics_and_each_problem_is_one_line(
        text in "([a-z.\\[\\]= \"\n\u{1b}\u{202e}]|auth|listen|proxy|headers|weak|\\[identity\\]\n){0,40}",
        key in 0..keys::KEYS.len(),
        value in "\\PC{0,40}|[\\[\\]\"',:/=\n\r\u{0}-\u{1f}a-z0-9-]{0,40}",
    ) {
        let host = Host::new();
        let path = host.write("given.toml", &text);
        let variable = keys::KEYS[key].variable();
        if let Err(errors) = host.load(Some(&path), &[(&variable, &value)]) {
            assert!(!errors.0.is_empty());
            assert_eq!(errors.to_string().lines().count(), errors.0.len());
        }
    }
}
