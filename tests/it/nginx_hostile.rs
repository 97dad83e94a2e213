//! Configurations that make it easy for a liar, around the shipped files: lost lines, inherited
//! ones, rewrites, unverified certificates (rows H2, N2, N6, N11 of the threat model).

use std::fs;
use std::path::Path;

use certgate::cli::demo::application::seen;

use crate::support::nginx::Site;
use crate::support::pki::Issued;
use crate::support::tls::{all_seen, get};
use crate::support::world::World;

fn edit(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} in {file}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn h2_a_lost_line_towards_certgate_is_a_refusal_and_no_bypass() {
    for lost in
        ["X-SSL-Client-Verify  $ssl_client_verify", "X-SSL-Client-Cert    $ssl_client_escaped_cert"]
    {
        let line = format!("proxy_set_header {lost};");
        let world = World::changed(&Site::Example, |folder| {
            edit(folder, "snippets/certgate-ask.conf", &line, "");
        });
        let victim = world.alice.escaped();
        let forged = [("X-SSL-Client-Verify", "SUCCESS"), ("X-SSL-Client-Cert", victim.as_str())];
        for certificate in [None, Some(&world.bob), Some(&world.alice)] {
            let answer = get(&world.nginx, certificate, "/", &forged);
            assert_eq!(answer.status, 401, "without {lost}");
        }
    }
}

#[test]
fn h2_lost_variables_mean_no_user_and_never_the_one_of_the_client() {
    let world = World::new(&Site::Own(
        "include snippets/certgate-ask.conf;
        auth_request /_certgate;
        include snippets/certgate-identity-proxy.conf;
        location / { proxy_pass http://{app}; }
        location /own/ {
            auth_request_set $mine $upstream_http_x_mine;
            proxy_pass http://{app};
        }
        location /own/repeated/ {
            auth_request_set $mine $upstream_http_x_mine;
            include snippets/certgate-identity-proxy.conf;
            proxy_pass http://{app};
        }",
    ));
    let forged = [("X-Remote-User", "forged")];
    let answer = get(&world.nginx, Some(&world.alice), "/own/repeated/", &forged);
    assert_eq!(all_seen(&answer, "X-Remote-User"), ["alice"]);
    let answer = get(&world.nginx, Some(&world.alice), "/", &forged);
    assert_eq!(all_seen(&answer, "X-Remote-User"), ["alice"]);
    let answer = get(&world.nginx, Some(&world.alice), "/own/", &forged);
    assert_eq!((answer.status, seen(&answer.text(), "X-Remote-User")), (200, None));
    assert_eq!(get(&world.nginx, Some(&world.bob), "/own/", &forged).status, 401);
}

/// What a server may have above our locations, each of which turns a refusal into a 200 where an
/// auth location inherits it.
const HOSTILE: &str = "
    proxy_intercept_errors on;
    error_page 401 403 404 500 502 503 504 =200 /sorry;
    proxy_cache everything;
    proxy_cache_valid any 10m;
    proxy_cache_key one;
    proxy_ignore_headers Cache-Control Expires X-Accel-Expires;
    include snippets/certgate-ask.conf;
    location = /sorry { auth_request off; return 200 sorry; }
    location / {
        auth_request /_certgate;
        error_page 599 /x;
        proxy_cache off;
        include snippets/certgate-identity-proxy.conf;
        proxy_pass http://{app};
    }
    location /ops/ {
        auth_request \"/_certgate/require=group:ops\";
        error_page 599 /x;
        proxy_cache off;
        include snippets/certgate-identity-proxy.conf;
        proxy_pass http://{app};
    }";

fn with_cache(folder: &Path) {
    let cache = folder.join("temp/cache");
    let line = format!("proxy_cache_path \"{}\" keys_zone=everything:1m;\n", cache.display());
    fs::write(folder.join("conf.d/cache.conf"), line).unwrap();
}

#[test]
fn n2_n6_an_inherited_error_page_or_cache_does_not_open_the_site() {
    let world = World::changed(&Site::Own(HOSTILE), with_cache);
    let status =
        |certificate: Option<&Issued>, path: &str| get(&world.nginx, certificate, path, &[]).status;
    for path in ["/", "/ops/"] {
        let answer = get(&world.nginx, Some(&world.alice), path, &[]);
        assert_eq!(all_seen(&answer, "X-Remote-User"), ["alice"], "{path}");
        assert_eq!(status(None, path), 401, "{path}");
        assert_eq!(status(Some(&world.bob), path), 401, "{path}");
    }
    let answer = get(&world.nginx, Some(&world.carol), "/", &[]);
    assert_eq!(all_seen(&answer, "X-Remote-User"), ["carol"]);
    assert_eq!(status(Some(&world.carol), "/ops/"), 403);
    world.certgate.stop();
    for path in ["/", "/ops/"] {
        assert_eq!(status(Some(&world.alice), path), 500, "{path}");
        assert_eq!(status(None, path), 500, "{path}");
    }
}

#[test]
fn a_rewrite_of_the_whole_server_does_not_carry_the_question_to_the_application() {
    let world = World::new(&Site::Own(
        "include snippets/certgate-ask.conf;
        include snippets/certgate-errors.conf;
        rewrite ^ /index last;
        location / {
            auth_request /_certgate;
            include snippets/certgate-identity-proxy.conf;
            proxy_pass http://{app};
        }
        location /index {
            auth_request \"/_certgate/require=group:ops\";
            include snippets/certgate-identity-proxy.conf;
            proxy_pass http://{app};
        }",
    ));
    assert_eq!(get(&world.nginx, None, "/", &[]).status, 401);
    assert_eq!(get(&world.nginx, Some(&world.bob), "/x", &[]).status, 401);
    assert_eq!(get(&world.nginx, Some(&world.mallory), "/x", &[]).status, 401);
    assert_eq!(get(&world.nginx, None, "/_certgate/x", &[]).status, 404);
    assert_eq!(get(&world.nginx, None, "/_certgate-x", &[]).status, 401);
    assert_eq!(get(&world.nginx, Some(&world.carol), "/x", &[]).status, 403);
    assert_eq!(world.nginx.application.requests(), 0);
    let answer = get(&world.nginx, Some(&world.alice), "/x", &[]);
    assert_eq!(all_seen(&answer, "X-Remote-User"), ["alice"]);
}

#[test]
fn n11_a_certificate_that_nginx_could_not_verify_is_refused_where_nginx_lets_it_pass() {
    let world = World::changed(&Site::Example, |folder| {
        edit(
            folder,
            "sites/site.conf",
            "ssl_verify_client      optional;",
            "ssl_verify_client      optional_no_ca;",
        );
    });
    for path in ["/", "/php/", "/ops/", "/ops/x.php"] {
        assert_eq!(get(&world.nginx, Some(&world.mallory), path, &[]).status, 401, "{path}");
        assert_eq!(world.nginx.logged(path).code(), "chain_untrusted", "{path}");
    }
    assert_eq!(get(&world.nginx, Some(&world.alice), "/", &[]).status, 200);
}
