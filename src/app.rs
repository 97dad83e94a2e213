//! The service: opens what was configured, wires the planes, and ends without cutting anybody off.
//!
//! This is the one room that reads the clock.

mod authorities;
pub mod gate;
mod readiness;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_http::KeepAlive;
use actix_web::{App, HttpServer};
use anyhow::Context as _;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::config::{Config, Environment, Loaded, Role};
use crate::http::admin;
use crate::http::auth;
use crate::http::authorize::Gate;
use crate::http::listener::{self, Listeners, Socket};
use crate::http::ops;
use crate::metrics::Metrics;
use crate::pki::UnixTime;
use crate::reason::CODES;
use crate::seen::seen;
use crate::store::{DatabaseUrl, Open, SCHEMA_VERSION, Session, Store, StoreError};
use crate::sync::{Follower, Keeper, Replica, SnapshotFile, StalenessWatch};

/// How long a connection to the listeners for people may be idle: longer than nginx keeps its
/// upstream connections (60 s), so that it is nginx who closes them.
const IDLE_LIMIT: Duration = Duration::from_secs(75);
/// How long a start may load before anybody is answered: who asks meanwhile waits in the kernel's
/// queue, and half as long as nginx does (`nginx/snippets/certgate-ask.conf`). So most restarts on
/// inherited sockets are noticed by nobody.
const HEAD_START: Duration = Duration::from_millis(250);
/// How long answers under way may take after a SIGTERM; an answer takes microseconds.
const DRAIN_SECONDS: u64 = 10;

/// How `serve` was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migration {
    /// PostgreSQL's schema must be there already; SQLite's is made.
    AsNeeded,
    /// Bring either schema up to date first (`serve --migrate`).
    First,
}

/// The wall clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Serves until a signal says stop.
///
/// # Errors
/// What keeps the service from starting, or ends a start that answers already because the directory
/// cannot be loaded, in one line. Until it is loaded nobody is let in: what needs it is answered 503
/// `not_ready`.
pub fn serve(loaded: &Loaded, env: &Environment, migration: Migration) -> anyhow::Result<()> {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    actix_web::rt::System::new().block_on(start(&loaded.config, env, migration))
}

async fn start(config: &Config, env: &Environment, migration: Migration) -> anyhow::Result<()> {
    let metrics = Metrics::new(&CODES, env!("CARGO_PKG_VERSION"), since_1970());
    let replica = Arc::new(Replica::default());
    let watching = authorities::watch(config, &metrics).await?;
    let known = Arc::clone(&watching.published);
    let (seen, writer) = seen(database_url(config)?, metrics.clone());
    let gate = gate::build(config, Arc::clone(&replica), seen, known, metrics.clone())?;
    let gate = Arc::new(gate);
    let listeners = listener::open(config, &mut ListenFd::from_env(), env)?;
    metrics.set_directory_age({
        let replica = Arc::clone(&replica);
        move || replica.directory().is_some().then(|| replica.age(now()))
    });
    let follower = Follower {
        url: database_url(config)?,
        replica: Arc::clone(&replica),
        metrics,
        settings: gate::settings(config),
        max_staleness: gate.policy.max_staleness,
        now,
    };
    let snapshot = snapshot_file(config, &follower);
    let watch = StalenessWatch {
        replica: Arc::clone(&replica),
        max_staleness: gate.policy.max_staleness,
        metrics: gate.metrics.clone(),
        now,
    };
    let mut tasks = JoinSet::new();
    let loading = async {
        let session = first_session(&follower, config, migration, snapshot.as_ref()).await?;
        if let Some(file) = snapshot {
            tasks.spawn(Keeper { file, replica, now }.run());
        }
        tasks.spawn(watch.run());
        tasks.spawn(follower.run(session));
        tasks.spawn(writer.run());
        Ok(())
    };
    run(listeners, config, &gate, loading).await
}

fn since_1970() -> Duration {
    Duration::from_micros(u64::try_from(now().as_micros()).unwrap_or_default())
}

/// Where the store is.
///
/// # Errors
/// `database.url` names no database; the message does not repeat it.
pub fn database_url(config: &Config) -> Result<DatabaseUrl, StoreError> {
    DatabaseUrl::parse(config.database.url.expose())
}

/// Where the directory is kept for a start without the database, if it is.
fn snapshot_file(config: &Config, follower: &Follower) -> Option<SnapshotFile> {
    Some(SnapshotFile {
        path: config.directory.snapshot_file.clone()?,
        database: follower.url.to_string(),
        schema: SCHEMA_VERSION,
        settings: follower.settings.clone(),
    })
}

/// Opens the store and loads it. While it is away the snapshot serves, if there is one to rely
/// on; else it is as `directory.wait_for_database` says. None means it is tried again later.
async fn first_session(
    follower: &Follower,
    config: &Config,
    migration: Migration,
    snapshot: Option<&SnapshotFile>,
) -> anyhow::Result<Option<Session>> {
    let error = match open_and_load(follower, migration).await {
        Ok(session) => return Ok(Some(session)),
        Err(error) if error.is_retryable() => error,
        Err(error) => return Err(error.into()),
    };
    if starts_from(snapshot, follower, &error).await {
        return Ok(None);
    }
    if config.directory.wait_for_database {
        tracing::warn!(%error, "starting without the database; answering 503 until it is there");
        return Ok(None);
    }
    Err(error.into())
}

/// Whether the snapshot stands in for the database.
async fn starts_from(
    snapshot: Option<&SnapshotFile>,
    follower: &Follower,
    away: &StoreError,
) -> bool {
    let Some(snapshot) = snapshot else { return false };
    let began = now();
    let file = snapshot.clone();
    // A million rows take a while, and this thread hears the signals.
    let read = tokio::task::spawn_blocking(move || file.read(began)).await;
    let (directory, true_at) = match read.map_err(anyhow::Error::from) {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the snapshot cannot stand in for the database");
            return false;
        }
        Err(error) => {
            tracing::error!(%error, "the snapshot cannot be read: this is a fault of certgate");
            return false;
        }
    };
    let age = began.as_micros().saturating_sub(true_at.as_micros());
    let age = Duration::from_micros(u64::try_from(age).unwrap_or_default());
    if follower.max_staleness.is_some_and(|limit| age > limit) {
        let (age, path) = (age.as_secs_f64(), snapshot.path.display());
        tracing::warn!(
            snapshot.age_seconds = age, snapshot.path = %path,
            "the snapshot is older than directory.max_staleness"
        );
        return false;
    }
    follower.start_from_snapshot(directory, true_at, away);
    tracing::warn!(
        snapshot.age_seconds = age.as_secs_f64(),
        snapshot.path = %snapshot.path.display(),
        "starting from the snapshot"
    );
    true
}

async fn open_and_load(follower: &Follower, migration: Migration) -> Result<Session, StoreError> {
    if migration == Migration::First {
        Store::migrate(&follower.url).await?;
    }
    let store = Store::open(&follower.url, Open::Create).await?;
    follower.start_session(&store).await
}

/// A server on one listener: the same limits for all, another service for each. A macro, because
/// the trait that `HttpServer` asks of a service is not among those that actix-web shows.
macro_rules! server {
    ($socket:expr, $workers:expr, $idle:expr, $service:expr) => {{
        let server = HttpServer::new($service)
            .workers($workers)
            .keep_alive($idle)
            .shutdown_timeout(DRAIN_SECONDS)
            .disable_signals();
        match $socket {
            Socket::Tcp(socket) => server.listen(socket),
            Socket::Unix(socket) => server.listen_uds(socket),
        }
        .map(HttpServer::run)
    }};
}

/// Serves on every listener while it loads and from then on, until a signal or because it cannot
/// be loaded; then drains.
async fn run(
    listeners: Listeners,
    config: &Config,
    gate: &Arc<Gate>,
    loading: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    // Before anybody is told that we are there: a signal that comes at once must find its ear.
    let signals = Signals::listen()?;
    let mut loading = std::pin::pin!(loading);
    let loaded = tokio::time::timeout(HEAD_START, loading.as_mut()).await.ok().transpose()?;
    let mut handles = Vec::new();
    let mut servers = JoinSet::new();
    let mut files = Vec::new();
    let Listeners { auth, ops, admin } = listeners;
    for bound in [auth, ops, admin].into_iter().flatten() {
        tracing::info!(listener = bound.role.as_str(), address = %bound.address, "listening");
        files.extend(bound.file);
        let gate = Arc::clone(gate);
        let server = match bound.role {
            Role::Auth => {
                // It is nginx who closes a connection that it does not need; a timer of ours would
                // be set and stopped for every request, and end only those who say nothing more
                // (`docs/decisions/0008-idle-connections-are-nginx-s.md`).
                bound.socket.probe_idle_peers().context("cannot have idle peers probed")?;
                server!(bound.socket, auth_workers(), KeepAlive::Os, move || {
                    auth::factory(Arc::clone(&gate))
                })
            }
            Role::Ops => server!(bound.socket, 1, IDLE_LIMIT, move || {
                App::new().configure(|config| ops::configure(config, readiness::ops_state(&gate)))
            }),
            // One worker: what administrators do never takes from those who answer nginx.
            Role::Admin => {
                let admin = gate::admin(config, &gate)?;
                server!(bound.socket, 1, IDLE_LIMIT, move || {
                    App::new().configure(|config| admin::configure(config, Arc::clone(&admin)))
                })
            }
        };
        let server = server.with_context(|| format!("cannot serve on {}", bound.address))?;
        handles.push(server.handle());
        servers.spawn(server);
    }
    let loading = async {
        if loaded.is_none() {
            loading.await?;
        }
        tell_manager(NotifyState::Ready);
        anyhow::Ok(())
    };
    let ended = tokio::select! {
        ended = wait_for_end(signals, &mut servers) => ended,
        Err(error) = loading => Err(error),
    };
    tell_manager(NotifyState::Stopping);
    // A unix socket's file goes first: who comes now is told at once that nobody is there.
    drop(files);
    for handle in handles {
        handle.stop(true).await;
    }
    ended
}

/// One worker for every second core that we may use: nginx needs the others, and workers for all
/// cores take turns with nginx's instead of working beside them (`docs/performance.md`).
fn auth_workers() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get).div_ceil(2)
}

/// The signals that end the service.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?,
        })
    }
}

/// Waits for SIGTERM or SIGINT, or for a server to end by itself, which is a failure.
async fn wait_for_end(
    mut signals: Signals,
    servers: &mut JoinSet<io::Result<()>>,
) -> anyhow::Result<()> {
    let name = tokio::select! {
        _ = signals.terminate.recv() => "SIGTERM",
        _ = signals.interrupt.recv() => "SIGINT",
        ended = servers.join_next() => {
            let why = match ended {
                Some(Ok(Err(error))) => error.to_string(),
                Some(Err(error)) => error.to_string(),
                _ => "no reason given".to_owned(),
            };
            anyhow::bail!("a listener ended by itself: {why}");
        }
    };
    tracing::info!(signal = name, "stopping; requests under way are answered first");
    Ok(())
}

/// Tells systemd, if it is there.
fn tell_manager(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
