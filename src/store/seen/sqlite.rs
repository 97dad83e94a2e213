//! Reporting to SQLite: by hand what PostgreSQL has functions for.
//!
//! The bounds are the same; whoever changes one changes the other.

use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, SqlitePool};

use super::{Denial, Reported, SeenCertificate};
use crate::directory::Wish;
use crate::pki::UnixTime;
use crate::store::audit;
use crate::store::work::{By, Source};

/// Certificates kept that never let anybody in: an inbox that a person can still look through.
const MAX_STRANGERS: i64 = 10_000;
/// Certificates kept that were seen: those of a large organisation, at a kilobyte or two each.
const MAX_SEEN: i64 = 200_000;
/// Denials kept.
const MAX_DENIALS: i64 = 10_000;
/// Of these, how many without a certificate: anybody can cause them.
const MAX_DENIALS_WITHOUT_CERTIFICATE: i64 = 2_500;
/// Most rows that one batch takes away, so that it never lasts long.
const MAX_PRUNED: i64 = 5_000;
/// Most users that may wait for an operator: whoever can get certificates must not fill the
/// database with names.
const MAX_WAITING: i64 = 10_000;
/// The oldest moment that is believed, as on PostgreSQL.
const MAX_AGE: Duration = Duration::from_secs(3600);

pub(super) async fn report(
    pool: &SqlitePool,
    certificates: &[SeenCertificate],
    denials: &[Denial],
) -> Result<Reported, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    sqlx::query(IN_A_HURRY).execute(&mut *connection).await?;
    let mut transaction = connection.begin_with("begin immediate").await?;
    let mut is_any_new = false;
    for seen in certificates {
        is_any_new |= write_certificate(&mut transaction, seen).await?;
    }
    if is_any_new {
        for (sql, kept) in [(SURPLUS_STRANGERS, MAX_STRANGERS), (SURPLUS_SEEN, MAX_SEEN)] {
            prune(&mut transaction, sql, kept).await?;
        }
    }
    for denial in denials {
        write_denial(&mut transaction, denial).await?;
    }
    let without = MAX_DENIALS_WITHOUT_CERTIFICATE;
    for (sql, kept) in [(SURPLUS_DENIALS, MAX_DENIALS), (SURPLUS_WITHOUT_CERTIFICATE, without)] {
        prune(&mut transaction, sql, kept).await?;
    }
    sqlx::query(OLD_DENIALS).bind(MAX_PRUNED).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(Reported::Written)
}

/// Whether the certificate was not there.
async fn write_certificate(
    connection: &mut SqliteConnection,
    seen: &SeenCertificate,
) -> Result<bool, sqlx::Error> {
    let sha256 = seen.sha256.to_string();
    let known = sqlx::query(KNOWN_CERTIFICATE)
        .bind(&sha256)
        .bind(ago(seen.age))
        .bind(seen.hits)
        .bind(seen.code)
        .bind(seen.username.as_deref())
        .execute(&mut *connection)
        .await?
        .rows_affected();
    if known > 0 {
        return Ok(false);
    }
    let time = |seconds: i64| UnixTime::from_micros(seconds * 1_000_000).to_string();
    sqlx::query(NEW_CERTIFICATE)
        .bind(&sha256)
        .bind(&seen.der[..])
        .bind(&seen.subject)
        .bind(&seen.issuer)
        .bind(&seen.serial)
        .bind(seen.spki_sha256.to_string())
        .bind(&seen.names)
        .bind(time(seen.not_before))
        .bind(time(seen.not_after))
        .bind(ago(seen.age))
        .bind(seen.hits)
        .bind(seen.code)
        .bind(seen.username.as_deref())
        .execute(connection)
        .await?;
    Ok(true)
}

async fn write_denial(
    connection: &mut SqliteConnection,
    denial: &Denial,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into denial (at, host, request_id, code, certificate, peer)
         values (strftime('%Y-%m-%dT%H:%M:%fZ', 'now', $1), $2, $3, $4, $5, $6)",
    )
    .bind(ago(denial.age))
    .bind(denial.host.as_deref())
    .bind(denial.request_id.as_deref())
    .bind(denial.code)
    .bind(denial.certificate.map(|sha256| sha256.to_string()))
    .bind(denial.peer.map(|peer| peer.to_string()))
    .execute(connection)
    .await?;
    Ok(())
}

async fn prune(
    connection: &mut SqliteConnection,
    sql: &'static str,
    kept: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(sql).bind(kept).bind(MAX_PRUNED).execute(connection).await?;
    Ok(())
}

pub(super) async fn provision(pool: &SqlitePool, wish: &Wish) -> Result<bool, sqlx::Error> {
    let username = wish.username.as_str();
    let mut transaction = pool.begin_with("begin immediate").await?;
    let rule = format!("rule {}", wish.priority);
    let by = By { actor: Some(rule.clone()), source: Source::Provision, request_id: None };
    audit::begin_acting(&mut transaction, &by).await?;
    let added = sqlx::query(
        "insert into app_user (username, display_name, email, origin, enabled, created_by)
         select $1, $2, $3, 'rule', 0, $4
         where $5 > (select count(*) from app_user where origin = 'rule' and not enabled)
         on conflict do nothing",
    )
    .bind(username)
    .bind(wish.display_name.as_deref())
    .bind(wish.email.as_deref())
    .bind(&rule)
    .bind(MAX_WAITING)
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    if added == 0 {
        return Ok(false);
    }
    for group in &wish.groups {
        sqlx::query("insert into user_group (username, group_name) values ($1, $2)")
            .bind(username)
            .bind(group.as_str())
            .execute(&mut *transaction)
            .await?;
    }
    audit::end_acting(&mut transaction).await?;
    transaction.commit().await?;
    Ok(true)
}

/// SQLite's word for that long before now, by the database's clock as on PostgreSQL.
fn ago(age: Duration) -> String {
    format!("-{:.3} seconds", age.min(MAX_AGE).as_secs_f64())
}

/// A batch does not wait for the disk while it keeps other writers out: operators' shells do not wait
/// unless told to. What a crash of the machine takes from the end of the log was only seen.
const IN_A_HURRY: &str = "pragma synchronous = normal";
const KNOWN_CERTIFICATE: &str = "
    update certificate set
        first_seen = coalesce(first_seen, strftime('%Y-%m-%dT%H:%M:%fZ', 'now', $2)),
        last_seen = max(coalesce(last_seen, ''), strftime('%Y-%m-%dT%H:%M:%fZ', 'now', $2)),
        hits = min(hits, 1000000000000000000) + $3,
        last_code = $4,
        last_username = coalesce($5, last_username)
    where sha256 = $1";
const NEW_CERTIFICATE: &str = "
    insert into certificate (sha256, der, subject, issuer, serial, spki_sha256, names, not_before,
        not_after, origin, first_seen, last_seen, hits, last_code, last_username)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'seen',
        strftime('%Y-%m-%dT%H:%M:%fZ', 'now', $10), strftime('%Y-%m-%dT%H:%M:%fZ', 'now', $10),
        $11, $12, $13)";
const SURPLUS_STRANGERS: &str = "
    delete from certificate where sha256 in (
        select sha256 from certificate
        where origin = 'seen' and state = 'new' and last_username is null
            and last_seen <= (
                select last_seen from certificate
                where origin = 'seen' and state = 'new' and last_username is null
                order by last_seen desc limit 1 offset $1)
        order by last_seen limit $2)";
const SURPLUS_SEEN: &str = "
    delete from certificate where sha256 in (
        select sha256 from certificate
        where origin = 'seen'
            and last_seen <= (
                select last_seen from certificate where origin = 'seen'
                order by last_seen desc limit 1 offset $1)
        order by last_seen limit $2)";
const SURPLUS_DENIALS: &str = "
    delete from denial where id in (
        select id from denial
        where id <= (select id from denial order by id desc limit 1 offset $1)
        order by id limit $2)";
const SURPLUS_WITHOUT_CERTIFICATE: &str = "
    delete from denial where id in (
        select id from denial
        where certificate is null
            and id <= (
                select id from denial where certificate is null
                order by id desc limit 1 offset $1)
        order by id limit $2)";
const OLD_DENIALS: &str = "
    delete from denial where id in (
        select id from denial
        where at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-7 days')
        order by at limit $1)";
