//! What one question costs, piece by piece: read a certificate, derive its columns, find its user,
//! decide. `cargo bench --bench hot_path`; the whole service is measured by `benches/side-by-side`.

#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use certgate::decide::{
    Options, Policy, Question, RequiredUsage, Trust, TrustPolicy, View, decide,
};
use certgate::directory::row::{GroupRow, MappingRow, PatternRow, UserRow};
use certgate::directory::{Directory, Kind, Kinds, Rows, Settings};
use certgate::metrics::Metrics;
use certgate::pki::{Certificate, Identity, SerialNumber, SlashForm, UnixTime};
use certgate::proxy::{
    ChainsBy, Dialect, HeaderNames, Headers, Memory, Presented, Reader, Shown, Source,
    percent_decode_strict,
};
use certgate::seen::{Denied, Sampler};
use certgate::store::DatabaseUrl;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// An RSA-2048 certificate with the extensions that clients' certificates have; its key was thrown
/// away.
const ALICE: &[u8] = include_bytes!("alice.pem");

/// 2027-01-01, within its validity.
const NOW: UnixTime = UnixTime::from_seconds(1_798_761_600);

/// Users with one mapping each, alice's among them.
const SIZES: [u64; 3] = [10, 10_000, 1_000_000];

struct Request(Vec<(&'static str, String)>);

impl Headers for Request {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (*name, value.as_bytes()))
    }
}

impl Request {
    /// As the shipped nginx files send it.
    fn new() -> Self {
        let pem = std::str::from_utf8(ALICE).expect("PEM is ASCII").trim_end();
        let certificate = utf8_percent_encode(pem, NON_ALPHANUMERIC).to_string();
        Self(vec![
            ("host", "certgate".to_owned()),
            ("x-ssl-client-verify", "SUCCESS".to_owned()),
            ("x-ssl-client-cert", certificate),
            ("x-request-id", "0123456789abcdef0123456789abcdef".to_owned()),
            ("x-real-ip", "192.0.2.1".to_owned()),
            ("x-original-host", "example.com".to_owned()),
        ])
    }
}

fn alice() -> Certificate {
    Certificate::from_pem(ALICE).expect("alice.pem is a certificate")
}

fn reader() -> Reader {
    let name = |name: &str| Some(name.to_owned());
    Reader {
        dialect: Dialect::Nginx,
        names: HeaderNames {
            verify: name("x-ssl-client-verify"),
            certificate: name("x-ssl-client-cert"),
            serial: name("x-ssl-client-serial"),
            subject: name("x-ssl-client-s-dn"),
            issuer: name("x-ssl-client-i-dn"),
            ..HeaderNames::default()
        },
        source: Source::Certificate,
        slash_form: SlashForm::Refuse,
        chains: ChainsBy::Proxy,
    }
}

fn user(username: String) -> UserRow {
    UserRow {
        username: username.into_bytes(),
        display_name: Some(b"Alice Dupont".to_vec()),
        email: Some(b"alice@example.com".to_vec()),
        origin: b"operator".to_vec(),
        mapped_only: 0,
        enabled: 1,
        valid_from: None,
        valid_until: None,
    }
}

/// Users user1, user2, ... by issuer and serial, alice the last of them.
fn directory(size: u64) -> Directory {
    let certificate = alice();
    let issuer = certificate.issuer.to_exact_text();
    let mut rows = Rows::default();
    for number in 1..=size {
        let (username, serial) = match number {
            last if last == size => ("alice".to_owned(), certificate.serial.to_string()),
            other => (format!("user{other}"), format!("{other:x}")),
        };
        rows.mappings.push(MappingRow {
            id: i64::try_from(number).expect("a million fits"),
            username: username.clone().into_bytes(),
            pattern: PatternRow {
                issuer: Some(issuer.clone().into_bytes()),
                serial: Some(serial.into_bytes()),
                ..PatternRow::default()
            },
            enabled: 1,
            valid_from: None,
            valid_until: None,
            revoked_at: None,
            revoked_reason: None,
            note: None,
        });
        rows.users.push(user(username));
    }
    for group in ["ops", "staff"] {
        let group_name = group.into();
        rows.groups.push(GroupRow { username: b"alice".to_vec(), group_name });
    }
    let directory = Directory::build(&rows, &Settings::default());
    assert!(directory.unusable().is_empty());
    directory
}

/// The mapped certificate's columns, and those of one that nobody mapped.
fn identities() -> [(&'static str, Identity); 2] {
    let mapped = Identity::from_certificate(&alice());
    let serial = SerialNumber::parse("FFFFFFFFFFFF").expect("it is a serial");
    let unmapped = Identity { serial: Some(serial), ..mapped.clone() };
    [("mapped", mapped), ("unmapped", unmapped)]
}

fn parse(criterion: &mut Criterion) {
    let request = Request::new();
    let header = request.0.iter().find(|line| line.0 == "x-ssl-client-cert");
    let header = header.map(|line| line.1.as_bytes()).expect("it was put there");
    let mut group = criterion.benchmark_group("parse");
    group.bench_function("percent_decode", |bencher| {
        bencher.iter(|| percent_decode_strict(black_box(header)));
    });
    group.bench_function("pem_to_shown", |bencher| {
        bencher.iter(|| Certificate::from_pem(black_box(ALICE)).map(Shown::from));
    });
    let reader = reader();
    group.bench_function("headers_first_time", |bencher| {
        bencher.iter(|| reader.read(black_box(&request), &mut Memory::default()));
    });
    let mut memory = Memory::default();
    group.bench_function("headers_remembered", |bencher| {
        bencher.iter(|| reader.read(black_box(&request), &mut memory));
    });
    group.finish();
}

fn identify(criterion: &mut Criterion) {
    let certificate = alice();
    criterion.bench_function("identify", |bencher| {
        bencher.iter(|| Identity::from_certificate(black_box(&certificate)));
    });
}

fn find_and_decide(criterion: &mut Criterion) {
    let policy = Policy {
        kinds: Kinds::with_weak(&[Kind::IssuerSubject]),
        issuers: Vec::new(),
        max_staleness: Some(Duration::from_secs(60)),
        trust: TrustPolicy::default(),
        usage: RequiredUsage::default(),
    };
    for size in SIZES {
        let directory = directory(size);
        let view = View {
            directory: Some(&directory),
            age: Duration::ZERO,
            now: NOW,
            trust: Trust::default(),
            policy: &policy,
        };
        for (whose, identity) in identities() {
            let id = format!("{whose}/{size}");
            criterion.bench_with_input(BenchmarkId::new("find", &id), &identity, |bencher, one| {
                bencher.iter(|| directory.find(black_box(one), NOW, policy.kinds));
            });
            let mut shown = Shown::from(alice());
            shown.identity = identity;
            let presented = Presented::Certificate(Arc::new(shown));
            let id = BenchmarkId::new("decide", &id);
            criterion.bench_with_input(id, &presented, |bencher, presented| {
                bencher.iter(|| {
                    let question = Question {
                        options: Options::parse(black_box("require=group:ops")),
                        proxy_is_trusted: true,
                        presented: || Ok(presented.clone()),
                    };
                    decide(question, &view).code()
                });
            });
        }
    }
}

/// What an answer costs more because it is told of: the usual one, which is not told again, and a
/// denial over the budget.
fn seen(criterion: &mut Criterion) {
    let metrics = Metrics::new(&[], "0.0.0", Duration::ZERO);
    let url = DatabaseUrl::parse("sqlite://nowhere.db").expect("it is a URL");
    let (seen, _writer) = certgate::seen::seen(url, metrics);
    let sampler = Sampler::new(seen);
    let alice = Arc::new(Shown::from(alice()));
    let now = Instant::now();
    let mut group = criterion.benchmark_group("seen");
    group.bench_function("certificate", |bencher| {
        bencher.iter(|| sampler.certificate(black_box(&alice), "mapped", Some("alice"), now));
    });
    group.bench_function("denial_over_budget", |bencher| {
        bencher.iter(|| {
            let sha256 = black_box(alice.certificate.sha256);
            sampler.denied(Some(sha256), now, || Denied {
                at: now,
                code: "unmapped",
                certificate: Some(sha256),
                host: None,
                request_id: None,
                peer: None,
            });
        });
    });
    group.finish();
}

criterion_group! {
    name = hot_path;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .without_plots();
    targets = parse, identify, find_and_decide, seen
}
criterion_main!(hot_path);
