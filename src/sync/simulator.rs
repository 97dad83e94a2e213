//! Plays seeded histories through the machine, the cursor and the freshness, against a model of a
//! primary and a standby: transactions that overlap and commit late, trims, restored changes, lost,
//! late and repeated notifications, looks that fail at every place, restarts and promotions.
//!
//! `CERTGATE_SIMULATE=1000000` plays that many; `CERTGATE_SIMULATE_SEED=17` plays one again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::machine::{Action, Event, POLL_INTERVAL, State};
use crate::store::follow::{Beat, Entry, FeedPosition, Freshness, Glance, Glanced};

/// How many histories the usual test run plays.
const USUAL: u64 = 1_000;
/// What happens to the tables in one history, at most.
const MAX_WRITES: u64 = 40;
/// Ids that rows can have: few, so that they meet.
const IDS: u64 = 6;
/// Faults end, and this long after them everything must be seen.
const QUIET: Duration = Duration::from_secs(4);
/// How long a connection that says nothing is waited for.
const LOOK_LIMIT: Duration = Duration::from_millis(1800);

/// A generator of our own: the same numbers for a seed on every machine (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn millis(&mut self, limit: u64) -> Duration {
        Duration::from_millis(self.below(limit))
    }
}

type Table = BTreeMap<i64, u64>;

/// A transaction: what it will have written once it commits.
#[derive(Clone, Debug)]
struct Transaction {
    xid: u64,
    writes: Vec<(i64, Option<u64>)>,
    ends_at: Duration,
    commits: bool,
}

/// A row of `change`.
#[derive(Clone, Debug)]
struct Noted {
    xid: u64,
    key: i64,
    at: Duration,
}

/// What a snapshot of a server holds.
#[derive(Clone, Debug, Default)]
struct Contents {
    table: Table,
    feed: Vec<Noted>,
    trimmed_to: u64,
    next_xid: u64,
    open: BTreeSet<u64>,
    beat_at: Duration,
}

impl Contents {
    fn xmin(&self) -> u64 {
        self.open.first().copied().unwrap_or(self.next_xid)
    }
}

/// The store: what is there at each moment, and whether it can be reached.
struct Model {
    now: Duration,
    primary: Contents,
    /// What the standby has replayed.
    standby: Contents,
    /// Each state of the primary and from when on it was true, for the judge of ages.
    history: Vec<(Duration, Table)>,
    running: Vec<Transaction>,
    /// Until it is promoted.
    follows_standby: bool,
    server: u64,
    down_until: Duration,
    /// Looks and connects say nothing until then.
    deaf_until: Duration,
    replays: bool,
    notified: BTreeSet<Duration>,
    connected: bool,
    listening: bool,
    written: u64,
    counter: u64,
}

impl Model {
    fn new(random: &mut Random) -> Self {
        let start = Contents { next_xid: 100, ..Contents::default() };
        Self {
            now: Duration::ZERO,
            primary: start.clone(),
            standby: start.clone(),
            history: vec![(Duration::ZERO, Table::new())],
            running: Vec::new(),
            follows_standby: random.one_in(3),
            server: 1,
            down_until: Duration::ZERO,
            deaf_until: Duration::ZERO,
            replays: true,
            notified: BTreeSet::new(),
            connected: false,
            listening: false,
            written: 0,
            counter: 0,
        }
    }

    fn followed(&self) -> &Contents {
        if self.follows_standby { &self.standby } else { &self.primary }
    }

    fn identity(&self) -> String {
        format!("{}/{}", self.server, self.follows_standby)
    }

    /// Lets time go by, and with it everything that others do.
    fn pass(&mut self, until: Duration, random: &mut Random, quiet: bool) {
        while self.now < until {
            let step = random.millis(60) + Duration::from_millis(1);
            self.now = (self.now + step).min(until);
            self.end_transactions(random, quiet);
            if !quiet && self.written < MAX_WRITES && random.one_in(3) {
                self.begin(random);
            }
            if !quiet {
                self.fault(random);
            }
            let beats = self.primary.beat_at + Duration::from_secs(1) < self.now;
            if beats && self.now >= self.down_until {
                self.primary.beat_at = self.now;
                self.trim(random);
                self.remember();
            }
            if quiet || (self.replays && !random.one_in(4)) {
                self.standby = self.primary.clone();
            }
        }
    }

    fn begin(&mut self, random: &mut Random) {
        self.written += 1;
        let xid = self.primary.next_xid;
        self.primary.next_xid += 1;
        self.primary.open.insert(xid);
        let writes = (0..1 + random.below(3)).map(|_| {
            self.counter += 1;
            let id = i64::try_from(random.below(IDS)).unwrap();
            (id, (!random.one_in(4)).then_some(self.counter))
        });
        let writes: Vec<_> = writes.collect();
        let lasts = if random.one_in(8) { 5_000 } else { 40 };
        let ends_at = self.now + random.millis(lasts);
        self.running.push(Transaction { xid, writes, ends_at, commits: !random.one_in(6) });
    }

    fn end_transactions(&mut self, random: &mut Random, quiet: bool) {
        let now = self.now;
        let ended = |transaction: &Transaction| quiet || transaction.ends_at <= now;
        let (ended, running) = std::mem::take(&mut self.running).into_iter().partition(ended);
        self.running = running;
        for transaction in ended {
            self.primary.open.remove(&transaction.xid);
            if transaction.commits {
                for (key, value) in transaction.writes {
                    match value {
                        Some(value) => self.primary.table.insert(key, value),
                        None => self.primary.table.remove(&key),
                    };
                    let noted = Noted { xid: transaction.xid, key, at: now };
                    self.primary.feed.push(noted);
                }
                self.notify(random);
            }
            self.remember();
        }
    }

    /// Lost, late or repeated.
    fn notify(&mut self, random: &mut Random) {
        if !self.listening || self.follows_standby || random.one_in(4) {
            return;
        }
        let late = if random.one_in(3) { random.millis(1_500) } else { Duration::ZERO };
        self.notified.insert(self.now + late);
        if random.one_in(5) {
            self.notified.insert(self.now + random.millis(900));
        }
    }

    fn remember(&mut self) {
        self.history.push((self.now, self.primary.table.clone()));
    }

    fn trim(&mut self, random: &mut Random) {
        if !random.one_in(3) {
            return;
        }
        // As certgate_tend() does: what is settled, or too much, open transactions or not.
        let settled = self.primary.xmin();
        let surplus = random.one_in(4);
        let keep_from = self.now.saturating_sub(Duration::from_millis(700));
        let gone = |noted: &Noted| (noted.xid < settled || surplus) && noted.at < keep_from;
        if let Some(last) = self.primary.feed.iter().filter(|n| gone(n)).map(|n| n.xid).max() {
            self.primary.feed.retain(|noted| !gone(noted));
            self.primary.trimmed_to = self.primary.trimmed_to.max(last) + 1;
        }
    }

    fn fault(&mut self, random: &mut Random) {
        match random.below(220) {
            0 => self.down(random),
            1 => self.deaf_until = self.now + random.millis(6_000),
            2 => self.connected = false,
            3 => self.replays = !self.replays,
            4 if self.follows_standby => self.promote(),
            // Another program's restored dump: changes with ids of another time.
            5 => {
                let xid = self.primary.next_xid + random.below(6);
                let key = i64::try_from(random.below(IDS)).unwrap();
                self.primary.feed.push(Noted { xid, key, at: self.now });
                self.remember();
            }
            _ => {}
        }
    }

    fn down(&mut self, random: &mut Random) {
        self.down_until = self.now + random.millis(4_000);
        self.connected = false;
        // A crash ends every transaction that has not committed.
        for transaction in std::mem::take(&mut self.running) {
            self.primary.open.remove(&transaction.xid);
        }
        self.remember();
    }

    /// The standby becomes the primary: what it has not replayed never was.
    fn promote(&mut self) {
        self.follows_standby = false;
        self.server += 1;
        for transaction in std::mem::take(&mut self.running) {
            self.primary.open.remove(&transaction.xid);
        }
        let mut promoted = self.standby.clone();
        promoted.open.clear();
        promoted.next_xid = self.primary.next_xid;
        self.primary = promoted;
        self.remember();
    }

    fn answers(&self) -> bool {
        self.connected && self.now >= self.down_until
    }
}

/// The follower's side: what the driver and a session hold.
struct Play {
    model: Model,
    random: Random,
    base: Instant,
    position: Option<FeedPosition>,
    freshness: Freshness,
    role: bool,
    directory: Option<Table>,
    pending: Vec<(i64, Option<u64>)>,
    /// The last moment of which the follower says that it has seen everything.
    known: Option<Duration>,
    pending_known: Option<Duration>,
    looks_without_end: u32,
}

impl Play {
    fn at(&self) -> Instant {
        self.base + self.model.now
    }

    fn beat(&self) -> Option<Beat> {
        let beat_at = self.model.followed().beat_at;
        let age = self.model.now.saturating_sub(beat_at);
        let at = i64::try_from(beat_at.as_micros()).unwrap();
        self.model.follows_standby.then_some(Beat { at, age })
    }

    fn failed(&mut self) -> Event {
        self.model.connected = false;
        self.model.listening = false;
        let jitter = f64::from(u8::try_from(self.random.below(101)).unwrap()) / 100.0;
        Event::Failed { jitter }
    }

    fn pass(&mut self, limit: Duration, quiet: bool) {
        let until = self.model.now + limit;
        self.model.pass(until, &mut self.random, quiet);
    }

    /// A call to the store: it takes a moment, and can fail or say nothing. Whether it answered.
    fn call(&mut self, quiet: bool) -> bool {
        if self.model.now < self.model.deaf_until {
            self.pass(LOOK_LIMIT, quiet);
            return false;
        }
        let takes = self.random.millis(12);
        self.pass(takes, quiet);
        self.model.answers() && (quiet || !self.random.one_in(60))
    }

    fn perform(&mut self, action: Action, quiet: bool) -> Event {
        match action {
            Action::Pause(pause) => {
                self.model.connected = false;
                self.model.listening = false;
                self.pass(pause, quiet);
                Event::Woken { at: self.at() }
            }
            Action::Open => self.open(quiet),
            Action::Load => self.load(quiet),
            Action::Look => self.look(quiet),
            Action::Apply => self.apply(quiet),
            Action::WaitUntil(moment) => self.wait(moment, quiet),
        }
    }

    fn open(&mut self, quiet: bool) -> Event {
        self.model.connected = self.model.now >= self.model.down_until;
        if !self.call(quiet) {
            return self.failed();
        }
        self.model.listening = true;
        self.model.notified.clear();
        self.role = self.model.follows_standby;
        self.position = None;
        self.freshness = Freshness::default();
        Event::Opened
    }

    fn load(&mut self, quiet: bool) -> Event {
        let began = self.at();
        if !self.call(quiet) || self.role != self.model.follows_standby {
            return self.failed();
        }
        let contents = self.model.followed().clone();
        let next = contents.xmin();
        let mut seen = BTreeMap::new();
        for noted in contents.feed.iter().filter(|noted| noted.xid >= next) {
            *seen.entry(noted.xid).or_insert(0) += 1;
        }
        let server = self.model.identity();
        let trimmed_to = contents.trimmed_to;
        self.position = Some(FeedPosition { server, next, trimmed_to, seen });
        self.freshness.note(began, self.beat());
        // Reading takes a while, and so does building: the snapshot stays the same.
        let reads = self.random.millis(80);
        self.pass(reads, quiet);
        if !self.model.answers() {
            return self.failed();
        }
        self.directory = Some(contents.table);
        self.known = self.known_moment();
        Event::Loaded { at: self.at() }
    }

    fn look(&mut self, quiet: bool) -> Event {
        let began = self.at();
        if !self.call(quiet) || self.role != self.model.follows_standby {
            return self.failed();
        }
        let position = self.position.clone().expect("a load came first");
        let contents = self.model.followed();
        let since: Vec<&Noted> =
            contents.feed.iter().filter(|noted| noted.xid >= position.next).collect();
        let glance = Glance {
            server: self.model.identity(),
            next: contents.xmin(),
            trimmed_to: contents.trimmed_to,
            since_cursor: since.len() as u64,
        };
        match position.glance(&glance) {
            Glanced::Same(next) => {
                self.position = Some(next);
                self.freshness.note(began, self.beat());
                self.known = self.known_moment().max(self.known);
                Event::LookedSame
            }
            Glanced::Reload(_) => Event::LookedReload,
            Glanced::News => {
                let of = |xid| since.iter().filter(|noted| noted.xid == xid).count() as u64;
                let news = since.iter().filter(|n| position.seen.get(&n.xid) != Some(&of(n.xid)));
                let entry = |noted: &&Noted| Entry {
                    xid: noted.xid,
                    of_xid: of(noted.xid),
                    relation: b"mapping".to_vec(),
                    key: noted.key.to_string().into_bytes(),
                };
                let entries: Vec<Entry> = news.map(entry).collect();
                let Ok((next, keys)) = position.take(&glance, &entries) else {
                    return Event::LookedReload;
                };
                let stands = |id: i64| (id, contents.table.get(&id).copied());
                self.pending = keys.mappings().into_iter().map(stands).collect();
                self.position = Some(next);
                self.freshness.note(began, self.beat());
                self.pending_known = self.known_moment();
                Event::LookedChanges
            }
        }
    }

    fn apply(&mut self, quiet: bool) -> Event {
        let takes = self.random.millis(30);
        self.pass(takes, quiet);
        if self.random.one_in(40) {
            return Event::CannotApply;
        }
        let directory = self.directory.as_mut().expect("a load came first");
        for (id, value) in std::mem::take(&mut self.pending) {
            match value {
                Some(value) => directory.insert(id, value),
                None => directory.remove(&id),
            };
        }
        self.known = self.pending_known;
        Event::Applied { at: self.at() }
    }

    fn wait(&mut self, moment: Instant, quiet: bool) -> Event {
        let until = moment.saturating_duration_since(self.base);
        while self.model.now < until {
            if !self.model.answers() {
                return self.failed();
            }
            let due = self.model.notified.first().copied();
            if due.is_some_and(|due| due <= self.model.now) {
                self.model.notified.pop_first();
                break;
            }
            self.pass(Duration::from_millis(5), quiet);
        }
        Event::Woken { at: self.at() }
    }

    fn known_moment(&self) -> Option<Duration> {
        self.freshness.known().map(|known| known.saturating_duration_since(self.base))
    }

    /// What is published holds every commit up to the moment that is said to be known.
    fn check_known(&self) {
        let (Some(directory), Some(known)) = (&self.directory, self.known) else { return };
        let first = self.model.history.partition_point(|(at, _)| *at <= known).saturating_sub(1);
        let is_true = self.model.history[first..].iter().any(|(_, then)| then == directory);
        assert!(is_true, "the age is under-reported at {:?}", self.model.now);
    }
}

/// Plays one history.
fn play(seed: u64) {
    let mut random = Random(seed);
    let model = Model::new(&mut random);
    let mut play = Play {
        model,
        random,
        base: Instant::now(),
        position: None,
        freshness: Freshness::default(),
        role: false,
        directory: None,
        pending: Vec::new(),
        known: None,
        pending_known: None,
        looks_without_end: 0,
    };
    let (mut state, mut action) = State::START;
    let faults_end = Duration::from_secs(6) + play.random.millis(6_000);
    while play.model.now < faults_end {
        let before = play.model.now;
        let event = play.perform(action, false);
        (state, action) = state.step(event);
        play.looks_without_end =
            if play.model.now == before { play.looks_without_end + 1 } else { 0 };
        assert!(play.looks_without_end < 200, "it goes round without time passing");
        if !matches!(action, Action::Apply) {
            play.check_known();
        }
    }
    play.model.down_until = Duration::ZERO;
    play.model.deaf_until = Duration::ZERO;
    play.model.replays = true;
    let end = play.model.now + QUIET + POLL_INTERVAL;
    while play.model.now < end {
        let event = play.perform(action, true);
        (state, action) = state.step(event);
    }
    play.check_known();
    assert_eq!(play.directory.as_ref(), Some(&play.model.primary.table));
    let age = play.model.now.saturating_sub(play.known.expect("it was loaded"));
    assert!(age < Duration::from_secs(5), "{age:?} old although all is well");
}

#[expect(clippy::disallowed_methods, reason = "how many histories, only the caller can say")]
fn asked(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn whatever_happens_the_directory_ends_equal_to_the_tables_and_no_age_is_under_reported() {
    if let Some(seed) = asked("CERTGATE_SIMULATE_SEED") {
        return play(seed);
    }
    let started = Instant::now();
    let count = asked("CERTGATE_SIMULATE").unwrap_or(USUAL);
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for seed in (thread..count).step_by(usize::try_from(threads).unwrap()) {
                    let played = std::panic::catch_unwind(|| play(seed));
                    assert!(played.is_ok(), "play it again: CERTGATE_SIMULATE_SEED={seed}");
                }
            });
        }
    });
    println!("{count} histories in {:?}", started.elapsed());
}
