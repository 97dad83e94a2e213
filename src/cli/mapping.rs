//! `certgate mapping`: which certificates belong to a user.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::desk::Desk;
use super::output::{Fields, Printer, Table};
use super::pattern::{self, By, Chosen, PatternArgs};
use super::reissue::{self, ReissueArgs};
use super::values;
use super::window::{WindowArgs, edit, state};
use crate::directory::{Kind, Kinds, parse_pattern};
use crate::operator::{RevokeError, revoke_mapping};
use crate::pki::UnixTime;
use crate::store::{Mapping, MappingEdit, NewMapping};

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
    #[command(after_help = "\
Example:
  certgate mapping show 7")]
    Show {
        /// Its id
        id: i64,
    },
    /// List mappings
    #[command(after_help = "\
Examples:
  certgate mapping list
  certgate mapping list --user alice --json")]
    List {
        /// Only those of this user
        #[arg(long)]
        user: Option<String>,
    },
    /// Change a mapping's window or note; what it matches never changes
    #[command(after_help = "\
Examples:
  certgate mapping edit 7 --valid-until 2027-01-31
  certgate mapping edit 7 --note laptop --clear valid-from")]
    Edit(Change),
    /// Let it count again
    #[command(after_help = "\
Example:
  certgate mapping enable 7")]
    Enable {
        /// Its id
        id: i64,
    },
    /// Let it not count for now
    #[command(after_help = "\
Example:
  certgate mapping disable 7")]
    Disable {
        /// Its id
        id: i64,
    },
    /// Refuse its certificate from now on, whatever else matches
    #[command(after_help = "\
Only where it is bound to one certificate (sha256, issuer_serial). It stays so: to undo it, remove
the mapping and add another. Of any other, block the certificate that is meant:
`certgate certificate block`.

Example:
  certgate mapping revoke 7 --reason stolen")]
    Revoke {
        /// Its id
        id: i64,
        /// Why
        #[arg(long, value_parser = values::text)]
        reason: Option<String>,
    },
    /// Carry over what is bound to a CA that is replaced
    #[command(after_help = "\
Each mapping in force that names the old CA gets a twin for the new one; the old one stays, until
--retire-old ends it. Fingerprints and serials name certificates of the old CA: those mappings are
listed, and so are those that a block of the old CA keeps out, or may: give that block a copy for
the new CA first. Where both CAs have the same name, give both as files: only their keys tell them
apart.

Examples:
  certgate mapping reissue --issuer old-ca.pem --to new-ca.pem --dry-run
  certgate mapping reissue --issuer 'CN=Old CA,O=Example' --to new-ca.pem --retire-old 30d --rules")]
    Reissue(ReissueArgs),
    /// Remove it for good
    #[command(after_help = "\
Its certificate is unmapped then; to refuse it whatever else matches, use revoke.

Example:
  certgate mapping remove 7")]
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
    #[command(flatten, next_help_heading = "The mapping itself")]
    window: WindowArgs,
    /// A remark
    #[arg(long, value_parser = values::text, help_heading = "The mapping itself")]
    note: Option<String>,
    /// Add it although it cannot match as certgate is configured
    #[arg(long, help_heading = "The mapping itself")]
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
    #[arg(long, value_parser = values::text)]
    note: Option<String>,
    /// Make a value empty (repeat for more)
    #[arg(long, value_enum, value_name = "FIELD")]
    clear: Vec<Field>,
}

/// A value of a mapping that can be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Field {
    ValidFrom,
    ValidUntil,
    Note,
}

/// Runs the command; a mapping or a user who is not there is exit code 1.
pub(super) async fn run(
    command: &MappingCommand,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let store = desk.store;
    let (id, done, remarks) = match command {
        MappingCommand::Show { id } => {
            printer.fields(&fields(&store.read().await?.mapping_show(*id).await?))?;
            return Ok(ExitCode::SUCCESS);
        }
        MappingCommand::List { user } => {
            let mappings = store.read().await?.mapping_list(user.as_deref()).await?;
            if let (Some(user), true) = (user, mappings.is_empty()) {
                // A name that was misspelt is an answer of its own.
                store.read().await?.user_show(user).await?;
            }
            list(&mappings, desk, printer)?;
            return Ok(ExitCode::SUCCESS);
        }
        MappingCommand::Remove { id } => {
            desk.act(async |work| work.mapping_remove(*id).await).await?;
            let done = Fields::default().with("id", *id).with("removed", true);
            printer.done(&format!("removed mapping {id}"), &done)?;
            return Ok(ExitCode::SUCCESS);
        }
        MappingCommand::Reissue(args) => {
            reissue::run(args, desk, printer).await?;
            return Ok(ExitCode::SUCCESS);
        }
        MappingCommand::Add(new) => add(new, desk).await?,
        MappingCommand::Edit(change) => {
            let edit = mapping_edit(change)?;
            desk.act(async |work| work.mapping_edit(change.id, &edit).await).await?;
            (change.id, format!("changed mapping {}", change.id), Vec::new())
        }
        MappingCommand::Enable { id } => {
            desk.act(async |work| work.mapping_set_enabled(*id, true).await).await?;
            (*id, format!("enabled mapping {id}"), Vec::new())
        }
        MappingCommand::Disable { id } => {
            desk.act(async |work| work.mapping_set_enabled(*id, false).await).await?;
            (*id, format!("disabled mapping {id}"), Vec::new())
        }
        MappingCommand::Revoke { id, reason } => {
            revoke(*id, reason.as_deref(), desk).await?;
            (*id, format!("revoked mapping {id}"), Vec::new())
        }
    };
    let mapping = store.read().await?.mapping_show(id).await?;
    if printer.is_json() {
        printer.json(&fields(&mapping).with("remarks", remarks))?;
        return Ok(ExitCode::SUCCESS);
    }
    printer.line(&done)?;
    if matches!(command, MappingCommand::Enable { .. }) && mapping.revoked_at.is_some() {
        printer.line("It stays revoked: remove it, and add another one to let it in again.")?;
    }
    for remark in remarks {
        printer.line(&remark)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Adds a mapping; gives back its id, what was done, and what its operator should know.
async fn add(new: &Add, desk: &Desk<'_>) -> anyhow::Result<(i64, String, Vec<String>)> {
    let chosen = new.pattern.read()?;
    let Some(kind) = chosen.kind else {
        anyhow::bail!("the issuer alone names nobody; add --serial, --subject or --cert");
    };
    if !new.anyway {
        check_useful(kind, &chosen, desk)?;
    }
    let by = new.pattern.by.unwrap_or_default();
    let remarks = remarks(kind, by, &chosen, desk);
    let mapping = NewMapping {
        username: new.username.clone(),
        pattern: chosen.text,
        valid_from: new.window.valid_from.clone(),
        valid_until: new.window.valid_until.clone(),
        note: new.note.clone(),
        created_by: desk.actor.clone(),
    };
    let certificate = chosen.certificate.as_ref();
    let id = desk
        .act(async |work| {
            let id = work.mapping_add(&mapping).await?;
            if let Some(certificate) = certificate {
                work.certificate_add(certificate).await?;
            }
            Ok(id)
        })
        .await?;
    let done = format!("added mapping {id} for {} by {}", new.username, kind.name());
    Ok((id, done, remarks))
}

/// A mapping that could never match is a mistake, which nobody would notice until the user is
/// kept out.
fn check_useful(kind: Kind, chosen: &Chosen, desk: &Desk<'_>) -> anyhow::Result<()> {
    anyhow::ensure!(
        desk.kinds().contains(kind),
        "a mapping of kind {kind} could not match: identity.weak does not name it. Whoever \
         issues names can issue this one again; add {kind} to identity.weak, choose a \
         stronger kind, or say --anyway",
        kind = kind.name()
    );
    let is_ca = chosen.certificate.as_ref().is_some_and(|certificate| certificate.is_ca);
    anyhow::ensure!(
        !is_ca,
        "the certificate of --cert is that of a CA, which is never accepted as a client's; name \
         the user's own, or say --anyway"
    );
    Ok(())
}

fn remarks(kind: Kind, by: By, chosen: &Chosen, desk: &Desk<'_>) -> Vec<String> {
    let mut remarks = Vec::new();
    let invisible = chosen.invisible(desk.config);
    if !invisible.is_empty() {
        remarks.push(format!(
            "It cannot match: identity.source is \"headers\", and the proxy's headers do not \
             show {}; choose --by issuer-serial, issuer-subject or subject.",
            invisible.join(", ")
        ));
    }
    if let Some(certificate) = &chosen.certificate {
        if certificate.not_after.as_seconds() < desk.now.as_seconds() {
            remarks.push(format!("This certificate expired at {}.", certificate.not_after));
        }
        if !certificate.usage.allows_client_auth() {
            remarks.push(
                "This certificate is not for clients (extended key usage): it is refused."
                    .to_owned(),
            );
        }
        if by == By::Sha256 {
            remarks.push(
                "It is for this certificate only: a renewed one needs a mapping of its own. To \
                 cover renewals, use --by spki (same key) or --by issuer-subject (same name, \
                 same CA)."
                    .to_owned(),
            );
        }
    }
    if kind == Kind::IssuerSerial && chosen.text.issuer_key_id.is_none() {
        remarks.push(
            "If this CA is ever renewed under the same name with serials starting again, only \
             its key tells them apart: give --issuer as the CA's PEM file to pin it."
                .to_owned(),
        );
    }
    remarks
}

/// Revokes one certificate. A mapping by name stands for every certificate of that name.
async fn revoke(id: i64, reason: Option<&str>, desk: &Desk<'_>) -> anyhow::Result<()> {
    let mut work = desk.store.begin(&desk.by()).await?;
    let before = desk.administrators(&mut work).await?;
    revoke_mapping(&mut work, id, reason, None).await.map_err(|error| match error {
        RevokeError::Store(error) => anyhow::Error::from(error),
        error => error.into(),
    })?;
    desk.check_administrators(before, &mut work).await?;
    Ok(work.commit().await?)
}

fn mapping_edit(change: &Change) -> anyhow::Result<MappingEdit> {
    anyhow::ensure!(
        !change.window.is_empty() || change.note.is_some() || !change.clear.is_empty(),
        "nothing to change: give --valid-from, --valid-until, --note or --clear"
    );
    let clear = |field| change.clear.contains(&field);
    let (from, until) = (change.window.valid_from.as_ref(), change.window.valid_until.as_ref());
    Ok(MappingEdit {
        valid_from: edit("valid-from", from, clear(Field::ValidFrom))?,
        valid_until: edit("valid-until", until, clear(Field::ValidUntil))?,
        note: edit("note", change.note.as_ref(), clear(Field::Note))?,
    })
}

/// Prints mappings: a table, or an array.
pub(super) fn list(
    mappings: &[Mapping],
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<()> {
    let kinds = desk.kinds();
    let mut table = Table::new(&["id", "user", "kind", "state", "pattern", "note"]);
    for mapping in mappings {
        table.row([
            mapping.id.to_string(),
            mapping.username.clone(),
            kind(mapping).map_or("-", Kind::name).to_owned(),
            mapping_state(mapping, kinds, desk.now),
            pattern::line(&mapping.pattern),
            mapping.note.clone().unwrap_or_default(),
        ]);
    }
    printer.list(&mappings.iter().map(fields).collect::<Vec<_>>(), &table)
}

/// What a mapping hangs on; none if it cannot be read, and then it matches nothing.
pub(super) fn kind(mapping: &Mapping) -> Option<Kind> {
    parse_pattern(&mapping.pattern.row()).ok()?.kind()
}

/// Whether a mapping counts, and if not, why, in a word or two.
pub(super) fn mapping_state(mapping: &Mapping, kinds: Kinds, now: UnixTime) -> String {
    let Some(kind) = kind(mapping) else { return "unreadable".to_owned() };
    if let Some(at) = &mapping.revoked_at {
        return match UnixTime::parse_rfc3339(at) {
            Ok(instant) if instant > now => format!("revoked from {at} on"),
            Ok(_) => format!("revoked {at}"),
            Err(_) => "unreadable".to_owned(),
        };
    }
    if !kinds.contains(kind) {
        return "weak, off".to_owned();
    }
    let (from, until) = (mapping.valid_from.as_ref(), mapping.valid_until.as_ref());
    state(mapping.enabled, from, until, now).to_owned()
}

/// A mapping's columns, and its kind.
pub(super) fn fields(mapping: &Mapping) -> Fields {
    Fields::default()
        .with("id", mapping.id)
        .with("username", mapping.username.as_str())
        .with("kind", kind(mapping).map(Kind::name))
        .with_texts(pattern::columns(&mapping.pattern))
        .with("enabled", mapping.enabled)
        .with_texts([
            ("valid_from", mapping.valid_from.as_deref()),
            ("valid_until", mapping.valid_until.as_deref()),
            ("revoked_at", mapping.revoked_at.as_deref()),
            ("revoked_reason", mapping.revoked_reason.as_deref()),
            ("note", mapping.note.as_deref()),
            ("created_by", mapping.created_by.as_deref()),
            ("created_at", mapping.created_at.as_deref()),
        ])
}
