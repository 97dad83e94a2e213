//! `certgate mapping`: which certificates belong to a user.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::output::{Printer, Table};
use super::pattern::{By, PatternArgs};
use super::window::{WindowArgs, edit};
use crate::config::Config;
use crate::directory::Kind;
use crate::store::{Mapping, MappingEdit, NewMapping, PatternText, Store};

/// What `certgate mapping` does.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum MappingCommand {
    /// Map certificates to a user
    #[command(after_help = "\
Every column that is set must agree. The strongest kind that matches decides alone.

Examples:
  certgate mapping add alice --cert alice.pem
  certgate mapping add alice --cert alice.pem --by issuer-subject
  certgate mapping add alice --issuer 'CN=Example CA,O=Example,C=FR' --serial CA92CBE98DDD421A
  certgate mapping add alice --issuer ca.pem --serial dec:4097 --valid-until 2027-01-31")]
    Add(Box<Add>),
    /// Show one mapping
    Show {
        /// Its id
        id: i64,
    },
    /// List mappings
    List {
        /// Only those of this user
        #[arg(long)]
        user: Option<String>,
    },
    /// Change a mapping's window or note; what it matches never changes
    Edit(Change),
    /// Let it count again
    Enable {
        /// Its id
        id: i64,
    },
    /// Let it not count for now
    Disable {
        /// Its id
        id: i64,
    },
    /// Refuse its certificate from now on, whatever else matches (strong kinds)
    Revoke {
        /// Its id
        id: i64,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Remove it for good
    Remove {
        /// Its id
        id: i64,
    },
}

/// `certgate mapping add`
#[derive(Args, Clone, Debug)]
pub(super) struct Add {
    /// The user
    username: String,
    #[command(flatten)]
    pattern: PatternArgs,
    #[command(flatten)]
    window: WindowArgs,
    /// A remark
    #[arg(long)]
    note: Option<String>,
    /// Add a weak kind although identity.weak does not name it, so that it cannot match yet
    #[arg(long)]
    anyway: bool,
}

/// `certgate mapping edit`
#[derive(Args, Clone, Debug)]
pub(super) struct Change {
    /// Its id
    id: i64,
    #[command(flatten)]
    window: WindowArgs,
    /// A remark
    #[arg(long)]
    note: Option<String>,
    /// Make a value empty (repeat for more)
    #[arg(long, value_enum)]
    clear: Vec<Field>,
}

/// A value of a mapping that can be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Field {
    ValidFrom,
    ValidUntil,
    Note,
}

pub(super) async fn run(
    command: &MappingCommand,
    config: &Config,
    store: &Store,
    actor: Option<String>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    match command {
        MappingCommand::Add(new) => add(new, config, store, actor, printer).await?,
        MappingCommand::Show { id } => {
            let mapping = store.mapping_show(*id).await?;
            printer.fields(&mapping_json(&mapping))?;
        }
        MappingCommand::List { user } => {
            print_list(&store.mapping_list(user.as_deref()).await?, printer)?;
        }
        MappingCommand::Edit(change) => {
            store.mapping_edit(change.id, &mapping_edit(change)).await?;
            printer.done(&format!("changed mapping {}", change.id), &json!({"id": change.id}))?;
        }
        MappingCommand::Enable { id } => {
            store.mapping_set_enabled(*id, true).await?;
            printer.done(&format!("enabled mapping {id}"), &json!({"id": id, "enabled": true}))?;
        }
        MappingCommand::Disable { id } => {
            store.mapping_set_enabled(*id, false).await?;
            printer
                .done(&format!("disabled mapping {id}"), &json!({"id": id, "enabled": false}))?;
        }
        MappingCommand::Revoke { id, reason } => {
            revoke(*id, reason.as_deref(), store).await?;
            printer.done(&format!("revoked mapping {id}"), &json!({"id": id, "revoked": true}))?;
        }
        MappingCommand::Remove { id } => {
            store.mapping_remove(*id).await?;
            printer.done(&format!("removed mapping {id}"), &json!({"id": id}))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(
    new: &Add,
    config: &Config,
    store: &Store,
    actor: Option<String>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<()> {
    let chosen = new.pattern.read()?;
    let Some(kind) = chosen.kind else {
        anyhow::bail!("the issuer alone names nobody; add --serial, --subject or --cert");
    };
    let is_on =
        kind.is_strong() || config.identity.weak.iter().any(|weak| weak.as_str() == kind.name());
    if !is_on && !new.anyway {
        anyhow::bail!(
            "a mapping of kind {kind} could not match: identity.weak does not name it. Whoever \
             issues names can issue this one again; add {kind} to identity.weak, choose a \
             stronger kind, or say --anyway",
            kind = kind.name()
        );
    }
    let mapping = NewMapping {
        username: new.username.clone(),
        pattern: chosen.text,
        valid_from: new.window.valid_from.clone(),
        valid_until: new.window.valid_until.clone(),
        note: new.note.clone(),
        created_by: actor,
    };
    let id = store.mapping_add(&mapping).await?;
    let done = json!({"id": id, "username": new.username, "kind": kind.name()});
    printer.done(&format!("added mapping {id} for {} by {}", new.username, kind.name()), &done)?;
    if new.pattern.cert.is_some() && new.pattern.by.unwrap_or_default() == By::Sha256 {
        printer.remark(
            "It is for this certificate only: a renewed one needs a mapping of its own. \
             To cover renewals, use --by spki (same key) or --by issuer-subject (same name, same CA).",
        )?;
    }
    if kind == Kind::IssuerSerial && mapping.pattern.issuer_key_id.is_none() {
        printer.remark(
            "If this CA is ever renewed under the same name with serials starting again, only \
             its key tells them apart: give --issuer as the CA's PEM file to pin it.",
        )?;
    }
    Ok(())
}

/// Revokes one certificate. A mapping by name stands for every certificate of that name.
async fn revoke(id: i64, reason: Option<&str>, store: &Store) -> anyhow::Result<()> {
    let mapping = store.mapping_show(id).await?;
    let kind = crate::directory::parse_pattern(&mapping.pattern.row())?.kind();
    if !kind.is_some_and(Kind::is_strong) {
        anyhow::bail!(
            "mapping {id} is not bound to one certificate or key, so revoking it would not stop \
             the certificate; use `certgate certificate block FILE`, or `certgate mapping disable {id}`"
        );
    }
    store.mapping_revoke(id, reason, None).await?;
    Ok(())
}

fn mapping_edit(change: &Change) -> MappingEdit {
    let clear = |field| change.clear.contains(&field);
    MappingEdit {
        valid_from: edit(change.window.valid_from.as_ref(), clear(Field::ValidFrom)),
        valid_until: edit(change.window.valid_until.as_ref(), clear(Field::ValidUntil)),
        note: edit(change.note.as_ref(), clear(Field::Note)),
    }
}

pub(super) fn print_list(mappings: &[Mapping], printer: &mut Printer<'_>) -> anyhow::Result<()> {
    if printer.is_json() {
        return printer.json(&mappings.iter().map(mapping_json).collect::<Vec<_>>());
    }
    let mut table = Table::new(&["id", "user", "state", "pattern"]);
    for mapping in mappings {
        let state = match (&mapping.revoked_at, mapping.enabled) {
            (Some(at), _) => format!("revoked {at}"),
            (None, true) => "enabled".to_owned(),
            (None, false) => "disabled".to_owned(),
        };
        let pattern = pattern_line(&mapping.pattern);
        table.row([mapping.id.to_string(), mapping.username.clone(), state, pattern]);
    }
    printer.table(&table)
}

/// A pattern on one line.
pub(super) fn pattern_line(pattern: &PatternText) -> String {
    let columns = pattern_columns(pattern).into_iter();
    let set = columns.filter_map(|(name, value)| value.map(|value| format!("{name}={value}")));
    set.collect::<Vec<_>>().join(" ")
}

/// A pattern's columns by their names in the schema.
pub(super) fn pattern_columns(pattern: &PatternText) -> [(&'static str, Option<&str>); 11] {
    [
        ("sha256", pattern.sha256.as_deref()),
        ("spki_sha256", pattern.spki_sha256.as_deref()),
        ("issuer", pattern.issuer.as_deref()),
        ("issuer_key_id", pattern.issuer_key_id.as_deref()),
        ("serial", pattern.serial.as_deref()),
        ("subject", pattern.subject.as_deref()),
        ("san_email", pattern.san_email.as_deref()),
        ("san_upn", pattern.san_upn.as_deref()),
        ("san_uri", pattern.san_uri.as_deref()),
        ("san_dns", pattern.san_dns.as_deref()),
        ("common_name", pattern.common_name.as_deref()),
    ]
}

pub(super) fn mapping_json(mapping: &Mapping) -> Value {
    let mut fields = serde_json::Map::new();
    fields.insert("id".into(), json!(mapping.id));
    fields.insert("username".into(), json!(mapping.username));
    for (name, value) in pattern_columns(&mapping.pattern) {
        fields.insert(name.into(), json!(value));
    }
    for (name, value) in [
        ("enabled", json!(mapping.enabled)),
        ("valid_from", json!(mapping.valid_from)),
        ("valid_until", json!(mapping.valid_until)),
        ("revoked_at", json!(mapping.revoked_at)),
        ("revoked_reason", json!(mapping.revoked_reason)),
        ("note", json!(mapping.note)),
        ("created_by", json!(mapping.created_by)),
        ("created_at", json!(mapping.created_at)),
    ] {
        fields.insert(name.into(), value);
    }
    Value::Object(fields)
}
