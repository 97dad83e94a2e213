//! `certgate completions` and `certgate man`: what shells and manuals are told of the command line.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, ValueEnum};

use super::Cli;

/// `certgate completions`
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  certgate completions bash > /etc/bash_completion.d/certgate
  certgate completions fish > ~/.config/fish/completions/certgate.fish")]
pub(super) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// A shell that completes commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// `certgate man`
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  certgate man | man -l -
  certgate man --dir /usr/local/share/man/man1")]
pub(super) struct Man {
    /// Write the pages of all commands into this folder, which must be there
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints the completions of one shell.
pub(super) fn completions(args: &Completions, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "certgate", &mut text);
    out.write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the page of `certgate` itself, or writes those of every command.
pub(super) fn man(args: &Man, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    match &args.dir {
        None => clap_mangen::Man::new(command).render(out)?,
        Some(folder) => {
            let count = pages(command, folder)?;
            writeln!(out, "wrote {count} pages to {}", folder.display())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a command's page and those of the commands below it; how many.
fn pages(command: clap::Command, folder: &Path) -> anyhow::Result<usize> {
    let mut count = 1;
    for further in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        count += pages(further.clone(), folder)?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let path = folder.join(format!("{name}.1"));
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(count)
}
