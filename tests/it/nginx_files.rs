//! The shipped nginx files are accepted by nginx, each of them.

use certgate::cli::demo::application::seen;

use crate::support::certgate::free_addresses;
use crate::support::nginx::{Nginx, Site};
use crate::support::pki::Issuer;
use crate::support::tls::get;

/// nginx in front of an auth listener where nobody listens.
fn start(site: &Site) -> Nginx {
    let folder = certgate::cli::demo::workshop::Workshop::open("certgate-ca").unwrap();
    let ca = Issuer::root(folder.folder(), "Example CA");
    let [nobody] = free_addresses();
    // `nginx -t` is part of the start, and a warning would be in its error log.
    Nginx::start(site, nobody, &ca)
}

#[test]
fn the_example_site_is_accepted_without_a_warning() {
    let nginx = start(&Site::Example);
    assert_eq!(nginx.warnings(), Vec::<String>::new());
}

#[test]
fn the_observing_site_is_accepted_without_a_warning() {
    let nginx = start(&Site::Observe);
    assert_eq!(nginx.warnings(), Vec::<String>::new());
}

#[test]
fn the_http_level_file_alone_is_accepted() {
    let nginx = start(&Site::Own("location / { return 204; }"));
    assert_eq!(get(&nginx, None, "/", &[]).status, 204);
    assert_eq!(nginx.warnings(), Vec::<String>::new());
}

#[test]
fn every_identity_snippet_is_accepted_in_one_server_and_twice_over() {
    let nginx = start(&Site::Own(
        "include snippets/certgate-ask.conf;
        include snippets/certgate-errors.conf;
        auth_request /_certgate;
        include snippets/certgate-identity-proxy.conf;
        include snippets/certgate-identity-fastcgi.conf;
        include snippets/certgate-identity-uwsgi.conf;
        include snippets/certgate-identity-grpc.conf;
        location / {
            include snippets/certgate-identity-proxy.conf;
            proxy_pass http://{app};
        }
        location /inherits/ { proxy_pass http://{app}; }
        location /fastcgi/ {
            include fastcgi_params;
            include snippets/certgate-identity-fastcgi.conf;
            fastcgi_pass {fastcgi};
        }
        location /uwsgi/ {
            include uwsgi_params;
            include snippets/certgate-identity-uwsgi.conf;
            uwsgi_pass {fastcgi};
        }
        location /grpc/ {
            include snippets/certgate-identity-grpc.conf;
            grpc_pass grpc://{app};
        }",
    ));
    assert_eq!(nginx.warnings(), Vec::<String>::new());
}

#[test]
fn nobody_gets_in_while_certgate_is_away_and_a_public_page_stays_open() {
    let nginx = start(&Site::Example);
    for path in ["/", "/ops/", "/ops/x.php", "/php/", "/either/"] {
        assert_eq!(get(&nginx, None, path, &[]).status, 500, "{path}");
    }
    let answer = get(&nginx, None, "/public/", &[("X-Remote-User", "alice")]);
    assert_eq!(answer.status, 200);
    assert_eq!(seen(&answer.text(), "X-Remote-User"), None);
    assert_eq!((nginx.application.requests(), nginx.fastcgi.requests()), (1, 0));
}
