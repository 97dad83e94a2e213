//! `--help` of every command, as people read it.

use std::fmt::Write as _;
use std::process::Command;

use crate::support::certgate::program;

/// The help of a command, in a terminal of 100 columns.
fn help(command: &[String]) -> String {
    let mut process = Command::new(program());
    process.env_clear().env("COLUMNS", "100").args(command).arg("--help");
    let output = process.output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that a help lists, without `help` itself.
fn commands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    listed
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// Every command, each with its help, in the order of the help.
fn all(command: &[String], found: &mut Vec<(String, String)>) {
    let text = help(command);
    let further = commands(&text);
    found.push((command.join(" "), text));
    for name in further {
        all(&[command, &[name]].concat(), found);
    }
}

#[test]
fn the_help_of_every_command_reads_as_recorded() {
    let mut found = Vec::new();
    all(&[], &mut found);
    let mut text = String::new();
    for (command, help) in found {
        writeln!(
            text,
            "$ certgate {command}{}--help\n{help}",
            if command.is_empty() { "" } else { " " }
        )
        .unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_command_that_does_something_has_an_example_and_fits_the_screen() {
    let mut found = Vec::new();
    all(&[], &mut found);
    for (command, help) in found {
        if commands(&help).is_empty() {
            let example = format!("  certgate {command}");
            let shown = help.contains("Example") && help.contains(&example);
            assert!(shown || help.contains("Examples:"), "{command} has no example:\n{help}");
        }
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{command}: {line}");
        }
    }
}
