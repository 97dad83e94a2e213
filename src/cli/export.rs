//! `certgate export`: users, mappings and blocks as a file, or a map for nginx alone.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::crl;
use super::desk::Desk;
use super::output::Printer;

use crate::app;
use crate::config::Source;
use crate::decide::{self, Decision, Options, Question, Trust, View};
use crate::directory::row::MappingRow;
use crate::directory::{Directory, Found};
use crate::exchange::nginx_map::Pass;
use crate::exchange::{json, nginx_map, sheet};
use crate::explain::as_headers;
use crate::pki::Certificate;
use crate::proxy::{Presented, Shown};
use crate::store::Work;

/// `certgate export`
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
JSON is the exact form, and `certgate import` reads it back; CSV too, in which a cell that a
spreadsheet would take for a formula has a ' before it. Certificates, rules, denials and the audit
are not in it: `certgate copy` takes everything.

nginx-map is for the day on which certgate cannot be brought back: a file by which nginx alone lets
in those who would come in now by a strong mapping. How to use it, and what it does not do, stands in
it.

Examples:
  certgate export > people.json
  certgate export --format csv > people.csv
  certgate export --format nginx-map > /etc/nginx/conf.d/00-glass.conf")]
pub(super) struct Export {
    /// The form
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    /// Exact
    Json,
    /// A table
    Csv,
    /// What nginx needs to do without certgate for a while
    NginxMap,
}

/// Writes to standard output, everything as of one instant.
pub(super) async fn run(
    args: &Export,
    desk: &Desk<'_>,
    _: &Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let mut work = desk.store.read().await?;
    work.see_every_row().await?;
    let text = match args.format {
        Format::NginxMap => glass(desk, &mut work).await?,
        format => {
            let (mut users, mappings) = (work.user_list().await?, work.mapping_list(None).await?);
            // The databases sort names each in its own way.
            users.sort_by(|one, other| one.username.cmp(&other.username));
            let blocks = work.block_list().await?;
            match format {
                Format::Csv => sheet::write(&users, &mappings, &blocks),
                _ => json::write(&users, &mappings, &blocks),
            }
        }
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The break-glass file: who comes in now, decided by the code that answers nginx.
async fn glass(desk: &Desk<'_>, work: &mut Work) -> anyhow::Result<String> {
    let rows = work.load().await?;
    let switched_on = |row: &&MappingRow| row.enabled == 1 && row.revoked_at.is_none();
    let switched_on = rows.mappings.iter().filter(switched_on).count();
    let directory = Directory::build(&rows, &desk.settings());
    let (policy, now) = (app::gate::policy(desk.config), desk.now);
    let known = crl::read(desk.config, now);
    let reader = app::gate::reader(desk.config);
    let view = View {
        directory: Some(&directory),
        age: Duration::ZERO,
        now,
        trust: Trust { authorities: Some(known.authorities()), memory: None },
        policy: &policy,
    };
    let (mut let_in, mut mappings) = (Vec::new(), HashSet::new());
    for held in work.certificates_held(|_| true).await? {
        let certificate = Certificate::clone(&held.certificate);
        let shown = Arc::new(Shown::from(certificate));
        let presented = || match desk.config.identity.source {
            Source::Certificate => Ok(Presented::Certificate(Arc::clone(&shown))),
            Source::Headers => as_headers(&shown.certificate, &reader),
        };
        let question =
            Question { options: Ok(Options::default()), proxy_is_trusted: true, presented };
        let Decision::Allow(allow) = decide::decide(question, &view) else { continue };
        // By a rule or by a weak mapping is not known for sure enough.
        let found = directory.find(&shown.identity, now, policy.kinds);
        let (Found::Active(mapping, _), Some(user)) = (found, allow.user()) else { continue };
        if !mapping.kind.is_strong() || mapping.username != user.username {
            continue;
        }
        mappings.insert(mapping.id);
        let_in.push((held.certificate, user.username.to_string(), user.groups.as_str().to_owned()));
    }
    let passes =
        let_in.iter().map(|(certificate, username, groups)| Pass { certificate, username, groups });
    let passes: Vec<Pass<'_>> = passes.collect();
    let left_out = switched_on.saturating_sub(mappings.len());
    Ok(nginx_map::write(&passes, &now.to_string(), left_out))
}
