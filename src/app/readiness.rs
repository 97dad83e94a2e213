//! What `/readyz` says: 200 exactly while `/auth` can decide, and the details beside it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::decide::{Trust, View, ready_directory};
use crate::http::authorize::Gate;
use crate::http::ops::{OpsState, Readiness};
use crate::pki::UnixTime;
use crate::revocation::is_current;
use crate::seen::State;
use crate::store::Manner;

/// The state of the ops listener.
pub(super) fn ops_state(gate: &Arc<Gate>) -> OpsState {
    let metrics = gate.metrics.clone();
    let gate = Arc::clone(gate);
    OpsState { metrics, readiness: Arc::new(move || readiness(&gate)) }
}

fn readiness(gate: &Gate) -> Readiness {
    let now = (gate.now)();
    let directory = gate.replica.directory();
    let age = gate.replica.age(now);
    let view = View {
        directory: directory.as_deref(),
        age,
        now,
        trust: Trust::default(),
        policy: &gate.policy,
    };
    let reason = ready_directory(&view).err().map(|reason| reason.code());
    let rows = directory.as_deref().map(|directory| {
        json!({
            "users": directory.user_count(),
            "mappings": directory.mapping_count(),
            "blocks": directory.block_count(),
            "unusable_rows": directory.unusable().len(),
            "age_seconds": age.as_secs_f64(),
            "max_staleness_seconds": gate.policy.max_staleness.map(|limit| limit.as_secs_f64()),
        })
    });
    let trouble = gate.replica.trouble();
    let (state, seen_error) = gate.seen.status().current();
    let unchecked = match gate.input.reader().source {
        crate::proxy::Source::Certificate => &[][..],
        crate::proxy::Source::Headers => crate::config::HEADER_MODE_UNCHECKED,
    };
    Readiness {
        ready: reason.is_none(),
        reason,
        details: json!({
            "directory": rows,
            "database": {
                "following": trouble.is_none(),
                "manner": gate.replica.manner().map(Manner::as_str),
                "error": trouble,
            },
            "seen": {
                "writing": state == State::Writing,
                "state": state.as_str(),
                "error": seen_error,
                "dropped": gate.metrics.seen_dropped(),
            },
            "revocation": revocation(gate, now),
            "not_checked": unchecked,
        }),
    }
}

/// The CRLs in force, and the files that cannot be used; null where none is configured. No issuer's
/// name: anybody may read this.
fn revocation(gate: &Gate, now: UnixTime) -> Option<Value> {
    let authorities = gate.authorities.current();
    let unusable = gate.authorities.problems();
    let policy = gate.policy.trust.revocation.as_ref();
    if policy.is_none() && authorities.store.is_empty() && unusable.is_empty() {
        return None;
    }
    let grace = policy.map(|policy| policy.grace).unwrap_or_default();
    let lists = || authorities.lists.iter();
    Some(json!({
        "lists": lists().count(),
        "entries": lists().map(|list| list.len()).sum::<usize>(),
        "expired_lists": lists().filter(|list| !is_current(list, now, grace)).count(),
        "anchors": authorities.store.anchors().len(),
        "unusable_files": unusable.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
    }))
}
