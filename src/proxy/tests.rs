//! Every dialect over what real proxies send (`tests/golden`), and over what anybody could.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::sent::Sent;
use super::{ChainsBy, Dialect, HeaderNames, Headers, Memory, Presented, Reader, Source};
use crate::pki::{Certificate, SlashForm};
use crate::reason::DenyReason;

/// Header lines, names in lower case.
#[derive(Clone, Debug)]
struct Request(Vec<(String, Vec<u8>)>);

impl Headers for Request {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

impl Request {
    fn new(lines: &[(&str, &str)]) -> Self {
        Self(lines.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    fn golden(file: &str) -> Self {
        let text = fs::read_to_string(golden().join(file)).unwrap();
        let lines = text.lines().map(|line| line.split_once(':').unwrap());
        Self(lines.map(|(name, value)| (name.to_lowercase(), value.trim().into())).collect())
    }

    fn value(&self, name: &str) -> &[u8] {
        &self.0.iter().find(|(other, _)| other == name).unwrap().1
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn certificate(name: &str) -> Certificate {
    let pem = fs::read(golden().join(format!("certificates/{name}.pem"))).unwrap();
    Certificate::from_pem(&pem).unwrap()
}

fn names(dialect: Dialect) -> HeaderNames {
    let some = |name: &str| Some(name.to_owned());
    let verify = some("x-ssl-client-verify");
    match dialect {
        Dialect::Apache | Dialect::Nginx => HeaderNames {
            verify,
            certificate: some("x-ssl-client-cert"),
            serial: some("x-ssl-client-serial"),
            subject: some("x-ssl-client-s-dn"),
            issuer: some("x-ssl-client-i-dn"),
            ..HeaderNames::default()
        },
        Dialect::Caddy => {
            HeaderNames { certificate: some("x-client-cert"), ..HeaderNames::default() }
        }
        Dialect::Haproxy => HeaderNames {
            verify,
            used: some("x-ssl-client-used"),
            certificate: some("x-ssl-client-der"),
            ..HeaderNames::default()
        },
        Dialect::Rfc9440 => HeaderNames {
            verify,
            certificate: some("client-cert"),
            chain: some("client-cert-chain"),
            ..HeaderNames::default()
        },
        Dialect::Traefik => HeaderNames {
            certificate: some("x-forwarded-tls-client-cert"),
            ..HeaderNames::default()
        },
    }
}

fn reader(dialect: Dialect, source: Source) -> Reader {
    Reader {
        dialect,
        names: names(dialect),
        source,
        slash_form: SlashForm::Refuse,
        chains: ChainsBy::Proxy,
    }
}

/// The certificate and its chain, or nobody, or why not.
type Read = Result<Option<Vec<Certificate>>, DenyReason>;

fn read(dialect: Dialect, request: &Request, memory: &mut Memory) -> Read {
    reader(dialect, Source::Certificate).read(request, memory).map(|presented| match presented {
        Presented::Nobody => None,
        Presented::Certificate(shown) => {
            let leaf = std::iter::once(shown.certificate.clone());
            Some(leaf.chain(shown.chain.iter().cloned()).collect())
        }
        Presented::Headers(_) => panic!("not asked for"),
    })
}

#[test]
fn whoever_verifies_chains_alone_takes_an_unknown_issuer_or_no_word_and_nothing_else() {
    let own = |dialect, file: &str| {
        let reader = Reader { chains: ChainsBy::Us, ..reader(dialect, Source::Certificate) };
        let read = reader.read(&Request::golden(file), &mut Memory::default());
        read.map(|presented| matches!(presented, Presented::Certificate(_)))
    };
    for (dialect, file, expected) in [
        (Dialect::Nginx, "nginx/success.txt", Ok(true)),
        (Dialect::Nginx, "nginx/untrusted.txt", Ok(true)),
        (Dialect::Apache, "apache/untrusted_optional_no_ca.txt", Ok(true)),
        (Dialect::Haproxy, "haproxy/untrusted.txt", Ok(true)),
        (Dialect::Caddy, "caddy/success.txt", Ok(true)),
        (Dialect::Caddy, "caddy/untrusted.txt", Ok(true)),
        (Dialect::Caddy, "caddy/none.txt", Ok(false)),
        (Dialect::Traefik, "traefik/success_3.txt", Ok(true)),
        (Dialect::Traefik, "traefik/success_2.9.3.txt", Ok(true)),
        (Dialect::Nginx, "nginx/none.txt", Ok(false)),
        (Dialect::Nginx, "nginx/expired.txt", Err(DenyReason::CertificateExpired)),
        (Dialect::Nginx, "nginx/not_yet_valid.txt", Err(DenyReason::CertificateNotYetValid)),
        (Dialect::Nginx, "nginx/revoked.txt", Err(DenyReason::CertificateRevoked)),
    ] {
        assert_eq!(own(dialect, file), expected, "{file}");
    }
}

fn golden_read(dialect: Dialect, file: &str) -> Read {
    read(dialect, &Request::golden(file), &mut Memory::default())
}

#[test]
fn what_each_proxy_sends_is_read_as_it_is_meant() {
    use Dialect::{Apache, Haproxy, Nginx, Rfc9440};
    let alice = || Ok(Some(vec![certificate("success")]));
    let chain = ["success", "intermediate", "root"].map(certificate);
    let table: [(Dialect, &str, Read); 25] = [
        (Nginx, "nginx/success.txt", alice()),
        (Nginx, "nginx/none.txt", Ok(None)),
        (Nginx, "nginx/expired.txt", Err(DenyReason::CertificateExpired)),
        (Nginx, "nginx/not_yet_valid.txt", Err(DenyReason::CertificateNotYetValid)),
        (Nginx, "nginx/revoked.txt", Err(DenyReason::CertificateRevoked)),
        (Nginx, "nginx/untrusted.txt", Err(DenyReason::ChainUntrusted)),
        (Apache, "apache/success.txt", alice()),
        (Apache, "apache/success_spaces.txt", alice()),
        (Apache, "apache/none.txt", Ok(None)),
        (Apache, "apache/none_spaces.txt", Ok(None)),
        (Apache, "apache/without_tls.txt", Ok(None)),
        (Apache, "apache/untrusted_optional_no_ca.txt", Err(DenyReason::ChainUntrusted)),
        (Haproxy, "haproxy/success.txt", alice()),
        (Haproxy, "haproxy/none.txt", Ok(None)),
        (Haproxy, "haproxy/expired.txt", Err(DenyReason::CertificateExpired)),
        (Haproxy, "haproxy/not_yet_valid.txt", Err(DenyReason::CertificateNotYetValid)),
        (Haproxy, "haproxy/revoked.txt", Err(DenyReason::CertificateRevoked)),
        (Haproxy, "haproxy/untrusted.txt", Err(DenyReason::ChainUntrusted)),
        (Rfc9440, "rfc9440/success_caddy.txt", alice()),
        (Rfc9440, "rfc9440/success_chain.txt", Ok(Some(chain.into()))),
        (Rfc9440, "rfc9440/none.txt", Ok(None)),
        (Rfc9440, "rfc9440/none_caddy.txt", Err(DenyReason::MalformedHeader)),
        (Rfc9440, "rfc9440/untrusted.txt", Err(DenyReason::ChainUntrusted)),
        // Another dialect's success is none.
        (Nginx, "apache/without_tls.txt", Err(DenyReason::MalformedHeader)),
        (Nginx, "haproxy/none.txt", Err(DenyReason::NotVerified)),
    ];
    for (dialect, file, expected) in table {
        assert_eq!(golden_read(dialect, file), expected, "{dialect:?} {file}");
    }
}

#[test]
fn a_dialect_without_a_word_about_verification_lets_nobody_in_on_its_own() {
    for (dialect, file, expected) in [
        (Dialect::Caddy, "caddy/none.txt", Ok(None)),
        (Dialect::Caddy, "caddy/success.txt", Err(DenyReason::NotVerified)),
        (Dialect::Caddy, "caddy/untrusted.txt", Err(DenyReason::NotVerified)),
        (Dialect::Traefik, "traefik/success_3.txt", Err(DenyReason::NotVerified)),
        (Dialect::Traefik, "traefik/success_2.9.3.txt", Err(DenyReason::NotVerified)),
    ] {
        assert_eq!(golden_read(dialect, file), expected, "{file}");
    }
}

#[test]
fn the_certificates_of_a_dialect_without_such_a_word_are_read_all_the_same() {
    let caddy = "x-client-cert";
    let traefik = "x-forwarded-tls-client-cert";
    for (dialect, header, file, expected) in [
        (Dialect::Caddy, caddy, "caddy/success.txt", &["success"][..]),
        (Dialect::Caddy, caddy, "caddy/untrusted.txt", &["untrusted"]),
        (Dialect::Traefik, traefik, "traefik/success_3.txt", &["success", "intermediate"]),
        (Dialect::Traefik, traefik, "traefik/success_2.9.3.txt", &["success", "intermediate"]),
    ] {
        let request = Request::golden(file);
        let shown = dialect.decode(request.value(header)).unwrap().parse().unwrap();
        let mut all = vec![shown.certificate];
        all.extend(shown.chain);
        let expected: Vec<_> = expected.iter().map(|name| certificate(name)).collect();
        assert_eq!(all, expected, "{file}");
    }
}

#[test]
fn one_bad_certificate_of_a_chain_refuses_all() {
    let leaf = certificate("success").der.to_vec();
    let mut longer = certificate("intermediate").der.to_vec();
    longer.push(0);
    for bad in [vec![0x30, 0], longer] {
        let sent = Sent::Der { leaf: leaf.clone(), chain: vec![leaf.clone(), bad] };
        assert_eq!(sent.parse().unwrap_err(), DenyReason::CertificateMalformed);
    }
    let large = Sent::Der { leaf, chain: vec![vec![0x30; 40 * 1024]] };
    assert_eq!(large.parse().unwrap_err(), DenyReason::CertificateTooLarge);
}

#[test]
fn generous_is_no_success() {
    let mut request = Request::golden("apache/success.txt");
    request.0.iter_mut().find(|(name, _)| name == "x-ssl-client-verify").unwrap().1 =
        b"GENEROUS".to_vec();
    let read = read(Dialect::Apache, &request, &mut Memory::default());
    assert_eq!(read, Err(DenyReason::NotVerified));
}

#[test]
fn haproxys_zero_without_a_used_certificate_is_no_success() {
    for used in [None, Some("0"), Some("")] {
        let mut request = Request::golden("haproxy/success.txt");
        request.0.retain(|(name, _)| name != "x-ssl-client-used");
        request.0.extend(used.map(|used| ("x-ssl-client-used".to_owned(), used.into())));
        let read = read(Dialect::Haproxy, &request, &mut Memory::default());
        assert_eq!(read, Err(DenyReason::NotVerified), "{used:?}");
    }
}

/// A good request of each dialect that can say success.
const GOOD: [(Dialect, &str); 4] = [
    (Dialect::Apache, "apache/success.txt"),
    (Dialect::Haproxy, "haproxy/success.txt"),
    (Dialect::Nginx, "nginx/success.txt"),
    (Dialect::Rfc9440, "rfc9440/success_chain.txt"),
];

#[test]
fn a_security_header_counts_once_and_a_chain_may_have_lines() {
    for (dialect, file) in GOOD {
        let good = Request::golden(file);
        assert!(read(dialect, &good, &mut Memory::default()).is_ok(), "{file}");
        for (name, value) in &good.0 {
            for second in [value.clone(), Vec::new(), b"x".to_vec()] {
                let mut request = good.clone();
                request.0.insert(0, (name.clone(), second.clone()));
                let read = read(dialect, &request, &mut Memory::default());
                let harmless = name == "client-cert-chain" && second != b"x";
                assert_eq!(read.is_ok(), harmless, "{file}: {name} twice");
            }
        }
    }
}

#[test]
fn a_chain_without_its_certificate_is_neither_nobody_nor_somebody() {
    let mut request = Request::golden("rfc9440/success_chain.txt");
    request.0.retain(|(name, _)| name != "client-cert");
    let once = read(Dialect::Rfc9440, &request, &mut Memory::default());
    assert_eq!(once, Err(DenyReason::CertificateMalformed));
    request.0.retain(|(name, _)| name != "x-ssl-client-verify");
    let once = read(Dialect::Rfc9440, &request, &mut Memory::default());
    assert_eq!(once, Err(DenyReason::NotVerified));
}

#[test]
fn what_cannot_be_decoded_is_malformed_before_it_is_unverified() {
    for (dialect, lines) in [
        (Dialect::Nginx, [("x-ssl-client-verify", "FAILED:x"), ("x-ssl-client-cert", "%")]),
        (Dialect::Haproxy, [("x-ssl-client-verify", "10"), ("x-ssl-client-der", "%")]),
        (Dialect::Rfc9440, [("x-ssl-client-verify", ""), ("client-cert", "MAA=")]),
        (Dialect::Caddy, [("x-ssl-client-verify", "SUCCESS"), ("x-client-cert", ":MAA=:")]),
    ] {
        let once = read(dialect, &Request::new(&lines), &mut Memory::default());
        assert_eq!(once, Err(DenyReason::MalformedHeader), "{dialect:?}");
    }
}

/// Values that some dialect takes for something, whole or in part.
fn values() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = [
        "",
        "SUCCESS",
        "NONE",
        "GENEROUS",
        "FAILED:certificate has expired",
        "0",
        "1",
        "10",
        "(null)",
        "SUCCESS, SUCCESS",
        "success",
        "A1B2C3D4E5F60718",
        "01",
        "CN=alice",
        ":MAA=:",
        "{http.request.tls.client.certificate_der_base64}",
        "%",
        "\u{e9}",
        "\n",
        "a\nb",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    for folder in ["apache", "caddy", "haproxy", "nginx", "rfc9440", "traefik"] {
        for file in fs::read_dir(golden().join(folder)).unwrap() {
            let file = format!("{folder}/{}", file.unwrap().file_name().to_str().unwrap());
            values.extend(Request::golden(&file).0.into_iter().map(|(_, value)| value));
        }
    }
    values.sort();
    values.dedup();
    values
}

/// Every header name of every dialect.
fn all_names() -> Vec<String> {
    let mut all = Vec::new();
    for dialect in Dialect::ALL {
        let names = names(*dialect);
        let parts = [
            names.verify,
            names.used,
            names.certificate,
            names.chain,
            names.serial,
            names.subject,
            names.issuer,
        ];
        all.extend(parts.into_iter().flatten());
    }
    all.sort();
    all.dedup();
    all
}

fn request() -> impl Strategy<Value = Request> {
    let value = prop_oneof![
        9 => prop::sample::select(values()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    let line = (prop::sample::select(all_names()), value);
    prop::collection::vec(line, 0..7).prop_map(Request)
}

/// A good request of its dialect, with lines of another one put in, taken out or put in place.
fn nearly_good() -> impl Strategy<Value = (Dialect, Request)> {
    let keep = prop_oneof![2 => Just(u8::MAX), 1 => any::<u8>()];
    (prop::sample::select(&GOOD[..]), request(), keep, any::<bool>()).prop_map(
        |((dialect, file), other, keep, replaces)| {
            let mut lines = Request::golden(file).0;
            let mut place = 0;
            lines.retain(|(name, _)| {
                place += 1;
                let replaced = replaces && other.0.iter().any(|(same, _)| same == name);
                keep & (1 << (place % 8)) != 0 && !replaced
            });
            lines.extend(other.0);
            (dialect, Request(lines))
        },
    )
}

/// The exact success of a dialect, said a second time and independently of its code.
fn says_success(dialect: Dialect, request: &Request) -> bool {
    let mut said: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
    for (name, value) in request.lines() {
        said.entry(name).or_default().push(value);
    }
    let is = |name: &str, wanted: &[u8]| said.get(name).is_some_and(|all| all == &[wanted]);
    match dialect {
        Dialect::Apache | Dialect::Nginx | Dialect::Rfc9440 => {
            is("x-ssl-client-verify", b"SUCCESS")
        }
        Dialect::Haproxy => is("x-ssl-client-used", b"1") && is("x-ssl-client-verify", b"0"),
        Dialect::Caddy | Dialect::Traefik => false,
    }
}

fn check_never_somebody_without_success(dialect: Dialect, request: &Request) {
    for source in [Source::Certificate, Source::Headers] {
        let mut memory = Memory::default();
        let presented = reader(dialect, source).read(request, &mut memory);
        let somebody = matches!(presented, Ok(Presented::Certificate(_) | Presented::Headers(_)));
        assert!(!somebody || says_success(dialect, request), "{dialect:?} {source:?} {request:?}");
        // Nobody is only who sent nothing of a certificate: no request without one that is let in
        // by `certificate=optional` ever carried one.
        if matches!(presented, Ok(Presented::Nobody)) {
            let certificate = names(dialect).certificate.unwrap();
            let sent = request.0.iter().find(|(name, _)| *name == certificate);
            let nothing = |value: &Vec<u8>| value.is_empty() || *value == dialect.nothing();
            assert!(sent.is_none_or(|(_, value)| nothing(value)), "{dialect:?} {request:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_headers_without_an_exact_success_make_somebody(request in request()) {
        for dialect in Dialect::ALL {
            check_never_somebody_without_success(*dialect, &request);
        }
    }

    #[test]
    fn no_good_request_with_a_flaw_makes_somebody((dialect, request) in nearly_good()) {
        check_never_somebody_without_success(dialect, &request);
    }

    #[test]
    fn no_bytes_make_a_dialect_panic(material in prop::collection::vec(any::<u8>(), 0..300)) {
        for dialect in Dialect::ALL {
            if let Ok(sent) = dialect.decode(&material) {
                let _ = sent.parse();
            }
        }
    }

    #[test]
    fn what_was_remembered_never_changes_an_answer(
        requests in prop::collection::vec(nearly_good(), 1..12)
    ) {
        let mut memories: Vec<_> = Dialect::ALL.iter().map(|_| Memory::default()).collect();
        for (dialect, request) in &requests {
            let index = Dialect::ALL.iter().position(|one| one == dialect).unwrap();
            let remembered = read(*dialect, request, &mut memories[index]);
            prop_assert_eq!(remembered, read(*dialect, request, &mut Memory::default()));
        }
    }
}

#[test]
fn a_chain_is_remembered_with_its_leaf_and_line_by_line() {
    let mut memory = Memory::default();
    let whole = Request::golden("rfc9440/success_chain.txt");
    let mut shorter = whole.clone();
    shorter.0.pop();
    let mut joined = shorter.clone();
    let last = [whole.0[2].1.clone(), whole.0[3].1.clone()].join(&b", "[..]);
    joined.0[2].1 = last;
    // Bytes that no proxy can send in one header, and that look like those of several.
    let mut alike = shorter.clone();
    let chain = alike.0.pop().unwrap().1;
    alike.0[1].1 = [alike.0[1].1.clone(), chain].join(&b'\n');
    let count = |read: Read| read.unwrap().unwrap().len();
    for _ in 0..2 {
        assert_eq!(count(read(Dialect::Rfc9440, &whole, &mut memory)), 3);
        assert_eq!(count(read(Dialect::Rfc9440, &shorter, &mut memory)), 2);
        assert_eq!(count(read(Dialect::Rfc9440, &joined, &mut memory)), 3);
        let alike = read(Dialect::Rfc9440, &alike, &mut memory);
        assert_eq!(alike.unwrap_err(), DenyReason::MalformedHeader);
    }
}
