//! What is counted, and its text for Prometheus.
//!
//! Every series is made when the process starts, so that none appears or vanishes later. No value
//! or label ever holds a name of a person, a DN, a serial or an address: only codes and relations
//! of our own.

mod crl;
mod decisions;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crl::CrlClock;
pub use crl::{CrlFigures, CrlTimes};
pub use decisions::DecisionRecorder;
use decisions::Decisions;

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Relations whose rows can be unusable.
pub const RELATIONS: [&str; 5] = ["app_user", "block", "mapping", "rule", "user_group"];

/// Where the following of the database stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SyncState {
    /// Connected and looking.
    Following,
    /// The connection is lost; a new one is tried.
    Retrying,
    /// The first load has not ended.
    Starting,
}

impl SyncState {
    const ALL: [Self; 3] = [Self::Following, Self::Retrying, Self::Starting];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Following => "following",
            Self::Retrying => "retrying",
            Self::Starting => "starting",
        }
    }
}

/// What can be seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SeenKind {
    /// A verified certificate.
    Certificate,
    /// A request that was denied.
    Denial,
    /// Somebody whom a rule asks to be added.
    User,
}

impl SeenKind {
    const ALL: [Self; 3] = [Self::Certificate, Self::Denial, Self::User];

    const fn label(self) -> Label {
        match self {
            Self::Certificate => [("kind", "certificate")],
            Self::Denial => [("kind", "denial")],
            Self::User => [("kind", "user")],
        }
    }
}

/// How many rows the directory holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DirectoryRows {
    /// Users.
    pub users: usize,
    /// Mappings.
    pub mappings: usize,
    /// Blocks.
    pub blocks: usize,
    /// Rules.
    pub rules: usize,
}

type Label = [(&'static str, &'static str); 1];
type Age = Box<dyn Fn() -> Option<Duration> + Send + Sync>;

/// Declares the metrics that are set by name; a doc comment is the metric's HELP text.
macro_rules! registered {
    ($($(#[doc = $help:literal])+ $field:ident: $type:ty = $name:literal,)+) => {
        #[derive(Debug, Default)]
        struct Registered { $($(#[doc = $help])+ $field: $type,)+ }

        impl Registered {
            fn register(registry: &mut Registry) -> Self {
                let metrics = Self::default();
                $(registry.register(
                    $name,
                    concat!($($help),+).trim(),
                    metrics.$field.clone(),
                );)+
                metrics
            }
        }
    };
}

registered! {
    /// Blocks in memory
    blocks: Gauge = "directory_blocks",
    /// Serials on the CRLs in force
    crl_entries: Gauge = "crl_entries",
    /// Whether every file of CRLs and CAs could be used at the last look: 1 or 0
    crl_last_load_successful: Gauge = "crl_last_load_successful",
    /// CRLs in force
    crl_lists: Gauge = "crl_lists",
    /// Times that a file of CRLs or CAs was found to be unusable
    crl_load_failures: Counter = "crl_load_failures",
    /// Files of CRLs and CAs that could not be used at the last look
    crl_unusable_files: Gauge = "crl_unusable_files",
    /// Mappings in memory
    mappings: Gauge = "directory_mappings",
    /// Rules in memory
    rules: Gauge = "directory_rules",
    /// Sightings, denials and people of rules that were not written, by kind
    seen_dropped: Family<Label, Counter> = "seen_dropped",
    /// Whether what is seen can be written to the database: 1 or 0
    seen_writable: Gauge = "seen_writable",
    /// Sightings, denials and people of rules that were written, by kind
    seen_written: Family<Label, Counter> = "seen_written",
    /// Rows that could not be read and do not count, by relation
    unusable_rows: Family<Label, Gauge> = "directory_unusable_rows",
    /// Users in memory
    users: Gauge = "directory_users",
    /// Whether the directory is older than directory.max_staleness, and requests are refused: 1 or 0
    stale: Gauge = "directory_stale",
    /// Times that only the rows that had changed were read
    sync_applied: Counter = "sync_applied",
    /// Looks at the database or sessions with it that failed
    sync_failures: Counter = "sync_failures",
    /// Times that the whole directory was read anew
    sync_reloads: Counter = "sync_reloads",
    /// Whether the following of the database is in this state, by state
    sync_state: Family<Label, Gauge> = "sync_state",
}

/// All metrics of the process. Cheap to clone; every clone counts into the same figures.
#[derive(Clone, Debug)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    registered: Registered,
    decisions: Decisions,
    age: DirectoryAge,
    crl: CrlClock,
}

impl Metrics {
    /// Makes every series. `codes` are the decision's codes; a recorder counts by position in it.
    /// `started` is the time since 1970 at which the process started.
    pub fn new(codes: &'static [&'static str], version: &'static str, started: Duration) -> Self {
        let mut registry = Registry::default();
        let start = Gauge::<f64, AtomicU64>::default();
        start.set(started.as_secs_f64());
        registry.register(
            "process_start_time_seconds",
            "When the process started, since 1970",
            start,
        );
        let own = registry.sub_registry_with_prefix("certgate");
        own.register("build", "The version that runs", Info::new([("version", version)]));
        let registered = Registered::register(own);
        for relation in RELATIONS {
            registered.unusable_rows.get_or_create(&[("relation", relation)]).set(0);
        }
        for kind in SeenKind::ALL {
            registered.seen_dropped.get_or_create(&kind.label()).inc_by(0);
            registered.seen_written.get_or_create(&kind.label()).inc_by(0);
        }
        let decisions = Decisions::new(codes);
        let age = DirectoryAge { source: Arc::new(OnceLock::new()) };
        own.register_collector(Box::new(decisions.clone()));
        own.register_collector(Box::new(age.clone()));
        let crl = CrlClock::default();
        own.register_collector(Box::new(crl.clone()));
        registered.crl_last_load_successful.set(1);
        let inner = Arc::new(Inner { registry, registered, decisions, age, crl });
        let metrics = Self { inner };
        metrics.set_sync_state(SyncState::Starting);
        metrics
    }

    /// A recorder of decisions. Take one for each worker, once: each has counters of its own, so
    /// that workers never wait for one another's cache lines.
    pub fn recorder(&self) -> DecisionRecorder {
        self.inner.decisions.recorder()
    }

    /// Says how the directory's age is found; `None` is before the first load. Only the first call
    /// counts.
    pub fn set_directory_age(&self, age: impl Fn() -> Option<Duration> + Send + Sync + 'static) {
        let _ = self.inner.age.source.set(Box::new(age));
    }

    /// Sets how many rows the directory holds.
    pub fn set_directory_rows(&self, rows: DirectoryRows) {
        let registered = &self.inner.registered;
        registered.users.set(gauge_value(rows.users));
        registered.mappings.set(gauge_value(rows.mappings));
        registered.blocks.set(gauge_value(rows.blocks));
        registered.rules.set(gauge_value(rows.rules));
    }

    /// Counts what was seen and is not written.
    pub fn count_seen_dropped(&self, kind: SeenKind, rows: usize) {
        let family = &self.inner.registered.seen_dropped;
        family.get_or_create(&kind.label()).inc_by(rows as u64);
    }

    /// Counts what was seen and is written.
    pub fn count_seen_written(&self, kind: SeenKind, rows: usize) {
        let family = &self.inner.registered.seen_written;
        family.get_or_create(&kind.label()).inc_by(rows as u64);
    }

    /// Sets whether what is seen can be written.
    pub fn set_seen_writable(&self, is_writable: bool) {
        self.inner.registered.seen_writable.set(i64::from(is_writable));
    }

    /// How much was seen and not written, of all kinds.
    #[must_use]
    pub fn seen_dropped(&self) -> u64 {
        let family = &self.inner.registered.seen_dropped;
        SeenKind::ALL.iter().map(|kind| family.get_or_create(&kind.label()).get()).sum()
    }

    /// Sets how many rows of a relation (one of [`RELATIONS`]) could not be read.
    pub fn set_unusable_rows(&self, relation: &'static str, rows: usize) {
        let family = &self.inner.registered.unusable_rows;
        family.get_or_create(&[("relation", relation)]).set(gauge_value(rows));
    }

    /// Sets where the following of the database stands.
    pub fn set_sync_state(&self, state: SyncState) {
        for each in SyncState::ALL {
            let gauge = &self.inner.registered.sync_state;
            gauge.get_or_create(&[("state", each.as_str())]).set(i64::from(each == state));
        }
    }

    /// Says how the ages of CRLs are found; `None` where there is none. Only the first call counts.
    pub fn set_crl_times(&self, times: impl Fn() -> Option<CrlTimes> + Send + Sync + 'static) {
        let _ = self.inner.crl.source.set(Box::new(times));
    }

    /// Sets how much there is of CRLs.
    pub fn set_crl_figures(&self, figures: CrlFigures) {
        let registered = &self.inner.registered;
        registered.crl_lists.set(gauge_value(figures.lists));
        registered.crl_entries.set(gauge_value(figures.entries));
        registered.crl_unusable_files.set(gauge_value(figures.unusable_files));
        registered.crl_last_load_successful.set(i64::from(figures.unusable_files == 0));
    }

    /// Counts files of CRLs or CAs that were newly found to be unusable.
    pub fn count_crl_load_failures(&self, files: usize) {
        self.inner.registered.crl_load_failures.inc_by(files as u64);
    }

    /// Sets whether the directory is too old to answer from.
    pub fn set_directory_stale(&self, is_stale: bool) {
        self.inner.registered.stale.set(i64::from(is_stale));
    }

    /// Counts one look whose changes were read row by row.
    pub fn count_sync_applied(&self) {
        self.inner.registered.sync_applied.inc();
    }

    /// Counts one full load of the directory.
    pub fn count_sync_reload(&self) {
        self.inner.registered.sync_reloads.inc();
    }

    /// Counts one failure of following the database.
    pub fn count_sync_failure(&self) {
        self.inner.registered.sync_failures.inc();
    }

    /// The text for Prometheus, of type [`CONTENT_TYPE`].
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.inner.registry)?;
        Ok(text)
    }
}

fn gauge_value(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// The directory's age when somebody looks.
#[derive(Clone)]
struct DirectoryAge {
    source: Arc<OnceLock<Age>>,
}

impl fmt::Debug for DirectoryAge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectoryAge(..)")
    }
}

impl Collector for DirectoryAge {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // Before the first load there is no age; an infinite one makes every alert fire.
        let age =
            self.source.get().and_then(|age| age()).map_or(f64::INFINITY, |age| age.as_secs_f64());
        let metric: MetricEncoder<'_> = encoder.encode_descriptor(
            "directory_age_seconds",
            "Age of the directory: time since the last good look at the database.",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(age).encode(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: &[&str] = &["mapped", "unmapped"];

    fn metrics() -> Metrics {
        Metrics::new(CODES, "0.0.0", Duration::from_secs(1_000))
    }

    fn value(metrics: &Metrics, series: &str) -> String {
        let text = metrics.encode().expect("text");
        let line = text.lines().find(|line| line.split(' ').next() == Some(series));
        line.unwrap_or_else(|| panic!("no {series} in {text}"))
            .rsplit(' ')
            .next()
            .expect("value")
            .to_owned()
    }

    #[test]
    fn names_and_help_are_as_published() {
        let text = metrics().encode().expect("text");
        let published: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
        insta::assert_snapshot!(published.join("\n"), @r"
        # HELP process_start_time_seconds When the process started, since 1970.
        # TYPE process_start_time_seconds gauge
        # HELP certgate_build The version that runs.
        # TYPE certgate_build info
        # HELP certgate_directory_blocks Blocks in memory.
        # TYPE certgate_directory_blocks gauge
        # HELP certgate_crl_entries Serials on the CRLs in force.
        # TYPE certgate_crl_entries gauge
        # HELP certgate_crl_last_load_successful Whether every file of CRLs and CAs could be used at the last look: 1 or 0.
        # TYPE certgate_crl_last_load_successful gauge
        # HELP certgate_crl_lists CRLs in force.
        # TYPE certgate_crl_lists gauge
        # HELP certgate_crl_load_failures Times that a file of CRLs or CAs was found to be unusable.
        # TYPE certgate_crl_load_failures counter
        # HELP certgate_crl_unusable_files Files of CRLs and CAs that could not be used at the last look.
        # TYPE certgate_crl_unusable_files gauge
        # HELP certgate_directory_mappings Mappings in memory.
        # TYPE certgate_directory_mappings gauge
        # HELP certgate_directory_rules Rules in memory.
        # TYPE certgate_directory_rules gauge
        # HELP certgate_seen_dropped Sightings, denials and people of rules that were not written, by kind.
        # TYPE certgate_seen_dropped counter
        # HELP certgate_seen_writable Whether what is seen can be written to the database: 1 or 0.
        # TYPE certgate_seen_writable gauge
        # HELP certgate_seen_written Sightings, denials and people of rules that were written, by kind.
        # TYPE certgate_seen_written counter
        # HELP certgate_directory_unusable_rows Rows that could not be read and do not count, by relation.
        # TYPE certgate_directory_unusable_rows gauge
        # HELP certgate_directory_users Users in memory.
        # TYPE certgate_directory_users gauge
        # HELP certgate_directory_stale Whether the directory is older than directory.max_staleness, and requests are refused: 1 or 0.
        # TYPE certgate_directory_stale gauge
        # HELP certgate_sync_applied Times that only the rows that had changed were read.
        # TYPE certgate_sync_applied counter
        # HELP certgate_sync_failures Looks at the database or sessions with it that failed.
        # TYPE certgate_sync_failures counter
        # HELP certgate_sync_reloads Times that the whole directory was read anew.
        # TYPE certgate_sync_reloads counter
        # HELP certgate_sync_state Whether the following of the database is in this state, by state.
        # TYPE certgate_sync_state gauge
        # HELP certgate_decisions Decisions, by code.
        # TYPE certgate_decisions counter
        # HELP certgate_decision_duration_seconds Time from the request's arrival to its decision.
        # TYPE certgate_decision_duration_seconds histogram
        # HELP certgate_directory_age_seconds Age of the directory: time since the last good look at the database.
        # TYPE certgate_directory_age_seconds gauge
        # HELP certgate_crl_oldest_age_seconds Age of the oldest CRL in force: time since its thisUpdate.
        # TYPE certgate_crl_oldest_age_seconds gauge
        # HELP certgate_crl_next_update_seconds Time to the first nextUpdate of a CRL in force; negative once it has passed.
        # TYPE certgate_crl_next_update_seconds gauge
        # HELP certgate_crl_life_left_ratio Smallest part of a CRL's life that is left: 1 at thisUpdate, 0 at nextUpdate, negative after it.
        # TYPE certgate_crl_life_left_ratio gauge
        # EOF
        ");
    }

    #[test]
    fn every_code_is_there_from_the_start_at_zero() {
        let metrics = metrics();
        for code in CODES {
            let series = format!("certgate_decisions_total{{code=\"{code}\"}}");
            assert_eq!(value(&metrics, &series), "0");
        }
        for relation in RELATIONS {
            let series = format!("certgate_directory_unusable_rows{{relation=\"{relation}\"}}");
            assert_eq!(value(&metrics, &series), "0");
        }
        assert_eq!(value(&metrics, "certgate_sync_state{state=\"starting\"}"), "1");
    }

    #[test]
    fn decisions_of_all_workers_add_up() {
        let metrics = metrics();
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let recorder = metrics.recorder();
                std::thread::spawn(move || {
                    for _ in 0..1000 {
                        recorder.record(1, Duration::from_micros(3));
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().expect("worker");
        }
        metrics.recorder().record(usize::MAX, Duration::from_secs(1));
        assert_eq!(value(&metrics, "certgate_decisions_total{code=\"unmapped\"}"), "4000");
        assert_eq!(value(&metrics, "certgate_decisions_total{code=\"mapped\"}"), "0");
        let bucket = |bound: &str| {
            value(&metrics, &format!("certgate_decision_duration_seconds_bucket{{le=\"{bound}\"}}"))
        };
        assert_eq!(value(&metrics, "certgate_decision_duration_seconds_count"), "4001");
        assert_eq!(bucket("+Inf"), "4001");
        assert_eq!(bucket("0.1"), "4000");
        assert_eq!(bucket("0.000002"), "0");
        assert_eq!(bucket("0.000005"), "4000");
    }

    #[test]
    fn a_bound_itself_is_inside_its_bucket() {
        let metrics = metrics();
        metrics.recorder().record(0, Duration::from_millis(1));
        let series = "certgate_decision_duration_seconds_bucket{le=\"0.001\"}";
        assert_eq!(value(&metrics, series), "1");
    }

    #[test]
    fn the_age_is_infinite_before_the_first_load() {
        let metrics = metrics();
        assert_eq!(value(&metrics, "certgate_directory_age_seconds"), "inf");
        metrics.set_directory_age(|| Some(Duration::from_millis(1500)));
        assert_eq!(value(&metrics, "certgate_directory_age_seconds"), "1.5");
    }

    #[test]
    fn exactly_one_sync_state_holds() {
        let metrics = metrics();
        metrics.set_sync_state(SyncState::Following);
        for (state, held) in [("following", "1"), ("retrying", "0"), ("starting", "0")] {
            assert_eq!(value(&metrics, &format!("certgate_sync_state{{state=\"{state}\"}}")), held);
        }
    }
}
