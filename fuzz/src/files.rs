//! Files that an operator imports: every reader, whatever the bytes are.

use std::sync::OnceLock;

use certgate::exchange::{Feed, Meant, Whose, certificates, json, ldif, openssl, sheet};
use certgate::pki::Certificate;

/// A reader names what it cannot take and never takes what is no name, no pattern or a CA. The first
/// byte says which reader.
pub fn check(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    let feed = match which % 5 {
        0 => json::read("file", bytes),
        1 => sheet::read("file", bytes),
        2 => certificates::read("file", bytes),
        3 => ldif::read("file", bytes, None),
        _ => openssl::read("file", bytes, authority(), |serial| {
            assert!(serial.bytes().all(|byte| byte.is_ascii_hexdigit()), "{serial}");
            Some(authority().der.to_vec())
        }),
    };
    sound(&feed);
}

fn sound(feed: &Feed) {
    let is_name = |name: &str| {
        let fits = (1..=256).contains(&name.len());
        fits && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
    };
    for person in feed.people.iter().map(|placed| &placed.value) {
        assert!(is_name(&person.username), "{person:?}");
        assert!(person.groups.iter().all(|group| is_name(group)), "{person:?}");
    }
    for claim in feed.claims.iter().map(|placed| &placed.value) {
        if let Whose::Named(username) = &claim.whose {
            assert!(is_name(username), "{claim:?}");
        }
        match &claim.meant {
            Meant::Certificate(certificate) => assert!(!certificate.is_ca),
            Meant::Pattern(pattern) => {
                let pattern = certgate::directory::parse_pattern(&pattern.row());
                assert!(pattern.is_ok_and(|pattern| pattern.kind().is_some()), "{claim:?}");
            }
        }
    }
    for ban in feed.bans.iter().map(|placed| &placed.value) {
        let pattern = certgate::directory::parse_pattern(&ban.pattern.row());
        assert!(pattern.is_ok_and(|pattern| !pattern.is_empty()), "{ban:?}");
    }
    for refused in &feed.refused {
        assert!(!refused.why.is_empty(), "{refused}");
    }
}

/// Any certificate will do: the reader looks at its names only.
fn authority() -> &'static Certificate {
    static AUTHORITY: OnceLock<Certificate> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let pem = include_bytes!("../../benches/alice.pem");
        match Certificate::from_file_bytes(pem) {
            Ok(certificate) => certificate,
            Err(error) => panic!("{error}"),
        }
    })
}
