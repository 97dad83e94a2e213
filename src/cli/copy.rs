//! `certgate copy`: everything from one database into another one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::import::Progress;
use super::output::{Fields, Printer};
use crate::store::{Copied, DatabaseUrl, Open, Store};

/// `certgate copy`
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Everything: users, groups, mappings, blocks, rules, certificates, denials and the audit, with their
ids and times, in one transaction; at the end both sides are compared row by row. The target must be
empty: PostgreSQL with its schema (`certgate migrate`) and the role that owns it, or a SQLite file,
which may be new. A copy that fails leaves nothing behind. What is written to the source meanwhile is
not in it: stop writers, copy, change database.url, start.

Examples:
  certgate copy --from sqlite://./certgate.db --to postgres://certgate@db.example.com/certgate
  certgate copy --from postgres://certgate@db.example.com/certgate --to sqlite://./certgate.db")]
pub(super) struct Copy {
    /// The database to read
    #[arg(long, value_name = "URL")]
    from: String,
    /// The empty database to fill
    #[arg(long, value_name = "URL")]
    to: String,
}

/// Runs the command.
pub(super) async fn run(args: &Copy, printer: &mut Printer<'_>) -> anyhow::Result<ExitCode> {
    let (from, to) = (DatabaseUrl::parse(&args.from)?, DatabaseUrl::parse(&args.to)?);
    let source = Store::open(&from, Open::Existing).await?;
    let new = NewFile::of(&to);
    let target = Store::open(&to, Open::Create).await;
    let mut progress = Progress::on_standard_error();
    let copied = match &target {
        Ok(target) => {
            let told = |copied: Copied| {
                progress.show(&format!("{} rows of {}", copied.rows, copied.table));
            };
            source.copy_to(target, told).await.map_err(anyhow::Error::from)
        }
        Err(_) => Ok(Vec::new()),
    };
    progress.clear();
    source.close().await;
    let done = match target {
        Ok(target) => {
            target.close().await;
            copied
        }
        Err(error) => Err(error.into()),
    };
    let copied = match done {
        Ok(copied) => copied,
        Err(error) => {
            new.remove();
            return Err(error);
        }
    };
    let parts = copied.iter().map(|one| format!("{} {}", one.rows, one.table));
    let sentence =
        format!("{from} -> {to}: {}; both sides are equal", parts.collect::<Vec<_>>().join(", "));
    let mut done = Fields::default().with("from", from.to_string()).with("to", to.to_string());
    for one in &copied {
        done = done.with(one.table, one.rows);
    }
    printer.done(&sentence, &done)?;
    Ok(ExitCode::SUCCESS)
}

/// The SQLite file that this command makes, if it makes one.
struct NewFile(Option<PathBuf>);

impl NewFile {
    fn of(url: &DatabaseUrl) -> Self {
        Self(url.file().filter(|path| !path.exists()).map(Path::to_owned))
    }

    /// Takes it away again, with what SQLite keeps beside it.
    fn remove(&self) {
        let Some(path) = &self.0 else { return };
        for ending in ["", "-wal", "-shm"] {
            let mut name = path.clone().into_os_string();
            name.push(ending);
            // One that is not there needs no removing; one that stays is empty.
            let _ = std::fs::remove_file(name);
        }
    }
}
