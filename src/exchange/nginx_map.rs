//! The break-glass file: nginx alone lets in those whom certgate would let in at this moment.
//!
//! It is a `map` over what nginx verified, the issuer's name and the serial, which together name one
//! certificate. Only certificates that are known byte for byte are in it, so that every name is what
//! nginx prints. It must not hold anybody in doubt: what nginx could misread is left out and named.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::pki::Certificate;

/// A certificate that is let in, whom as, and that user's groups as certgate would send them.
#[derive(Clone, Debug)]
pub struct Pass<'c> {
    /// The certificate.
    pub certificate: &'c Certificate,
    /// The user.
    pub username: &'c str,
    /// The groups, joined.
    pub groups: &'c str,
}

/// Writes the file; `written` says when, `left_out` how many mappings are not in it.
#[must_use]
pub fn write(passes: &[Pass<'_>], written: &str, left_out: usize) -> String {
    let mut users: BTreeMap<String, Vec<(String, &str)>> = BTreeMap::new();
    let mut groups: BTreeMap<&str, &str> = BTreeMap::new();
    let mut doubtful = 0_usize;
    for pass in passes {
        let key = key(pass.certificate);
        let is_safe = is_value(pass.username) && is_value(pass.groups);
        if !is_safe || key.contains(char::is_control) || pass.certificate.serial.is_odd() {
            doubtful += 1;
            continue;
        }
        // nginx compares without case, so that is how two are one.
        users.entry(key.to_lowercase()).or_default().push((key, pass.username));
        groups.insert(pass.username, pass.groups);
    }
    let mut lines = String::new();
    let (mut longest, mut count) = (0, 0_usize);
    for same in users.values() {
        let Some((key, username)) = same.first() else { continue };
        if same.iter().any(|(_, other)| other != username) {
            doubtful += same.len();
            continue;
        }
        longest = longest.max(key.len());
        count += 1;
        let _ = writeln!(lines, "    {} {};", quoted(key), quoted(username));
    }
    let mut members = String::new();
    for (username, groups) in groups.iter().filter(|(_, groups)| !groups.is_empty()) {
        longest = longest.max(username.len());
        let _ = writeln!(members, "    {} {};", quoted(username), quoted(groups));
    }
    // Each entry of a hash takes its key, a pointer and a length, rounded up.
    let bucket = (longest + 64).next_power_of_two().max(128);
    let size = (count * 4).next_power_of_two().max(2048);
    let left_out = left_out + doubtful;
    format!(
        "{HEAD}\n# Written {written}; {count} certificates; {left_out} mappings in force are not in \
         it.\n\nmap_hash_bucket_size {bucket};\nmap_hash_max_size {size};\n\n\
         map \"$ssl_client_verify/$ssl_client_i_dn/$ssl_client_serial\" $certgate_glass_user {{\n    \
         default \"\";\n{lines}}}\n\nmap $certgate_glass_user $certgate_glass_groups {{\n    \
         default \"\";\n{members}}}\n\nmap $certgate_glass_user $certgate_glass_closed {{\n    \
         default 0;\n    \"\" 1;\n}}\n"
    )
}

/// What nginx has in its variables for this certificate.
fn key(certificate: &Certificate) -> String {
    format!("SUCCESS/{}/{}", certificate.issuer, certificate.serial)
}

/// A value with a dollar would be a variable to nginx, and nothing escapes one.
fn is_value(text: &str) -> bool {
    !text.contains('$') && !text.contains(char::is_control)
}

/// A word of nginx's configuration: in quotes, with its backslashes and quotes doubled.
fn quoted(text: &str) -> String {
    let mut word = String::with_capacity(text.len() + 2);
    word.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            word.push('\\');
        }
        word.push(character);
    }
    word.push('"');
    word
}

const HEAD: &str = "\
# BREAK GLASS: nginx alone lets in those whom certgate let in when this was written.
#
# For the day on which certgate cannot be brought back. Put this file into `http` before every other
# `map` (as conf.d/00-glass.conf): nginx takes the sizes below only there, and says \"duplicate\"
# otherwise. In each location take out `auth_request` and everything of it, and write instead:
#
#     if ($certgate_glass_closed) { return 401; }
#     proxy_set_header X-Remote-User   $certgate_glass_user;
#     proxy_set_header X-Remote-Groups $certgate_glass_groups;
#     proxy_set_header X-Remote-Name   \"\";
#     proxy_set_header X-Remote-Email  \"\";
#
# `ssl_client_certificate` and `ssl_verify_client` stay as they are, and nothing else may set these
# variables or headers. Take it out again as soon as certgate answers.
#
# What it does not do: no rules, no weak mappings, no groups required by a location. Nothing that
# happens later holds: a certificate that is revoked, blocked or unmapped, a user that is disabled,
# a window that ends, stays in here until the file is written anew and nginx is reloaded; inside an
# open TLS session an expired or revoked certificate stays in even then. nginx compares names
# without case.";
