//! `[usage]`: what a certificate must be made for, by names that people know or by identifiers.

use super::problem::Fault;
use super::reader::Reader;
use super::source::nearest;
use crate::decide::RequiredUsage;
use crate::pki::{ANY_POLICY, ANY_PURPOSE, KEY_USAGES, PURPOSES, key_usage_bit, parse_oid};

/// Key usages that only a CA's certificate has, and that is never a client's.
const OF_AUTHORITIES: [&str; 2] = ["keyCertSign", "cRLSign"];

/// Reads the section; each value that cannot be read is a problem of its own.
pub(super) fn required(reader: &mut Reader) -> RequiredUsage {
    let bits = reader.many("usage.require_key_usage", key_usage);
    RequiredUsage {
        extended_key_usage: reader.many("usage.require_extended_key_usage", purpose),
        key_usage: bits.into_iter().fold(0, |all, bit| all | bit),
        policies: reader.many("usage.require_policies", policy),
    }
}

fn purpose(text: &str) -> Result<String, Fault> {
    if text == "anyExtendedKeyUsage" || text == ANY_PURPOSE {
        let what = format!("{text} is every purpose, and nothing to require");
        return Err(Fault::new(what, "name the purposes, or leave the list empty"));
    }
    if let Some((_, oid)) = PURPOSES.iter().find(|(name, _)| *name == text) {
        return Ok((*oid).to_owned());
    }
    parse_oid(text).ok_or_else(|| {
        let names = PURPOSES.map(|(name, _)| name);
        not_known(text, "purpose", &names, "an OID as 1.3.6.1.5.5.7.3.2")
    })
}

fn key_usage(text: &str) -> Result<u16, Fault> {
    if OF_AUTHORITIES.contains(&text) {
        let what = format!("{text} is for CAs, and a CA's certificate never comes in");
        return Err(Fault::new(what, "take it out"));
    }
    let names: Vec<&str> =
        KEY_USAGES.into_iter().filter(|name| !OF_AUTHORITIES.contains(name)).collect();
    key_usage_bit(text).ok_or_else(|| not_known(text, "key usage", &names, "contentCommitment"))
}

fn policy(text: &str) -> Result<String, Fault> {
    if text == "anyPolicy" || text == ANY_POLICY {
        let what = format!("{text} is every policy, and nothing to require");
        return Err(Fault::new(what, "name the policies, or leave the list empty"));
    }
    parse_oid(text).ok_or_else(|| {
        Fault::new(format!("{text:?} is no policy"), "write its OID, as 2.16.840.1.101.3.2.1.3.13")
    })
}

fn not_known(text: &str, noun: &str, names: &[&'static str], or: &str) -> Fault {
    let names_and = format!("{} or {or}", names.join(", "));
    let remedy = match nearest(text, names.iter().copied()) {
        Some(name) => format!("did you mean {name:?}? Write {names_and}"),
        None => format!("write {names_and}"),
    };
    Fault::new(format!("{text:?} is no {noun}"), remedy)
}
