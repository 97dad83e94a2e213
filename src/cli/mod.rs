//! The command line. It speaks to the database, not to a running server, and decides nothing itself.
//!
//! Exit codes: 0 yes, 1 no (denied, not found, check failed), 2 error.

mod block;
mod certificate;
pub mod config;
mod crl;
pub mod demo;
mod explain;
mod facts;
mod group;
pub mod healthcheck;
mod mapping;
mod output;
mod pattern;
mod rule;
mod user;
mod window;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::certificate::CertificateCommand;
use self::output::Printer;

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
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer as JSON, for programs
    #[arg(long, global = true)]
    json: bool,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

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
Example:
  CERTGATE_DATABASE__URL=postgres://certgate@db.example.com/certgate certgate migrate")]
    Migrate,
    /// People and machines
    #[command(subcommand)]
    User(user::UserCommand),
    /// Who is in which group
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Which certificates belong to a user
    #[command(subcommand)]
    Mapping(mapping::MappingCommand),
    /// Which certificates are kept out
    #[command(subcommand)]
    Block(block::BlockCommand),
    /// Users by what their certificates say
    #[command(subcommand)]
    Rule(rule::RuleCommand),
    /// One certificate, from its file
    #[command(subcommand)]
    Certificate(certificate::CertificateCommand),
    /// Which revocation lists are in force, and whether they can be used
    #[command(subcommand)]
    Crl(crl::CrlCommand),
    /// Say who a certificate is, and why
    Explain(explain::Explain),
    /// Check or show the configuration
    Config(config::ConfigArgs),
    /// Ask the running server whether it can decide
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
    let cli = Cli::parse();
    let env = environment();
    match run(&cli, &env) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(if is_missing(&error) { NO } else { ERROR })
        }
    }
}

fn is_missing(error: &anyhow::Error) -> bool {
    let of_store = error.downcast_ref::<StoreError>();
    of_store.is_some_and(StoreError::is_missing) || error.is::<Missing>()
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
        Command::Certificate(CertificateCommand::Show { file }) => {
            certificate::show(file, &mut Printer::new(out, cli.json))
        }
        Command::Crl(command) => {
            crl::run(command, &load()?.config, &mut Printer::new(out, cli.json))
        }
        command => {
            let config = load()?.config;
            let printer = &mut Printer::new(out, cli.json);
            // The database knows who is connected; this is who says to be at the keyboard.
            let actor = env.get("USER").filter(|name| !name.is_empty()).cloned();
            runtime()?.block_on(run_on_store(command, &config, actor, printer))
        }
    }
}

/// The commands that work on the database.
async fn run_on_store(
    command: &Command,
    config: &Config,
    actor: Option<String>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let url = app::database_url(config)?;
    if matches!(command, Command::Migrate) {
        return migrate(&url, printer).await;
    }
    let store = &Store::open(&url, Open::Existing).await?;
    let done = match command {
        Command::User(command) => user::run(command, config, store, actor, printer).await,
        Command::Group(command) => group::run(command, store, printer).await,
        Command::Mapping(command) => mapping::run(command, config, store, actor, printer).await,
        Command::Rule(command) => rule::run(command, config, store, actor, printer).await,
        Command::Block(command) => block::run(command, store, actor, printer).await,
        Command::Certificate(CertificateCommand::Block(args)) => {
            certificate::block(args, config, store, actor, printer).await
        }
        Command::Explain(args) => explain::run(args, config, store, printer).await,
        _ => anyhow::bail!("this command needs no database"),
    };
    store.close().await;
    done
}

async fn migrate(url: &DatabaseUrl, printer: &mut Printer<'_>) -> anyhow::Result<ExitCode> {
    let migrated = Store::migrate(url).await?;
    let sentence = if migrated.from == migrated.to {
        format!("{url}: schema version {}, nothing to do", migrated.to)
    } else {
        format!("{url}: schema version {} (was {})", migrated.to, migrated.from)
    };
    printer.done(&sentence, &serde_json::json!({"from": migrated.from, "to": migrated.to}))?;
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
