//! LDIF (RFC 2849): people of a directory server and their certificates.
//!
//! An entry that has a `userCertificate` or an `altSecurityIdentities` becomes a user and mappings;
//! every other entry is passed over. What would change or delete an entry refuses it: this reads
//! what is there, not what is to become of it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::check::{self, MAX_FILE_BYTES, MAX_ITEMS};
use super::feed::{Claim, Feed, Meant, Person, Place, Placed, Whose};
use super::security_identity::{self, Identity};
use crate::directory::Name;
use crate::pki::{Certificate, DistinguishedName, SlashForm};

/// Which attribute is the user's name, the first that an entry has.
const NAMES: [&str; 3] = ["samaccountname", "uid", "cn"];
/// Bit of `userAccountControl`: the account is disabled.
const ACCOUNT_DISABLED: i64 = 0x2;
/// Bytes of one value: a certificate of the largest size in base64, twice.
const MAX_VALUE_BYTES: usize = 128 * 1024;
/// Values of one entry: a group of many members is one too, and is passed over.
const MAX_VALUES: usize = 1_000_000;

/// Whether a text looks like LDIF.
#[must_use]
pub fn is_like_one(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"));
    let first = first.unwrap_or_default().to_ascii_lowercase();
    first.starts_with(b"dn:") || first.starts_with(b"version:")
}

/// Reads a file. `name` is the attribute that is the user's name, instead of the usual ones.
#[must_use]
pub fn read(file: &str, bytes: &[u8], name: Option<&str>) -> Feed {
    if bytes.len() > MAX_FILE_BYTES {
        return Feed::unreadable(file, format!("is longer than {MAX_FILE_BYTES} bytes"));
    }
    let name = name.map(str::to_ascii_lowercase);
    let names: Vec<&str> = name.as_deref().map_or(NAMES.to_vec(), |name| vec![name]);
    let (mut feed, whole) = (Feed::default(), Place::file(file));
    let (mut passed, mut count) = (0_u64, 0_usize);
    for (line, values) in (Entries { rest: bytes, line: 1 }) {
        count += 1;
        if count > MAX_ITEMS {
            return Feed::unreadable(file, format!("has more than {MAX_ITEMS} entries"));
        }
        let place = whole.at("the entry at line", line);
        match values.and_then(|values| Entry { values }.read(&names)) {
            Ok(None) => passed += 1,
            Ok(Some(taken)) => {
                feed.people.push(Placed { place: place.clone(), value: taken.person });
                for value in taken.claims {
                    feed.claims.push(Placed { place: place.clone(), value });
                }
                for remark in taken.remarks {
                    feed.remarks.push(format!("{place}: {remark}"));
                }
            }
            Err(why) => feed.refuse(place, why),
        }
    }
    if passed > 0 {
        feed.remarks.push(format!("{file}: passed over {passed} entries without a certificate"));
    }
    feed
}

/// An entry's values by attribute, in lower case and without `;binary`.
type Values = Vec<(String, Vec<u8>)>;

struct Entry {
    values: Values,
}

struct Taken {
    person: Person,
    claims: Vec<Claim>,
    remarks: Vec<String>,
}

impl Entry {
    fn read(&self, names: &[&str]) -> Result<Option<Taken>, String> {
        let certificates: Vec<&[u8]> = self.all("usercertificate").collect();
        let identities: Vec<&[u8]> = self.all("altsecurityidentities").collect();
        if certificates.is_empty() && identities.is_empty() {
            return Ok(None);
        }
        if self.all("changetype").any(|change| !change.eq_ignore_ascii_case(b"add")) {
            return Err("it changes an entry; export the entries themselves".to_owned());
        }
        let username = self.username(names)?;
        let whose = || Whose::Named(username.clone());
        let (mut claims, mut remarks) = (Vec::new(), Vec::new());
        for der in certificates {
            let found =
                Certificate::from_der(der).map_err(|why| format!("userCertificate: {why}"))?;
            if found.is_ca {
                return Err("userCertificate: this is the certificate of a CA".to_owned());
            }
            claims.push(Claim::new(whose(), Meant::Certificate(Arc::new(found))));
        }
        for value in identities {
            let text = text("altSecurityIdentities", value)?;
            let read = security_identity::read(text);
            match read.map_err(|why| format!("altSecurityIdentities: {why}"))? {
                Identity::Certificate(pattern) => {
                    let claim = Claim::new(whose(), Meant::Pattern(pattern));
                    claims.push(check::claim(claim)?);
                }
                Identity::Other => remarks.push(
                    "passed over a value of altSecurityIdentities that is no certificate"
                        .to_owned(),
                ),
            }
        }
        let groups = self.groups(&mut remarks)?;
        let full_name = self.only("displayname")?.or(self.only("cn")?);
        let person = check::person(Person {
            display_name: full_name.filter(|name| *name != username),
            email: self.only("mail")?,
            groups,
            disabled: self.is_disabled()?,
            username,
            ..Person::default()
        })?;
        Ok(Some(Taken { person, claims, remarks }))
    }

    fn all<'e>(&'e self, attribute: &'e str) -> impl Iterator<Item = &'e [u8]> {
        let of_it = self.values.iter().filter(move |(name, _)| name == attribute);
        of_it.map(|(_, value)| value.as_slice())
    }

    /// The value of an attribute that has exactly one: none is taken because it came first.
    fn only(&self, attribute: &str) -> Result<Option<String>, String> {
        let mut values = self.all(attribute);
        match (values.next(), values.next()) {
            (Some(value), None) => text(attribute, value).map(|text| Some(text.to_owned())),
            _ => Ok(None),
        }
    }

    fn username(&self, names: &[&str]) -> Result<String, String> {
        let name = names.iter().find(|name| self.all(name).next().is_some());
        let name = name.ok_or_else(|| format!("has none of {}", names.join(", ")))?;
        let only = self.only(name)?;
        let username = only.ok_or_else(|| format!("{name} has several values"))?;
        check::name(name, &username)?;
        Ok(username)
    }

    /// The common names of the groups. Those that cannot be names of ours are passed over: they
    /// could let nobody in anyway.
    fn groups(&self, remarks: &mut Vec<String>) -> Result<Vec<String>, String> {
        let mut groups = Vec::new();
        for value in self.all("memberof") {
            let text = text("memberOf", value)?;
            let name = DistinguishedName::parse(text, SlashForm::Refuse)
                .map_err(|error| format!("memberOf: {error}"))?;
            // The text of a DN has the most specific name first, its DER last.
            let group = name.values("CN").pop().unwrap_or_default();
            match Name::parse(group.as_bytes()) {
                Ok(group) => groups.push(group.to_string()),
                Err(_) => remarks.push(format!("passed over the group {group:?}: no name of ours")),
            }
        }
        Ok(groups)
    }

    fn is_disabled(&self) -> Result<bool, String> {
        let control = self.only("useraccountcontrol")?.map(|text| text.parse::<i64>());
        let control = control.transpose().map_err(|_| "userAccountControl is no number")?;
        let locked = self.all("nsaccountlock").any(|value| value.eq_ignore_ascii_case(b"true"));
        Ok(locked || control.is_some_and(|control| control & ACCOUNT_DISABLED != 0))
    }
}

fn text<'v>(attribute: &str, value: &'v [u8]) -> Result<&'v str, String> {
    std::str::from_utf8(value).map_err(|_| format!("{attribute} is not UTF-8"))
}

/// The entries of a file, each with the number of its first line.
struct Entries<'f> {
    rest: &'f [u8],
    line: u64,
}

impl Iterator for Entries<'_> {
    type Item = (u64, Result<Values, String>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut first = None;
        let mut values = Ok(Values::new());
        while let Some((number, line)) = self.logical_line() {
            if line.is_empty() {
                if first.is_some() {
                    break;
                }
                continue;
            }
            if line.starts_with(b"#") {
                continue;
            }
            let is_version = line.to_ascii_lowercase().starts_with(b"version:");
            if first.is_none() && is_version {
                continue;
            }
            first = first.or(Some(number));
            values = values.and_then(|mut values| {
                if values.len() >= MAX_VALUES {
                    return Err(format!("has more than {MAX_VALUES} values"));
                }
                values.push(value(&line)?);
                Ok(values)
            });
        }
        first.map(|first| (first, values))
    }
}

impl Entries<'_> {
    /// The next line with its continuations, which begin with a blank.
    fn logical_line(&mut self) -> Option<(u64, Vec<u8>)> {
        if self.rest.is_empty() {
            return None;
        }
        let number = self.line;
        let mut line = self.physical_line().to_vec();
        while self.rest.first() == Some(&b' ') {
            let more = self.physical_line();
            line.extend_from_slice(more.get(1..).unwrap_or_default());
        }
        Some((number, line))
    }

    fn physical_line(&mut self) -> &[u8] {
        let end = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
        self.rest = rest.get(1..).unwrap_or_default();
        self.line += 1;
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}

/// `attribute: text`, `attribute:: base64`; a URL is refused: nothing here fetches.
fn value(line: &[u8]) -> Result<(String, Vec<u8>), String> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or("a line has no colon")?;
    let (attribute, rest) = line.split_at_checked(colon).unwrap_or((line, &[]));
    let attribute = std::str::from_utf8(attribute).map_err(|_| "an attribute is not ASCII")?;
    let attribute = attribute.split(';').next().unwrap_or_default().to_ascii_lowercase();
    let value = match rest {
        [b':', b':', base64 @ ..] => {
            if base64.len() > MAX_VALUE_BYTES {
                return Err(format!("{attribute:?} is longer than {MAX_VALUE_BYTES} bytes"));
            }
            let decoded = STANDARD.decode(base64.trim_ascii());
            decoded.map_err(|_| format!("{attribute:?} is not canonical base64"))?
        }
        [b':', b'<', ..] => return Err(format!("{attribute:?} is a URL, which is not fetched")),
        [b':', text @ ..] if text.len() > MAX_VALUE_BYTES => {
            return Err(format!("{attribute:?} is longer than {MAX_VALUE_BYTES} bytes"));
        }
        [b':', text @ ..] => text.trim_ascii_start().to_vec(),
        _ => Vec::new(),
    };
    Ok((attribute, value))
}
