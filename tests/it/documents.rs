//! What we print is true: the README's table, files and statements are run as they stand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use certgate::config::markdown_table;

use super::support::certgate::{Certgate, program};
use super::support::pki::Issuer;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap()
}

/// The fenced blocks of that language, in order.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_readme_has_the_table_of_every_setting() {
    assert!(
        read("README.md").contains(&markdown_table()),
        "paste the output of `certgate config example --markdown` into README.md"
    );
}

#[test]
fn the_readmes_two_commands_are_there_and_can_be_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let commands = blocks(&read("README.md"), "sh");
    for (command, path) in [("deploy/demo\n", "deploy/demo"), ("tests/run --yes\n", "tests/run")] {
        assert!(commands.iter().any(|block| block == command), "{command}");
        let mode = fs::metadata(project(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{path}");
    }
}

#[test]
fn the_readmes_first_steps_lead_to_a_mapped_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Issuer::root(&folder.path().join("ca"), "Example CA");
    fs::copy(&ca.client("alice").alone, folder.path().join("alice.pem")).unwrap();
    let readme = read("README.md");
    let steps = blocks(&readme, "sh").into_iter().find(|block| block.contains("user add")).unwrap();
    let mut explained = String::new();
    for line in steps.lines() {
        let line = line.split('#').next().unwrap().trim();
        if line.starts_with("cargo install") || line == "certgate serve" {
            continue;
        }
        let output = Command::new("sh")
            .env("PATH", path_with_program())
            .env_remove("CERTGATE_CONFIG")
            .current_dir(folder.path())
            .args(["-c", line])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{line}: {text}{:?}", output.stderr);
        explained = text;
    }
    assert!(explained.starts_with("mapped\n200 alice\n"), "{explained}");
}

#[test]
fn the_readmes_sql_runs_in_the_stock_shell() {
    let certgate = Certgate::start();
    let statements = blocks(&read("README.md"), "sql").concat();
    let database = certgate.config().with_file_name("certgate.db");
    let mut shell = Command::new("sqlite3");
    shell.args(["-bail", "-cmd", ".timeout 5000"]).arg(database).arg(&statements);
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_path_that_a_document_names_is_there() {
    let documents =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/ARCHITECTURE.md", "docs/proxies.md"];
    for document in documents {
        for word in read(document).split(['`', ' ', '\n', '(', ')', ',', ';']) {
            let word = word.trim_end_matches(['.', ':']);
            let ours = ["src/", "nginx/", "deploy/", "docs/", "tests/", "migrations/"];
            if ours.iter().any(|folder| word.starts_with(folder)) && !word.contains('*') {
                assert!(project(word).exists(), "{document} names {word}");
            }
        }
    }
}

fn path_with_program() -> String {
    let folder = program().parent().unwrap().display().to_string();
    format!("{folder}:{}", std::env::var_os("PATH").unwrap().to_string_lossy())
}

/// `docs/sql.md`, from the top: each statement finds what those before it left.
#[test]
fn every_statement_of_the_page_on_sql_runs_on_both_databases() {
    use super::support::database::{Database, Kind};
    let page = read("docs/sql.md");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for kind in [Kind::Postgres, Kind::Sqlite] {
        let database = runtime.block_on(Database::migrated(kind));
        let statements = blocks(&page, "sql");
        assert!(statements.len() >= 20, "{}", statements.len());
        for statement in &statements {
            let is_change = !statement.starts_with("select");
            let rows = || database.sql("select count(*) from audit;").parse::<u32>().unwrap();
            let before = rows();
            let found = database.sql(statement);
            assert_eq!(rows() > before, is_change, "{statement}");
            let shows_what_is_there =
                is_change || statement.contains("inbox") || statement.contains("denial");
            assert!(shows_what_is_there || !found.is_empty(), "{statement}");
        }
    }
    let database = runtime.block_on(Database::migrated(Kind::Postgres));
    for statement in blocks(&page, "postgres") {
        database.sql(&statement);
    }
    assert_eq!(database.sql("select actor from audit where key = 'dave';"), "nightly import");
}
