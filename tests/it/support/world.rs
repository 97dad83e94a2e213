//! What most tests with nginx start from: certgate with alice (ops, staff) and carol (guests) in
//! its database, nginx in front of it, and certificates for all of the people.

use std::fs;
use std::path::{Path, PathBuf};

use super::certgate::Certgate;
use super::database::Database;
use super::nginx::{Nginx, Site};
use super::pki::{Issued, Issuer};

use certgate::cli::demo::workshop::Workshop;

/// A certgate, an nginx and the people.
pub(crate) struct World {
    /// The nginx; stopped before certgate.
    pub(crate) nginx: Nginx,
    /// The service.
    pub(crate) certgate: Certgate,
    /// Mapped; in ops and staff.
    pub(crate) alice: Issued,
    /// Valid and unmapped.
    pub(crate) bob: Issued,
    /// Mapped; in guests.
    pub(crate) carol: Issued,
    /// From an issuer that nginx does not know.
    pub(crate) mallory: Issued,
    /// The issuer that nginx knows.
    pub(crate) ca: Issuer,
    folder: Workshop,
}

impl World {
    /// A world with this site.
    pub(crate) fn new(site: &Site) -> Self {
        Self::changed(site, |_| {})
    }

    /// A world whose users are in this database.
    pub(crate) fn on(database: &Database, site: &Site) -> Self {
        Self::around(|_, _| Certgate::start_on(database), site, |_| {})
    }

    /// A world whose nginx files are edited before they are read.
    pub(crate) fn changed(site: &Site, change: impl Fn(&Path)) -> Self {
        Self::around(|_, _| Certgate::start(), site, change)
    }

    /// A world that checks the CRLs in [`World::crls`]; the CA's first one revokes nobody.
    pub(crate) fn revocable(site: &Site) -> Self {
        let start = |crls: &Path, ca: &Issuer| {
            fs::create_dir(crls).unwrap();
            fs::copy(&ca.pem, crls.join("ca.pem")).unwrap();
            fs::write(crls.join("ca.crl"), ca.list(1, &[])).unwrap();
            Certgate::start_with(&format!("revocation.crl = [\"{}\"]\n", crls.display()))
        };
        Self::around(start, site, |_| {})
    }

    fn around(
        start: impl FnOnce(&Path, &Issuer) -> Certgate,
        site: &Site,
        change: impl Fn(&Path),
    ) -> Self {
        let folder = Workshop::open("certgate-people").unwrap();
        let ca = Issuer::root(&folder.folder().join("ca"), "Example CA");
        let foreign = Issuer::root(&folder.folder().join("foreign"), "Foreign CA");
        let certgate = start(&folder.folder().join("crls"), &ca);
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| ca.client(name));
        let mallory = foreign.client("mallory");
        let named = ["--name", "Alice Dupont", "--email", "alice@example.com"];
        let groups = ["--group", "staff", "--group", "ops"];
        certgate.run(&[&["user", "add", "alice"][..], &named, &groups].concat());
        certgate.run(&["user", "add", "carol", "--group", "guests"]);
        let nginx = Nginx::start_changed(site, certgate.auth(), &ca, change);
        let world = Self { nginx, certgate, alice, bob, carol, mallory, ca, folder };
        world.map("alice", &world.alice);
        world.map("carol", &world.carol);
        world
    }

    /// The folder of CRLs of a revocable world.
    pub(crate) fn crls(&self) -> PathBuf {
        self.folder.folder().join("crls")
    }

    /// Maps a certificate to a user and waits until certgate knows.
    pub(crate) fn map(&self, user: &str, certificate: &Issued) {
        let file = certificate.alone.to_str().unwrap();
        self.certgate.run(&["mapping", "add", user, "--cert", file]);
        self.certgate.wait_for_reason(certificate, "mapped");
    }
}
