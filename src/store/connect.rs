//! Which server of a cluster to speak to, and what stands between it and us.
//!
//! The driver knows one host and believes whoever answers. So hosts are tried here in order, each
//! is asked whether it is the primary, and a pooler is told from a server by a setting that only a
//! server keeps.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::error::{StoreError, Subject, classify};
use super::read::{READ, READ_WHOLE};
use super::schema::{self, Applied};
use super::url::{DatabaseUrl, Place, Target};
use super::{CONNECT_LIMIT, LOOK_LIMIT, limited};

/// A server that was chosen, and a connection to it.
pub(super) struct Server {
    /// How to come to this one again.
    pub(super) options: PgConnectOptions,
    /// Whether it only replays what a primary writes.
    pub(super) is_standby: bool,
    /// Whether a pooler stands before it: what a session sets may be another's the next time.
    pub(super) is_pooled: bool,
    connection: PgConnection,
    url: DatabaseUrl,
}

/// Connects to the first host that is of the kind asked for, else to the first of the other kind
/// where the target says that one will do.
pub(super) async fn postgres(url: &DatabaseUrl) -> Result<Server, StoreError> {
    let Place::Postgres(servers) = url.place() else {
        let reason = "this is not a PostgreSQL URL".to_owned();
        return Err(StoreError::MalformedUrl { reason });
    };
    let limit = if servers.hosts.len() > 1 { HOST_LIMIT } else { CONNECT_LIMIT };
    let mut second_choice = None;
    let mut failure: Option<StoreError> = None;
    for options in &servers.hosts {
        match one(url, options, limit).await {
            Ok(server) if servers.target.wants(server.is_standby) => return Ok(server),
            Ok(server) => second_choice = second_choice.or(Some(server)),
            // What no other attempt would mend is what the operator has to know.
            Err(error) if failure.as_ref().is_none_or(StoreError::is_retryable) => {
                failure = Some(error);
            }
            Err(_) => {}
        }
    }
    match second_choice {
        Some(server) if servers.target.takes_the_other_kind() => Ok(server),
        Some(_) => {
            let reason = format!("no host is what {} asks for", servers.target.as_str());
            Err(StoreError::Unreachable { place: url.to_string(), reason })
        }
        None => Err(failure
            .unwrap_or_else(|| StoreError::MalformedUrl { reason: "it names no host".to_owned() })),
    }
}

impl Server {
    /// Whether this program can run on the schema found there.
    pub(super) async fn check_schema(mut self) -> Result<(), StoreError> {
        let connection = &mut self.connection;
        let work = async {
            let mut transaction = connection.begin_with(READ_WHOLE).await?;
            let found = schema::applied_postgres(&mut transaction).await?;
            transaction.commit().await?;
            Ok(found)
        };
        let found = limited(&self.url, LOOK_LIMIT, work).await?;
        Applied::check(found, &self.url.to_string())
    }

    /// The connection itself.
    pub(super) fn into_connection(self) -> PgConnection {
        self.connection
    }
}

async fn one(
    url: &DatabaseUrl,
    options: &PgConnectOptions,
    limit: Duration,
) -> Result<Server, StoreError> {
    let marked = options.clone().options([(MARK, "1")]);
    match probe(url, &marked, limit).await {
        Err(error) if is_refused_by_pooler(&error) => probe(url, options, limit).await,
        server => server,
    }
    .map_err(|error| match error {
        Failure::Driver(error) => classify(error, url, Subject::default()),
        Failure::Limit => StoreError::TimedOut { place: url.to_string(), limit },
    })
}

/// Why a host could not be asked.
enum Failure {
    Driver(sqlx::Error),
    Limit,
}

/// Connects and asks. Everything is said in one transaction and without named statements: behind a
/// pooler the next words may reach another server.
async fn probe(
    url: &DatabaseUrl,
    options: &PgConnectOptions,
    limit: Duration,
) -> Result<Server, Failure> {
    let work = async {
        let mut connection = options.connect().await?;
        let mut transaction = connection.begin_with(READ).await?;
        let (is_standby, is_marked) = sqlx::query_as::<_, (bool, bool)>(PROBE)
            .persistent(false)
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let (options, url) = (options.clone(), url.clone());
        Ok(Server { options, is_standby, is_pooled: !is_marked, connection, url })
    };
    match tokio::time::timeout(limit, work).await {
        Ok(asked) => asked.map_err(Failure::Driver),
        Err(_) => Err(Failure::Limit),
    }
}

/// pgbouncer refuses settings at start-up that it does not know, unless it is told to ignore them.
fn is_refused_by_pooler(failure: &Failure) -> bool {
    let Failure::Driver(sqlx::Error::Database(error)) = failure else { return false };
    error.code().as_deref() == Some("08P01") && error.message().contains("startup parameter")
}

impl Target {
    fn wants(self, is_standby: bool) -> bool {
        match self {
            Self::Any => true,
            Self::Primary | Self::PreferPrimary => !is_standby,
            Self::Standby | Self::PreferStandby => is_standby,
        }
    }

    const fn takes_the_other_kind(self) -> bool {
        matches!(self, Self::PreferPrimary | Self::PreferStandby)
    }
}

/// A setting that means nothing to PostgreSQL, which keeps it for as long as the session lasts.
const MARK: &str = "certgate.session";
const PROBE: &str =
    "select pg_is_in_recovery(), coalesce(current_setting('certgate.session', true), '') <> ''";
/// For one host of several: a host that is gone must not use up the time in which the next could
/// have been followed.
const HOST_LIMIT: Duration = Duration::from_millis(1500);
