//! JSON: the exact form of users, mappings and blocks.
//!
//! `{"users": [..], "mappings": [..], "blocks": [..]}`, every member by the name of its column; a
//! member that is absent is null. A mapping or a block may have `certificate`, PEM or the base64 of
//! DER, for its columns. A member that is unknown refuses the whole file.

use serde::{Deserialize, Serialize};

use super::certificates::one_certificate;
use super::check::{self, MAX_FILE_BYTES, MAX_ITEMS};
use super::feed::{Ban, Claim, Feed, Meant, Person, Place, Placed, Whose};
use crate::store::{Block, Mapping, PatternText, User};

/// Reads a file.
#[must_use]
pub fn read(file: &str, bytes: &[u8]) -> Feed {
    if bytes.len() > MAX_FILE_BYTES {
        return Feed::unreadable(file, format!("is longer than {MAX_FILE_BYTES} bytes"));
    }
    // The library would take a list for the members in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Feed::unreadable(file, "is not the JSON of an import: it begins with no brace");
    }
    let document: Document = match serde_json::from_slice(bytes) {
        Ok(document) => document,
        Err(error) => {
            return Feed::unreadable(file, format!("is not the JSON of an import: {error}"));
        }
    };
    let Document { users, mappings, blocks } = document;
    if users.len() + mappings.len() + blocks.len() > MAX_ITEMS {
        return Feed::unreadable(file, format!("has more than {MAX_ITEMS} rows"));
    }
    let (mut feed, place) = (Feed::default(), Place::file(file));
    for (number, user) in (1..).zip(users) {
        let place = place.at("user", number);
        match check::person(user.into()) {
            Ok(value) => feed.people.push(Placed { place, value }),
            Err(why) => feed.refuse(place, why),
        }
    }
    for (number, mapping) in (1..).zip(mappings) {
        let place = place.at("mapping", number);
        match mapping.claim().and_then(check::claim) {
            Ok(value) => feed.claims.push(Placed { place, value }),
            Err(why) => feed.refuse(place, why),
        }
    }
    for (number, block) in (1..).zip(blocks) {
        let place = place.at("block", number);
        match block.ban().and_then(check::ban) {
            Ok(value) => feed.bans.push(Placed { place, value }),
            Err(why) => feed.refuse(place, why),
        }
    }
    feed
}

/// Writes what [`read`] reads, one row a line.
#[must_use]
pub fn write(users: &[User], mappings: &[Mapping], blocks: &[Block]) -> String {
    let lines = |rows: Vec<String>| match rows.as_slice() {
        [] => "[]".to_owned(),
        rows => format!("[\n{}\n]", rows.join(",\n")),
    };
    // Text and numbers become JSON without fail.
    let line = |row: serde_json::Result<String>| row.unwrap_or_default();
    let users = users.iter().map(|user| line(serde_json::to_string(&JsonUser::from(user))));
    let mappings =
        mappings.iter().map(|mapping| line(serde_json::to_string(&JsonMapping::from(mapping))));
    let blocks = blocks.iter().map(|block| line(serde_json::to_string(&JsonBlock::from(block))));
    format!(
        "{{\"users\": {},\n\"mappings\": {},\n\"blocks\": {}}}\n",
        lines(users.collect()),
        lines(mappings.collect()),
        lines(blocks.collect()),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    users: Vec<JsonUser>,
    #[serde(default)]
    mappings: Vec<JsonMapping>,
    #[serde(default)]
    blocks: Vec<JsonBlock>,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_yes(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_no(value: &bool) -> bool {
    !*value
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct JsonUser {
    username: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "is_no")]
    mapped_only: bool,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_until: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl From<JsonUser> for Person {
    fn from(user: JsonUser) -> Self {
        Self {
            username: user.username,
            display_name: user.display_name,
            email: user.email,
            groups: user.groups,
            mapped_only: user.mapped_only,
            disabled: !user.enabled,
            valid_from: user.valid_from,
            valid_until: user.valid_until,
            note: user.note,
        }
    }
}

impl From<&User> for JsonUser {
    fn from(user: &User) -> Self {
        Self {
            username: user.username.clone(),
            display_name: user.display_name.clone(),
            email: user.email.clone(),
            groups: user.groups.clone(),
            mapped_only: user.mapped_only,
            enabled: user.enabled,
            valid_from: user.valid_from.clone(),
            valid_until: user.valid_until.clone(),
            note: user.note.clone(),
        }
    }
}

/// The columns of a pattern. Not flattened: that would let unknown members through.
macro_rules! json_row {
    ($(#[$doc:meta])* $name:ident { $($before:ident: $type:ty,)* } { $($after:ident,)* }) => {
        $(#[$doc])*
        #[derive(Deserialize, Serialize)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $($before: $type,)*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            certificate: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            sha256: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            spki_sha256: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            issuer: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            issuer_key_id: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            serial: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            subject: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            san_email: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            san_upn: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            san_uri: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            san_dns: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            common_name: Option<String>,
            #[serde(default = "yes", skip_serializing_if = "is_yes")]
            enabled: bool,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            valid_from: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            valid_until: Option<String>,
            $(
                #[serde(default, skip_serializing_if = "Option::is_none")]
                $after: Option<String>,
            )*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            note: Option<String>,
        }

        impl $name {
            fn pattern(&mut self) -> PatternText {
                PatternText {
                    sha256: self.sha256.take(),
                    spki_sha256: self.spki_sha256.take(),
                    issuer: self.issuer.take(),
                    issuer_key_id: self.issuer_key_id.take(),
                    serial: self.serial.take(),
                    subject: self.subject.take(),
                    san_email: self.san_email.take(),
                    san_upn: self.san_upn.take(),
                    san_uri: self.san_uri.take(),
                    san_dns: self.san_dns.take(),
                    common_name: self.common_name.take(),
                }
            }
        }
    };
}

json_row! {
    JsonMapping { username: String, } { revoked_at, revoked_reason, }
}

json_row! {
    JsonBlock { } { reason, }
}

impl JsonMapping {
    fn claim(mut self) -> Result<Claim, String> {
        Ok(Claim {
            meant: meant(self.pattern(), self.certificate.as_deref())?,
            whose: Whose::Named(self.username),
            disabled: !self.enabled,
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            revoked_at: self.revoked_at,
            revoked_reason: self.revoked_reason,
            note: self.note,
        })
    }
}

impl JsonBlock {
    fn ban(mut self) -> Result<Ban, String> {
        let pattern = match meant(self.pattern(), self.certificate.as_deref())? {
            Meant::Pattern(pattern) => *pattern,
            Meant::Certificate(certificate) => PatternText {
                sha256: Some(certificate.sha256.to_string()),
                ..PatternText::default()
            },
        };
        Ok(Ban {
            pattern,
            disabled: !self.enabled,
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            reason: self.reason,
            note: self.note,
        })
    }
}

/// The certificate or the columns; both could contradict each other.
pub(super) fn meant(pattern: PatternText, certificate: Option<&str>) -> Result<Meant, String> {
    let Some(text) = certificate else {
        return Ok(Meant::Pattern(Box::new(pattern)));
    };
    if pattern != PatternText::default() {
        return Err("give either certificate or columns of it, not both".to_owned());
    }
    one_certificate(text).map(Meant::Certificate)
}

impl From<&Mapping> for JsonMapping {
    fn from(mapping: &Mapping) -> Self {
        let pattern = mapping.pattern.clone();
        Self {
            username: mapping.username.clone(),
            certificate: None,
            sha256: pattern.sha256,
            spki_sha256: pattern.spki_sha256,
            issuer: pattern.issuer,
            issuer_key_id: pattern.issuer_key_id,
            serial: pattern.serial,
            subject: pattern.subject,
            san_email: pattern.san_email,
            san_upn: pattern.san_upn,
            san_uri: pattern.san_uri,
            san_dns: pattern.san_dns,
            common_name: pattern.common_name,
            enabled: mapping.enabled,
            valid_from: mapping.valid_from.clone(),
            valid_until: mapping.valid_until.clone(),
            revoked_at: mapping.revoked_at.clone(),
            revoked_reason: mapping.revoked_reason.clone(),
            note: mapping.note.clone(),
        }
    }
}

impl From<&Block> for JsonBlock {
    fn from(block: &Block) -> Self {
        let pattern = block.pattern.clone();
        Self {
            certificate: None,
            sha256: pattern.sha256,
            spki_sha256: pattern.spki_sha256,
            issuer: pattern.issuer,
            issuer_key_id: pattern.issuer_key_id,
            serial: pattern.serial,
            subject: pattern.subject,
            san_email: pattern.san_email,
            san_upn: pattern.san_upn,
            san_uri: pattern.san_uri,
            san_dns: pattern.san_dns,
            common_name: pattern.common_name,
            enabled: block.enabled,
            valid_from: block.valid_from.clone(),
            valid_until: block.valid_until.clone(),
            reason: block.reason.clone(),
            note: block.note.clone(),
        }
    }
}
