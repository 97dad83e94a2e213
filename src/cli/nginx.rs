//! `certgate nginx config`: a whole site for nginx, from the shipped files, as certgate is
//! configured.
//!
//! It must not say anything of its own: only names, addresses and paths differ from the shipped
//! files, and a text that is to be replaced but does not occur is an error.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use serde_json::json;

use super::demo::shipped::{CERTGATE_CONF, EXAMPLE_SITE, SNIPPETS};
use super::output::Printer;
use super::values;
use crate::config::{Config, Dialect, HeaderName, Listen, Source};
use crate::decide::Required;

/// What `certgate nginx` does.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum NginxCommand {
    /// Print a whole site that asks certgate
    Config(Box<SiteArgs>),
}

/// `certgate nginx config`
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
One file for the http level, as /etc/nginx/conf.d/ has them; it stands alone, so do not install
nginx/conf.d/certgate.conf beside it. `certgate doctor` judges what becomes of it.

Examples:
  certgate nginx config --server-name app.example.com > /etc/nginx/conf.d/app.conf
  certgate nginx config --upstream http://127.0.0.1:3000 --require group:ops
  certgate nginx config --listen 8443 --client-ca /etc/nginx/ca.pem")]
pub(super) struct SiteArgs {
    /// The name of the server
    #[arg(long, value_name = "NAME", default_value = "app.example.com", value_parser = word)]
    server_name: String,
    /// Where nginx listens for TLS: a port, or address:port
    #[arg(long, value_name = "ADDRESS", default_value = "443", value_parser = word)]
    listen: String,
    /// The application
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000", value_parser = url)]
    upstream: String,
    /// nginx's own certificate, PEM
    #[arg(long, value_name = "FILE", default_value = "/etc/nginx/tls/server.pem", value_parser = word)]
    certificate: String,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", default_value = "/etc/nginx/tls/server.key", value_parser = word)]
    key: String,
    /// The CAs of the clients' certificates, PEM
    #[arg(long, value_name = "FILE", default_value = "/etc/nginx/tls/client-ca.pem", value_parser = word)]
    client_ca: String,
    /// Who may come in: group:NAME or user:NAME (repeat: any of)
    #[arg(long, value_name = "WHAT", value_parser = values::required)]
    require: Vec<Required>,
}

/// Prints; needs no database.
pub(super) fn run(
    command: &NginxCommand,
    config: &Config,
    out: &mut dyn Write,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let NginxCommand::Config(args) = command;
    let text = site(args, config)?;
    if json {
        Printer::new(out, true).json(&json!({ "file": text }))?;
    } else {
        out.write_all(text.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The shipped http level, then the head of the shipped example with the snippets in their places.
fn site(args: &SiteArgs, config: &Config) -> anyhow::Result<String> {
    check(config)?;
    let auth = match &config.auth.listen {
        Listen::Tcp(address) => address.to_string(),
        Listen::Unix(path) => {
            let path = path.to_str().context("auth.listen is no text that nginx reads")?;
            format!("unix:{}", word(path).map_err(|error| anyhow::anyhow!("auth.listen: {error}"))?)
        }
        Listen::Off => anyhow::bail!("auth.listen is off: nginx has nobody to ask"),
    };
    let (head, _) = EXAMPLE_SITE
        .split_once("    include snippets/certgate-ask.conf;")
        .context("the shipped example has changed")?;
    let head = replace(
        head,
        &[
            (
                "# An example site with certgate: copy to /etc/nginx/sites-available/, change the names and paths.\n",
                "",
            ),
            ("listen 443 ssl;", &format!("listen {} ssl;", args.listen)),
            ("app.example.com", &args.server_name),
            ("/etc/nginx/tls/server.pem", &args.certificate),
            ("/etc/nginx/tls/server.key", &args.key),
            ("/etc/nginx/tls/client-ca.pem", &args.client_ca),
        ],
    )?;
    let ask = ask(config)?;
    let (errors, identity) = (
        snippet("certgate-errors.conf")?,
        answer(snippet("certgate-identity-proxy.conf")?, config),
    );
    let conf = replace(CERTGATE_CONF, &[("127.0.0.1:9180", &auth)])?;
    let conf = answer(&conf, config);
    let mut text = String::from(
        "# A site that asks certgate, printed by `certgate nginx config`. Install it as a file of its\n\
         # own under /etc/nginx/conf.d/, instead of the shipped files.\n\n",
    );
    text.push_str(&conf);
    text.push('\n');
    text.push_str(&head);
    text.push_str(&indented(&ask, 1));
    text.push_str(&indented(errors, 1));
    text.push_str(&format!(
        "    # Closed by default: every location below inherits this line or replaces it.\n    \
         auth_request {};\n\n    location / {{\n",
        question(&args.require)?
    ));
    text.push_str(&indented(&identity, 2));
    text.push_str(&format!(
        "        proxy_set_header Host              $host;\n        \
         proxy_set_header X-Forwarded-For   $remote_addr;\n        \
         proxy_set_header X-Forwarded-Proto $scheme;\n        \
         proxy_pass {};\n    }}\n}}\n",
        args.upstream
    ));
    Ok(text)
}

fn check(config: &Config) -> anyhow::Result<()> {
    let speaks_nginx = matches!(
        config.proxy.dialect,
        Dialect::Nginx
            | Dialect::DjangoX509
            | Dialect::DjangoTlsCertificateAuth
            | Dialect::DjangoSslAuth
    );
    ensure!(
        speaks_nginx,
        "proxy.dialect is {}: this prints files for nginx as the only proxy; for others see \
         deploy/proxies",
        config.proxy.dialect.as_str()
    );
    Ok(())
}

/// What certgate is told, by the names that it is configured for.
fn ask(config: &Config) -> anyhow::Result<String> {
    let names = &config.proxy.headers;
    let text = snippet("certgate-ask.conf")?;
    // A header's name has no case; the shipped spelling is the one that people look for.
    let name = |name: &Option<HeaderName>| {
        let name = name.as_ref()?.as_str();
        let shipped = SHIPPED_NAMES.iter().find(|shipped| shipped.eq_ignore_ascii_case(name));
        Some((*shipped.unwrap_or(&name)).to_owned())
    };
    let verify = name(&names.verify).context("proxy.headers.verify has no name")?;
    let material = match config.identity.source {
        Source::Certificate => {
            let name = name(&names.certificate).context("proxy.headers.certificate has no name")?;
            vec![(name, "$ssl_client_escaped_cert")]
        }
        Source::Headers => [
            (name(&names.serial), "$ssl_client_serial"),
            (name(&names.subject), "$ssl_client_s_dn"),
            (name(&names.issuer), "$ssl_client_i_dn"),
        ]
        .into_iter()
        .filter_map(|(name, variable)| Some((name?, variable)))
        .collect(),
    };
    let lines: Vec<String> = material
        .iter()
        .map(|(name, variable)| format!("proxy_set_header {name} {variable};"))
        .collect();
    let text = replace(
        text,
        &[
            (VERIFY, &format!("proxy_set_header {verify} $ssl_client_verify;")),
            (CERTIFICATE, &lines.join("\n    ")),
        ],
    )?;
    let text = match config.proxy.secret {
        // The secret itself is never printed: that file holds it.
        Some(_) => replace(&text, &[(SECRET, SECRET.trim_start_matches("# "))])?,
        None => text,
    };
    Ok(answer(&text, config))
}

const VERIFY: &str = "proxy_set_header X-SSL-Client-Verify  $ssl_client_verify;";
const CERTIFICATE: &str = "proxy_set_header X-SSL-Client-Cert    $ssl_client_escaped_cert;";
const SECRET: &str = "# include /etc/certgate/nginx-secret.conf;";
const SHIPPED_NAMES: [&str; 5] = [
    "X-SSL-Client-Verify",
    "X-SSL-Client-Cert",
    "X-SSL-Client-Serial",
    "X-SSL-Client-S-DN",
    "X-SSL-Client-I-DN",
];

/// The answer's headers by the names that are configured; the application's stay the shipped ones.
fn answer(text: &str, config: &Config) -> String {
    let named = &config.output.headers;
    let mut text = text.to_owned();
    for (shipped, name) in [
        ("user", &named.user),
        ("groups", &named.groups),
        ("name", &named.name),
        ("email", &named.email),
    ] {
        let variable = name.as_str().to_ascii_lowercase().replace('-', "_");
        text = text.replace(
            &format!("$upstream_http_x_remote_{shipped};"),
            &format!("$upstream_http_{variable};"),
        );
    }
    text
}

/// The fixed text that `auth_request` has.
fn question(required: &[Required]) -> anyhow::Result<String> {
    if required.is_empty() {
        return Ok("/_certgate".to_owned());
    }
    let mut parts = Vec::new();
    for one in required {
        let (word, name) = match one {
            Required::Group(name) => ("group", name.as_str()),
            Required::User(name) => ("user", name.as_str()),
        };
        ensure!(
            !name.contains(['&', '#', '?', '"', '\\', '$', '%']),
            "--require {word}:{name}: this name cannot stand in nginx's configuration"
        );
        parts.push(format!("require={word}:{name}"));
    }
    Ok(format!("\"/_certgate/{}\"", parts.join("&")))
}

fn snippet(name: &str) -> anyhow::Result<&'static str> {
    let found = SNIPPETS.iter().find(|(other, _)| *other == name);
    found.map(|(_, text)| *text).with_context(|| format!("{name} is not shipped"))
}

fn replace(text: &str, pairs: &[(&str, &str)]) -> anyhow::Result<String> {
    let mut text = text.to_owned();
    for (from, to) in pairs {
        ensure!(text.contains(from), "the shipped files have changed: no {from:?}");
        text = text.replace(from, to);
    }
    Ok(text)
}

/// A snippet within a block; its comments say how to include it, and here it is included.
fn indented(text: &str, depth: usize) -> String {
    let mut indented = String::new();
    // The text of a page keeps its own lines.
    let mut is_quoted = false;
    for line in text.lines() {
        if !line.is_empty() && !is_quoted {
            indented.push_str(&"    ".repeat(depth));
        }
        indented.push_str(line);
        indented.push('\n');
        if !line.trim_start().starts_with('#') && line.matches('\'').count() % 2 == 1 {
            is_quoted = !is_quoted;
        }
    }
    indented.push('\n');
    indented
}

/// A word that nginx reads as it stands.
fn word(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-:/[]*@+~,".contains(c);
    if text.is_empty() || !text.chars().all(is_plain) {
        return Err("has a character that has a meaning to nginx".to_owned());
    }
    Ok(text.to_owned())
}

fn url(text: &str) -> Result<String, String> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err("begins with neither http:// nor https://".to_owned());
    }
    word(text)
}
