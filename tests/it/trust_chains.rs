//! Chains made for it, each with one thing wrong: every one is denied, with the reason that fits.

use std::collections::BTreeMap;
use std::time::Duration;

use certgate::decide::{
    Chains, Decision, Options, Policy, Question, RequiredUsage, Trust, TrustPolicy, View, decide,
};
use certgate::directory::{Directory, Kind, Kinds, Rows, Settings};
use certgate::pki::{Certificate, TrustStore, UnixTime};
use certgate::proxy::{Presented, Shown};
use certgate::revocation::{Authorities, ChainMemory};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints,
    SanType, date_time_ymd,
};

type Authority = CertifiedIssuer<'static, KeyPair>;
type Change = fn(&mut CertificateParams);

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

fn authority(common_name: &str) -> CertificateParams {
    let mut params = params(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn client(common_name: &str) -> CertificateParams {
    let mut params = params(common_name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn parsed(der: &[u8]) -> Certificate {
    Certificate::from_der(der).unwrap()
}

fn leaf(params: CertificateParams, issuer: &Authority) -> Certificate {
    let key = KeyPair::generate().unwrap();
    parsed(params.signed_by(&key, issuer).unwrap().der())
}

/// root, two CAs below it, and a client: what is made here is changed where a test says so.
struct Made {
    root: Certificate,
    between: Vec<Certificate>,
    leaf: Certificate,
}

fn make(root: Change, upper: Change, lower: Change, end: Change) -> Made {
    let key = || KeyPair::generate().unwrap();
    let [mut r, mut u, mut l] = ["Root CA", "Upper CA", "Lower CA"].map(authority);
    let mut c = client("alice");
    root(&mut r);
    upper(&mut u);
    lower(&mut l);
    end(&mut c);
    let root = Authority::self_signed(r, key()).unwrap();
    let upper = Authority::signed_by(u, key(), &root).unwrap();
    let lower = Authority::signed_by(l, key(), &upper).unwrap();
    Made {
        root: parsed(root.der()),
        between: vec![parsed(lower.der()), parsed(upper.der())],
        leaf: leaf(c, &lower),
    }
}

fn no(_: &mut CertificateParams) {}

/// The code of the decision about this certificate; with a good chain it is only unmapped.
fn code(made: &Made, now: &str) -> &'static str {
    let store = TrustStore::new(vec![made.root.clone()], Vec::new()).unwrap();
    code_under(store, &made.leaf, &made.between, now)
}

fn code_under(
    store: TrustStore,
    leaf: &Certificate,
    sent: &[Certificate],
    now: &str,
) -> &'static str {
    let authorities = Authorities { store: store.into(), ..Authorities::default() };
    let directory = Directory::build(&Rows::default(), &Settings::default());
    let policy = Policy {
        kinds: Kinds::with_weak(&[Kind::IssuerSubject]),
        issuers: Vec::new(),
        max_staleness: None,
        trust: TrustPolicy { chains: Chains::Verified, revocation: None },
        usage: RequiredUsage::default(),
    };
    let memory = ChainMemory::default();
    let mut codes = BTreeMap::new();
    // Asked twice: what is remembered must not change the answer.
    for _ in 0..2 {
        let view = View {
            directory: Some(&directory),
            age: Duration::ZERO,
            now: UnixTime::parse_rfc3339(now).unwrap(),
            trust: Trust { authorities: Some(&authorities), memory: Some(&memory) },
            policy: &policy,
        };
        let mut shown = Shown::from(leaf.clone());
        shown.chain = sent.to_vec();
        let question = Question {
            options: Options::parse(""),
            proxy_is_trusted: true,
            presented: || Ok(Presented::Certificate(shown.into())),
        };
        let decision: Decision<'_> = decide(question, &view);
        codes.insert(decision.code(), ());
    }
    assert_eq!(codes.len(), 1, "{codes:?}");
    codes.into_keys().next().unwrap()
}

const NOW: &str = "2026-06-01T00:00:00Z";

#[test]
fn a_good_chain_of_three_authorities_gets_past() {
    assert_eq!(code(&make(no, no, no, no), NOW), "unmapped");
    let fits: Change = |root| root.is_ca = IsCa::Ca(BasicConstraints::Constrained(2));
    assert_eq!(code(&make(fits, no, no, no), NOW), "unmapped");
    let any: Change = |end| end.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    assert_eq!(code(&make(no, no, no, any), NOW), "unmapped");
}

#[test]
fn whatever_is_wrong_with_a_chain_is_denied_with_its_reason() {
    let expire: Change = |one| one.not_after = date_time_ymd(2026, 3, 1);
    let later: Change = |one| one.not_before = date_time_ymd(2026, 9, 1);
    let server: Change = |one| one.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let no_ca: Change = |one| one.is_ca = IsCa::ExplicitNoCa;
    let bare: Change = |one| one.is_ca = IsCa::NoCa;
    let no_sign: Change = |one| one.key_usages = vec![KeyUsagePurpose::CrlSign];
    let none_below: Change = |one| one.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let permit = |subtree| {
        Some(NameConstraints { permitted_subtrees: vec![subtree], excluded_subtrees: Vec::new() })
    };
    let only_dns: Change = |one| one.subject_alt_names = vec![dns("www.example.org")];
    let mail: Change = |one| {
        let address = DnType::CustomDnType(vec![1, 2, 840, 113549, 1, 9, 1]);
        one.distinguished_name.push(address, "alice@example.org");
    };
    let constrained = |subtree: GeneralSubtree, end: Change| {
        let mut made = make(no, no, no, no);
        let root = Authority::self_signed(authority("Root CA"), KeyPair::generate().unwrap());
        let root = root.unwrap();
        let mut upper = authority("Upper CA");
        upper.name_constraints = permit(subtree);
        let upper = Authority::signed_by(upper, KeyPair::generate().unwrap(), &root).unwrap();
        let mut end_params = client("alice");
        end(&mut end_params);
        made.root = parsed(root.der());
        made.between = vec![parsed(upper.der())];
        made.leaf = leaf(end_params, &upper);
        made
    };
    let domain = || GeneralSubtree::DnsName("example.com".to_owned());
    let mail_domain = || GeneralSubtree::Rfc822Name("example.com".to_owned());
    let directory = || GeneralSubtree::DirectoryName(name("Example"));
    let table = [
        ("expired intermediate", make(no, no, expire, no), "chain_untrusted"),
        ("intermediate from the future", make(no, later, no, no), "chain_untrusted"),
        ("expired anchor", make(expire, no, no, no), "chain_untrusted"),
        ("CA:FALSE in between", make(no, no, no_ca, no), "chain_untrusted"),
        ("no basic constraints in between", make(no, no, bare, no), "chain_untrusted"),
        ("a CA without keyCertSign", make(no, no, no_sign, no), "chain_untrusted"),
        ("path length of a CA", make(no, none_below, no, no), "chain_untrusted"),
        ("path length of the anchor", make(none_below, no, no, no), "chain_untrusted"),
        ("a CA for servers only", make(no, no, server, no), "chain_untrusted"),
        ("name constraint", constrained(domain(), only_dns), "chain_untrusted"),
        ("mail constraint over emailAddress", constrained(mail_domain(), mail), "chain_untrusted"),
        ("directory constraint", constrained(directory(), no), "chain_untrusted"),
        ("a server's certificate", make(no, no, no, server), "usage_not_allowed"),
        (
            "a CA's certificate",
            make(no, no, no, |end| end.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            "usage_not_allowed",
        ),
        ("expired", make(no, no, no, expire), "certificate_expired"),
        ("not yet valid", make(no, no, no, later), "certificate_not_yet_valid"),
    ];
    for (what, made, expected) in table {
        assert_eq!(code(&made, NOW), expected, "{what}");
    }
    assert_eq!(code(&constrained(mail_domain(), no), NOW), "unmapped");
    assert_eq!(
        code(&constrained(domain(), |one| one.subject_alt_names = vec![dns("a.example.com")]), NOW),
        "unmapped"
    );
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.to_owned().try_into().unwrap())
}

#[test]
fn a_missing_authority_and_somebody_elses_are_denied() {
    let mut made = make(no, no, no, no);
    let other = make(no, no, no, no);
    assert_eq!(code(&Made { between: Vec::new(), ..make(no, no, no, no) }, NOW), "chain_untrusted");
    made.between.remove(0);
    assert_eq!(code(&made, NOW), "chain_untrusted");
    // The same names, other keys: the CAs that come with it are nobody's word.
    assert_eq!(code(&Made { root: other.root.clone(), ..made }, NOW), "chain_untrusted");
    let foreign = make(no, no, no, no);
    let mixed = Made { between: other.between.clone(), root: other.root, leaf: foreign.leaf };
    assert_eq!(code(&mixed, NOW), "chain_untrusted");
    let nobody = TrustStore::default();
    assert_eq!(code_under(nobody, &foreign.between[0], &[], NOW), "usage_not_allowed");
}

#[test]
fn a_self_signed_certificate_with_a_known_subject_or_a_known_issuers_name_is_denied() {
    let made = make(no, no, no, no);
    let own_key = KeyPair::generate().unwrap();
    for subject in ["alice", "Root CA"] {
        let own = parsed(client(subject).self_signed(&own_key).unwrap().der());
        let forged = Made { root: made.root.clone(), between: made.between.clone(), leaf: own };
        assert_eq!(code(&forged, NOW), "chain_untrusted", "{subject}");
    }
}

#[test]
fn configured_intermediates_complete_a_chain_and_what_is_no_ca_is_not_taken() {
    let made = make(no, no, no, no);
    let store = TrustStore::new(vec![made.root.clone()], made.between.clone()).unwrap();
    assert_eq!(code_under(store, &made.leaf, &[], NOW), "unmapped");
    assert!(TrustStore::new(vec![made.leaf.clone()], Vec::new()).is_err());
    assert!(TrustStore::new(vec![made.root], vec![made.leaf]).is_err());
}

#[test]
fn a_remembered_chain_ends_with_its_first_certificate_that_ends() {
    let made = make(no, no, |one| one.not_after = date_time_ymd(2026, 7, 1), no);
    let store = TrustStore::new(vec![made.root.clone()], Vec::new()).unwrap();
    let memory = ChainMemory::default();
    let at = |text| UnixTime::parse_rfc3339(text).unwrap();
    let ask = |now| memory.verify(&store, 1, &made.leaf, &made.between, at(now)).is_ok();
    assert!(ask("2026-06-30T23:59:59Z"));
    assert!(ask("2026-07-01T00:00:00Z"));
    assert!(!ask("2026-07-01T00:00:01Z"));
    assert!(ask("2026-06-30T23:59:59Z"));
    // Remembered means without what was sent; another set of anchors is another question.
    assert!(memory.verify(&store, 1, &made.leaf, &[], at(NOW)).is_ok());
    assert!(memory.verify(&store, 2, &made.leaf, &[], at(NOW)).is_err());
}
