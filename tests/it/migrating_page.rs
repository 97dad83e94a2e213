//! The blocks of `docs/migrating.md`, by their names, and a certgate and an nginx that run them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::certgate::Certgate;
use crate::support::database::Database;
use crate::support::nginx::{Nginx, Site};
use crate::support::pki::{Issued, Issuer};
use crate::support::tls::{Answer, get};

/// The page itself.
pub(crate) const PAGE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/migrating.md"));

/// The sources whose quoted names are the blocks that run.
const SOURCES: [&str; 3] = [
    include_str!("migrating_django.rs"),
    include_str!("migrating_map.rs"),
    include_str!("migrating_password.rs"),
];

/// The one fenced block after the comment `<!-- name -->`.
pub(crate) fn block(name: &str) -> String {
    let marker = format!("<!-- {name} -->\n```");
    let mut found = PAGE.split(&marker).skip(1);
    let rest = found.next().unwrap_or_else(|| panic!("the page has no block {name}"));
    assert!(found.next().is_none(), "the page has {name} twice");
    let (_, body) = rest.split_once('\n').unwrap();
    body.split("```").next().unwrap().to_owned()
}

#[test]
fn every_block_of_the_migrating_page_has_a_name_and_is_run() {
    let mut names = BTreeSet::new();
    let lines: Vec<_> = PAGE.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let Some(language) = line.strip_prefix("```").filter(|language| !language.is_empty())
        else {
            continue;
        };
        if language == "python" {
            continue;
        }
        let name = lines[at - 1].strip_prefix("<!-- ").and_then(|name| name.strip_suffix(" -->"));
        let name = name.unwrap_or_else(|| panic!("a block without a name at line {}", at + 1));
        assert!(name.ends_with(&format!(".{language}")), "{name} is {language}");
        assert!(names.insert(name), "{name} twice");
    }
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let quoted = format!("\"{name}\"");
        let (head, _) = name.split_once('.').unwrap();
        // The three packages share their tests: the names are put together there.
        let shared = name.replacen(head, "{package}", 1);
        let is_run = SOURCES.iter().any(|text| text.contains(&quoted) || text.contains(&shared));
        assert!(is_run, "nothing runs {name}");
    }
}

#[test]
fn the_header_that_the_middleware_reads_is_the_one_that_nginx_sends() {
    let snippet = include_str!("../../nginx/snippets/certgate-identity-fastcgi.conf");
    let line = PAGE.lines().find(|line| line.trim_start().starts_with("header = ")).unwrap();
    let name = line.split('"').nth(1).unwrap();
    assert!(snippet.contains(&format!("fastcgi_param {name}   $certgate_user ")), "{name}");
}

/// A certgate with this configuration, and an nginx with blocks of the page.
pub(crate) struct Scene {
    pub(crate) nginx: Nginx,
    pub(crate) certgate: Certgate,
}

/// What nginx is to run.
#[derive(Default)]
pub(crate) struct Pages {
    /// Blocks at the http level.
    pub(crate) http: String,
    /// Blocks in the server.
    pub(crate) server: String,
    /// The lines in `certgate-ask.conf` instead of verdict and certificate; none: as shipped.
    pub(crate) ask: Option<String>,
}

impl Scene {
    pub(crate) fn start(
        database: Option<&Database>,
        toml: &str,
        ca: &Issuer,
        pages: &Pages,
    ) -> Self {
        let certgate = match database {
            Some(database) => Certgate::start_on_with(database, toml),
            None => Certgate::start_with(toml),
        };
        let server = pages.server.replace("127.0.0.1:8000", "{app}");
        // A site is text of the whole program; a test may keep its own until it ends.
        let site = Site::Own(server.leak());
        let nginx = Nginx::start_changed(&site, certgate.auth(), ca, |folder| {
            lay_out(folder, pages);
        });
        Self { nginx, certgate }
    }

    /// The status, and certgate's code and user from nginx's log.
    pub(crate) fn ask(
        &self,
        certificate: Option<&Issued>,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (Answer, String) {
        let answer = get(&self.nginx, certificate, path, headers);
        let code = self.nginx.logged(path).code().to_owned();
        (answer, code)
    }
}

fn lay_out(folder: &Path, pages: &Pages) {
    let passwords = folder.join("htpasswd");
    fs::write(&passwords, "bob:{PLAIN}password\nmallory:{PLAIN}mine\n").unwrap();
    let place = |text: &str| text.replace("/etc/nginx/htpasswd", passwords.to_str().unwrap());
    fs::write(folder.join("conf.d/page.conf"), place(&pages.http)).unwrap();
    let site = folder.join("sites/site.conf");
    fs::write(&site, place(&fs::read_to_string(&site).unwrap())).unwrap();
    if let Some(lines) = &pages.ask {
        let file = folder.join("snippets/certgate-ask.conf");
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.matches(ASK_LINES).count(), 2, "the page says which lines to replace");
        fs::write(file, text.replace(ASK_LINES, lines)).unwrap();
    }
}

/// What the short way replaces, in both locations.
const ASK_LINES: &str = "    proxy_set_header X-SSL-Client-Verify  $ssl_client_verify;
    proxy_set_header X-SSL-Client-Cert    $ssl_client_escaped_cert;
";
