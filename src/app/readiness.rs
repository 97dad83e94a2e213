//! What `/readyz` says: 200 exactly while `/auth` can decide, and the details beside it.

use std::sync::Arc;

use serde_json::json;

use crate::decide::{View, ready_directory};
use crate::http::authorize::Gate;
use crate::http::ops::{OpsState, Readiness};

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
    let view = View { directory: directory.as_deref(), age, now, policy: &gate.policy };
    let reason = ready_directory(&view).err().map(|reason| reason.code());
    let rows = directory.as_deref().map(|directory| {
        json!({
            "users": directory.user_count(),
            "mappings": directory.mapping_count(),
            "blocks": directory.block_count(),
            "unusable_rows": directory.unusable().len(),
            "age_seconds": age.as_secs_f64(),
        })
    });
    let trouble = gate.replica.trouble();
    let unchecked = match gate.reader.source {
        crate::proxy::Source::Certificate => &[][..],
        crate::proxy::Source::Headers => crate::config::HEADER_MODE_UNCHECKED,
    };
    Readiness {
        ready: reason.is_none(),
        reason,
        details: json!({
            "directory": rows,
            "database": { "following": trouble.is_none(), "error": trouble },
            "not_checked": unchecked,
        }),
    }
}
