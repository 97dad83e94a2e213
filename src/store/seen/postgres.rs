//! Reporting to PostgreSQL: a role that may call three functions, and nothing else, can do it all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sqlx::{PgPool, Postgres, Transaction};

use super::{Denial, Reported, SeenCertificate};
use crate::directory::Wish;

pub(super) async fn report(
    pool: &PgPool,
    certificates: &[SeenCertificate],
    denials: &[Denial],
) -> Result<Reported, sqlx::Error> {
    let Some(mut transaction) = begin(pool).await? else { return Ok(Reported::Standby) };
    let rows = array(certificates.iter().map(certificate));
    sqlx::query("select certgate_report_seen($1::jsonb)")
        .bind(rows)
        .execute(&mut *transaction)
        .await?;
    let rows = array(denials.iter().map(denial));
    sqlx::query("select certgate_report_denied($1::jsonb)")
        .bind(rows)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Reported::Written)
}

pub(super) async fn provision(pool: &PgPool, wish: &Wish) -> Result<bool, sqlx::Error> {
    let Ok(priority) = i32::try_from(wish.priority) else { return Ok(false) };
    // A standby adds nobody; whoever reports there says so.
    let Some(mut transaction) = begin(pool).await? else { return Ok(false) };
    let added = sqlx::query_scalar("select certgate_provision($1, $2, $3, $4)")
        .bind(priority)
        .bind(wish.username.as_str())
        .bind(wish.display_name.as_deref())
        .bind(wish.email.as_deref())
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(added)
}

/// A transaction that writes and ends in time whatever becomes of us; none on a standby.
async fn begin(pool: &PgPool) -> Result<Option<Transaction<'static, Postgres>>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let standby: bool =
        sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(&mut *transaction).await?;
    if standby {
        return Ok(None);
    }
    sqlx::raw_sql(LIMITS).execute(&mut *transaction).await?;
    Ok(Some(transaction))
}

fn array(rows: impl Iterator<Item = Value>) -> String {
    Value::Array(rows.collect()).to_string()
}

fn certificate(seen: &SeenCertificate) -> Value {
    let names = seen.names.as_deref().and_then(|names| serde_json::from_str(names).ok());
    json!({
        "sha256": seen.sha256.to_string(),
        "der": STANDARD.encode(&seen.der),
        "subject": seen.subject,
        "issuer": seen.issuer,
        "serial": seen.serial,
        "spki_sha256": seen.spki_sha256.to_string(),
        "names": names.unwrap_or(Value::Null),
        "not_before": seen.not_before,
        "not_after": seen.not_after,
        "age": seen.age.as_secs_f64(),
        "hits": seen.hits,
        "code": seen.code,
        "username": seen.username,
    })
}

fn denial(denial: &Denial) -> Value {
    json!({
        "age": denial.age.as_secs_f64(),
        "host": denial.host,
        "request_id": denial.request_id,
        "code": denial.code,
        "certificate": denial.certificate.map(|sha256| sha256.to_string()),
        "peer": denial.peer.map(|peer| peer.to_string()),
    })
}

/// A role whose transactions only read by default reports all the same. On the server's side the
/// limits are shorter than [`super::REPORT_LIMIT`], so that nothing goes on that nobody waits for.
const LIMITS: &str = "set transaction read write; set local lock_timeout = '1s'; \
     set local statement_timeout = '2s'";
