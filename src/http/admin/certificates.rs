//! `/certificates`: those that operators gave, and those that came with requests.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::blocks::Block;
use super::mappings::Reason;
use super::operation::{Call, Page, answer};
use super::pattern::read_certificate;
use super::problem::Problem;
use super::query::{MAX_LIMIT, Query};
use crate::directory::Directory;
use crate::operator::{self, Standing, block_certificate, left_to};
use crate::pki::{Certificate, Fingerprint, UnixTime};
use crate::store::StoredCertificate;

/// A certificate that is known, and whose it is as the service knows it.
#[derive(Serialize, ToSchema)]
pub(super) struct KnownCertificate {
    pub(super) sha256: String,
    /// As nginx prints it.
    subject: String,
    issuer: String,
    serial: String,
    spki_sha256: String,
    not_before: String,
    not_after: String,
    san_email: Vec<String>,
    san_upn: Vec<String>,
    san_uri: Vec<String>,
    san_dns: Vec<String>,
    /// given, or seen.
    origin: String,
    /// new, or ignored.
    state: String,
    first_seen: Option<String>,
    last_seen: Option<String>,
    /// About how often it came.
    hits: i64,
    last_code: Option<String>,
    last_username: Option<String>,
    /// The code by which it is somebody's, or nobody's, now.
    code: String,
    /// Whose it is, or would be but for the code.
    username: Option<String>,
    mapping: Option<i64>,
    rule: Option<i64>,
    block: Option<i64>,
    /// Whose renewal it looks like; null where nobody asked.
    looks_like: Option<Vec<Likeness>>,
}

/// A known certificate that this one resembles.
#[derive(Serialize, ToSchema)]
pub(super) struct Likeness {
    username: String,
    sha256: String,
    /// key, or names.
    same: String,
    /// The known one has not expired.
    live: bool,
}

/// A certificate to hand in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCertificate)]
pub(super) struct Add {
    /// PEM.
    certificate: String,
}

/// A certificate that was blocked, and what its holder can still use.
#[derive(Serialize, ToSchema)]
pub(super) struct Blocked {
    block: Block,
    /// Whose it was.
    users: Vec<String>,
    /// Mappings that let in other certificates of theirs.
    mappings: Vec<LeftMapping>,
    /// Rules that let in others like it, by priority.
    rules: Vec<i64>,
}

/// A mapping that lets another certificate in.
#[derive(Serialize, ToSchema)]
pub(super) struct LeftMapping {
    id: i64,
    username: String,
    why: String,
}

/// Which certificates are asked for.
struct Wanted<'q> {
    /// Whose it is, or would be but for the code.
    user: Option<&'q str>,
    code: Option<&'q str>,
    /// Valid, and not for longer than this.
    expires_before: Option<UnixTime>,
    /// One that never came is unused since it could come.
    unused_since: Option<UnixTime>,
}

impl<'q> Wanted<'q> {
    fn read(query: &'q Query) -> Result<Self, Problem> {
        let moment = |name| {
            let moment = query.text(name).map(UnixTime::parse_rfc3339).transpose();
            moment.map_err(|error| Problem::malformed(format!("the query: {name}: {error}")))
        };
        Ok(Self {
            user: query.text("user"),
            code: query.text("code"),
            expires_before: moment("expires_before")?,
            unused_since: moment("unused_since")?,
        })
    }

    /// By its dates, which are soon looked at.
    fn takes_row(&self, row: &StoredCertificate, now: UnixTime) -> bool {
        if self.expires_before.is_none() && self.unused_since.is_none() {
            return true;
        }
        let Ok(certificate) = Certificate::from_der(&row.der) else { return false };
        let end = certificate.not_after;
        let is_over = end.as_seconds() < now.as_seconds();
        let seen = row.last_seen.as_deref().and_then(|at| UnixTime::parse_rfc3339(at).ok());
        let seen = seen.unwrap_or(certificate.not_before);
        self.expires_before.is_none_or(|before| !is_over && end < before)
            && self.unused_since.is_none_or(|since| seen <= since)
    }

    fn takes(&self, known: &KnownCertificate) -> bool {
        self.user.is_none_or(|user| known.username.as_deref() == Some(user))
            && self.code.is_none_or(|code| known.code == code)
    }
}

pub(super) async fn list(call: &mut Call) -> Result<Value, Problem> {
    let limit = call.query.limit();
    let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    let directory = call.directory()?;
    let mut items = Vec::new();
    let mut after = call.query.cursor().map(str::to_owned);
    // What is asked for may be rare: rows are looked at until a page is full or all have been.
    while items.len() < most {
        let rows = call.work.certificate_page(after.as_deref(), MAX_LIMIT).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.sha256.clone());
        let wanted = Wanted::read(&call.query)?;
        let rows = rows.into_iter().filter(|row| wanted.takes_row(row, call.ground.now));
        let known = rows.filter_map(|row| known(call, row, &directory));
        items.extend(known.filter(|known| wanted.takes(known)));
    }
    answer(Page::cut(items, limit, |one: &KnownCertificate| one.sha256.clone()))
}

pub(super) async fn show(call: &mut Call) -> Result<Value, Problem> {
    let (row, certificate) = found(call).await?;
    told(call, row, &certificate).await
}

pub(super) async fn add(call: &mut Call) -> Result<Value, Problem> {
    let body: Add = call.body()?;
    let certificate = read_certificate(&body.certificate)?;
    call.work.certificate_add(&certificate).await?;
    let sha256 = certificate.sha256.to_string();
    let row = call.work.certificate_show(&sha256).await?;
    let row = row.ok_or_else(|| Problem::missing("certificate", sha256))?;
    told(call, row, &certificate).await
}

pub(super) async fn block(call: &mut Call) -> Result<Value, Problem> {
    let body: Reason = call.body()?;
    let (_, certificate) = found(call).await?;
    let (ground, by) = (call.ground.clone(), call.creator());
    let reason = body.reason.as_deref();
    let id = block_certificate(&mut call.work, &ground, &certificate, reason, by.as_deref());
    let id = id.await?;
    let left = left_to(&mut call.work, &ground, &certificate).await?;
    let mappings = left.mappings.into_iter().map(|left| LeftMapping {
        id: left.mapping.id,
        username: left.mapping.username,
        why: left.why.to_owned(),
    });
    answer(Blocked {
        block: call.work.block_show(id).await?.into(),
        users: left.users,
        mappings: mappings.collect(),
        rules: left.rules,
    })
}

/// The certificate that the path names.
pub(super) async fn found(call: &mut Call) -> Result<(StoredCertificate, Certificate), Problem> {
    let sha256 = Fingerprint::parse(call.name())
        .map_err(|error| Problem::malformed(format!("the path: {error}")))?;
    let row = call.work.certificate_show(&sha256.to_string()).await?;
    let row = row.ok_or_else(|| Problem::missing("certificate", sha256))?;
    let certificate = Certificate::from_der(&row.der).map_err(|error| {
        Problem::conflict("bad_certificate", format!("the row of {sha256}: {error}"))
    })?;
    Ok((row, certificate))
}

/// A certificate with all that is to be said of it.
pub(super) async fn told(
    call: &mut Call,
    row: StoredCertificate,
    certificate: &Certificate,
) -> Result<Value, Problem> {
    let (directory, ground) = (call.directory()?, call.ground.clone());
    let alike = operator::likenesses(&mut call.work, certificate, &directory, &ground).await?;
    let alike = alike.into_iter().map(|one| Likeness {
        username: one.username,
        sha256: one.sha256,
        same: one.resemblance.word().to_owned(),
        live: one.is_live,
    });
    let alike: Vec<_> = alike.collect();
    let Some(mut known) = known(call, row, &directory) else {
        return Err(Problem::missing("certificate", certificate.sha256));
    };
    known.looks_like = Some(alike);
    answer(known)
}

/// A row with what the service makes of it; none for a row that holds no certificate.
pub(super) fn known(
    call: &Call,
    row: StoredCertificate,
    directory: &Directory,
) -> Option<KnownCertificate> {
    let certificate = Certificate::from_der(&row.der).ok()?;
    let standing = Standing::of(&certificate, directory, &call.ground);
    let san = &certificate.san;
    Some(KnownCertificate {
        sha256: row.sha256,
        subject: certificate.subject.to_string(),
        issuer: certificate.issuer.to_string(),
        serial: certificate.serial.to_string(),
        spki_sha256: certificate.spki_sha256.to_string(),
        not_before: certificate.not_before.to_string(),
        not_after: certificate.not_after.to_string(),
        san_email: san.email.clone(),
        san_upn: san.upn.clone(),
        san_uri: san.uri.clone(),
        san_dns: san.dns.clone(),
        origin: row.origin,
        state: row.state,
        first_seen: row.first_seen,
        last_seen: row.last_seen,
        hits: row.hits,
        last_code: row.last_code,
        last_username: row.last_username,
        code: standing.code.to_owned(),
        username: standing.username,
        mapping: standing.mapping,
        rule: standing.rule,
        block: standing.block,
        looks_like: None,
    })
}

impl KnownCertificate {
    /// Whether nothing that is kept says anything of it.
    pub(super) fn is_unmapped(&self) -> bool {
        self.code == crate::reason::DenyReason::Unmapped.code()
    }
}
