//! The command line. It speaks to the database, not to a running server, and decides nothing itself.
//!
//! Exit codes: 0 yes, 1 no (denied, not found, check failed), 2 error.

mod audit;
mod block;
mod certificate;
pub mod config;
mod copy;
mod crl;
pub mod demo;
mod denied;
mod desk;
mod doctor;
mod explain;
mod export;
mod facts;
mod group;
pub mod healthcheck;
mod import;
mod inbox;
mod known;
mod mapping;
mod nginx;
mod outlook;
mod output;
mod pattern;
mod reissue;
mod report;
mod rule;
mod shell;
mod user;
mod values;
mod window;

use std::error::Error as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

use self::certificate::CertificateCommand;
use self::desk::Desk;
use self::output::{Fields, Printer};

use crate::app::{self, Migration};
use crate::config::{Config, Environment, Loaded, environment};
use crate::store::{DatabaseUrl, Open, Store, StoreError};
use crate::telemetry;

/// Exit code: no.
const NO: u8 = 1;
/// Exit code: an error.
const ERROR: u8 = 2;

/// Tells nginx, on every request, whose client certificate this is.
#[derive(Debug, Parser)]
#[command(name = "certgate", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    /// The configuration file [default: $CERTGATE_CONFIG, else /etc/certgate/certgate.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERYWHERE)]
    config: Option<PathBuf>,
    /// Answer as JSON, for programs
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    /// Do what would leave no administrator (or, where a command says so, what cannot match).
    #[arg(long, global = true, hide = true)]
    anyway: bool,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// The heading of the options that every command has.
const EVERYWHERE: &str = "Options of every command";

const EXAMPLES: &str = "\
Examples:
  certgate demo                                     see it work, with throw-away certificates
  certgate user add alice --group ops               a person
  certgate mapping add alice --cert alice.pem       and the certificate that is hers
  certgate serve                                    answer nginx
  certgate explain --cert alice.pem                 who is this, and why

Exit codes: 0 yes, 1 no (denied, not found, check failed), 2 error.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer nginx until told to stop
    Serve(Serve),
    /// See it work: throw-away certificates, nginx, real requests
    Demo(demo::Demo),
    /// Bring the database's schema up to date, creating what is not there
    #[command(after_help = "\
Examples:
  certgate migrate
  CERTGATE_DATABASE__URL=postgres://certgate@db.example.com/certgate certgate migrate")]
    Migrate,
    /// People and machines
    #[command(
        subcommand,
        after_help = "\
Examples:
  certgate user add alice --name \"Alice Dupont\" --group ops
  certgate user show alice
  certgate user disable alice"
    )]
    User(user::UserCommand),
    /// Who is in which group
    #[command(
        subcommand,
        after_help = "\
Examples:
  certgate group add ops alice bob
  certgate group show ops"
    )]
    Group(group::GroupCommand),
    /// Which certificates belong to a user
    #[command(
        subcommand,
        after_help = "\
Examples:
  certgate mapping add alice --cert alice.pem
  certgate mapping list --user alice
  certgate mapping revoke 7 --reason stolen"
    )]
    Mapping(mapping::MappingCommand),
    /// Which certificates are kept out
    #[command(
        subcommand,
        after_help = "\
Examples:
  certgate block add --cert laptop.pem --reason stolen
  certgate block list"
    )]
    Block(block::BlockCommand),
    /// Users by what their certificates say
    #[command(
        subcommand,
        after_help = "\
Examples:
  certgate rule list
  certgate rule test --cert alice.pem"
    )]
    Rule(rule::RuleCommand),
    /// One certificate from its file, and those that are known
    #[command(
        subcommand,
        after_help = "\
Examples:
  certgate certificate show alice.pem
  certgate certificate list --expiring 30d
  certgate certificate block laptop.pem --reason stolen"
    )]
    Certificate(certificate::CertificateCommand),
    /// Verified certificates of nobody, to be given to somebody
    #[command(
        subcommand,
        after_help = "\
Examples:
  certgate inbox list
  certgate inbox approve 1f0c5b7a --user alice"
    )]
    Inbox(inbox::InboxCommand),
    /// Which revocation lists are in force, and whether they can be used
    #[command(
        subcommand,
        after_help = "\
Examples:
  certgate crl check
  certgate crl list"
    )]
    Crl(crl::CrlCommand),
    /// Users, mappings and blocks from files
    Import(Box<import::Import>),
    /// Users, mappings and blocks into a file
    Export(export::Export),
    /// Everything from one database into another one, which is empty
    Copy(copy::Copy),
    /// Who changed what, and undoing a mistake
    #[command(
        subcommand,
        after_help = "\
Examples:
  certgate audit list --since 2d --user alice
  certgate audit undo 4711 --dry-run"
    )]
    Audit(audit::AuditCommand),
    /// Who can come in, for people who have to sign it
    #[command(
        subcommand,
        after_help = "\
Example:
  certgate report access --csv > access.csv"
    )]
    Report(report::ReportCommand),
    /// Say who a certificate or a request is, and why
    Explain(explain::Explain),
    /// Who was kept out, and why
    Denied(denied::Denied),
    /// Find out what is wrong: nginx's configuration, the database, CRLs, sockets
    Doctor(doctor::Doctor),
    /// What nginx needs
    #[command(
        subcommand,
        after_help = "\
Examples:
  certgate nginx config --server-name app.example.com > /etc/nginx/conf.d/app.conf"
    )]
    Nginx(nginx::NginxCommand),
    /// Check or show the configuration
    #[command(after_help = "\
Examples:
  certgate config check
  certgate --config ./certgate.toml config show
  certgate config example > certgate.toml")]
    Config(config::ConfigArgs),
    /// Print what a shell needs to complete commands
    Completions(shell::Completions),
    /// Print the manual page, or write those of every command
    Man(shell::Man),
    /// Ask the running server whether it can decide
    #[command(after_help = "\
Exit code 0: yes; 1: no; 2: nobody could be asked.

Examples:
  certgate healthcheck           can it decide (/readyz)
  certgate healthcheck --live    does it run (/healthz)")]
    Healthcheck(healthcheck::HealthcheckArgs),
}

/// `certgate serve`
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  certgate serve                        SQLite, made and migrated by itself
  certgate serve --migrate              bring PostgreSQL's schema up to date first
  certgate --config ./certgate.toml serve")]
struct Serve {
    /// Bring the database's schema up to date first (SQLite's always is)
    #[arg(long)]
    migrate: bool,
}

/// Something that was asked for and is not there: exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Missing(String);

/// The whole program: reads the command line, does it, tells how it went.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let env = environment();
    match run(&cli, &env) {
        Ok(code) => code,
        // Who read our answer has gone; there is nobody to tell.
        Err(error) if is_broken_pipe(&error) => ExitCode::from(ERROR),
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(if is_missing(&error) { NO } else { ERROR })
        }
    }
}

/// Help and version are answers; anything else is a command line that cannot be read.
fn refuse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A closed pipe has had enough of the help.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    if let (ErrorKind::ValueValidation, Some(option), Some(value), Some(why)) = (
        error.kind(),
        text(ContextKind::InvalidArg),
        text(ContextKind::InvalidValue),
        error.source(),
    ) {
        // `--serial <SERIAL>`: the option is its first word; an argument is `<USERNAME>`.
        let option = option.split(' ').next().unwrap_or(option);
        let option = option.trim_start_matches('<').trim_end_matches('>');
        complain(&format!("{option} {value:?}: {why}"));
    } else {
        for line in error.render().to_string().lines() {
            let _ = writeln!(io::stderr(), "{}", output::harmless(line));
        }
    }
    ExitCode::from(ERROR)
}

fn is_missing(error: &anyhow::Error) -> bool {
    let of_store = error.downcast_ref::<StoreError>();
    of_store.is_some_and(StoreError::is_missing) || error.is::<Missing>()
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run(cli: &Cli, env: &Environment) -> anyhow::Result<ExitCode> {
    let load = || Config::load(cli.config.as_deref(), env);
    let (out, err) = (&mut io::stdout(), &mut io::stderr());
    match &cli.command {
        Command::Serve(serve) => run_server(load()?, *serve, env),
        Command::Demo(demo) => runtime()?.block_on(demo::run(demo)),
        Command::Config(args) => Ok(ExitCode::from(config::run(args, cli.json, load, out, err)?)),
        Command::Healthcheck(args) => {
            let ops = load()?.config.ops.listen;
            Ok(ExitCode::from(runtime()?.block_on(healthcheck::run(args, &ops, out, err))?))
        }
        Command::Certificate(CertificateCommand::Show { what }) if !known::is_no_file(what) => {
            certificate::show(Path::new(what), &mut Printer::new(out, cli.json))
        }
        Command::Completions(args) => shell::completions(args, out),
        Command::Man(args) => shell::man(args, out),
        Command::Copy(args) => {
            runtime()?.block_on(copy::run(args, &mut Printer::new(out, cli.json)))
        }
        Command::Doctor(args) => {
            runtime()?.block_on(doctor::run(args, load(), &mut Printer::new(out, cli.json)))
        }
        Command::Nginx(command) => nginx::run(command, &load()?.config, out, cli.json),
        Command::Crl(command) => {
            crl::run(command, &load()?.config, &mut Printer::new(out, cli.json))
        }
        command => {
            let loaded = load()?;
            let printer = &mut Printer::new(out, cli.json);
            runtime()?.block_on(run_on_store(
                command,
                &loaded,
                cli.anyway,
                desk::actor(env),
                printer,
            ))
        }
    }
}

/// The commands that work on the database.
async fn run_on_store(
    command: &Command,
    loaded: &Loaded,
    anyway: bool,
    actor: Option<String>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let config = &loaded.config;
    let url = app::database_url(config)?;
    if matches!(command, Command::Migrate) {
        return migrate(&url, printer).await;
    }
    let store = &Store::open(&url, Open::Existing).await.map_err(|error| place(error, loaded))?;
    let desk = &Desk { config, store, anyway, actor, now: app::now() };
    let done = match command {
        Command::User(command) => user::run(command, desk, printer).await,
        Command::Group(command) => group::run(command, desk, printer).await,
        Command::Mapping(command) => mapping::run(command, desk, printer).await,
        Command::Block(command) => block::run(command, desk, printer).await,
        Command::Rule(command) => rule::run(command, desk, printer).await,
        Command::Audit(command) => audit::run(command, desk, printer).await,
        Command::Report(command) => report::run(command, desk, printer).await,
        Command::Certificate(command) => certificate::run(command, desk, printer).await,
        Command::Inbox(command) => inbox::run(command, desk, printer).await,
        Command::Explain(args) => explain::run(args, desk, printer).await,
        Command::Import(args) => import::run(args, desk, printer).await,
        Command::Export(args) => export::run(args, desk, printer).await,
        Command::Denied(args) => denied::run(args, desk, printer).await,
        _ => anyhow::bail!("this command needs no database"),
    };
    store.close().await;
    done
}

/// A database that is not there is most often the wrong configuration: says which one was read.
fn place(error: StoreError, loaded: &Loaded) -> anyhow::Error {
    let StoreError::NoDatabaseFile { path } = &error else { return error.into() };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let origin = match &loaded.file {
        Some(file) => format!("configured by {}", file.display()),
        None => "no configuration file was found".to_owned(),
    };
    anyhow::anyhow!(
        "{}: no database there ({origin}); check --config and database.url, or create it with \
         `certgate migrate`",
        path.display()
    )
}

async fn migrate(url: &DatabaseUrl, printer: &mut Printer<'_>) -> anyhow::Result<ExitCode> {
    let migrated = Store::migrate(url).await?;
    let sentence = if migrated.from == migrated.to {
        format!("{url}: schema version {}, nothing to do", migrated.to)
    } else {
        format!("{url}: schema version {} (was {})", migrated.to, migrated.from)
    };
    let done = Fields::default()
        .with("database", url.to_string())
        .with("from", migrated.from)
        .with("to", migrated.to);
    printer.done(&sentence, &done)?;
    Ok(ExitCode::SUCCESS)
}

fn run_server(loaded: Loaded, serve: Serve, env: &Environment) -> anyhow::Result<ExitCode> {
    telemetry::init(&loaded.config.log)?;
    let migration = if serve.migrate { Migration::First } else { Migration::AsNeeded };
    app::serve(&loaded, env, migration)?;
    Ok(ExitCode::SUCCESS)
}

/// A runtime for commands; they do one thing after the other.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// One message for people on standard error, whatever characters are in it.
fn complain(message: &str) {
    let mut text = String::from("certgate: ");
    for (number, line) in message.lines().enumerate() {
        if number > 0 {
            text.push_str("\n  ");
        }
        // Writing into a string does not fail.
        let _ = telemetry::write_escaped(&mut text, line);
    }
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
