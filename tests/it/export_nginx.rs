//! The break-glass file, by a real nginx without certgate.

use std::fs;

use certgate::cli::demo::application::seen;
use rcgen::DnType;

use crate::cli_desk::{Desk, path};
use crate::support::nginx::{Nginx, Site};
use crate::support::pki::Leaf;
use crate::support::tls::get;

/// As the file says that a location is to be written.
const SITE: Site = Site::Own(
    "location / {\n    if ($certgate_glass_closed) { return 401; }\n    \
     proxy_set_header X-Remote-User $certgate_glass_user;\n    \
     proxy_set_header X-Remote-Groups $certgate_glass_groups;\n    \
     proxy_set_header X-Remote-Name \"\";\n    proxy_set_header X-Remote-Email \"\";\n    \
     proxy_pass http://{app};\n}\n",
);

#[test]
fn nginx_alone_lets_in_those_of_the_file_and_nobody_else() {
    let desk = Desk::new().with("IDENTITY__WEAK", "issuer_subject");
    let odd =
        [(DnType::OrganizationName, "Acme, \"the\" Inc. \\ $x; {#}"), (DnType::CommonName, "a")];
    let alice = desk.ca.issue("alice", Leaf::client("alice").subject(&odd));
    let [bob, carol, dan, erin] = ["bob", "carol", "dan", "erin"].map(|name| desk.ca.client(name));
    for (name, certificate) in [("alice", &alice), ("bob", &bob), ("carol", &carol), ("$dan", &dan)]
    {
        let command = ["user", "add", name, "--group", "ops", "--group", "staff"];
        desk.run(&command);
        let table = format!(
            "username,certificate\n{name},\"{}\"\n",
            fs::read_to_string(&certificate.alone).unwrap()
        );
        let table = desk.file("one.csv", table.as_bytes());
        desk.run(&["import", table.to_str().unwrap()]);
    }
    desk.run(&["user", "add", "erin"]);
    desk.run(&["mapping", "add", "erin", "--cert", &path(&erin), "--by", "issuer-subject"]);
    desk.run(&["certificate", "block", &path(&bob)]);
    desk.run(&["user", "disable", "carol"]);
    let text = desk.run(&["export", "--format", "nginx-map"]);
    assert!(text.contains("; 1 certificates; "), "{text}");
    assert!(!text.contains("bob") && !text.contains("$dan"), "{text}");

    let auth = "127.0.0.1:9".parse().unwrap();
    let nginx = Nginx::start_changed(&SITE, auth, &desk.ca, |folder| {
        fs::write(folder.join("conf.d/00-glass.conf"), &text).unwrap();
    });
    let spoof = [("X-Remote-User", "root"), ("X-Remote-Groups", "admin")];
    let answer = get(&nginx, Some(&alice), "/", &spoof);
    let application = answer.text();
    assert_eq!(answer.status, 200, "{application}");
    assert_eq!(seen(&application, "X-Remote-User"), Some("alice"));
    assert_eq!(seen(&application, "X-Remote-Groups"), Some("ops,staff"));
    for certificate in [None, Some(&bob), Some(&carol), Some(&dan), Some(&erin)] {
        assert_eq!(get(&nginx, certificate, "/", &spoof).status, 401);
    }
}
