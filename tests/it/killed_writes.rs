//! Whoever is killed while writing leaves a change together with its row of the audit, or neither:
//! `kill -9` at random points of commands and of calls to the API, on both databases.
//!
//! `CERTGATE_KILLS_SEED=7` repeats the random points and acts of a failure, which names its seed.

#![expect(clippy::print_stdout, reason = "the seed, and how many kills hit what")]

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli_desk::Desk;
use crate::follow_histories::Random;
use crate::support::database::{Database, Kind};
use crate::support::office::{Call, Office};
use crate::support::pki::Issued;
use crate::support::replay::replay;

/// Kills of each of the four: by command line and by API, on each database.
const KILLS: u64 = 25;
/// How many rows one act writes: enough that the writing is a good part of its time.
const GROUPS: u64 = 16;
/// What is broken stays so: calls write much, so not every round is replayed.
const ROUNDS_OF_A_REPLAY: u64 = 5;
/// Callers of the API at once.
const CALLERS: u64 = 3;
/// A backend ends within milliseconds of its client; this is for a machine that is very busy.
const DEADLINE: Duration = Duration::from_secs(20);

#[expect(clippy::disallowed_methods, reason = "which points, only the caller can say")]
fn seed() -> u64 {
    let asked = std::env::var("CERTGATE_KILLS_SEED").ok();
    let any = || RandomState::new().build_hasher().finish() % 1_000_000;
    let seed = asked.map_or_else(any, |text| text.parse().expect("a number"));
    println!("seed {seed}");
    seed
}

/// Waits until the database has nothing more to do for those who are gone, and replays.
fn settled(database: &Database, when: &str) -> Vec<Value> {
    let start = Instant::now();
    loop {
        if database.kind == Kind::Sqlite {
            break;
        }
        let others = database.sql(
            "select count(*) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()
                 and backend_type = 'client backend';",
        );
        if others == "0" {
            break;
        }
        assert!(start.elapsed() < DEADLINE, "{when}: {others} sessions are left");
    }
    let audit = replay(database).unwrap_or_else(|why| panic!("{when}: {why}"));
    let inserted = |about: &'static str| {
        let is_it = move |change: &&Value| change["about"] == about && change["action"] == "insert";
        audit.iter().filter(is_it)
    };
    let mut groups: HashMap<_, u64> = HashMap::new();
    for change in inserted("user_group") {
        *groups.entry(&change["transaction_id"]).or_default() += 1;
    }
    // Who is added with groups has all of them.
    for user in inserted("app_user") {
        if user["key"].as_str().unwrap().starts_with("new-") {
            assert_eq!(groups.get(&user["transaction_id"]), Some(&GROUPS), "{when}: {user}");
        }
    }
    audit
}

/// People with groups for every command, made by SQL at once.
fn furnish(database: &Database) {
    let numbers = |last: u64| {
        format!(
            "(with recursive c (n) as (select 0 union all select n + 1 from c where n < {last}) \
                 select n from c)"
        )
    };
    database.sql(&format!(
        "insert into app_user (username) select 'base-' || n from {} numbers;
         insert into user_group (username, group_name)
             select username, 'group-' || n from app_user, {} numbers;",
        numbers(KILLS - 1),
        numbers(GROUPS - 1)
    ));
}

/// One command that writes, the more rows the better.
fn command(random: &mut Random, round: u64) -> Vec<String> {
    let base = format!("base-{round}");
    let everybody = (0..KILLS).map(|number| format!("base-{number}"));
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    match random.below(10) {
        0..=3 => {
            let groups = (0..GROUPS).flat_map(|n| ["--group".to_owned(), format!("group-{n}")]);
            words(&format!("user add new-{round}")).into_iter().chain(groups).collect()
        }
        4 => words(&format!("user rename {base} renamed-{round}")),
        5 => words(&format!("user remove {base}")),
        6 => words(&format!("user edit {base} --note edited")),
        7 => {
            // All or none: those who are gone or renamed by now are not asked.
            let group = words(&format!("group add everybody-{round}"));
            group.into_iter().chain(everybody.skip(usize::try_from(round).unwrap())).collect()
        }
        8 => words(&format!("mapping add {base} --issuer CN=x --serial {:x}", round + 1)),
        _ => words(&format!("block add --issuer CN=x --serial {:x}", round + 1)),
    }
}

fn commands_are_killed(kind: Kind) {
    let seed = seed();
    let mut random = Random(seed);
    let desk = Desk::on(kind);
    furnish(desk.database());
    let groups = (0..GROUPS).flat_map(|n| ["--group".to_owned(), format!("group-{n}")]);
    let whole: Vec<_> =
        ["user", "add", "whole"].map(str::to_owned).into_iter().chain(groups).collect();
    let start = Instant::now();
    desk.run(&whole.iter().map(String::as_str).collect::<Vec<_>>());
    let mut usual = start.elapsed();
    let mut before = settled(desk.database(), "before").len();
    let (mut killed, mut in_vain, mut written) = (0, 0, 0);
    let mut round = 0;
    // At least one has to be killed between its commit and its end.
    while killed < KILLS || written == 0 {
        let arguments = command(&mut random, round % KILLS);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let wait = usual.mul_f64(f64::from(u32::try_from(40 + random.below(90)).unwrap()) / 100.0);
        let when = format!("seed {seed}, {kind:?}, round {round}, {arguments:?}, {wait:?}");
        let mut child =
            desk.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(wait);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        let rows = settled(desk.database(), &when).len();
        // The machine's pace changes while others work on it: the next points follow it.
        if status.signal().is_none() {
            in_vain += 1;
            usual = usual.mul_f64(0.9);
        } else if rows > before {
            (killed, written) = (killed + 1, written + 1);
        } else {
            killed += 1;
            usual = usual.mul_f64(1.1);
        }
        assert!(in_vain < 4 * KILLS, "{when}: hardly one is killed");
        before = rows;
        round += 1;
    }
    println!("{kind:?}: {killed} commands killed, {written} after their commit; {in_vain} in vain");
}

/// The status of a call, if somebody answers.
fn status(socket: &Path, call: &Call) -> Option<u16> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(&call.bytes()).ok()?;
    let mut answer = Vec::new();
    // A reset tells that nobody is there any more; what came before it counts.
    let _ = stream.read_to_end(&mut answer);
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

/// Writes until nobody answers; the users of whom was said that they are there now.
fn write_to_the_end(socket: &Path, alice: &Issued, from: &str) -> Vec<String> {
    let mut added = Vec::new();
    for number in 0_u64.. {
        let name = format!("{from}-{number}");
        let groups: Vec<_> = (0..GROUPS).map(|n| format!("group-{n}")).collect();
        let pattern = json!({ "issuer": "CN=x", "serial": format!("{:x}", number + 1) });
        let path = format!("/users/{name}");
        let add = json!({ "username": name, "groups": groups });
        let rename = json!({ "new_name": format!("{name}-renamed") });
        for (method, path, body) in [
            ("POST", "/users", Some(add)),
            ("PATCH", &path, Some(json!({ "note": "edited" }))),
            ("POST", "/mappings", Some(json!({ "username": name, "pattern": pattern }))),
            ("POST", "/blocks", Some(json!({ "pattern": pattern, "reason": "lost" }))),
            ("POST", &format!("{path}/rename"), Some(rename)),
            ("DELETE", &format!("{path}-renamed?with_mappings=true"), None),
        ] {
            let call = Call::meant(method, path);
            let call = body.map_or(call.clone(), |body| call.json(&body)).by(alice);
            match status(socket, &call) {
                Some(200 | 201) if path == "/users" => added.push(name.clone()),
                Some(200 | 201) => {}
                // SQLite has one writer at a time, and a call does not wait for long.
                Some(404 | 503) => {}
                Some(other) => panic!("{method} {path}: {other}"),
                None => return added,
            }
        }
    }
    added
}

fn calls_are_killed(kind: Kind) {
    let seed = seed();
    let mut random = Random(seed);
    let office = Office::open(kind);
    let groups: Vec<_> = (0..GROUPS).map(|n| format!("group-{n}")).collect();
    let whole = json!({ "username": "whole", "groups": groups });
    let start = Instant::now();
    office.ask_until(&Call::meant("POST", "/users").json(&whole).by(&office.alice), 201);
    let usual = start.elapsed();
    let mut answered = Vec::new();
    for round in 0..KILLS {
        let wait = usual.mul_f64(f64::from(u32::try_from(20 + random.below(200)).unwrap()) / 100.0);
        let when = format!("seed {seed}, {kind:?}, round {round}, {wait:?}");
        let added: Vec<_> = thread::scope(|scope| {
            let caller = |caller: u64| {
                let (socket, alice) = (office.socket(), &office.alice);
                scope.spawn(move || {
                    write_to_the_end(socket, alice, &format!("new-{round}-{caller}"))
                })
            };
            let callers: Vec<_> = (0..CALLERS).map(caller).collect();
            thread::sleep(wait);
            office.certgate.kill();
            callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
        });
        answered.extend(added);
        if round % ROUNDS_OF_A_REPLAY == ROUNDS_OF_A_REPLAY - 1 {
            let audit = settled(&office.database, &when);
            let inserts = audit.iter().filter(|change| change["action"] == "insert");
            let told: HashSet<_> = inserts.filter_map(|change| change["key"].as_str()).collect();
            let lost = answered.iter().find(|name| !told.contains(name.as_str()));
            assert_eq!(lost, None, "{when}: it was answered, and is not there");
        }
        if round + 1 < KILLS {
            office.certgate.serve();
            office.ask_until(&Call::get("/whoami").by(&office.alice), 200);
        }
    }
    let written = answered.len();
    assert!(written > 0, "seed {seed}: nobody was added at all");
    println!("{kind:?}: {KILLS} servers killed, {written} users added by then");
}

#[test]
fn commands_on_postgresql_leave_a_change_with_its_audit_or_neither() {
    commands_are_killed(Kind::Postgres);
}

#[test]
fn commands_on_sqlite_leave_a_change_with_its_audit_or_neither() {
    commands_are_killed(Kind::Sqlite);
}

#[test]
fn calls_on_postgresql_leave_a_change_with_its_audit_or_neither() {
    calls_are_killed(Kind::Postgres);
}

#[test]
fn calls_on_sqlite_leave_a_change_with_its_audit_or_neither() {
    calls_are_killed(Kind::Sqlite);
}

/// The replay itself: it finds a change that was not told, and one that was told and is not there.
#[test]
fn the_replay_finds_what_is_not_told() {
    for kind in [Kind::Postgres, Kind::Sqlite] {
        let desk = Desk::on(kind);
        furnish(desk.database());
        assert!(replay(desk.database()).is_ok());
        let (off, on) = match kind {
            Kind::Postgres => (
                "alter table user_group disable trigger user_group_audited_delete;",
                "alter table user_group enable trigger user_group_audited_delete;",
            ),
            Kind::Sqlite => ("drop trigger user_group_audited_delete;", ""),
        };
        let one = "delete from user_group where username = 'base-1' and group_name = 'group-1';";
        desk.sql(&format!("{off} {one} {on}"));
        let why = replay(desk.database()).unwrap_err();
        assert!(why.contains("is told of, and is not there"), "{why}");
        desk.sql("insert into user_group (username, group_name) values ('base-1', 'group-1');");
        assert!(replay(desk.database()).unwrap_err().contains("takes the place of"));
    }
}
