//! CSV: users, mappings and blocks as a spreadsheet has them.
//!
//! The first row names the columns, in any order; a cell that is empty is null. `record` says what a
//! row is: `user`, `mapping` or `block`. Without it a row is a user, and one of its mappings too if
//! it has columns of a certificate: several rows may name the same user. Groups are separated by
//! blanks or commas.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a return for a formula.
//! Such a cell is written with `'` before it, and so is one that begins with `'`; a `'` before any of
//! these is taken off again when it is read.

use csv::{ReaderBuilder, StringRecord, Trim, WriterBuilder};

use super::check::{self, MAX_FILE_BYTES, MAX_ITEMS};
use super::feed::{Ban, Claim, Feed, Meant, Person, Place, Placed, Whose};
use super::json::meant;
use crate::store::{Block, Mapping, PatternText, User};

/// Every column, in the order in which they are written.
const COLUMNS: [&str; 24] = [
    "record",
    "username",
    "display_name",
    "email",
    "groups",
    "mapped_only",
    "sha256",
    "spki_sha256",
    "issuer",
    "issuer_key_id",
    "serial",
    "subject",
    "san_email",
    "san_upn",
    "san_uri",
    "san_dns",
    "common_name",
    "enabled",
    "valid_from",
    "valid_until",
    "revoked_at",
    "revoked_reason",
    "reason",
    "note",
];
/// Read, and never written: a mapping's whole certificate.
const CERTIFICATE: &str = "certificate";

/// Reads a file.
#[must_use]
pub fn read(file: &str, bytes: &[u8]) -> Feed {
    if bytes.len() > MAX_FILE_BYTES {
        return Feed::unreadable(file, format!("is longer than {MAX_FILE_BYTES} bytes"));
    }
    // Spreadsheets begin a UTF-8 file with the byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().trim(Trim::Headers).from_reader(bytes);
    let head = match reader.headers() {
        Ok(head) => head.clone(),
        Err(error) => return Feed::unreadable(file, format!("the first row: {error}")),
    };
    if let Err(why) = check_head(&head) {
        return Feed::unreadable(file, why);
    }
    let (mut feed, place) = (Feed::default(), Place::file(file));
    for (number, row) in (1_usize..).zip(reader.records()) {
        if number > MAX_ITEMS {
            return Feed::unreadable(file, format!("has more than {MAX_ITEMS} rows"));
        }
        match row {
            Ok(row) => {
                let line = row.position().map_or(0, csv::Position::line);
                let place = place.at("line", line);
                if let Err(why) = read_row(&Row { head: &head, row: &row }, &place, &mut feed) {
                    feed.refuse(place, why);
                }
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                feed.refuse(place.at("line", line), broken(&error));
            }
        }
    }
    feed
}

/// Writes what [`read`] reads.
#[must_use]
pub fn write(users: &[User], mappings: &[Mapping], blocks: &[Block]) -> String {
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    // Writing into memory does not fail.
    let _ = writer.write_record(COLUMNS);
    for user in users {
        let _ = writer.write_record(user_cells(user).iter().map(|cell| written(cell)));
    }
    for mapping in mappings {
        let _ = writer.write_record(mapping_cells(mapping).iter().map(|cell| written(cell)));
    }
    for block in blocks {
        let _ = writer.write_record(block_cells(block).iter().map(|cell| written(cell)));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// What is wrong with a row, without the raw bytes.
fn broken(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} cells, the first row has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        _ => "is not CSV".to_owned(),
    }
}

fn check_head(head: &StringRecord) -> Result<(), String> {
    let mut seen = Vec::new();
    for name in head {
        if name != CERTIFICATE && !COLUMNS.contains(&name) {
            return Err(format!(
                "there is no column {name:?}; the columns are {}",
                COLUMNS.join(", ")
            ));
        }
        if seen.contains(&name) {
            return Err(format!("the column {name} is there twice"));
        }
        seen.push(name);
    }
    Ok(())
}

/// One row, its cells by name.
struct Row<'r> {
    head: &'r StringRecord,
    row: &'r StringRecord,
}

impl Row<'_> {
    /// The text of a cell; none of one that is empty or not there.
    fn text(&self, name: &str) -> Option<String> {
        let at = self.head.iter().position(|column| column == name)?;
        let cell = unwritten(self.row.get(at)?);
        (!cell.is_empty()).then(|| cell.to_owned())
    }

    fn flag(&self, name: &str, usual: bool) -> Result<bool, String> {
        match self.text(name).map(|text| text.to_ascii_lowercase()).as_deref() {
            None => Ok(usual),
            Some("true" | "yes" | "1") => Ok(true),
            Some("false" | "no" | "0") => Ok(false),
            Some(_) => Err(format!("{name}: write true or false")),
        }
    }

    fn pattern(&self) -> PatternText {
        let mut pattern = PatternText::default();
        for (name, column) in check::columns_mut(&mut pattern) {
            *column = self.text(name);
        }
        pattern
    }

    fn person(&self) -> Result<Person, String> {
        let groups = self.text("groups").unwrap_or_default();
        let groups = groups.split([' ', ',', '\t', '\n']).filter(|group| !group.is_empty());
        Ok(Person {
            username: self.text("username").ok_or("username: is empty")?,
            display_name: self.text("display_name"),
            email: self.text("email"),
            groups: groups.map(str::to_owned).collect(),
            mapped_only: self.flag("mapped_only", false)?,
            ..Person::default()
        })
    }

    fn refuse_set(&self, names: &[&str], record: &str) -> Result<(), String> {
        match names.iter().find(|name| self.text(name).is_some()) {
            Some(name) => Err(format!("{name}: a row of record {record} has none")),
            None => Ok(()),
        }
    }
}

const OF_USERS: [&str; 4] = ["display_name", "email", "groups", "mapped_only"];
const OF_PATTERNS: [&str; 12] = [
    "sha256",
    "spki_sha256",
    "issuer",
    "issuer_key_id",
    "serial",
    "subject",
    "san_email",
    "san_upn",
    "san_uri",
    "san_dns",
    "common_name",
    CERTIFICATE,
];

fn read_row(row: &Row<'_>, place: &Place, feed: &mut Feed) -> Result<(), String> {
    let revoked = ["revoked_at", "revoked_reason"];
    match row.text("record").as_deref() {
        Some("user") => {
            row.refuse_set(&OF_PATTERNS, "user")?;
            row.refuse_set(&revoked, "user")?;
            row.refuse_set(&["reason"], "user")?;
            let person = Person {
                disabled: !row.flag("enabled", true)?,
                valid_from: row.text("valid_from"),
                valid_until: row.text("valid_until"),
                note: row.text("note"),
                ..row.person()?
            };
            feed.people.push(Placed { place: place.clone(), value: check::person(person)? });
        }
        Some("mapping") => {
            row.refuse_set(&OF_USERS, "mapping")?;
            row.refuse_set(&["reason"], "mapping")?;
            feed.claims.push(Placed { place: place.clone(), value: claim(row)? });
        }
        Some("block") => {
            row.refuse_set(&OF_USERS, "block")?;
            row.refuse_set(&revoked, "block")?;
            row.refuse_set(&["username"], "block")?;
            feed.bans.push(Placed { place: place.clone(), value: ban(row)? });
        }
        Some(other) => {
            return Err(format!("record: {other:?} is none of user, mapping and block"));
        }
        None => {
            row.refuse_set(&["reason"], "mapping")?;
            let person = check::person(row.person()?)?;
            let has_pattern = OF_PATTERNS.iter().any(|name| row.text(name).is_some());
            let claim = if has_pattern { Some(claim(row)?) } else { None };
            if claim.is_none() {
                for name in ["enabled", "valid_from", "valid_until", "revoked_at", "note"] {
                    row.refuse_set(&[name], "user by default (name it in a column record)")?;
                }
            }
            feed.people.push(Placed { place: place.clone(), value: person });
            feed.claims.extend(claim.map(|value| Placed { place: place.clone(), value }));
        }
    }
    Ok(())
}

fn claim(row: &Row<'_>) -> Result<Claim, String> {
    check::claim(Claim {
        whose: Whose::Named(row.text("username").ok_or("username: is empty")?),
        meant: meant(row.pattern(), row.text(CERTIFICATE).as_deref())?,
        disabled: !row.flag("enabled", true)?,
        valid_from: row.text("valid_from"),
        valid_until: row.text("valid_until"),
        revoked_at: row.text("revoked_at"),
        revoked_reason: row.text("revoked_reason"),
        note: row.text("note"),
    })
}

fn ban(row: &Row<'_>) -> Result<Ban, String> {
    let pattern = match meant(row.pattern(), row.text(CERTIFICATE).as_deref())? {
        Meant::Pattern(pattern) => *pattern,
        Meant::Certificate(certificate) => {
            PatternText { sha256: Some(certificate.sha256.to_string()), ..PatternText::default() }
        }
    };
    check::ban(Ban {
        pattern,
        disabled: !row.flag("enabled", true)?,
        valid_from: row.text("valid_from"),
        valid_until: row.text("valid_until"),
        reason: row.text("reason"),
        note: row.text("note"),
    })
}

/// A cell as it is written: no formula, and no control character.
fn written(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len() + 1);
    if begins_like_a_formula(cell) {
        text.push('\'');
    }
    // The schema lets no control character in; what came by another way is written out.
    for character in cell.chars() {
        if character.is_control() {
            text.extend(character.escape_unicode());
        } else {
            text.push(character);
        }
    }
    text
}

/// A cell as it was before [`written`] guarded it.
fn unwritten(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if begins_like_a_formula(rest) => rest,
        _ => cell,
    }
}

fn begins_like_a_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\''])
}

type Cells = [String; COLUMNS.len()];

fn cells(values: &[(&str, &str)], pattern: &PatternText) -> Cells {
    let patterns = check::columns(pattern);
    COLUMNS.map(|column| {
        let value = values.iter().find(|(name, _)| *name == column).map(|(_, value)| *value);
        let of_pattern = || {
            let set = patterns.iter().find(|(name, _)| *name == column)?;
            set.1.as_deref()
        };
        value.or_else(of_pattern).unwrap_or_default().to_owned()
    })
}

const fn word(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

fn user_cells(user: &User) -> Cells {
    let values = [
        ("record", "user"),
        ("username", &user.username),
        ("display_name", text(&user.display_name)),
        ("email", text(&user.email)),
        ("groups", &user.groups.join(" ")),
        ("mapped_only", word(user.mapped_only)),
        ("enabled", word(user.enabled)),
        ("valid_from", text(&user.valid_from)),
        ("valid_until", text(&user.valid_until)),
        ("note", text(&user.note)),
    ];
    cells(&values, &PatternText::default())
}

fn mapping_cells(mapping: &Mapping) -> Cells {
    let values = [
        ("record", "mapping"),
        ("username", mapping.username.as_str()),
        ("enabled", word(mapping.enabled)),
        ("valid_from", text(&mapping.valid_from)),
        ("valid_until", text(&mapping.valid_until)),
        ("revoked_at", text(&mapping.revoked_at)),
        ("revoked_reason", text(&mapping.revoked_reason)),
        ("note", text(&mapping.note)),
    ];
    cells(&values, &mapping.pattern)
}

fn block_cells(block: &Block) -> Cells {
    let values = [
        ("record", "block"),
        ("enabled", word(block.enabled)),
        ("valid_from", text(&block.valid_from)),
        ("valid_until", text(&block.valid_until)),
        ("reason", text(&block.reason)),
        ("note", text(&block.note)),
    ];
    cells(&values, &block.pattern)
}
