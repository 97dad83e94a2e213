//! `certgate config check|show|example`.
//!
//! Reads the configuration and nothing else, but for one thing: where CRLs are configured, `check`
//! reads them and the database, to tell whom they would deny. Never shows a password or a secret.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::outlook::Outlook;
use super::output::Printer;
use crate::app;
use crate::config::{ConfigErrors, Loaded, example, markdown_table};
use crate::telemetry::write_escaped;

/// Exit code: yes.
const YES: u8 = 0;
/// Exit code: error; a configuration with a problem is one.
const ERROR: u8 = 2;

/// `certgate config`
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What `certgate config` does.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether the configuration can be used, with every problem in it
    #[command(after_help = "\
Exit code 0: it can; 2: it cannot. Where CRLs are configured, it also reads them and the database,
and counts the mappings bound to a serial that they would deny, before they do.

Examples:
  certgate config check
  certgate --config ./certgate.toml config check --json
  CERTGATE_REVOCATION__CRL=new.crl,ca.pem certgate config check    with new CRLs")]
    Check,
    /// Print a commented example with every key
    #[command(after_help = "\
Example:
  certgate config example > certgate.toml")]
    Example {
        /// Print the table of keys as Markdown instead
        #[arg(long)]
        markdown: bool,
    },
    /// Print every key with what holds and where it comes from
    #[command(after_help = "\
Passwords and secrets are not shown.

Examples:
  certgate config show
  certgate config show --json")]
    Show,
}

/// Runs the command; `load` is asked only where the configuration is needed. Answers go to `out`,
/// problems and warnings in words to `err`. Returns the exit code: 0, or 2 for a broken
/// configuration.
pub fn run(
    args: &ConfigArgs,
    json: bool,
    load: impl FnOnce() -> Result<Loaded, ConfigErrors>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    match args.command {
        ConfigCommand::Check => check(load(), json, out, err),
        ConfigCommand::Example { markdown } => {
            let text = if markdown { markdown_table() } else { example() };
            out.write_all(text.as_bytes())?;
            Ok(YES)
        }
        ConfigCommand::Show => Ok(show(load(), json, out, err)?),
    }
}

fn check(
    loaded: Result<Loaded, ConfigErrors>,
    json: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(errors) => return Ok(refuse(&errors, json, out, err)?),
    };
    let outlook = Outlook::look(&loaded.config, app::now())?;
    let printer = &mut Printer::new(out, json);
    if json {
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        let answer = json!({
            "ok": true, "file": file(&loaded), "warnings": warnings, "revocation": outlook,
        });
        printer.json(&answer)?;
        return Ok(YES);
    }
    write_warnings(&loaded, err)?;
    match &loaded.file {
        Some(path) => printer.line(&format!("ok: {}", path.display()))?,
        None => printer.line("ok: no file, only defaults and the environment")?,
    }
    if let Some(outlook) = outlook {
        outlook.print(printer)?;
    }
    Ok(YES)
}

fn show(
    loaded: Result<Loaded, ConfigErrors>,
    json: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(errors) => return refuse(&errors, json, out, err),
    };
    if json {
        let keys: serde_json::Map<String, Value> = loaded
            .effective
            .iter()
            .map(|one| {
                let entry = json!({ "value": one.value, "origin": one.origin.to_string() });
                (one.key.to_owned(), entry)
            })
            .collect();
        writeln!(out, "{}", json!({ "file": file(&loaded), "keys": keys }))?;
        return Ok(YES);
    }
    write_warnings(&loaded, err)?;
    for one in &loaded.effective {
        let line = match &one.value {
            Value::Null => format!("# {} is not set", one.key),
            value => format!("{} = {value}  # {}", one.key, one.origin),
        };
        writeln!(out, "{}", one_line(&line))?;
    }
    Ok(YES)
}

fn refuse(
    errors: &ConfigErrors,
    json: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    if json {
        let problems: Vec<Value> = errors
            .0
            .iter()
            .map(|problem| {
                json!({
                    "place": problem.place.as_ref().map(ToString::to_string),
                    "key": problem.key,
                    "what": problem.fault.what,
                    "remedy": problem.fault.remedy,
                })
            })
            .collect();
        writeln!(out, "{}", json!({ "ok": false, "problems": problems }))?;
        return Ok(ERROR);
    }
    writeln!(err, "{errors}")?;
    Ok(ERROR)
}

fn write_warnings(loaded: &Loaded, err: &mut dyn Write) -> io::Result<()> {
    for warning in &loaded.warnings {
        writeln!(err, "{}", one_line(&format!("warning: {warning}")))?;
    }
    Ok(())
}

fn file(loaded: &Loaded) -> Option<String> {
    loaded.file.as_ref().map(|path| path.display().to_string())
}

fn one_line(text: &str) -> String {
    let mut line = String::new();
    // Writing into a String cannot fail.
    let _ = write_escaped(&mut line, text);
    line
}
