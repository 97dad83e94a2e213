//! Combinations of settings that are not known to be safe do not start.

use certgate::config::{
    Config, ConfigErrors, Dialect, Environment, HEADER_MODE_UNCHECKED, HeaderName, Listen, Loaded,
    Places, Source, Warning,
};

fn load(env: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    let folder = tempfile::tempdir().expect("folder");
    let nowhere = folder.path().join("nowhere.toml");
    let places = Places { system: nowhere.clone(), working: nowhere, user: 0 };
    let env: Environment = env
        .iter()
        .map(|(key, value)| {
            let path = key.to_uppercase().replace('.', "__");
            (format!("CERTGATE_{path}"), (*value).to_owned())
        })
        .collect();
    Config::load_from(None, &env, &places)
}

fn refused(env: &[(&str, &str)], part: &str) {
    match load(env) {
        Ok(_) => panic!("{env:?} was accepted"),
        Err(errors) => {
            let text = errors.to_string();
            assert!(text.contains(part), "{env:?}: {text}");
        }
    }
}

/// A private file with a good secret.
fn secret_file() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(file.path(), "0123456789abcdef\n").expect("write");
    file
}

#[test]
fn auth_beyond_loopback_needs_a_check_of_who_asks() {
    let open = ("auth.listen", "0.0.0.0:9180");
    refused(&[open], "set proxy.trusted or proxy.secret_file");
    refused(&[("auth.listen", "[::]:9180")], "set proxy.trusted or proxy.secret_file");
    refused(&[open, ("proxy.trusted", "[]")], "set proxy.trusted or proxy.secret_file");
    load(&[open, ("proxy.trusted", "10.0.0.0/8")]).expect("trusted");
    let secret = secret_file();
    let path = secret.path().to_str().expect("path");
    load(&[open, ("proxy.secret_file", path)]).expect("secret");
    load(&[("ops.listen", "0.0.0.0:9181")]).expect("ops may listen anywhere");
}

#[test]
fn trusted_networks_on_a_unix_socket_are_refused_with_the_reason() {
    let env = [("auth.listen", "unix:/run/certgate/auth.sock"), ("proxy.trusted", "127.0.0.1")];
    refused(&env, "a unix socket has none");
}

#[test]
fn admin_on_tcp_needs_the_secret_even_on_loopback() {
    refused(&[("admin.listen", "127.0.0.1:9182")], "needs proxy.secret_file, on loopback too");
    refused(
        &[("admin.listen", "unix:/run/certgate/admin.sock"), ("admin.socket_mode", "0666")],
        "every local process",
    );
}

#[test]
fn a_dialect_without_a_verify_signal_needs_own_trust_and_a_known_caller() {
    let part = "does not say whether the certificate was verified";
    refused(&[("proxy.dialect", "traefik")], part);
    refused(&[("proxy.dialect", "caddy"), ("trust.mode", "own")], part);
    let anchors = ("trust.anchors", "/etc/certgate/ca.pem");
    for dialect in ["traefik", "caddy"] {
        let own = ("trust.mode", "own");
        let env = [("proxy.dialect", dialect), own, ("proxy.trusted", "10.0.0.1"), anchors];
        load(&env).expect("own trust and a known caller");
    }
    refused(&[("proxy.dialect", "caddy"), ("proxy.trusted", "10.0.0.1")], part);
    let nobody = ("proxy.trusted", "[]");
    refused(&[("proxy.dialect", "caddy"), ("trust.mode", "own"), nobody], part);
    // What is missing is told of once.
    for more in [&[][..], &[("trust.mode", "own"), anchors]] {
        let env = [&[("proxy.dialect", "traefik")], more].concat();
        let problems = load(&env).unwrap_err().to_string();
        assert_eq!(problems.matches("proxy.trusted or proxy.secret_file").count(), 1, "{problems}");
    }
    refused(
        &[("proxy.dialect", "caddy"), ("proxy.headers.verify", "X-Verified")],
        "no sign of verification to rename",
    );
}

#[test]
fn own_verification_needs_anchors_and_to_know_who_asks() {
    let anchors = ("trust.anchors", "/etc/certgate/ca.pem");
    let trusted = ("proxy.trusted", "127.0.0.1");
    for mode in ["both", "own"] {
        refused(&[("trust.mode", mode), trusted], "trust.anchors is empty");
    }
    refused(&[("trust.mode", "own"), anchors], "set proxy.trusted or proxy.secret_file");
    load(&[("trust.mode", "both"), anchors]).expect("the proxy vouches for possession");
    load(&[("trust.mode", "own"), anchors, trusted]).expect("own");
    load(&[("trust.anchors", "/etc/certgate/ca.pem")]).expect("for CRLs alone");
}

#[test]
fn a_dialect_brings_its_header_names() {
    let text = |name: &Option<HeaderName>| name.as_ref().map(|name| name.as_str().to_owned());
    let some = |name: &str| Some(name.to_owned());
    for (dialect, verify, used, certificate, chain) in [
        ("nginx", "x-ssl-client-verify", None, "x-ssl-client-cert", None),
        ("apache", "x-ssl-client-verify", None, "x-ssl-client-cert", None),
        ("haproxy", "x-ssl-client-verify", some("x-ssl-client-used"), "x-ssl-client-der", None),
        ("rfc9440", "x-ssl-client-verify", None, "client-cert", some("client-cert-chain")),
    ] {
        let loaded = load(&[("proxy.dialect", dialect)]).expect("load");
        let headers = &loaded.config.proxy.headers;
        assert_eq!(loaded.warnings, [], "{dialect}");
        assert_eq!(loaded.config.identity.source, Source::Certificate, "{dialect}");
        assert_eq!(text(&headers.verify), some(verify), "{dialect}");
        assert_eq!(text(&headers.used), used, "{dialect}");
        assert_eq!(text(&headers.certificate), some(certificate), "{dialect}");
        assert_eq!(text(&headers.chain), chain, "{dialect}");
    }
    let haproxy = ("proxy.dialect", "haproxy");
    refused(&[haproxy, ("proxy.headers.serial", "X-SSL-Client-Used")], "is also the name in");
    let rfc9440 = ("proxy.dialect", "rfc9440");
    refused(&[rfc9440, ("proxy.headers.verify", "Client-Cert-Chain")], "is also the name in");
    for dialect in [haproxy, rfc9440] {
        refused(&[dialect, ("identity.source", "headers")], "has no serial or DN header");
    }
}

#[test]
fn django_dialects_imply_headers() {
    for dialect in ["django-x509", "django-tls-certificate-auth", "django-ssl-auth"] {
        let loaded = load(&[("proxy.dialect", dialect)]).expect("load");
        assert_eq!(loaded.config.identity.source, Source::Headers, "{dialect}");
        assert_eq!(loaded.config.proxy.headers.certificate, None, "{dialect}");
        let unchecked = HEADER_MODE_UNCHECKED;
        assert_eq!(loaded.warnings, [Warning::HeaderMode { unchecked }], "{dialect}");
        load(&[("proxy.dialect", dialect), ("identity.source", "headers")]).expect("same");
        refused(
            &[("proxy.dialect", dialect), ("identity.source", "certificate")],
            "sends no certificate",
        );
    }
}

#[test]
fn header_mode_refuses_what_needs_the_certificate() {
    let mode = ("identity.source", "headers");
    let loaded = load(&[mode]).expect("load");
    assert_eq!(loaded.config.proxy.dialect, Dialect::Nginx);
    assert_eq!(loaded.config.proxy.headers.certificate, None);
    for (key, value) in [
        ("revocation.crl", "/etc/certgate/crl.pem"),
        ("trust.mode", "both"),
        ("trust.anchors", "/etc/certgate/ca.pem"),
        ("trust.intermediates", "/etc/certgate/ca.pem"),
        ("proxy.headers.certificate", "X-Cert"),
    ] {
        refused(&[mode, (key, value)], "needs the certificate");
    }
}

#[test]
fn header_names_are_valid_lower_case_and_distinct() {
    let loaded = load(&[("proxy.headers.verify", "SSL-Verify")]).expect("load");
    assert_eq!(loaded.config.proxy.headers.verify.expect("name").as_str(), "ssl-verify");
    refused(&[("proxy.headers.verify", "X-SSL-Client-Cert")], "is also the name in");
    refused(&[("proxy.headers.issuer", "x-ssl-client-s-dn")], "is also the name in");
    refused(&[("output.headers.name", "X-Remote-User")], "is also the name in");
    for name in
        ["X Y", "X:Y", "X\u{e4}", "X_Y", "Host", "X-Certgate-Secret", "X-Auth-Reason", "x\n"]
    {
        assert!(load(&[("output.headers.user", name)]).is_err(), "{name:?}");
        assert!(load(&[("proxy.headers.verify", name)]).is_err(), "{name:?}");
    }
}

#[test]
fn profiles_name_the_answers_headers() {
    let names = |env: &[(&str, &str)]| {
        let headers = load(env).expect("load").config.output.headers;
        [headers.user, headers.groups, headers.name, headers.email].map(|name| name.to_string())
    };
    assert_eq!(
        names(&[("output.profile", "remote"), ("output.headers.user", "X-User")]),
        ["x-user", "remote-groups", "remote-name", "remote-email"]
    );
    assert_eq!(
        names(&[("output.profile", "x-auth-request")]),
        [
            "x-auth-request-user",
            "x-auth-request-groups",
            "x-auth-request-preferred-username",
            "x-auth-request-email"
        ]
    );
}

#[test]
fn two_listeners_never_share_a_place() {
    refused(&[("ops.listen", "127.0.0.1:9180")], "is the same place as auth.listen");
    load(&[("auth.listen", "127.0.0.1:0"), ("ops.listen", "127.0.0.1:0")]).expect("free ports");
    let path = "unix:/run/certgate/one.sock";
    refused(&[("auth.listen", path), ("ops.listen", path)], "is the same place as auth.listen");
}

#[test]
fn addresses_are_numbers_or_localhost() {
    let listen = |text: &str| load(&[("ops.listen", text)]).map(|loaded| loaded.config.ops.listen);
    let loopback = "127.0.0.1:80".parse().expect("address");
    assert_eq!(listen("localhost:80").expect("localhost"), Listen::Tcp(loopback));
    assert_eq!(listen("[::1]:80").expect("IPv6").to_string(), "[::1]:80");
    let long = format!("unix:/{}", "x".repeat(107));
    let longest = format!("unix:/{}", "x".repeat(106));
    listen(&longest).expect("107 bytes");
    for text in [
        "example.com:80",
        ":80",
        "80",
        "127.0.0.1",
        "::1:80",
        "localhost",
        "localhost:x",
        "unix:relative",
        "unix:",
        "unix:/run/",
        "OFF",
        "127.0.0.1:99999",
        &long,
    ] {
        assert!(listen(text).is_err(), "{text}");
    }
}

#[test]
fn trusted_networks_say_what_they_mean() {
    let trusted = |text: &str| {
        let loaded = load(&[("proxy.trusted", text)])?;
        let networks = loaded.config.proxy.trusted.iter();
        Ok::<_, ConfigErrors>(networks.map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(trusted("10.0.0.1, fd00::/8").expect("networks"), ["10.0.0.1/32", "fd00::/8"]);
    assert_eq!(trusted("::ffff:10.0.0.1").expect("mapped"), ["10.0.0.1/32"]);
    for text in ["0.0.0.0/0", "::/0", "10.0.0.5/8", "::ffff:10.0.0.0/104", "proxy", "10.0.0.0/33"] {
        assert!(trusted(text).is_err(), "{text}");
    }
}

#[test]
fn single_values_out_of_range_are_refused() {
    for (key, value) in [
        ("auth.socket_mode", "660 "),
        ("auth.socket_mode", "0880"),
        ("auth.socket_mode", "1777"),
        ("auth.socket_mode", "+660"),
        ("auth.socket_group", "www data"),
        ("admin.group", "a,b"),
        ("admin.origin", "https://example.com/"),
        ("admin.origin", "example.com"),
        ("directory.max_staleness", "4s"),
        ("directory.max_staleness", "24"),
        ("directory.max_staleness", "400days"),
        ("directory.max_staleness", "Unlimited"),
        ("directory.wait_for_database", "yes"),
        ("database.url", "mysql://db/x"),
        ("identity.weak", "sha256"),
        ("identity.issuers", "/nowhere/ca.pem"),
        ("log.format", "xml"),
        ("log.filter", "certgate=loud"),
        ("output.group_separator", " "),
    ] {
        assert!(load(&[(key, value)]).is_err(), "{key} = {value:?}");
    }
}

#[test]
fn weak_kinds_without_an_issuer_are_warned_about_unless_issuers_are_named() {
    let weak = ("identity.weak", "issuer_subject,common_name,san_email");
    let warnings = load(&[weak]).expect("load").warnings;
    assert_eq!(warnings, [Warning::WeakWithoutIssuer { kinds: vec!["san_email", "common_name"] }]);
    let loaded = load(&[weak, ("identity.issuers", "CN=Example CA")]).expect("load");
    assert_eq!(loaded.warnings, []);
    let loaded = load(&[("proxy.legacy_dn", "true")]).expect("load");
    assert_eq!(loaded.warnings, [Warning::LegacyDn]);
}

#[test]
fn a_problem_is_one_line_whatever_the_value_is() {
    let errors = load(&[("log.format", "json\n\u{1b}[2J\u{202e}")]).expect_err("refused");
    assert_eq!(errors.0.len(), 1);
    let text = errors.to_string();
    assert!(!text.chars().any(|one| one.is_control() || one == '\u{202e}'), "{text:?}");
}
