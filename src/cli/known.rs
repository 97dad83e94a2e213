//! Certificates that the database knows: finding one, and saying whose it is.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Missing;
use super::facts::read_certificate;
use super::output::{Printer, Table};
use crate::explain::Facts;
use crate::operator::{FindError, Likeness, Resemblance, Standing, find_certificate};
use crate::pki::{Certificate, SerialNumber};
use crate::store::{StoredCertificate, Work};

/// A certificate that is known, and whose it is.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) stored: StoredCertificate,
    pub(super) certificate: Certificate,
    pub(super) standing: Standing,
    /// Whose renewal it looks like; none where nobody asked.
    pub(super) alike: Option<Vec<Likeness>>,
}

impl Known {
    /// For programs: what the certificate says, what was seen of it, whose it is.
    pub(super) fn json(&self) -> anyhow::Result<Value> {
        let facts = serde_json::to_value(Facts::from(&self.certificate))?;
        let Value::Object(mut fields) = facts else { return Ok(facts) };
        let (stored, standing) = (&self.stored, &self.standing);
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("origin", json!(stored.origin));
        put("state", json!(stored.state));
        put("first_seen", json!(stored.first_seen));
        put("last_seen", json!(stored.last_seen));
        put("hits", json!(stored.hits));
        put("last_code", json!(stored.last_code));
        put("last_username", json!(stored.last_username));
        put("user", json!(standing.username));
        put("code", json!(standing.code));
        put("mapping", json!(standing.mapping));
        put("rule", json!(standing.rule));
        put("block", json!(standing.block));
        if let Some(alike) = &self.alike {
            put("looks_like", alike.iter().map(likeness).collect());
        }
        Ok(Value::Object(fields))
    }

    /// For people, one line for each fact.
    pub(super) fn print(&self, printer: &mut Printer<'_>) -> anyhow::Result<()> {
        let mut lines = Facts::from(&self.certificate).lines();
        let stored = &self.stored;
        lines.push(("origin", stored.origin.clone()));
        if stored.state != "new" {
            lines.push(("state", stored.state.clone()));
        }
        let one = |name, text: &Option<String>| text.clone().map(|text| (name, text));
        lines.extend(one("first_seen", &stored.first_seen));
        lines.extend(one("last_seen", &stored.last_seen));
        lines.push(("hits", stored.hits.to_string()));
        lines.extend(one("user", &self.standing.username));
        lines.push(("code", self.why()));
        for (name, value) in lines {
            printer.line(&format!("{name:<13} {value}"))?;
        }
        match self.remark() {
            Some(remark) => printer.line(&remark),
            None => Ok(()),
        }
    }

    /// The code, and which row says so.
    pub(super) fn why(&self) -> String {
        let standing = &self.standing;
        let rows =
            [("block", standing.block), ("mapping", standing.mapping), ("rule", standing.rule)];
        let row = rows.iter().find_map(|(noun, id)| Some(format!(" ({noun} {})", (*id)?)));
        format!("{}{}", standing.code, row.unwrap_or_default())
    }

    /// Whose renewal it looks like, in a sentence.
    pub(super) fn remark(&self) -> Option<String> {
        let alike = self.alike.as_deref().unwrap_or_default();
        let mut names: Vec<&str> = alike.iter().map(|one| one.username.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let first = alike.first()?;
        let whose: Vec<String> = names.iter().map(|name| format!("{name}'s")).collect();
        let what = match first.resemblance {
            Resemblance::Key => "same key",
            Resemblance::Names => "same issuer, subject and names",
        };
        let over = if alike.iter().any(|one| one.is_live) { "" } else { ", which has expired" };
        Some(format!("looks like {} renewal ({what}{over})", whose.join(" or ")))
    }
}

fn likeness(one: &Likeness) -> Value {
    json!({
        "username": one.username,
        "sha256": one.sha256,
        "same": one.resemblance.word(),
        "live": one.is_live,
    })
}

/// A table of certificates for people.
pub(super) fn table(rows: &[Known]) -> Table {
    let mut table = Table::new(&["id", "user", "why", "subject", "expires", "last seen"]);
    for one in rows {
        table.row([
            short(&one.stored.sha256),
            one.standing.username.clone().unwrap_or_default(),
            one.why(),
            one.certificate.subject.to_string(),
            day(&one.certificate.not_after.to_string()),
            one.stored.last_seen.as_deref().map(day).unwrap_or_default(),
        ]);
    }
    table
}

/// Rows for programs.
pub(super) fn array(rows: &[Known]) -> anyhow::Result<Value> {
    rows.iter().map(Known::json).collect::<anyhow::Result<Vec<_>>>().map(Value::Array)
}

/// Digits of a fingerprint that name a certificate to people.
const SHORT_DIGITS: usize = 16;

pub(super) fn short(sha256: &str) -> String {
    sha256.chars().take(SHORT_DIGITS).collect()
}

/// The date of a time.
pub(super) fn day(time: &str) -> String {
    time.split('T').next().unwrap_or(time).to_owned()
}

/// Whether the text names a certificate by what it says, and no file.
pub(super) fn is_no_file(what: &str) -> bool {
    if Path::new(what).exists() {
        return false;
    }
    let digits = what.replace(':', "");
    let is_hex = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    what.contains('=') || is_hex || SerialNumber::parse_cli(what).is_ok()
}

/// The certificate in a file, or the known one of this fingerprint, serial or name.
pub(super) async fn given(what: &str, work: &mut Work) -> anyhow::Result<Certificate> {
    if !is_no_file(what) {
        return read_certificate(Path::new(what));
    }
    let stored = find_certificate(work, what).await.map_err(refusal)?;
    parse(&stored)
}

pub(super) fn parse(stored: &StoredCertificate) -> anyhow::Result<Certificate> {
    Certificate::from_der(&stored.der)
        .with_context(|| format!("the certificate {} in the database", stored.sha256))
}

/// One that is not known is an answer: exit code 1.
pub(super) fn refusal(error: FindError) -> anyhow::Error {
    match error {
        FindError::Store(error) => error.into(),
        error if error.is_missing() => Missing(error.to_string()).into(),
        error => error.into(),
    }
}
