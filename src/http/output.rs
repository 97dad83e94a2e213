//! The identity headers of an answer, by the profile the operator chose, and the one line that a
//! refused person gets to read through a proxy that copies our answer.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::header::{
    CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::directory::User;

/// Bytes of a name or e-mail that are percent-encoded: all outside 0x20-0x7E, and `%` itself, so
/// that decoding gives back exactly what was stored.
const NOT_PLAIN: &AsciiSet = &CONTROLS.add(b'%');

/// Traefik's ForwardAuth and Caddy's `forward_auth` say with it what they ask about; nginx's
/// shipped locations pass no header of a client.
const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");

/// The one form of the line.
const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The names of the default profile.
const X_REMOTE: [HeaderName; 4] = [
    HeaderName::from_static("x-remote-user"),
    HeaderName::from_static("x-remote-groups"),
    HeaderName::from_static("x-remote-name"),
    HeaderName::from_static("x-remote-email"),
];

/// How the answer names the headers of an identity: of the user's name, the groups, the name for
/// people, the mail address.
#[derive(Clone, Debug)]
pub enum Output {
    /// As the default profile does: constants are copied into every answer for less than names that
    /// were configured.
    XRemote,
    /// Otherwise.
    Named([HeaderName; 4]),
}

impl From<[HeaderName; 4]> for Output {
    fn from(names: [HeaderName; 4]) -> Self {
        if names == X_REMOTE { Self::XRemote } else { Self::Named(names) }
    }
}

impl Output {
    /// Writes the full set; what is unknown is written empty, so that nginx overwrites what a
    /// client sent.
    ///
    /// # Errors
    /// A value that cannot stand in a header; the caller must answer without any identity.
    pub(super) fn write(
        &self,
        user: Option<&User<'_>>,
        headers: &mut HeaderMap,
    ) -> Result<(), InvalidHeaderValue> {
        let names = match self {
            Self::XRemote => X_REMOTE,
            Self::Named(names) => names.clone(),
        };
        let Some(user) = user else {
            for name in names {
                headers.insert(name, HeaderValue::from_static(""));
            }
            return Ok(());
        };
        let text = |text: Option<&str>| encode(text.unwrap_or_default());
        let [username, groups, name, email] = names;
        headers.insert(username, HeaderValue::from_str(&user.username)?);
        headers.insert(groups, HeaderValue::from_str(user.groups.as_str())?);
        headers.insert(name, text(user.display_name.as_deref())?);
        headers.insert(email, text(user.email.as_deref())?);
        Ok(())
    }
}

/// Whether the proxy hands a refusal on to its client as it is. nginx does not, and closes its
/// connection to us after an answer to `auth_request` that has a body.
///
/// It decides about that body only: whoever lies here reads or misses one line.
pub(super) fn is_copied(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED_METHOD)
}

/// Writes the line by which an operator finds the refusal: the code, and the request id as the log
/// has it, `-` if the proxy sent none.
pub(super) fn write_refusal(code: &str, request_id: &str, response: &mut HttpResponse) {
    let request_id = if request_id.is_empty() { "-" } else { request_id };
    let line = format!("certgate: {code} (request {request_id})\n");
    response.headers_mut().insert(CONTENT_TYPE, PLAIN_TEXT);
    *response = std::mem::replace(response, HttpResponse::new(response.status()))
        .set_body(BoxBody::new(line));
}

/// Plain text, which most is, is taken as it stands.
fn encode(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    // Without an early end, so that many bytes are looked at at a time.
    let is_odd = |byte: u8| !(b' '..=b'~').contains(&byte) || byte == b'%';
    if !text.bytes().fold(false, |any, byte| any | is_odd(byte)) {
        return HeaderValue::from_str(text);
    }
    HeaderValue::from_str(&Cow::from(utf8_percent_encode(text, NOT_PLAIN)))
}

#[cfg(test)]
mod tests {
    use actix_web::HttpResponse;
    use actix_web::body::MessageBody as _;
    use actix_web::http::StatusCode;

    use super::{encode, write_refusal};

    #[test]
    fn a_refusal_is_one_line_and_keeps_its_status() {
        for (id, line) in [
            ("4711-a", "certgate: unmapped (request 4711-a)\n"),
            ("", "certgate: unmapped (request -)\n"),
        ] {
            let mut response = HttpResponse::new(StatusCode::UNAUTHORIZED);
            write_refusal("unmapped", id, &mut response);
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(response.into_body().try_into_bytes().unwrap(), line);
        }
    }

    #[test]
    fn text_for_people_is_percent_encoded_utf8() {
        let table = [
            ("Alice Dupont", "Alice Dupont"),
            ("Zoë", "Zo%C3%AB"),
            ("100%", "100%25"),
            ("a\r\nb", "a%0D%0Ab"),
            ("alice@example.com", "alice@example.com"),
            ("", ""),
            (" ~", " ~"),
            ("\x1f\x7f", "%1F%7F"),
        ];
        for (text, encoded) in table {
            assert_eq!(encode(text).unwrap(), encoded, "{text}");
        }
    }
}
