//! The folder of an OpenSSL CA: `index.txt` says which certificates it issued and which it revoked.
//!
//! Valid ones become claims, revoked ones bans by issuer and serial, expired ones nothing. The
//! certificates are files named by serial; who reads a folder hands them in.
//! <https://docs.openssl.org/master/man1/openssl-ca/>

use std::sync::Arc;

use super::check::{self, MAX_FILE_BYTES, MAX_ITEMS};
use super::feed::{Ban, Claim, Feed, Meant, Place, Placed, Whose};
use crate::pki::{Certificate, SerialNumber};
use crate::store::PatternText;

/// Where OpenSSL and easy-rsa keep the certificate of a serial, within the CA's folder.
pub const CERTIFICATE_FOLDERS: [&str; 3] = ["newcerts", "certs_by_serial", "certs"];
/// Where the CA's own certificate is looked for, within its folder.
pub const AUTHORITY_FILES: [&str; 6] =
    ["ca.crt", "cacert.pem", "ca.pem", "ca.cert.pem", "certs/ca.cert.pem", "certs/ca.pem"];

/// Reads `index.txt`. `authority` is the CA's certificate; `certificate` gives the bytes of the
/// certificate of a serial, written as OpenSSL does.
pub fn read(
    file: &str,
    index: &[u8],
    authority: &Certificate,
    mut certificate: impl FnMut(&str) -> Option<Vec<u8>>,
) -> Feed {
    if index.len() > MAX_FILE_BYTES {
        return Feed::unreadable(file, format!("is longer than {MAX_FILE_BYTES} bytes"));
    }
    let (mut feed, whole) = (Feed::default(), Place::file(file));
    let (mut expired, mut authorities) = (0_u64, 0_u64);
    for (number, line) in (1_u64..).zip(index.split(|byte| *byte == b'\n')) {
        if number > MAX_ITEMS as u64 {
            return Feed::unreadable(file, format!("has more than {MAX_ITEMS} lines"));
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let place = whole.at("line", number);
        let taken = Line::read(line).and_then(|line| match line.status {
            Status::Expired => Ok(Taken::Expired),
            Status::Revoked(reason) => ban(authority, &line.serial, reason).map(Taken::Ban),
            Status::Valid => claim(authority, &line.serial, &mut certificate),
        });
        match taken {
            Ok(Taken::Authority) => authorities += 1,
            Ok(Taken::Ban(value)) => feed.bans.push(Placed { place, value }),
            Ok(Taken::Claim(value)) => feed.claims.push(Placed { place, value }),
            Ok(Taken::Expired) => expired += 1,
            Err(why) => feed.refuse(place, why),
        }
    }
    if expired > 0 {
        feed.remarks.push(format!("{file}: passed over {expired} certificates that expired"));
    }
    if authorities > 0 {
        feed.remarks.push(format!("{file}: passed over {authorities} certificates of CAs"));
    }
    feed
}

enum Taken {
    Authority,
    Ban(Ban),
    Claim(Claim),
    Expired,
}

/// What the first column says.
enum Status {
    Expired,
    Revoked(Option<String>),
    Valid,
}

struct Line {
    status: Status,
    serial: String,
}

impl Line {
    /// Six columns with tabs between: status, expiry, revocation, serial, file, subject.
    fn read(line: &[u8]) -> Result<Self, String> {
        let line = std::str::from_utf8(line).map_err(|_| "is not UTF-8")?;
        let columns: Vec<&str> = line.split('\t').collect();
        let [status, _, revoked, serial, _, _] = columns.as_slice() else {
            return Err("has not the six columns of an index.txt".to_owned());
        };
        // It becomes the name of a file, so nothing but digits.
        if !serial.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("the serial is not hexadecimal".to_owned());
        }
        let status = match *status {
            "V" => Status::Valid,
            "E" => Status::Expired,
            "R" => Status::Revoked(reason(revoked)?),
            _ => return Err("the status is none of V, E and R".to_owned()),
        };
        SerialNumber::parse(serial).map_err(|error| format!("the serial: {error}"))?;
        Ok(Self { status, serial: (*serial).to_owned() })
    }
}

/// The reason after the time of a revocation, if one was given.
fn reason(column: &str) -> Result<Option<String>, String> {
    let reason = column.split(',').nth(1).unwrap_or_default();
    if !reason.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err("the reason of the revocation is not one word".to_owned());
    }
    Ok((!reason.is_empty()).then(|| reason.to_owned()))
}

/// Whatever is revoked stays out: a hold too, until its block is taken away.
fn ban(authority: &Certificate, serial: &str, reason: Option<String>) -> Result<Ban, String> {
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    check::ban(Ban {
        pattern: PatternText {
            issuer: Some(authority.subject.to_exact_text()),
            serial: Some(serial.to_ascii_uppercase()),
            ..PatternText::default()
        },
        reason: Some(format!("revoked by its CA{reason}")),
        ..Ban::default()
    })
}

fn claim(
    authority: &Certificate,
    serial: &str,
    certificate: &mut impl FnMut(&str) -> Option<Vec<u8>>,
) -> Result<Taken, String> {
    let bytes = certificate(serial)
        .ok_or_else(|| format!("there is no {serial}.pem in {}", CERTIFICATE_FOLDERS.join(", ")))?;
    let found = Certificate::from_file_bytes(&bytes)
        .map_err(|error| format!("the certificate {serial}: {error}"))?;
    let same = SerialNumber::parse(serial).is_ok_and(|serial| serial == found.serial);
    if !same {
        return Err(format!("the certificate {serial} has another serial, {}", found.serial));
    }
    if found.sha256 == authority.sha256 || found.is_ca {
        return Ok(Taken::Authority);
    }
    if found.issuer != authority.subject {
        return Err(format!("the certificate {serial} is of another CA, {}", found.issuer));
    }
    let whose = Whose::Unnamed { stem: String::new() };
    Ok(Taken::Claim(Claim::new(whose, Meant::Certificate(Arc::new(found)))))
}
