//! That a call that may change something was meant: a browser sends its user's certificate with
//! whatever any page makes it send.
//!
//! It fails closed: what is there twice, or cannot be read, refuses.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, ORIGIN};

use super::problem::Problem;

/// Must be sent with the value `1`. A form cannot set it, and a script of another site only after
/// a preflight, which nobody here answers.
pub(super) const REQUEST_HEADER: HeaderName = HeaderName::from_static("x-certgate-request");
/// <https://www.w3.org/TR/fetch-metadata/>: a browser's own word on which page asks.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks the headers of a call that may change something.
///
/// # Errors
/// 403 for a page that may not ask, 415 for a body of another kind.
pub(super) fn check(
    headers: &HeaderMap,
    origin: Option<&str>,
    has_body: bool,
) -> Result<(), Problem> {
    let forbidden =
        |code, detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, code, detail.to_owned()));
    if single(headers, &REQUEST_HEADER) != Sent::Once(b"1") {
        return forbidden(
            "request_header_required",
            "a call that may change something needs the header X-Certgate-Request: 1",
        );
    }
    match single(headers, &FETCH_SITE) {
        Sent::Never | Sent::Once(b"same-origin" | b"none") => {}
        _ => return forbidden("cross_site", "a page of another site may not ask for this"),
    }
    match single(headers, &ORIGIN) {
        Sent::Never => {}
        Sent::Once(shown) if origin.is_some_and(|origin| origin.as_bytes() == shown) => {}
        _ => {
            return forbidden(
                "foreign_origin",
                "no page but those of admin.origin may ask for this",
            );
        }
    }
    match single(headers, &CONTENT_TYPE) {
        Sent::Once(kind) if kind.eq_ignore_ascii_case(b"application/json") => Ok(()),
        Sent::Never if !has_body => Ok(()),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            "the body is JSON: send Content-Type: application/json, and nothing behind it",
        )),
    }
}

/// How a header that counts was sent.
#[derive(PartialEq, Eq)]
enum Sent<'h> {
    Never,
    Often,
    Once(&'h [u8]),
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Sent<'h> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (None, _) => Sent::Never,
        (Some(value), None) => Sent::Once(value.as_bytes()),
        (Some(_), Some(_)) => Sent::Often,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const OURS: &str = "https://certgate.example.com";

    /// The status of the refusal; 0 for none.
    fn judge(sent: &[(&str, &str)], origin: Option<&str>, has_body: bool) -> u16 {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        check(&headers, origin, has_body).err().map_or(0, |problem| problem.status.as_u16())
    }

    #[test]
    fn only_what_a_foreign_page_cannot_send_gets_past() {
        let asked = ("x-certgate-request", "1");
        let json = ("content-type", "application/json");
        let site = |value| ("sec-fetch-site", value);
        let origin = |value| ("origin", value);
        for (sent, expected) in [
            (&[asked, json][..], 0),
            (&[asked, ("content-type", "Application/JSON")], 0),
            (&[asked, json, site("same-origin"), origin(OURS)], 0),
            (&[asked, json, site("none")], 0),
            (&[json], 403),
            (&[("x-certgate-request", "0"), json], 403),
            (&[("x-certgate-request", ""), json], 403),
            (&[asked, asked, json], 403),
            (&[asked, json, site("cross-site")], 403),
            (&[asked, json, site("same-site")], 403),
            (&[asked, json, site("")], 403),
            (&[asked, json, site("none"), site("none")], 403),
            (&[asked, json, origin("https://evil.example.com")], 403),
            (&[asked, json, origin("null")], 403),
            (&[asked, json, origin("https://certgate.example.com.evil.example")], 403),
            (&[asked, json, origin(OURS), origin(OURS)], 403),
            (&[asked], 415),
            (&[asked, ("content-type", "application/json; charset=utf-8")], 415),
            (&[asked, ("content-type", "application/x-www-form-urlencoded")], 415),
            (&[asked, ("content-type", "text/plain")], 415),
            (&[asked, ("content-type", "multipart/form-data")], 415),
            (&[asked, json, json], 415),
        ] {
            assert_eq!(judge(sent, Some(OURS), true), expected, "{sent:?}");
        }
    }

    #[test]
    fn without_an_origin_configured_no_page_at_all_may_ask() {
        let sent = [("x-certgate-request", "1"), ("origin", OURS)];
        assert_eq!(judge(&sent, None, false), 403);
        assert_eq!(judge(&sent, Some(OURS), false), 0);
        assert_eq!(judge(&sent[..1], None, false), 0, "no body needs no type");
        let form = [sent[0], ("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(judge(&form, None, false), 415, "a form is refused without a body too");
    }
}
