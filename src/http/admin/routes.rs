//! Every route of the API, in one table: what is not here answers 404 or 405.

use percent_encoding::percent_decode_str;

use super::operation::{Operation, Page, Removed, Shape, Verb};
use super::query::{CURSOR, Kind, LIMIT, Parameter};
use super::{
    audit, blocks, certificates, denied, explain, groups, inbox, mappings, reissue, rules, users,
    whoami,
};
use crate::reason::CODES;

/// What every path begins with.
pub(super) const PREFIX: &str = "/api/v1";

/// What a path is.
pub(super) enum Routed {
    /// An operation, and the values of its path's variables.
    Found(&'static Operation, Vec<String>),
    /// The path is one, with these methods.
    OtherMethods(Vec<Verb>),
    /// No path at all.
    Nowhere,
}

/// Finds the operation. The path is as it was sent: a name may hold an escaped slash.
pub(super) fn route(method: &actix_web::http::Method, path: &str) -> Routed {
    let Some(path) = path.strip_prefix(PREFIX) else { return Routed::Nowhere };
    let mut others = Vec::new();
    for operation in OPERATIONS {
        let Some(variables) = matched(operation.path, path) else { continue };
        if operation.verb.method() == *method {
            return Routed::Found(operation, variables);
        }
        others.push(operation.verb);
    }
    if others.is_empty() { Routed::Nowhere } else { Routed::OtherMethods(others) }
}

/// The names of a path's variables.
pub(super) fn variables(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(variable)
}

fn variable(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// The values of the variables, if the path is this one.
fn matched(wanted: &'static str, path: &str) -> Option<Vec<String>> {
    let mut values = Vec::new();
    let mut segments = path.split('/');
    for wanted in wanted.split('/') {
        let segment = segments.next()?;
        if variable(wanted).is_none() {
            if segment != wanted {
                return None;
            }
            continue;
        }
        let value = percent_decode_str(segment).decode_utf8().ok()?;
        if value.is_empty() || value.contains('\0') {
            return None;
        }
        values.push(value.into_owned());
    }
    segments.next().is_none().then_some(values)
}

/// One line of the table.
macro_rules! operation {
    ($verb:ident $path:literal, $noun:ident :: $act:ident as $name:literal, $summary:literal,
     query $query:expr, body $body:expr, $status:literal $answer:ty) => {
        Operation {
            verb: Verb::$verb,
            path: $path,
            name: $name,
            noun: stringify!($noun),
            summary: $summary,
            query: $query,
            body: $body,
            status: $status,
            answer: Shape::of::<$answer>(),
            act: |call| Box::pin($noun::$act(call)),
        }
    };
}

const NONE: &[Parameter] = &[];
const PAGED: &[Parameter] = &[LIMIT, CURSOR];
const USERS: &[Parameter] = &[
    LIMIT,
    CURSOR,
    Parameter::text("search", "Part of the name, the name for people or the mail address"),
    Parameter::text("group", "Only members of this group"),
    Parameter::boolean("enabled", "Only users who are switched on, or off"),
];
const WITH_MAPPINGS: &[Parameter] =
    &[Parameter::boolean("with_mappings", "Though certificates still lead to the user")];
const TRANSACTION: &[Parameter] = &[Parameter::boolean(
    "transaction",
    "With everything that was changed in the same transaction",
)];
const AUDIT: &[Parameter] = &[
    LIMIT,
    CURSOR,
    Parameter::text("since", "From then on, RFC 3339"),
    Parameter::text("until", "Before then, RFC 3339"),
    Parameter::text("user", "About this user, a membership or a mapping of theirs"),
    Parameter::text("actor", "By this person, as claimed or as the database knows them"),
    Parameter::text("relation", "Of this table"),
    Parameter::text("key", "Of the row of this key"),
    Parameter::text("action", "insert, update, delete, truncate or prune"),
    Parameter::text("transaction_id", "Of this transaction"),
];
const DENIED: &[Parameter] = &[
    LIMIT,
    CURSOR,
    Parameter::text("user", "Only of certificates of this user"),
    Parameter::text("since", "Only from then on, RFC 3339"),
    Parameter { name: "reason", kind: Kind::Word(&CODES), about: "Only of this code" },
    Parameter::text("request_id", "Only of this request"),
];
const CERTIFICATES: &[Parameter] = &[
    LIMIT,
    CURSOR,
    Parameter::text("user", "Only those that are this user's, or would be but for the code"),
    Parameter { name: "code", kind: Kind::Word(&CODES), about: "Only of this code, as it is now" },
    Parameter::text("expires_before", "Only those that are valid and expire before then, RFC 3339"),
    Parameter::text("unused_since", "Only those that have not come since then, RFC 3339"),
];
const MAPPINGS: &[Parameter] =
    &[LIMIT, CURSOR, Parameter::text("user", "Only mappings of this user")];

/// The table.
#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    operation!(Get "/openapi.json", whoami::openapi as "openapi", "This document", query NONE, body None, 200 whoami::Document),
    operation!(Get "/whoami", whoami::show as "whoami", "Whom certgate takes the caller for", query NONE, body None, 200 whoami::Whoami),

    operation!(Get "/users", users::list as "list_users", "List users", query USERS, body None, 200 Page<users::User>),
    operation!(Post "/users", users::add as "add_user", "Add a user", query NONE, body Some(Shape::of::<users::Add>()), 201 users::User),
    operation!(Get "/users/{username}", users::show as "show_user", "Show a user", query NONE, body None, 200 users::User),
    operation!(Patch "/users/{username}", users::edit as "edit_user", "Change a user", query NONE, body Some(Shape::of::<users::Change>()), 200 users::User),
    operation!(Delete "/users/{username}", users::remove as "remove_user", "Remove a user with all groups and mappings", query WITH_MAPPINGS, body None, 200 users::RemovedUser),
    operation!(Post "/users/{username}/enable", users::enable as "enable_user", "Let a user in again", query NONE, body None, 200 users::User),
    operation!(Post "/users/{username}/disable", users::disable as "disable_user", "Keep a user out, whatever is mapped", query NONE, body None, 200 users::User),
    operation!(Post "/users/{username}/rename", users::rename as "rename_user", "Give a user another name; groups and mappings follow", query NONE, body Some(Shape::of::<users::Rename>()), 200 users::User),
    operation!(Get "/users/{username}/groups", groups::of_user as "list_groups_of_user", "List a user's groups", query NONE, body None, 200 Page<groups::Member>),

    operation!(Get "/groups", groups::list as "list_groups", "List groups", query PAGED, body None, 200 Page<groups::Group>),
    operation!(Get "/groups/{group}", groups::show as "show_group", "List the members of a group", query PAGED, body None, 200 Page<groups::Member>),
    operation!(Post "/groups/{group}/add", groups::add as "add_members", "Put users into a group, all or none", query NONE, body Some(Shape::of::<groups::Members>()), 200 Page<groups::Member>),
    operation!(Post "/groups/{group}/remove", groups::remove as "remove_members", "Take users out of a group, all or none", query NONE, body Some(Shape::of::<groups::Members>()), 200 Page<groups::Member>),

    operation!(Get "/mappings", mappings::list as "list_mappings", "List mappings", query MAPPINGS, body None, 200 Page<mappings::Mapping>),
    operation!(Post "/mappings", mappings::add as "add_mapping", "Map certificates to a user", query NONE, body Some(Shape::of::<mappings::Add>()), 201 mappings::Mapping),
    operation!(Get "/mappings/{id}", mappings::show as "show_mapping", "Show a mapping", query NONE, body None, 200 mappings::Mapping),
    operation!(Patch "/mappings/{id}", mappings::edit as "edit_mapping", "Change a mapping's window or note", query NONE, body Some(Shape::of::<mappings::Change>()), 200 mappings::Mapping),
    operation!(Delete "/mappings/{id}", mappings::remove as "remove_mapping", "Remove a mapping for good", query NONE, body None, 200 Removed),
    operation!(Post "/mappings/{id}/enable", mappings::enable as "enable_mapping", "Let a mapping count again", query NONE, body None, 200 mappings::Mapping),
    operation!(Post "/mappings/{id}/disable", mappings::disable as "disable_mapping", "Let a mapping not count for now", query NONE, body None, 200 mappings::Mapping),
    operation!(Post "/mappings/{id}/revoke", mappings::revoke as "revoke_mapping", "Refuse its certificate from now on, whatever else matches", query NONE, body Some(Shape::of::<mappings::Reason>()), 200 mappings::Mapping),

    operation!(Get "/blocks", blocks::list as "list_blocks", "List blocks", query PAGED, body None, 200 Page<blocks::Block>),
    operation!(Post "/blocks", blocks::add as "add_block", "Keep certificates out", query NONE, body Some(Shape::of::<blocks::Add>()), 201 blocks::Block),
    operation!(Get "/blocks/{id}", blocks::show as "show_block", "Show a block", query NONE, body None, 200 blocks::Block),
    operation!(Patch "/blocks/{id}", blocks::edit as "edit_block", "Change a block's window, reason or note", query NONE, body Some(Shape::of::<blocks::Change>()), 200 blocks::Block),
    operation!(Delete "/blocks/{id}", blocks::remove as "remove_block", "Remove a block for good", query NONE, body None, 200 Removed),
    operation!(Post "/blocks/{id}/enable", blocks::enable as "enable_block", "Let a block count again", query NONE, body None, 200 blocks::Block),
    operation!(Post "/blocks/{id}/disable", blocks::disable as "disable_block", "Let a block not count for now", query NONE, body None, 200 blocks::Block),

    operation!(Get "/rules", rules::list as "list_rules", "List rules in the order in which they are asked", query PAGED, body None, 200 Page<rules::Rule>),
    operation!(Post "/rules", rules::add as "add_rule", "Add a rule", query NONE, body Some(Shape::of::<rules::Add>()), 201 rules::Rule),
    operation!(Get "/rules/{priority}", rules::show as "show_rule", "Show a rule", query NONE, body None, 200 rules::Rule),
    operation!(Patch "/rules/{priority}", rules::edit as "edit_rule", "Change a rule; its issuer never changes", query NONE, body Some(Shape::of::<rules::Change>()), 200 rules::Rule),
    operation!(Delete "/rules/{priority}", rules::remove as "remove_rule", "Remove a rule; users whom it has added stay", query NONE, body None, 200 Removed),
    operation!(Post "/rules/{priority}/enable", rules::enable as "enable_rule", "Let a rule count again", query NONE, body None, 200 rules::Rule),
    operation!(Post "/rules/{priority}/disable", rules::disable as "disable_rule", "Let a rule not count for now", query NONE, body None, 200 rules::Rule),

    operation!(Get "/certificates", certificates::list as "list_certificates", "List certificates that are known", query CERTIFICATES, body None, 200 Page<certificates::KnownCertificate>),
    operation!(Post "/certificates", certificates::add as "add_certificate", "Hand in a certificate", query NONE, body Some(Shape::of::<certificates::Add>()), 201 certificates::KnownCertificate),
    operation!(Get "/certificates/{sha256}", certificates::show as "show_certificate", "Show a certificate, whose it is, and whose renewal it looks like", query NONE, body None, 200 certificates::KnownCertificate),
    operation!(Post "/certificates/{sha256}/block", certificates::block as "block_certificate", "Keep this certificate out, and say what its holder can still use", query NONE, body Some(Shape::of::<mappings::Reason>()), 201 certificates::Blocked),

    operation!(Get "/inbox", inbox::list as "list_inbox", "List verified certificates of nobody", query PAGED, body None, 200 Page<certificates::KnownCertificate>),
    operation!(Post "/inbox/all/approve", inbox::approve_everything as "approve_all", "Give each certificate to the user that it names", query NONE, body Some(Shape::of::<inbox::ApproveAll>()), 200 inbox::Outcomes),
    operation!(Get "/inbox/{sha256}", certificates::show as "show_inbox", "Show one, and whose renewal it looks like", query NONE, body None, 200 certificates::KnownCertificate),
    operation!(Post "/inbox/{sha256}/approve", inbox::approve as "approve", "Give it to a user", query NONE, body Some(Shape::of::<inbox::Approve>()), 201 inbox::Approved),
    operation!(Post "/inbox/{sha256}/ignore", inbox::ignore as "ignore", "Do not list it again, or list it again", query NONE, body Some(Shape::of::<inbox::Ignore>()), 200 certificates::KnownCertificate),
    operation!(Post "/inbox/{sha256}/block", certificates::block as "block_inbox", "Keep it out", query NONE, body Some(Shape::of::<mappings::Reason>()), 201 certificates::Blocked),

    operation!(Post "/reissue", reissue::reissue as "reissue", "Carry over what is bound to one CA to another", query NONE, body Some(Shape::of::<reissue::Reissue>()), 200 reissue::Reissued),

    operation!(Ask "/explain", explain::certificate as "explain_certificate", "Say who a certificate is, and why", query NONE, body Some(Shape::of::<explain::Question>()), 200 explain::Explained),
    operation!(Get "/explain/{request_id}", explain::request as "explain_request", "Say why a request was denied", query NONE, body None, 200 explain::Explained),
    operation!(Get "/denied", denied::list as "list_denied", "List who was kept out, the newest first", query DENIED, body None, 200 Page<denied::Denial>),

    operation!(Get "/audit", audit::list as "list_audit", "List what was changed, the newest first", query AUDIT, body None, 200 Page<audit::Change>),
    operation!(Get "/audit/{id}", audit::show as "show_change", "Show one change: the row before and after", query NONE, body None, 200 audit::Change),
    operation!(Post "/audit/{id}/undo", audit::undo as "undo_change", "Put back what was there before", query TRANSACTION, body None, 200 audit::Undone),
];
