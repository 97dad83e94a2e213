//! `certgate completions` and `certgate man`.

use std::process::Command;

use crate::cli_desk::Desk;
use crate::support::database::Kind;

#[test]
fn completions_know_every_command_and_are_a_script_of_their_shell() {
    let desk = Desk::unmigrated(Kind::Sqlite);
    for shell in ["bash", "zsh", "fish"] {
        let script = desk.run(&["completions", shell]);
        for word in ["inbox", "approve", "reissue", "retire-old", "healthcheck"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        let file = desk.file(&format!("completions.{shell}"), script.as_bytes());
        // Where the shell is not installed, its syntax is not checked.
        if let Ok(output) = Command::new(shell).arg("-n").arg(&file).output() {
            assert!(output.status.success(), "{shell}: {output:?}");
        }
    }
    assert_eq!(desk.say(&["completions", "tcsh"]).code, 2);
}

#[test]
fn bash_completes_commands_and_options() {
    let desk = Desk::unmigrated(Kind::Sqlite);
    let file = desk.file("certgate.bash", desk.run(&["completions", "bash"]).as_bytes());
    let complete = |words: &[&str]| {
        let last = words.len() - 1;
        let script = format!(
            "source {}; COMP_WORDS=({}); COMP_CWORD={last}; \
             _certgate certgate '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display(),
            words.join(" "),
            words[last],
            words[last - 1],
        );
        let output = Command::new("bash").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete(&["certgate", "inb"]), "inbox\n");
    assert_eq!(complete(&["certgate", "mapping", "reis"]), "reissue\n");
    assert_eq!(complete(&["certgate", "user", "remove", "--with"]), "--with-mappings\n");
}

#[test]
fn every_command_has_a_page() {
    let desk = Desk::unmigrated(Kind::Sqlite);
    let page = desk.run(&["man"]);
    assert!(page.contains(".TH certgate 1"), "{page}");
    let folder = desk.folder().join("man");
    let error = desk.refused(2, &["man", "--dir", folder.to_str().unwrap()]);
    assert!(error.contains("cannot write"), "{error}");
    std::fs::create_dir(&folder).unwrap();
    let said = desk.run(&["man", "--dir", folder.to_str().unwrap()]);
    let pages: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|one| one.unwrap().path()).collect();
    assert!(said.starts_with(&format!("wrote {} pages", pages.len())), "{said}");
    assert!(pages.len() > 50, "{}", pages.len());
    for name in ["certgate", "certgate-inbox-approve", "certgate-mapping-reissue"] {
        let page = std::fs::read_to_string(folder.join(format!("{name}.1"))).unwrap();
        assert!(page.contains("SYNOPSIS") && page.contains("Examples"), "{name}: {page}");
        let title = name.replace('-', " ");
        assert!(page.replace("\\-", "-").contains(name) || page.contains(&title), "{page}");
    }
}
