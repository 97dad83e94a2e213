//! `/denied`: who was kept out, when and why.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::operation::{Call, Page, answer};
use super::problem::Problem;
use crate::directory::{Directory, Holder};
use crate::pki::{Certificate, Identity, UnixTime};
use crate::store::KeptCertificate;

/// A request that was denied.
#[derive(Serialize, ToSchema)]
pub(super) struct Denial {
    /// When, RFC 3339.
    at: String,
    /// The code.
    reason: String,
    /// The proxy's number of the request.
    request_id: Option<String>,
    /// The host that the client asked for.
    host: Option<String>,
    /// The client's address.
    peer: Option<String>,
    /// The fingerprint of its certificate, if one was verified.
    certificate: Option<String>,
    subject: Option<String>,
    issuer: Option<String>,
    serial: Option<String>,
    /// Whom the certificate last let in.
    last_username: Option<String>,
}

pub(super) async fn list(call: &mut Call) -> Result<Value, Problem> {
    let skip = call.query.cursor_id()?.and_then(|skip| usize::try_from(skip).ok());
    let (skip, limit) = (skip.unwrap_or_default(), call.query.limit());
    let since = call.query.text("since").map(UnixTime::parse_rfc3339).transpose();
    let since = since.map_err(|error| Problem::malformed(format!("the query: since: {error}")))?;
    // The table is a bounded ring.
    let rows = call.work.denials(call.query.text("request_id")).await?;
    let behind: HashMap<String, KeptCertificate> = call
        .work
        .denied_certificates()
        .await?
        .into_iter()
        .map(|kept| (kept.sha256.clone(), kept))
        .collect();
    let directory = call.directory()?;
    let (user, reason) = (call.query.text("user"), call.query.text("reason"));
    let wanted = rows.iter().filter(|row| {
        let at = UnixTime::parse_rfc3339(&row.at).ok();
        let kept = row.certificate.as_ref().and_then(|sha256| behind.get(sha256));
        let is_users = |user| kept.is_some_and(|kept| is_of(kept, user, &directory, call));
        since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && reason.is_none_or(|code| code == row.code)
            && user.is_none_or(is_users)
    });
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let page = wanted.skip(skip).take(most.saturating_add(1)).map(|row| {
        let kept = row.certificate.as_ref().and_then(|sha256| behind.get(sha256));
        let shown = kept.and_then(|kept| Certificate::from_der(&kept.der).ok());
        Denial {
            at: row.at.clone(),
            reason: row.code.clone(),
            request_id: row.request_id.clone(),
            host: row.host.clone(),
            peer: row.peer.clone(),
            certificate: row.certificate.clone(),
            subject: shown.as_ref().map(|shown| shown.subject.to_string()),
            issuer: shown.as_ref().map(|shown| shown.issuer.to_string()),
            serial: shown.as_ref().map(|shown| shown.serial.to_string()),
            last_username: kept.and_then(|kept| kept.last_username.clone()),
        }
    });
    let next = skip.saturating_add(most).to_string();
    answer(Page::cut(page.collect(), limit, |_: &Denial| next.clone()))
}

/// Whether a certificate last let this user in, or a mapping or a rule names the user for it.
fn is_of(kept: &KeptCertificate, user: &str, directory: &Directory, call: &Call) -> bool {
    if kept.last_username.as_deref() == Some(user) {
        return true;
    }
    let Ok(certificate) = Certificate::from_der(&kept.der) else { return false };
    let identity = Identity::from_certificate(&certificate);
    let holder = Holder { identity: &identity, certificate: Some(&certificate) };
    directory.holders(holder, call.ground.now).iter().any(|name| name == user)
}
