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
    let documents = [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/ARCHITECTURE.md",
        "docs/proxies.md",
        "docs/api.md",
    ];
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

#[test]
fn every_metric_of_the_shipped_alerts_is_there() {
    let metrics = Certgate::start().ask_ops("/metrics");
    let alerts = read("deploy/alerts.yml");
    let is_part = |one: char| one.is_ascii_alphanumeric() || one == '_';
    let mut named = 0;
    for expression in alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")) {
        for word in expression.split(|one| !is_part(one)).filter(|w| w.starts_with("certgate_")) {
            named += 1;
            assert!(metrics.contains(&format!("\n# TYPE {word} ")), "{word}");
        }
    }
    assert_eq!(named, alerts.matches("- alert: ").count());
}

#[test]
fn every_test_of_the_threat_model_is_there() {
    let mut tests = Vec::new();
    for root in ["src", "tests/it"] {
        collect_tests(&project(root), &mut Vec::new(), &mut tests);
    }
    assert!(tests.len() > 300, "{}", tests.len());
    let text = read("docs/THREATMODEL.md");
    let rows: Vec<&str> =
        text.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| test |")).collect();
    assert!(rows.len() > 40, "{}", rows.len());
    for row in rows {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let names: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test in: {row}");
        for name in names {
            let is_it = |test: &Vec<String>| is_named(test, name);
            assert!(tests.iter().any(is_it), "docs/THREATMODEL.md names {name}, which is no test");
        }
    }
    for wrong in ["pki::no_such_room", "pkits::the_verdicts", "the_verdicts_of_pkits_*", "pki::*x"]
    {
        assert!(!tests.iter().any(|test| is_named(test, wrong)), "{wrong}");
    }
}

/// The room and the name of every test below a folder.
fn collect_tests(folder: &Path, room: &mut Vec<String>, tests: &mut Vec<Vec<String>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let depth = room.len();
        if name != "mod" {
            room.push(name);
        }
        if path.is_dir() {
            collect_tests(&path, room, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = tests_in(&text);
            tests.extend(names.map(|name| room.iter().cloned().chain([name]).collect()));
        }
        room.truncate(depth);
    }
}

/// The functions that stand under an attribute for tests, or in the list of a macro that runs each on
/// both databases.
fn tests_in(text: &str) -> impl Iterator<Item = String> {
    let attributed = text.split("test]").skip(1).chain(text.split("test(").skip(1));
    let attributed = attributed.filter_map(|rest| rest.split_once("fn ").map(|(_, name)| name));
    let lists = text.split("on_both!").skip(1).chain(text.split("only_on!").skip(1));
    let listed = lists.filter_map(|rest| rest.split(['}', ';']).next());
    let listed = listed.flat_map(|list| list.split([',', '{', '(', ')', ':']));
    let word = |text: &str| {
        let is_part = |one: char| one.is_alphanumeric() || one == '_';
        text.trim().split(|one| !is_part(one)).next().unwrap_or_default().to_owned()
    };
    attributed
        .chain(listed)
        .map(word)
        .filter(|name| !name.is_empty())
        .collect::<Vec<_>>()
        .into_iter()
}

/// Whether a name means this test: the rooms that it has in their order, the first one first, then
/// the test's own name, or its beginning and a star, or nothing but rooms.
fn is_named(test: &[String], name: &str) -> bool {
    let is_room = |part: &&str| !matches!(*part, "tests" | "*");
    let mut parts: Vec<&str> = name.split("::").filter(is_room).collect();
    let (Some(own), Some(first)) = (test.last(), parts.first().copied()) else { return false };
    let matches = |part: &str, text: &str| match part.strip_suffix('*') {
        Some(beginning) => !beginning.is_empty() && text.starts_with(beginning),
        None => part == text,
    };
    if parts.len() > 1 && matches(parts[parts.len() - 1], own) {
        parts.pop();
    }
    let mut rooms = test[..test.len() - 1].iter();
    let is_first = test.first().is_some_and(|room| matches(first, room));
    is_first && parts.iter().all(|part| rooms.any(|room| matches(part, room)))
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
