//! The body of a call: read whole, bounded, and taken only if it means one thing.

use std::collections::HashSet;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt as _;
use serde::Deserialize as _;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};

use super::problem::Problem;

/// Most bytes of a body; a certificate has 2 KiB, and nothing is handed in by the thousand here.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// Reads the body.
///
/// # Errors
/// 413 for one that is too long, 400 for one that breaks off.
pub(super) async fn read(mut payload: Payload) -> Result<Bytes, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::malformed("the body breaks off"))?;
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                format!("the body has more than {MAX_BYTES} bytes"),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Reads a value from JSON in which nothing is said twice.
///
/// # Errors
/// 400, with the place.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let malformed = |error: serde_json::Error| Problem::malformed(format!("the body: {error}"));
    let mut reader = serde_json::Deserializer::from_slice(body);
    Once.deserialize(&mut reader).map_err(malformed)?;
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::malformed("the body is no object"));
    }
    serde_json::from_slice(body).map_err(malformed)
}

/// For a field that is an object: what is made for objects would take a list of values as well.
///
/// # Errors
/// It is no object, or not the one that is meant.
pub(super) fn object<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let map = serde_json::Map::deserialize(deserializer)?;
    serde_json::from_value(serde_json::Value::Object(map)).map_err(D::Error::custom)
}

/// Walks through a value and refuses a key that stands twice in one object: of two readers each
/// could believe another one of them.
struct Once;

impl<'de> DeserializeSeed<'de> for Once {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!("{key:?} stands twice")));
            }
            keys.insert(key);
            entries.next_value_seed(Self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;

    use super::parse;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only whether it can be read counts here")]
        name: Value,
    }

    #[test]
    fn what_means_two_things_or_more_than_is_known_is_refused() {
        for (body, is_read) in [
            (r#"{"name": "alice"}"#, true),
            (r#"{"name": {"a": {"b": 1}, "c": [{"a": 1}, {"a": 2}]}}"#, true),
            (r#"{"name": "alice", "name": "bob"}"#, false),
            (r#"{"name": {"a": 1, "a": 2}}"#, false),
            (r#"{"name": [{"a": 1, "\u0061": 2}]}"#, false),
            (r#"{"name": "alice", "other": 1}"#, false),
            (r#"{"name": "alice"} {}"#, false),
            (r#"{"name": "alice""#, false),
            (r#"{"name": "\ud800"}"#, false),
            ("", false),
            ("name=alice", false),
            ("[\"alice\"]", false),
            ("\"alice\"", false),
        ] {
            assert_eq!(parse::<Body>(body.as_bytes()).is_ok(), is_read, "{body}");
        }
        assert!(parse::<Value>(b"{\"\xff\": 1}").is_err(), "not UTF-8");
        assert!(parse::<Value>("{\"a\":".repeat(100_000).as_bytes()).is_err(), "too deep");
    }
}
