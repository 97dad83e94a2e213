//! NIST's test suite for path validation and CRLs, with every difference listed with its reason.
//!
//! A chain that has to be refused and is not has no place in that list: such a test always fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use base64::Engine as _;
use certgate::decide::subjects;
use certgate::pki::{Certificate, SignedList, TrustStore, UnixTime};
use certgate::proxy::Shown;
use certgate::revocation::{Loader, Sources, Status};
use serde::Deserialize;

const CERTIFICATES: &str = include_str!("../fixtures/pkits/certs.pem");
const LISTS: &str = include_str!("../fixtures/pkits/crls.pem");
const EXCEPTIONS: &str = include_str!("../fixtures/pkits/exceptions.toml");
const ANCHOR: &str = "TrustAnchorRootCertificate";
/// Certificates of a chain that are tried; the longest of the suite has six.
const MAX_SENT: usize = 8;

#[derive(Deserialize)]
struct Exceptions {
    #[serde(default)]
    exception: Vec<Exception>,
}

/// Tests that differ for one reason.
#[derive(Deserialize)]
struct Exception {
    reason: String,
    tests: Vec<String>,
}

/// Blocks by the name that stands before each.
fn blocks(text: &str) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let (mut name, mut body) = (String::new(), String::new());
    for line in text.lines() {
        if line.starts_with("-----BEGIN ") {
            name.push_str(&body);
            body.clear();
        } else if line.starts_with("-----END ") {
            let der = base64::engine::general_purpose::STANDARD.decode(&body).unwrap();
            all.insert(std::mem::take(&mut name), der);
            body.clear();
        } else {
            body.push_str(line);
        }
    }
    all
}

struct Suite {
    certificates: BTreeMap<String, Vec<u8>>,
    authorities: Vec<Certificate>,
    lists: BTreeMap<String, Vec<u8>>,
    anchor: Certificate,
    now: UnixTime,
}

impl Suite {
    fn read() -> Self {
        let certificates = blocks(CERTIFICATES);
        let authorities = certificates.iter().filter(|(name, _)| !name.ends_with("EE"));
        let authorities = authorities.filter_map(|(_, der)| Certificate::from_der(der).ok());
        Self {
            authorities: authorities.collect(),
            lists: blocks(LISTS),
            anchor: Certificate::from_der(&certificates[ANCHOR]).unwrap(),
            certificates,
            now: UnixTime::parse_rfc3339("2026-06-01T00:00:00Z").unwrap(),
        }
    }

    /// Whether the certificate comes in; if not, why.
    fn verdict(&self, name: &str) -> Result<(), String> {
        let leaf = Certificate::from_der(&self.certificates[name]).map_err(|e| e.to_string())?;
        let above = self.above(&leaf);
        let store = TrustStore::new(vec![self.anchor.clone()], Vec::new()).unwrap();
        let chain = store.verify(&leaf, &above, self.now).map_err(|e| format!("chain: {e}"))?;
        let folder = tempfile::tempdir().unwrap();
        self.write_lists(&above, folder.path());
        let mut loader =
            Loader::new(Sources { crl: vec![folder.path().to_owned()], ..Sources::default() });
        loader.look(self.now);
        let shown = Shown::from(leaf);
        for subject in subjects(&shown, Some(&chain)) {
            let lists = &loader.authorities().lists;
            match lists.status(&subject, self.now, std::time::Duration::ZERO) {
                Status::Good(_) => {}
                other => {
                    let refused: Vec<_> = loader.problems().values().cloned().collect();
                    let status = format!("{other:?}");
                    let word = status.split(['(', ' ']).next().unwrap().to_owned();
                    return Err(format!("crl: {word}; {}", refused.join("; ")));
                }
            }
        }
        Ok(())
    }

    /// The CAs that may stand above a certificate, by their names.
    fn above(&self, leaf: &Certificate) -> Vec<Certificate> {
        let mut above: Vec<Certificate> = Vec::new();
        let mut at = 0;
        let mut below = leaf.clone();
        loop {
            let issuers = self.authorities.iter().filter(|one| one.subject == below.issuer);
            for issuer in issuers {
                if *issuer != self.anchor && !above.contains(issuer) && above.len() < MAX_SENT {
                    above.push(issuer.clone());
                }
            }
            let Some(next) = above.get(at) else { return above };
            below = next.clone();
            at += 1;
        }
    }

    /// The lists of these CAs, with the CAs' certificates beside them.
    fn write_lists(&self, above: &[Certificate], folder: &Path) {
        let authorities: Vec<&Certificate> = above.iter().chain([&self.anchor]).collect();
        for (number, one) in authorities.iter().enumerate() {
            fs::write(folder.join(format!("{number}.crt")), &one.der).unwrap();
        }
        for (name, der) in &self.lists {
            let Ok(list) = SignedList::from_der(der) else { continue };
            if authorities.iter().any(|one| one.subject.to_string() == list.issuer_text()) {
                fs::write(folder.join(format!("{name}.crl")), der).unwrap();
            }
        }
    }
}

#[test]
fn the_verdicts_of_pkits_hold_save_for_the_listed_ones() {
    let suite = Suite::read();
    let exceptions: Exceptions = toml::from_str(EXCEPTIONS).unwrap();
    let mut listed = BTreeMap::new();
    for exception in &exceptions.exception {
        for test in &exception.tests {
            assert_eq!(listed.insert(test.as_str(), &exception.reason), None, "{test}: twice");
        }
    }
    let mut wrong = Vec::new();
    let mut met = BTreeSet::new();
    let mut counts = (0, 0);
    for name in suite.certificates.keys().filter(|name| name.ends_with("EE")) {
        let verdict = suite.verdict(name);
        // Names with neither word are of section 4.8: their verdicts depend on policies alone.
        if name.starts_with("Invalid") {
            counts.0 += 1;
            if verdict.is_ok() {
                wrong.push(format!("{name}: ACCEPTED"));
            }
        } else if name.starts_with("Valid") {
            counts.1 += 1;
            match (verdict, listed.get(name.as_str())) {
                (Ok(()), None) => {}
                (Err(_), Some(_)) => drop(met.insert(name.as_str())),
                (Ok(()), Some(_)) => wrong.push(format!("{name}: is listed and is accepted")),
                (Err(why), None) => wrong.push(format!("{name}: {why}")),
            }
        }
    }
    let stray: Vec<_> = listed.keys().filter(|name| !met.contains(*name)).collect();
    assert!(wrong.is_empty() && stray.is_empty(), "{}\nstray: {stray:?}", wrong.join("\n"));
    assert_eq!(counts, (115, 88), "tests that have to be refused, and to be accepted");
}

/// OpenSSL is what nginx verifies with: where certgate lets a chain of the suite in, OpenSSL does.
/// The other way round, the differences are those of `exceptions.toml`.
#[test]
fn what_is_accepted_is_accepted_by_openssl_too() {
    let suite = Suite::read();
    let mut compared = 0;
    for name in suite.certificates.keys().filter(|name| name.ends_with("EE")) {
        if suite.verdict(name).is_err() {
            continue;
        }
        compared += 1;
        let leaf = Certificate::from_der(&suite.certificates[name]).unwrap();
        let above = suite.above(&leaf);
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: String| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        // The anchor among them changes nothing, and OpenSSL refuses a file without any.
        let between = above.iter().chain([&suite.anchor]);
        let between: String = between.map(|one| pem("CERTIFICATE", &one.der)).collect();
        let issuers: Vec<String> =
            above.iter().chain([&suite.anchor]).map(|one| one.subject.to_string()).collect();
        let lists = suite.lists.values().filter(|der| {
            SignedList::from_der(der).is_ok_and(|list| issuers.contains(&list.issuer_text()))
        });
        let lists: String = lists.map(|der| pem("X509 CRL", der)).collect();
        let output = std::process::Command::new("openssl")
            .args(["verify", "-purpose", "sslclient", "-crl_check_all", "-use_deltas"])
            .args(["-attime", &suite.now.as_seconds().to_string(), "-CAfile"])
            .arg(file("anchor", pem("CERTIFICATE", &suite.anchor.der)))
            .arg("-untrusted")
            .arg(file("between", between))
            .arg("-CRLfile")
            .arg(file("lists", lists))
            .arg(file("leaf", pem("CERTIFICATE", &leaf.der)))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {said}");
    }
    assert!(compared > 20, "only {compared}");
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
