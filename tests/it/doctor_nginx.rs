//! What `certgate doctor` says of nginx's configuration: no miss, no false alarm, and what it warns
//! of is really broken.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use certgate::cli::demo::application::seen;
use certgate::cli::demo::programs;
use certgate::doctor::Finding;
use certgate::doctor::nginx::{Expected, judge, judge_version};

use crate::support::certgate::{Certgate, free_addresses};
use crate::support::nginx::{Nginx, Site};
use crate::support::pki::{Issued, Issuer};
use crate::support::tls::get;

/// A file of the corpus.
struct Case {
    name: String,
    lines: &'static str,
    /// The check that must find it, and how it opens the door.
    expected: Option<(String, String)>,
}

fn cases(folder: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nginx").join(folder);
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let case = |path: PathBuf| {
        let lines = fs::read_to_string(&path).unwrap();
        let is_broken = path.parent().unwrap().ends_with("broken");
        let expected = is_broken.then(|| {
            let first = lines.lines().next().unwrap().strip_prefix("# ").unwrap();
            let (check, opens) = first.split_once(' ').unwrap_or((first, ""));
            (check.to_owned(), opens.to_owned())
        });
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        Case { name, lines: Box::leak(lines.into_boxed_str()), expected }
    };
    files.into_iter().map(case).collect()
}

fn expected() -> Expected {
    Expected {
        input: vec![
            ("X-SSL-Client-Verify".to_owned(), "$ssl_client_verify"),
            ("X-SSL-Client-Cert".to_owned(), "$ssl_client_escaped_cert"),
        ],
        auth: "127.0.0.1:9180".to_owned(),
        output: ["X-Remote-User", "X-Remote-Groups", "X-Remote-Name", "X-Remote-Email"]
            .map(str::to_owned),
        verifies_chains: false,
    }
}

/// What the first lines of a case change around its server.
fn change(folder: &Path, lines: &str) {
    let place = folder.display().to_string();
    let site = folder.join("sites/site.conf");
    for line in lines.lines() {
        if let Some(http) = line.strip_prefix("# http: ") {
            let http = http.replace("{folder}", &place);
            fs::write(folder.join("conf.d/zz.conf"), http).unwrap();
        }
        if let Some((name, with)) =
            line.strip_prefix("# instead of ").and_then(|rest| rest.split_once(": "))
        {
            let text = fs::read_to_string(&site).unwrap();
            let start = text.find(&format!("    {name} ")).expect(name);
            let end = start + text[start..].find(';').unwrap() + 1;
            let text = format!("{}    {with}{}", &text[..start], &text[end..]);
            fs::write(&site, text).unwrap();
        }
    }
}

/// What `nginx -T` prints of the folder.
fn dump(folder: &Path) -> String {
    let program = programs::find("nginx").expect("nginx is installed");
    let output = programs::nginx(&program, folder).arg("-T").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn findings(case: &Case, ca: &Issuer, auth: std::net::SocketAddr) -> (Nginx, Vec<Finding>) {
    let dumped = RefCell::new(String::new());
    let nginx = Nginx::start_changed(&Site::Own(case.lines), auth, ca, |folder| {
        change(folder, case.lines);
        *dumped.borrow_mut() = dump(folder);
    });
    let findings = judge(&dumped.borrow(), &expected()).unwrap();
    (nginx, findings)
}

/// carol, who is a user, and certgate.
struct People {
    certgate: Certgate,
    ca: Issuer,
    carol: Issued,
    _folder: tempfile::TempDir,
}

fn people() -> People {
    let folder = tempfile::tempdir().unwrap();
    // nginx's workers may read it.
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let ca = Issuer::root(&folder.path().join("ca"), "Example CA");
    let carol = ca.client("carol");
    let certgate = Certgate::start();
    certgate.run(&["user", "add", "carol"]);
    certgate.run(&["mapping", "add", "carol", "--cert", carol.alone.to_str().unwrap()]);
    certgate.wait_for_reason(&carol, "mapped");
    People { certgate, ca, carol, _folder: folder }
}

const PATHS: [&str; 4] = ["/", "/public/", "/x.php", "/app/"];

/// Whether the application takes somebody for admin who is not.
fn is_fooled(nginx: &Nginx, people: &People) -> bool {
    let escaped = people.carol.escaped();
    let forged = [
        ("X-Remote-User", "admin"),
        ("X-SSL-Client-Verify", "SUCCESS"),
        ("X-SSL-Client-Cert", escaped.as_str()),
    ];
    PATHS.iter().any(|path| {
        [None, Some(&people.carol)].into_iter().any(|certificate| {
            let text = get(nginx, certificate, path, &forged).text();
            seen(&text, "X-Remote-User").is_some_and(|user| user.contains("admin"))
        })
    })
}

/// Whether somebody without a certificate gets what is for users only, or another's name.
fn is_open(nginx: &Nginx, people: &People) -> bool {
    let escaped = people.carol.escaped();
    let forged = [("X-SSL-Client-Verify", "SUCCESS"), ("X-SSL-Client-Cert", escaped.as_str())];
    get(nginx, Some(&people.carol), "/", &[]);
    let is_success = |path: &&str| (200..300).contains(&get(nginx, None, path, &forged).status);
    ["/", "/x.php"].iter().any(is_success)
}

#[test]
fn every_broken_configuration_is_found_and_every_opening_one_is_really_open() {
    let people = people();
    let cases = cases("broken");
    assert!(cases.len() >= 12);
    for case in cases {
        let (check, opens) = case.expected.as_ref().unwrap();
        let (nginx, findings) = findings(&case, &people.ca, people.certgate.auth());
        let found = findings.iter().any(|one| one.check == check);
        assert!(found, "{}: {check} is not among {findings:#?}", case.name);
        match opens.as_str() {
            "" => {}
            "opens" => {
                let opens = is_open(&nginx, &people) || is_fooled(&nginx, &people);
                assert!(opens, "{} is not open", case.name);
            }
            "opens-when-away" => {
                let [nobody] = free_addresses();
                let nginx =
                    Nginx::start_changed(&Site::Own(case.lines), nobody, &people.ca, |folder| {
                        change(folder, case.lines)
                    });
                assert!(is_open(&nginx, &people), "{} is not open", case.name);
            }
            other => panic!("{}: {other}", case.name),
        }
    }
}

#[test]
fn no_good_configuration_is_complained_of_and_none_is_open() {
    let people = people();
    let cases = cases("good");
    assert!(cases.len() >= 12);
    for case in cases {
        let (nginx, findings) = findings(&case, &people.ca, people.certgate.auth());
        assert_eq!(findings, [], "{}", case.name);
        assert!(!is_fooled(&nginx, &people), "{}", case.name);
    }
}

#[test]
fn the_shipped_sites_are_good() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Issuer::root(folder.path(), "Example CA");
    let [nobody] = free_addresses();
    for site in [Site::Example, Site::Observe] {
        let dumped = RefCell::new(String::new());
        let nginx = Nginx::start_changed(&site, nobody, &ca, |folder| {
            *dumped.borrow_mut() = dump(folder);
        });
        assert_eq!(judge(&dumped.borrow(), &expected()).unwrap(), []);
        drop(nginx);
    }
}

#[test]
fn a_line_taken_from_a_shipped_snippet_is_missed() {
    let mut snippets = certgate::cli::demo::shipped::SNIPPETS.iter();
    let (_, shipped) = snippets.find(|(name, _)| *name == "certgate-ask.conf").unwrap();
    let site = |ask: &str| {
        format!(
            "http {{ server {{ listen 443 ssl; ssl_verify_client optional; {ask}
             auth_request /_certgate; location / {{ root /srv; }} }} }}"
        )
    };
    assert_eq!(judge(&site(shipped), &expected()).unwrap(), []);
    for (line, check) in [
        ("internal;", "nginx-ask-internal"),
        ("proxy_pass_request_headers off;", "nginx-ask-pass-headers"),
        ("proxy_pass_request_body    off;", "nginx-ask-body"),
        ("proxy_set_header X-SSL-Client-Verify  $ssl_client_verify;", "nginx-ask-header"),
        ("proxy_set_header X-SSL-Client-Cert    $ssl_client_escaped_cert;", "nginx-ask-header"),
    ] {
        assert!(shipped.contains(line), "{line}");
        let found = judge(&site(&shipped.replace(line, "")), &expected()).unwrap();
        assert!(found.iter().any(|one| one.check == check), "{line}: {found:?}");
    }
    let cached = site(shipped).replace("proxy_cache            off;", "");
    let cached = cached.replace("http {", "http { proxy_cache app; error_page 502 =200 /sorry;");
    let cached = cached.replace("error_page 599 =500 /_certgate;", "");
    let checks: Vec<_> =
        judge(&cached, &expected()).unwrap().into_iter().map(|one| one.check).collect();
    assert!(checks.contains(&"nginx-ask-cache"), "{checks:?}");
    assert!(checks.contains(&"nginx-ask-error-page"), "{checks:?}");
}

#[test]
fn hostile_text_is_refused_or_read_and_never_ends_the_program() {
    for text in ["}", "http {", "a 'b", "http { server { location / { } }", "\\", "include a;"] {
        let _ = judge(text, &expected());
    }
    assert!(judge(&"a {".repeat(100_000), &expected()).is_err());
    assert!(judge("http {", &expected()).is_err());
    assert!(judge("server { listen 80 }", &expected()).is_err());
    let endless = "# configuration file /a/n.conf:\ninclude n.conf; include n.conf;\n";
    judge(endless, &expected()).unwrap();
    let missing = judge("http { include other.conf; }", &expected()).unwrap();
    assert!(missing.iter().any(|one| one.check == "nginx-include"), "{missing:?}");
}

#[test]
fn a_version_with_known_trouble_is_told() {
    use certgate::doctor::Outcome::{Ok, Warning};
    for (text, is_patched, expected) in [
        ("nginx version: nginx/1.22.1", false, Some(Warning)),
        ("nginx version: nginx/1.22.1", true, Some(Ok)),
        ("nginx version: nginx/1.26.2 (Ubuntu)", false, Some(Warning)),
        ("nginx version: nginx/1.26.3", false, Some(Ok)),
        ("nginx version: nginx/1.27.3", false, Some(Warning)),
        ("nginx version: nginx/1.27.4", false, Some(Ok)),
        ("nginx version: nginx/1.31.5", false, Some(Ok)),
        ("something else", false, None),
    ] {
        let found = judge_version(text, is_patched);
        assert_eq!(found.map(|one| one.result), expected, "{text}");
    }
}

#[test]
fn the_command_tells_in_its_exit_code_how_bad_it_is() {
    let people = people();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nginx.txt");
    let mut codes = Vec::new();
    for case in cases("broken").into_iter().chain(cases("good")) {
        if !["ask-is-cached.conf", "underscores.conf", "plain.conf"].contains(&case.name.as_str()) {
            continue;
        }
        let dumped = RefCell::new(String::new());
        drop(Nginx::start_changed(
            &Site::Own(case.lines),
            people.certgate.auth(),
            &people.ca,
            |folder| {
                change(folder, case.lines);
                *dumped.borrow_mut() = dump(folder);
            },
        ));
        fs::write(&file, dumped.into_inner()).unwrap();
        let program = crate::support::certgate::program();
        let mut doctor: Command = programs::certgate(&program, &people.certgate.config());
        let output = doctor.args(["doctor", "--json", "--nginx"]).arg(&file).output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        codes.push((case.name, output.status.code().unwrap(), report["result"].clone()));
    }
    let code = |name: &str| codes.iter().find(|(other, ..)| other == name).unwrap();
    assert_eq!(code("ask-is-cached.conf").1, 2, "{codes:?}");
    assert_eq!(code("underscores.conf").1, 1, "{codes:?}");
    assert_eq!(code("plain.conf").1, 0, "{codes:?}");
}
