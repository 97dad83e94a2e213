//! Rows of a database that an operator, or a mistake, can fill with anything.
//!
//! One row a line: the table, then `column=value` behind tabs, values percent-encoded where needed:
//! `mapping<TAB>username=alice<TAB>serial=CA%3A92`. What is not set is null, or the usual value of
//! a column that cannot be null.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use certgate::decide::{Decision, Options, Policy, Question, Trust, TrustPolicy, View, decide};
use certgate::directory::row::{BlockRow, GroupRow, MappingRow, PatternRow, RuleRow, UserRow};
use certgate::directory::{
    Directory, Kind, Kinds, MAX_USER_AND_GROUPS_BYTES, Name, Rows, Settings, User, check_rule,
    parse_pattern,
};
use certgate::pki::{
    Certificate, DistinguishedName, Fingerprint, Identity, SerialNumber, SlashForm, UnixTime,
};
use certgate::proxy::{Presented, Shown, percent_decode_strict};

use super::golden;

/// Most rows of one input; more of them show nothing new.
const MAX_ROWS: usize = 256;

/// A directory is built from any rows; whoever it lets in has a name that can stand in a header;
/// and a plain block or revocation holds whatever stands around it.
pub fn check(data: &[u8]) {
    let rows = read(data);
    let settings = Settings::default();
    let directory = Directory::build(&rows, &settings);
    let readable = directory.mapping_count() + directory.block_count() + directory.rule_count();
    assert!(readable <= rows.mappings.len() + rows.blocks.len() + rows.rules.len());
    for row in &rows.rules {
        let _ = check_rule(row, &settings);
    }
    let policy = Policy {
        kinds: Kinds::with_weak(&Kind::ALL),
        issuers: Vec::new(),
        max_staleness: None,
        trust: TrustPolicy::default(),
    };
    let view = View {
        directory: Some(&directory),
        age: Duration::ZERO,
        now: golden::NOW,
        trust: Trust::default(),
        policy: &policy,
    };
    for certificate in certificates() {
        let headers = Presented::Headers(Box::new(Identity::from_headers(
            Some(certificate.serial.clone()),
            Some(certificate.subject.clone()),
            Some(certificate.issuer.clone()),
        )));
        let shown = Presented::Certificate(Arc::new(Shown::from(certificate.clone())));
        let is_kept_out = is_blocked(&rows, certificate) || is_revoked(&rows, certificate);
        for presented in [headers, shown] {
            let by_certificate = matches!(presented, Presented::Certificate(_));
            let question = Question {
                options: Ok(Options::default()),
                proxy_is_trusted: true,
                presented: || Ok(presented),
            };
            let decision = decide(question, &view);
            if let Decision::Allow(allow) = &decision {
                assert!(!(by_certificate && is_kept_out));
                let Some(user) = allow.user() else { panic!("nobody was asked for") };
                check_user(user);
            }
        }
    }
}

fn certificates() -> &'static [Certificate; 3] {
    static CERTIFICATES: OnceLock<[Certificate; 3]> = OnceLock::new();
    let pems = [golden::SUCCESS, golden::REVOKED, golden::UNTRUSTED];
    CERTIFICATES.get_or_init(|| pems.map(golden::certificate))
}

fn check_user(user: &User<'_>) {
    let groups: Vec<&str> = user.groups.iter().collect();
    for name in groups.iter().chain([&&*user.username]) {
        assert_eq!(Name::parse(name.as_bytes()).unwrap().as_str(), *name);
    }
    assert!(user.username.len() + user.groups.as_str().len() <= MAX_USER_AND_GROUPS_BYTES);
    assert!(groups.is_sorted());
}

/// Whether a row says in the plainest way that this certificate is kept out.
fn is_blocked(rows: &Rows, certificate: &Certificate) -> bool {
    rows.blocks.iter().any(|row| {
        let is_always = row.enabled != 0 && row.valid_from.is_none() && row.valid_until.is_none();
        is_always && is_only(&row.pattern, certificate)
    })
}

/// The same for a mapping whose revocation has come, of a user that can be read.
fn is_revoked(rows: &Rows, certificate: &Certificate) -> bool {
    let is_user = |name: &[u8]| {
        Name::parse(name).is_ok() && rows.users.iter().any(|user| user.username == name)
    };
    let has_come = |at: &Option<Vec<u8>>| {
        let text = at.as_deref().and_then(|at| std::str::from_utf8(at).ok());
        text.and_then(|text| UnixTime::parse_rfc3339(text).ok()).is_some_and(|at| at <= golden::NOW)
    };
    rows.mappings.iter().any(|row| {
        let is_plain = row.valid_from.is_none()
            && row.valid_until.is_none()
            && row.note.is_none()
            && row.revoked_reason.is_none();
        let counts = is_plain && (row.enabled == 0 || row.enabled == 1) && is_user(&row.username);
        counts && has_come(&row.revoked_at) && is_only(&row.pattern, certificate)
    })
}

/// Whether exactly one strong pattern is set, and it is this certificate's.
fn is_only(row: &PatternRow, certificate: &Certificate) -> bool {
    let text = |bytes: &Option<Vec<u8>>| String::from_utf8(bytes.clone()?).ok();
    let digest = |bytes| text(bytes).and_then(|text| Fingerprint::parse(&text).ok());
    let none = PatternRow::default;
    if *row == (PatternRow { sha256: row.sha256.clone(), ..none() }) {
        return digest(&row.sha256) == Some(certificate.sha256);
    }
    if *row == (PatternRow { spki_sha256: row.spki_sha256.clone(), ..none() }) {
        return digest(&row.spki_sha256) == Some(certificate.spki_sha256);
    }
    let (issuer, serial) = (row.issuer.clone(), row.serial.clone());
    if *row != (PatternRow { issuer, serial, ..none() }) {
        return false;
    }
    let issuer =
        text(&row.issuer).and_then(|text| DistinguishedName::parse(&text, SlashForm::Accept).ok());
    let serial = text(&row.serial).and_then(|text| SerialNumber::parse(&text).ok());
    issuer.as_ref() == Some(&certificate.issuer) && serial.as_ref() == Some(&certificate.serial)
}

fn read(data: &[u8]) -> Rows {
    let mut rows = Rows::default();
    for (line, id) in data.split(|byte| *byte == b'\n').take(MAX_ROWS).zip(1..) {
        let mut cells = line.split(|byte| *byte == b'\t');
        let table = cells.next().unwrap_or_default();
        let cells = Cells(cells.filter_map(cell).collect());
        match table {
            b"user" => rows.users.push(user(&cells)),
            b"group" => rows.groups.push(GroupRow {
                username: cells.or("username", "alice"),
                group_name: cells.or("group_name", "ops"),
            }),
            b"mapping" => rows.mappings.push(mapping(id, &cells)),
            b"block" => rows.blocks.push(block(id, &cells)),
            b"rule" => rows.rules.push(rule(id, &cells)),
            _ => {}
        }
    }
    // Two users of one name cannot be stored: the name is the key.
    rows.users.sort_by(|one, other| one.username.cmp(&other.username));
    rows.users.dedup_by(|one, other| one.username == other.username);
    for row in &rows.mappings {
        let _ = parse_pattern(&row.pattern);
    }
    rows
}

fn cell(cell: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let equals = cell.iter().position(|byte| *byte == b'=')?;
    let (name, value) = cell.split_at(equals);
    let value = value.strip_prefix(b"=").unwrap_or(value);
    Some((name, percent_decode_strict(value).unwrap_or_else(|_| value.to_vec())))
}

struct Cells<'d>(Vec<(&'d [u8], Vec<u8>)>);

impl Cells<'_> {
    fn get(&self, column: &str) -> Option<Vec<u8>> {
        let cell = self.0.iter().find(|(name, _)| *name == column.as_bytes());
        cell.map(|(_, value)| value.clone())
    }

    fn or(&self, column: &str, usual: &str) -> Vec<u8> {
        self.get(column).unwrap_or_else(|| usual.into())
    }

    fn integer(&self, column: &str, usual: i64) -> i64 {
        let text = self.get(column).and_then(|value| String::from_utf8(value).ok());
        text.and_then(|text| text.parse().ok()).unwrap_or(usual)
    }

    fn pattern(&self) -> PatternRow {
        PatternRow {
            sha256: self.get("sha256"),
            spki_sha256: self.get("spki_sha256"),
            issuer: self.get("issuer"),
            issuer_key_id: self.get("issuer_key_id"),
            serial: self.get("serial"),
            subject: self.get("subject"),
            san_email: self.get("san_email"),
            san_upn: self.get("san_upn"),
            san_uri: self.get("san_uri"),
            san_dns: self.get("san_dns"),
            common_name: self.get("common_name"),
        }
    }
}

fn user(cells: &Cells<'_>) -> UserRow {
    UserRow {
        username: cells.or("username", "alice"),
        display_name: cells.get("display_name"),
        email: cells.get("email"),
        origin: cells.or("origin", "operator"),
        mapped_only: cells.integer("mapped_only", 0),
        enabled: cells.integer("enabled", 1),
        valid_from: cells.get("valid_from"),
        valid_until: cells.get("valid_until"),
    }
}

fn mapping(id: i64, cells: &Cells<'_>) -> MappingRow {
    MappingRow {
        id,
        username: cells.or("username", "alice"),
        pattern: cells.pattern(),
        enabled: cells.integer("enabled", 1),
        valid_from: cells.get("valid_from"),
        valid_until: cells.get("valid_until"),
        revoked_at: cells.get("revoked_at"),
        revoked_reason: cells.get("revoked_reason"),
        note: cells.get("note"),
    }
}

fn block(id: i64, cells: &Cells<'_>) -> BlockRow {
    BlockRow {
        id,
        pattern: cells.pattern(),
        enabled: cells.integer("enabled", 1),
        valid_from: cells.get("valid_from"),
        valid_until: cells.get("valid_until"),
        reason: cells.get("reason"),
    }
}

fn rule(priority: i64, cells: &Cells<'_>) -> RuleRow {
    RuleRow {
        priority: cells.integer("priority", priority),
        name: cells.get("name"),
        issuer: cells.or("issuer", "CN=Example Client CA 1,OU=PKI,O=Example Org,C=DE"),
        issuer_key_id: cells.get("issuer_key_id"),
        conditions: cells.or("conditions", r#"{"all":[]}"#),
        username: cells.or("username", "{subject.CN}"),
        display_name: cells.get("display_name"),
        email: cells.get("email"),
        group_names: cells.get("group_names"),
        users: cells.or("users", "any"),
        enabled: cells.integer("enabled", 1),
        valid_from: cells.get("valid_from"),
        valid_until: cells.get("valid_until"),
    }
}
