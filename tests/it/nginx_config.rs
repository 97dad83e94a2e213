//! `certgate nginx config` prints a site that nginx takes and that asks certgate.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use certgate::cli::demo::application::{Application, seen};
use certgate::cli::demo::client::{Caller, Credentials, TlsVersion};
use certgate::cli::demo::programs;
use certgate::cli::demo::workshop::Workshop;
use certgate::doctor::nginx::{Expected, judge};

use crate::support::certgate::{Certgate, free_addresses, program};
use crate::support::pki::{Issuer, Leaf};

/// nginx around one printed file, and nothing else of ours.
fn nginx_conf(folder: &str) -> String {
    format!(
        "daemon off;\npid \"{folder}/nginx.pid\";\nerror_log \"{folder}/logs/error.log\" notice;\n\
         events {{}}\nhttp {{\n\
         client_body_temp_path \"{folder}/temp/body\";\nproxy_temp_path \"{folder}/temp/proxy\";\n\
         fastcgi_temp_path \"{folder}/temp/fastcgi\";\nuwsgi_temp_path \"{folder}/temp/uwsgi\";\n\
         scgi_temp_path \"{folder}/temp/scgi\";\n\
         access_log off;\ninclude site.conf;\n}}\n"
    )
}

fn expected(input: &[(&str, &'static str)]) -> Expected {
    Expected {
        input: input.iter().map(|(name, variable)| ((*name).to_owned(), *variable)).collect(),
        auth: "127.0.0.1:9180".to_owned(),
        output: ["X-Remote-User", "X-Remote-Groups", "X-Remote-Name", "X-Remote-Email"]
            .map(str::to_owned),
        verifies_chains: false,
    }
}

#[test]
fn the_printed_site_lets_in_who_is_mapped_and_nobody_else() {
    let workshop = Workshop::open("certgate-site").unwrap();
    let folder = workshop.folder().to_owned();
    let ca = Issuer::root(&folder.join("ca"), "Example CA");
    let own = Issuer::root(&folder.join("own"), "Server CA");
    let server = own.issue("server", Leaf::server());
    let [alice, bob] = ["alice", "bob"].map(|name| ca.client(name));
    let secret = folder.join("secret");
    fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    for (further, is_secret) in [("", false), ("proxy.secret_file = \"{}\"\n", true)] {
        let further = further.replace("{}", secret.to_str().unwrap());
        let certgate = Certgate::start_with(&further);
        certgate.run(&["user", "add", "alice", "--group", "ops"]);
        certgate.run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
        let application = Application::start().unwrap();
        let [listen] = free_addresses();
        let mut site = certgate.run(&[
            "nginx",
            "config",
            "--server-name",
            "localhost",
            "--listen",
            &listen.to_string(),
            "--upstream",
            &format!("http://{}", application.address()),
            "--certificate",
            server.pem.to_str().unwrap(),
            "--key",
            server.key.to_str().unwrap(),
            "--client-ca",
            ca.pem.to_str().unwrap(),
            "--require",
            "group:ops",
        ]);
        assert!(!site.contains("0123456789abcdef"), "the secret is printed");
        for name in ["logs", "temp"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        site = site.replace("/var/log/nginx/app.access.log", "logs/access.log");
        if is_secret {
            let line = "proxy_set_header X-Certgate-Secret \"0123456789abcdef0123456789abcdef\";";
            fs::write(folder.join("nginx-secret.conf"), line).unwrap();
            assert!(site.contains("\n        include /etc/certgate/nginx-secret.conf;"), "{site}");
            let own = folder.join("nginx-secret.conf");
            site = site.replace("/etc/certgate/nginx-secret.conf", own.to_str().unwrap());
        }
        fs::write(folder.join("site.conf"), &site).unwrap();
        fs::write(folder.join("nginx.conf"), nginx_conf(folder.to_str().unwrap())).unwrap();
        let nginx = programs::find("nginx").unwrap();
        let dump = programs::nginx(&nginx, &folder).arg("-T").output().unwrap();
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        let names = [
            ("X-SSL-Client-Verify", "$ssl_client_verify"),
            ("X-SSL-Client-Cert", "$ssl_client_escaped_cert"),
        ];
        let dump = String::from_utf8(dump.stdout).unwrap();
        assert_eq!(judge(&dump, &expected(&names)).unwrap(), []);
        workshop.spawn("nginx", &mut programs::nginx(&nginx, &folder)).unwrap();
        let caller = |identity| Caller::new(listen, &own.pem, identity, TlsVersion::Tls13).unwrap();
        let nobody = caller(None);
        workshop.wait_for("nginx", || nobody.connect().map(drop)).unwrap();
        let get = |identity: Option<Credentials>| {
            caller(identity).connect().unwrap().get("/", &[("X-Remote-User", "admin")]).unwrap()
        };
        let identity =
            |one: &crate::support::pki::Issued| Credentials::read(&one.pem, &one.key).ok();
        let answer = get(identity(&alice));
        assert_eq!((answer.status, seen(&answer.text(), "X-Remote-User")), (200, Some("alice")));
        assert_eq!(get(identity(&bob)).status, 401);
        assert_eq!(get(None).status, 401);
        workshop.stop("nginx");
    }
}

fn print(configuration: &str) -> std::process::Output {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("certgate.toml");
    fs::write(&config, configuration).unwrap();
    let mut command: Command = programs::certgate(&program(), &config);
    command.args(["nginx", "config"]).output().unwrap()
}

#[test]
fn it_follows_the_configuration_in_names_and_places() {
    let text = |configuration: &str| {
        let output = print(configuration);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(
        text("auth.listen = \"unix:/run/certgate/auth.sock\"\n")
            .contains("\n    server unix:/run/certgate/auth.sock;")
    );
    let headers = text("identity.source = \"headers\"\n");
    let names = [
        ("X-SSL-Client-Verify", "$ssl_client_verify"),
        ("X-SSL-Client-Serial", "$ssl_client_serial"),
        ("X-SSL-Client-S-DN", "$ssl_client_s_dn"),
        ("X-SSL-Client-I-DN", "$ssl_client_i_dn"),
    ];
    assert_eq!(judge(&headers, &expected(&names)).unwrap(), []);
    assert!(!headers.contains("$ssl_client_escaped_cert;"));
    let renamed = text("output.profile = \"remote\"\nproxy.headers.verify = \"X-Verified\"\n");
    assert!(renamed.contains("$upstream_http_remote_user;"), "{renamed}");
    assert!(!renamed.contains("$upstream_http_x_remote_user"));
    assert!(renamed.to_lowercase().contains("proxy_set_header x-verified $ssl_client_verify;"));
}

#[test]
fn what_cannot_be_printed_is_refused() {
    let refused = |output: std::process::Output| {
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(print("proxy.dialect = \"haproxy\"\n")).contains("deploy/proxies"));
    assert!(refused(print("auth.listen = \"off\"\n")).contains("auth.listen"));
    for (option, value) in [
        ("--server-name", "a; } server { listen 80"),
        ("--upstream", "http://a;"),
        ("--upstream", "file:/a"),
        ("--listen", "443\n"),
        ("--key", "/a\"b"),
        ("--require", "group:a&b"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("certgate.toml");
        fs::write(&config, "").unwrap();
        let mut command: Command = programs::certgate(&program(), &config);
        let text = refused(command.args(["nginx", "config", option, value]).output().unwrap());
        assert!(text.contains(option), "{text}");
    }
}
