//! The throw-away certificates of the demo, made by the `openssl` command.
//!
//! It must not be used for anything real: keys lie unprotected in a folder that is deleted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::client::Credentials;
use super::workshop::Workshop;

/// The files of the demo's certificates, all in one folder.
#[derive(Debug)]
pub struct Pki {
    folder: PathBuf,
}

impl Pki {
    /// Makes two issuers, nginx's certificate, and one for alice, bob, carol and mallory each.
    /// mallory's comes from the other issuer, which nginx does not know.
    ///
    /// # Errors
    /// openssl fails; its words are in the error.
    pub fn make(workshop: &Workshop, openssl: &Path) -> Result<Self> {
        let pki = Self { folder: workshop.folder().join("pki") };
        fs::create_dir(&pki.folder).context("make the folder for the certificates")?;
        // An openssl.cnf of the machine could add extensions that openssl then refuses to repeat.
        fs::write(pki.file("empty.cnf"), "[req]\ndistinguished_name = dn\n[dn]\n")?;
        let openssl = |arguments: &[&str]| {
            let mut command = Command::new(openssl);
            let config = pki.file("empty.cnf");
            command.current_dir(&pki.folder).env("OPENSSL_CONF", config).args(arguments);
            workshop.run(&mut command)
        };
        for (file, subject) in
            [("ca", "/O=Example/CN=Example CA"), ("foreign-ca", "/O=Elsewhere/CN=Foreign CA")]
        {
            let (key, certificate) = (format!("{file}.key"), format!("{file}.pem"));
            let mut arguments = vec!["req", "-x509", "-days", DAYS, "-nodes", "-subj", subject];
            arguments.extend(NEW_KEY);
            arguments.extend(["-addext", "basicConstraints=critical,CA:TRUE"]);
            arguments.extend(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
            arguments.extend(["-addext", "subjectKeyIdentifier=hash"]);
            arguments.extend(["-keyout", &key, "-out", &certificate]);
            openssl(&arguments)?;
        }
        let names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
        for (file, issuer, usage, name) in [
            ("server", "ca", "serverAuth", names),
            ("alice", "ca", "clientAuth", "subjectAltName=email:alice@example.com"),
            ("bob", "ca", "clientAuth", "subjectAltName=email:bob@example.com"),
            ("carol", "ca", "clientAuth", "subjectAltName=email:carol@example.com"),
            ("mallory", "foreign-ca", "clientAuth", "subjectAltName=email:alice@example.com"),
        ] {
            let [key, request, certificate, extensions] =
                ["key", "csr", "pem", "ext"].map(|suffix| format!("{file}.{suffix}"));
            let subject = format!("/O=Example/CN={file}");
            let mut arguments = vec!["req", "-nodes", "-subj", &subject];
            arguments.extend(NEW_KEY);
            arguments.extend(["-keyout", &key, "-out", &request]);
            openssl(&arguments)?;
            let text = format!(
                "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n\
                 extendedKeyUsage={usage}\n{name}\n"
            );
            fs::write(pki.file(&extensions), text)?;
            let (ca, ca_key) = (format!("{issuer}.pem"), format!("{issuer}.key"));
            let mut arguments = vec!["x509", "-req", "-days", DAYS, "-CAcreateserial", "-sha256"];
            arguments.extend(["-CA", &ca, "-CAkey", &ca_key, "-extfile", &extensions]);
            arguments.extend(["-in", &request, "-out", &certificate]);
            openssl(&arguments)?;
        }
        Ok(pki)
    }

    /// A file of the PKI: `alice.pem`, `alice.key`, `ca.pem`, `server.pem`, ...
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What this person shows to nginx.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn credentials(&self, person: &str) -> Result<Credentials> {
        let (chain, key) = (format!("{person}.pem"), format!("{person}.key"));
        Credentials::read(&self.file(&chain), &self.file(&key))
    }
}

/// P-256: made in a moment, and known to everybody.
const NEW_KEY: [&str; 5] = ["-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
/// The demo does not run for longer.
const DAYS: &str = "7";
