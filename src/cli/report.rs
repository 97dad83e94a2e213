//! `certgate report access`: who can come in, by which certificate, for people who have to sign it.

use std::collections::HashMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::desk::Desk;
use super::mapping::{kind, mapping_state};
use super::output::{Fields, Printer, Table, harmless};
use super::{pattern, window};
use crate::directory::Kind;
use crate::pki::{DistinguishedName, Fingerprint, SerialNumber, SlashForm};
use crate::store::{CertificateFacts, Mapping, PatternText, Rule, User};

/// What `certgate report` does.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum ReportCommand {
    /// List who can come in, and by which certificate or rule
    ///
    /// One line for each mapping, for each user without one, and for each rule. When a certificate
    /// ends and was last seen is told where it was given or seen.
    #[command(after_help = "\
Examples:
  certgate report access
  certgate report access --csv > access.csv")]
    Access(AccessArgs),
}

/// `certgate report access`
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct AccessArgs {
    /// As CSV, for a spreadsheet: no cell is taken for a formula
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// Runs the command.
pub(super) async fn run(
    command: &ReportCommand,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let ReportCommand::Access(args) = command;
    let mut work = desk.store.read().await?;
    work.see_every_row().await?;
    let users = work.user_list().await?;
    let mut mappings: HashMap<String, Vec<Mapping>> = HashMap::new();
    for mapping in work.mapping_list(None).await? {
        mappings.entry(mapping.username.clone()).or_default().push(mapping);
    }
    let known = Known::read(work.certificate_facts().await?);
    let mut rows = Vec::new();
    for user in &users {
        let mappings = mappings.remove(&user.username).unwrap_or_default();
        if mappings.is_empty() {
            rows.push(Row { way: "none", ..Row::of_user(user, &known, desk) });
        }
        for mapping in &mappings {
            rows.push(Row::of_user(user, &known, desk).by_mapping(mapping, &known, desk));
        }
    }
    rows.extend(work.rule_list().await?.iter().map(|rule| Row::of_rule(rule, desk)));
    if args.csv {
        printer.raw(&csv(&rows)?)?;
    } else {
        let mut table = Table::new(&SHORT);
        for row in &rows {
            let fields = row.fields();
            table.row(SHORT.map(|name| fields.text(name)));
        }
        let fields: Vec<_> = rows.iter().map(Row::fields).collect();
        printer.list(&fields, &table)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The columns that people see.
const SHORT: [&str; 8] =
    ["username", "groups", "user_state", "way", "kind", "certificate", "expires", "state"];

/// One way in.
#[derive(Clone, Debug, Default)]
struct Row {
    username: String,
    display_name: Option<String>,
    email: Option<String>,
    groups: Vec<String>,
    user_state: String,
    user_last_seen: Option<String>,
    /// `mapping`, `rule` or `none`.
    way: &'static str,
    id: Option<i64>,
    kind: Option<&'static str>,
    certificate: Option<String>,
    expires: Option<String>,
    last_seen: Option<String>,
    state: String,
    created_by: Option<String>,
    created_at: Option<String>,
}

impl Row {
    fn of_user(user: &User, known: &Known, desk: &Desk<'_>) -> Self {
        let (from, until) = (user.valid_from.as_ref(), user.valid_until.as_ref());
        Self {
            username: user.username.clone(),
            display_name: user.display_name.clone(),
            email: user.email.clone(),
            groups: user.groups.clone(),
            user_state: window::state(user.enabled, from, until, desk.now).to_owned(),
            user_last_seen: known.last_of_user.get(&user.username).cloned(),
            created_by: user.created_by.clone(),
            created_at: user.created_at.clone(),
            ..Self::default()
        }
    }

    fn by_mapping(self, mapping: &Mapping, known: &Known, desk: &Desk<'_>) -> Self {
        let facts = known.of(mapping);
        let latest = |of: fn(&CertificateFacts) -> Option<&String>| {
            facts.iter().filter_map(|facts| of(facts)).max().cloned()
        };
        Self {
            way: "mapping",
            id: Some(mapping.id),
            kind: kind(mapping).map(Kind::name),
            certificate: Some(pattern::line(&mapping.pattern)),
            expires: latest(|facts| facts.not_after.as_ref()),
            last_seen: latest(|facts| facts.last_seen.as_ref()),
            state: mapping_state(mapping, desk.kinds(), desk.now),
            created_by: mapping.created_by.clone(),
            created_at: mapping.created_at.clone(),
            ..self
        }
    }

    fn of_rule(rule: &Rule, desk: &Desk<'_>) -> Self {
        let text = &rule.text;
        let (from, until) = (text.valid_from.as_ref(), text.valid_until.as_ref());
        let groups = text.group_names.as_deref().unwrap_or_default();
        let issuer = PatternText { issuer: Some(text.issuer.clone()), ..PatternText::default() };
        Self {
            username: text.username.clone(),
            display_name: text.display_name.clone(),
            email: text.email.clone(),
            groups: groups
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            user_state: format!("{} users", text.users),
            way: "rule",
            id: Some(text.priority),
            certificate: Some(format!("{} {}", pattern::line(&issuer), text.conditions)),
            state: window::state(rule.enabled, from, until, desk.now).to_owned(),
            created_by: rule.created_by.clone(),
            created_at: rule.created_at.clone(),
            ..Self::default()
        }
    }

    fn fields(&self) -> Fields {
        Fields::default()
            .with("username", self.username.as_str())
            .with_texts([
                ("display_name", self.display_name.as_deref()),
                ("email", self.email.as_deref()),
            ])
            .with("groups", self.groups.clone())
            .with("user_state", self.user_state.as_str())
            .with_texts([("user_last_seen", self.user_last_seen.as_deref())])
            .with("way", self.way)
            .with("id", self.id)
            .with_texts([
                ("kind", self.kind),
                ("certificate", self.certificate.as_deref()),
                ("expires", self.expires.as_deref()),
                ("last_seen", self.last_seen.as_deref()),
                ("state", Some(self.state.as_str())),
                ("created_by", self.created_by.as_deref()),
                ("created_at", self.created_at.as_deref()),
            ])
    }
}

/// The certificates that were given or seen, by what a mapping may say of one.
#[derive(Default)]
struct Known {
    by_sha256: HashMap<Fingerprint, Vec<CertificateFacts>>,
    by_key: HashMap<Fingerprint, Vec<CertificateFacts>>,
    by_serial: HashMap<SerialNumber, Vec<(DistinguishedName, CertificateFacts)>>,
    last_of_user: HashMap<String, String>,
}

impl Known {
    fn read(facts: Vec<CertificateFacts>) -> Self {
        let mut known = Self::default();
        for facts in facts {
            if let (Some(username), Some(at)) = (&facts.last_username, &facts.last_seen) {
                let last = known.last_of_user.entry(username.clone()).or_default();
                if at > last {
                    last.clone_from(at);
                }
            }
            if let Some((issuer, serial)) = name(&facts.issuer, &facts.serial) {
                known.by_serial.entry(serial).or_default().push((issuer, facts.clone()));
            }
            if let Ok(key) = Fingerprint::parse(&facts.spki_sha256) {
                known.by_key.entry(key).or_default().push(facts.clone());
            }
            if let Ok(sha256) = Fingerprint::parse(&facts.sha256) {
                known.by_sha256.entry(sha256).or_default().push(facts);
            }
        }
        known
    }

    /// The certificates that a strong mapping stands for; a weak one stands for any number.
    fn of(&self, mapping: &Mapping) -> Vec<&CertificateFacts> {
        let text = &mapping.pattern;
        let digest = |text: &Option<String>| Fingerprint::parse(text.as_deref()?).ok();
        match kind(mapping) {
            Some(Kind::Sha256) => {
                let found = digest(&text.sha256).and_then(|digest| self.by_sha256.get(&digest));
                found.into_iter().flatten().collect()
            }
            Some(Kind::Spki) => {
                let found = digest(&text.spki_sha256).and_then(|digest| self.by_key.get(&digest));
                found.into_iter().flatten().collect()
            }
            Some(Kind::IssuerSerial) => {
                let Some((issuer, serial)) = name(&text.issuer, &text.serial) else {
                    return Vec::new();
                };
                let found = self.by_serial.get(&serial).into_iter().flatten();
                found.filter(|(other, _)| *other == issuer).map(|(_, facts)| facts).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn name(
    issuer: &Option<String>,
    serial: &Option<String>,
) -> Option<(DistinguishedName, SerialNumber)> {
    let issuer = DistinguishedName::parse(issuer.as_deref()?, SlashForm::Accept).ok()?;
    Some((issuer, SerialNumber::parse(serial.as_deref()?).ok()?))
}

fn csv(rows: &[Row]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = Row::default().fields().names();
    writer.write_record(&names)?;
    for row in rows {
        let fields = row.fields();
        writer.write_record(names.iter().map(|name| cell(&fields.text(name))))?;
    }
    Ok(writer.into_inner()?)
}

/// A cell that no spreadsheet takes for a formula, and no terminal for an order.
fn cell(text: &str) -> String {
    let text = harmless(text);
    let is_formula = text.trim_start().starts_with(FORMULA);
    if is_formula { format!("'{text}") } else { text }
}

/// What a formula begins with; the wide forms count where people write Chinese or Japanese.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

impl Fields {
    fn names(&self) -> Vec<&'static str> {
        self.iter().map(|(name, _)| *name).collect()
    }

    /// A column as a cell of a table.
    fn text(&self, wanted: &str) -> String {
        let value = self.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
        match value {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => {
                parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
            }
            Some(other) => other.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_an_order() {
        for (text, expected) in [
            ("alice", "alice"),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@sum(a1)", "'@sum(a1)"),
            ("  =1", "'  =1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("a=b", "a=b"),
        ] {
            assert_eq!(cell(text), expected);
        }
        let hostile = cell("\u{1b}[2J\t=1\r\n\u{202e}");
        assert!(hostile.chars().all(|character| !character.is_control()), "{hostile}");
    }
}
