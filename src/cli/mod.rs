//! The command line. It speaks to the database, not to a running server, and decides nothing itself.
//!
//! Exit codes: 0 yes, 1 no (denied, not found, check failed), 2 error.

pub mod config;
pub mod demo;
mod explain;
mod facts;
pub mod healthcheck;
mod output;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::{self, Migration};
use crate::config::{Config, Environment, Loaded, environment};
use crate::telemetry;

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
    /// Check, show or explain the configuration
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

/// The whole program: reads the command line, does it, tells how it went.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let env = environment();
    match run(&cli, &env) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(ERROR)
        }
    }
}

fn run(cli: &Cli, env: &Environment) -> anyhow::Result<ExitCode> {
    let load = || Config::load(cli.config.as_deref(), env);
    let (out, err) = (&mut io::stdout().lock(), &mut io::stderr());
    match &cli.command {
        Command::Serve(serve) => run_server(load()?, *serve, env),
        Command::Config(args) => Ok(ExitCode::from(config::run(args, cli.json, load, out, err)?)),
        Command::Healthcheck(args) => {
            let ops = load()?.config.ops.listen;
            let runtime = runtime()?;
            Ok(ExitCode::from(runtime.block_on(healthcheck::run(args, &ops, out, err))?))
        }
    }
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
