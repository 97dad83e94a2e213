//! The nginx files that this project ships, inside the program, and fitted to one folder.
//!
//! It must not change what they say: only addresses and paths differ from an installed copy, and
//! a text that is to be replaced but does not occur is an error, so that the shipped files and
//! this table cannot drift apart.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The http level: upstream, variables, log format.
pub const CERTGATE_CONF: &str = include_str!("../../../nginx/conf.d/certgate.conf");
/// The example site.
pub const EXAMPLE_SITE: &str = include_str!("../../../nginx/sites/example.conf");
/// The site that only observes.
pub const OBSERVE_SITE: &str = include_str!("../../../nginx/sites/observe.conf");
/// The site of the admin API.
pub const ADMIN_SITE: &str = include_str!("../../../nginx/sites/admin.conf");
/// The server level snippets and the identity snippets, by file name.
pub const SNIPPETS: [(&str, &str); 7] = [
    ("certgate-admin.conf", include_str!("../../../nginx/snippets/certgate-admin.conf")),
    ("certgate-ask.conf", include_str!("../../../nginx/snippets/certgate-ask.conf")),
    ("certgate-errors.conf", include_str!("../../../nginx/snippets/certgate-errors.conf")),
    (
        "certgate-identity-fastcgi.conf",
        include_str!("../../../nginx/snippets/certgate-identity-fastcgi.conf"),
    ),
    (
        "certgate-identity-grpc.conf",
        include_str!("../../../nginx/snippets/certgate-identity-grpc.conf"),
    ),
    (
        "certgate-identity-proxy.conf",
        include_str!("../../../nginx/snippets/certgate-identity-proxy.conf"),
    ),
    (
        "certgate-identity-uwsgi.conf",
        include_str!("../../../nginx/snippets/certgate-identity-uwsgi.conf"),
    ),
];

/// What one copy of the shipped files is fitted to.
#[derive(Debug, Clone)]
pub struct Fitting {
    /// Where nginx listens for TLS.
    pub listen: SocketAddr,
    /// certgate's auth listener, as nginx writes it: `127.0.0.1:9180` or `unix:/path`.
    pub auth: String,
    /// The application behind `proxy_pass`.
    pub application: SocketAddr,
    /// The application behind `fastcgi_pass`.
    pub fastcgi: SocketAddr,
    /// nginx's own certificate, PEM.
    pub server_certificate: PathBuf,
    /// Its key, PEM.
    pub server_key: PathBuf,
    /// The issuers of client certificates, PEM.
    pub client_ca: PathBuf,
}

/// Why the shipped files could not be laid out.
#[derive(Debug, thiserror::Error)]
pub enum LayOutError {
    /// A file or folder could not be written.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A text that should be replaced is not in the shipped file.
    #[error("{file} does not contain \"{text}\"")]
    TextNotFound {
        /// Which shipped file.
        file: String,
        /// The text that was looked for.
        text: String,
    },
    /// A path that cannot be written into an nginx file, not even quoted.
    #[error("the path {} holds a character that nginx's configuration cannot", path.display())]
    UnspeakablePath {
        /// The path.
        path: PathBuf,
    },
}

/// Writes a complete nginx prefix folder: `nginx.conf`, the shipped files and the given sites.
///
/// The sites are taken as they are; [`example_site`] and [`observe_site`] fit the shipped ones.
///
/// # Errors
/// Says which file could not be written or fitted.
pub fn lay_out(
    folder: &Path,
    fitting: &Fitting,
    sites: &[(&str, String)],
) -> Result<(), LayOutError> {
    for sub_folder in ["conf.d", "snippets", "sites", "logs", "temp"] {
        let path = folder.join(sub_folder);
        fs::create_dir_all(&path).map_err(|source| LayOutError::Io { path, source })?;
    }
    let quoted_folder = speakable(folder)?;
    write(folder, "nginx.conf", &NGINX_CONF.replace("{folder}", quoted_folder))?;
    write(folder, "fastcgi_params", FASTCGI_PARAMS)?;
    write(folder, "uwsgi_params", &FASTCGI_PARAMS.replace("fastcgi_param", "uwsgi_param"))?;
    let conf = replace("certgate.conf", CERTGATE_CONF, &[("127.0.0.1:9180", &fitting.auth)])?;
    write(folder, "conf.d/certgate.conf", &conf)?;
    for (name, text) in SNIPPETS {
        write(folder, &format!("snippets/{name}"), text)?;
    }
    for (name, text) in sites {
        write(folder, &format!("sites/{name}"), text)?;
    }
    Ok(())
}

/// The shipped example site, fitted.
///
/// # Errors
/// Says which text the shipped file no longer contains, or which path nginx could not read.
pub fn example_site(folder: &Path, fitting: &Fitting) -> Result<String, LayOutError> {
    let site = fit_site("example.conf", EXAMPLE_SITE, folder, fitting)?;
    replace("example.conf", &site, &[("127.0.0.1:9000", &fitting.fastcgi.to_string())])
}

/// The shipped observing site, fitted.
///
/// # Errors
/// As [`example_site`].
pub fn observe_site(folder: &Path, fitting: &Fitting) -> Result<String, LayOutError> {
    fit_site("observe.conf", OBSERVE_SITE, folder, fitting)
}

/// The shipped site of the admin API, fitted to the API's socket.
///
/// # Errors
/// As [`example_site`].
pub fn admin_site(folder: &Path, fitting: &Fitting, socket: &Path) -> Result<String, LayOutError> {
    let socket = speakable(socket)?;
    let site = replace("admin.conf", ADMIN_SITE, &[("/run/certgate/admin.sock", socket)])?;
    fit_tls("admin.conf", &site, folder, fitting)
}

fn fit_site(
    file: &str,
    text: &str,
    folder: &Path,
    fitting: &Fitting,
) -> Result<String, LayOutError> {
    let site = fit_tls(file, text, folder, fitting)?;
    replace(file, &site, &[("127.0.0.1:8000", &fitting.application.to_string())])
}

/// Where a site listens, with which certificates, and where it logs.
fn fit_tls(
    file: &str,
    text: &str,
    folder: &Path,
    fitting: &Fitting,
) -> Result<String, LayOutError> {
    let access_log = folder.join("logs/access.log");
    let quote = |path: &Path| speakable(path).map(|path| format!("\"{path}\""));
    replace(
        file,
        text,
        &[
            ("listen 443 ssl;", &format!("listen {} ssl;", fitting.listen)),
            ("/etc/nginx/tls/server.pem", &quote(&fitting.server_certificate)?),
            ("/etc/nginx/tls/server.key", &quote(&fitting.server_key)?),
            ("/etc/nginx/tls/client-ca.pem", &quote(&fitting.client_ca)?),
            ("/var/log/nginx/app.access.log", &quote(&access_log)?),
        ],
    )
}

fn replace(file: &str, text: &str, pairs: &[(&str, &str)]) -> Result<String, LayOutError> {
    let mut fitted = text.to_owned();
    for (from, to) in pairs {
        if !fitted.contains(from) {
            let (file, text) = (file.to_owned(), (*from).to_owned());
            return Err(LayOutError::TextNotFound { file, text });
        }
        fitted = fitted.replace(from, to);
    }
    Ok(fitted)
}

/// A path as text between double quotes. `$` would be a variable, `"` and `\` end or escape.
fn speakable(path: &Path) -> Result<&str, LayOutError> {
    let unspeakable = || LayOutError::UnspeakablePath { path: path.to_owned() };
    let text = path.to_str().ok_or_else(unspeakable)?;
    if text.contains(|c: char| matches!(c, '"' | '\\' | '$') || c.is_control()) {
        return Err(unspeakable());
    }
    Ok(text)
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), LayOutError> {
    let path = folder.join(name);
    fs::write(&path, text).map_err(|source| LayOutError::Io { path, source })
}

/// What a distribution's `nginx.conf` is to an installed copy. No `user` line: the folder lets
/// nginx's default user pass, and an ordinary user may not have one.
const NGINX_CONF: &str = r#"daemon off;
worker_processes 1;
pid "{folder}/nginx.pid";
error_log "{folder}/logs/error.log" notice;
events { worker_connections 512; }
http {
    client_body_temp_path "{folder}/temp/body";
    proxy_temp_path "{folder}/temp/proxy";
    fastcgi_temp_path "{folder}/temp/fastcgi";
    uwsgi_temp_path "{folder}/temp/uwsgi";
    scgi_temp_path "{folder}/temp/scgi";
    client_max_body_size 8m;
    server_tokens off;
    access_log "{folder}/logs/access.log" combined;
    include conf.d/*.conf;
    include sites/*.conf;
}
"#;

/// The stock file in short, with the line that makes the order of the includes matter.
const FASTCGI_PARAMS: &str = "\
fastcgi_param QUERY_STRING    $query_string;
fastcgi_param REQUEST_METHOD  $request_method;
fastcgi_param CONTENT_TYPE    $content_type;
fastcgi_param CONTENT_LENGTH  $content_length;
fastcgi_param SCRIPT_NAME     $uri;
fastcgi_param REQUEST_URI     $request_uri;
fastcgi_param SERVER_PROTOCOL $server_protocol;
fastcgi_param REMOTE_ADDR     $remote_addr;
fastcgi_param REMOTE_USER     $remote_user;
";

#[cfg(test)]
mod tests {
    use super::*;

    fn fitting() -> Fitting {
        Fitting {
            listen: "127.0.0.1:4430".parse().unwrap(),
            auth: "127.0.0.1:4431".to_owned(),
            application: "127.0.0.1:4432".parse().unwrap(),
            fastcgi: "127.0.0.1:4433".parse().unwrap(),
            server_certificate: PathBuf::from("/scratch/server.pem"),
            server_key: PathBuf::from("/scratch/server.key"),
            client_ca: PathBuf::from("/scratch/client ca.pem"),
        }
    }

    #[test]
    fn a_fitted_site_holds_no_address_or_path_of_an_installed_one() {
        let folder = Path::new("/scratch");
        for site in [example_site(folder, &fitting()), observe_site(folder, &fitting())] {
            let site = site.unwrap();
            let directives = site.lines().filter(|line| !line.trim_start().starts_with('#'));
            for line in directives {
                for foreign in ["/etc/", "/var/log", ":8000", ":9000", "443 ssl"] {
                    assert!(!line.contains(foreign), "{line}");
                }
            }
            assert!(site.contains("\"/scratch/client ca.pem\""));
        }
    }

    #[test]
    fn a_text_that_does_not_occur_is_an_error() {
        let error = replace("x.conf", "listen 80;", &[("listen 443 ssl;", "")]).unwrap_err();
        assert!(matches!(error, LayOutError::TextNotFound { .. }), "{error}");
    }

    #[test]
    fn a_path_that_would_end_its_quotes_is_refused() {
        for path in ["/tmp/a\"b", "/tmp/a\\b", "/tmp/$host", "/tmp/a\nb"] {
            let error = speakable(Path::new(path)).unwrap_err();
            assert!(matches!(error, LayOutError::UnspeakablePath { .. }), "{error}");
        }
    }

    /// The lines of `location NAME {` up to its closing brace, without comments.
    fn location<'a>(text: &'a str, head: &str) -> Vec<&'a str> {
        let lines = text.lines().skip_while(|line| !line.starts_with(head)).skip(1);
        lines
            .take_while(|line| *line != "}")
            .map(|line| line.split('#').next().unwrap().trim())
            .filter(|line| !line.is_empty() && !line.starts_with("proxy_pass "))
            .collect()
    }

    #[test]
    fn every_location_that_asks_says_the_same_to_certgate() {
        let mut snippets = SNIPPETS.iter();
        let (_, ask) = snippets.find(|(name, _)| *name == "certgate-ask.conf").unwrap();
        let plain = location(ask, "location = /_certgate {");
        assert!(plain.len() > 15, "{plain:?}");
        assert_eq!(plain, location(ask, "location ^~ /_certgate/ {"));
    }

    /// The directives of a snippet, comments and alignment apart.
    fn directives(name: &str) -> Vec<String> {
        let (_, text) = SNIPPETS.iter().find(|(other, _)| *other == name).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn the_identity_snippets_differ_in_the_name_of_the_directive_only() {
        for (tested, same, from, to) in [
            ("proxy", "grpc", "proxy_set_header", "grpc_set_header"),
            ("fastcgi", "uwsgi", "fastcgi_param", "uwsgi_param"),
        ] {
            let tested = directives(&format!("certgate-identity-{tested}.conf"));
            let expected: Vec<_> = tested.iter().map(|line| line.replace(from, to)).collect();
            assert_eq!(directives(&format!("certgate-identity-{same}.conf")), expected);
        }
    }

    #[test]
    fn what_the_proxy_snippet_overwrites_the_fastcgi_snippet_overwrites_too() {
        let fastcgi = directives("certgate-identity-fastcgi.conf");
        for line in directives("certgate-identity-proxy.conf") {
            let Some(rest) = line.strip_prefix("proxy_set_header ") else { continue };
            let (name, _) = rest.split_once(' ').unwrap();
            let start = format!("fastcgi_param HTTP_{} ", name.to_uppercase().replace('-', "_"));
            assert!(fastcgi.iter().any(|line| line.starts_with(&start)), "{start}");
        }
    }

    #[test]
    fn no_shipped_line_uses_a_variable_that_a_client_can_break_a_line_with() {
        let all = SNIPPETS.iter().map(|(_, text)| *text);
        for text in all.chain([CERTGATE_CONF, EXAMPLE_SITE, OBSERVE_SITE]) {
            for line in text.lines().map(str::trim_start) {
                let sets = line.starts_with("proxy_set_header") || line.starts_with("add_header");
                assert!(!sets || !line.contains("$uri"), "{line}");
                assert!(!line.starts_with("auth_request ") || !line.contains('$'), "{line}");
            }
        }
    }
}
