//! Wires the files of CRLs and CAs: read once before anybody is answered, then watched.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::gate;
use crate::config::{Config, Policy};
use crate::metrics::Metrics;
use crate::revocation::watch::{Waker, Watch};
use crate::revocation::{Loader, Published};

/// The files, being watched; the watch ends when this is dropped.
pub(super) struct Watching {
    /// What they say.
    pub(super) published: Arc<Published>,
    reload: JoinHandle<()>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.reload.abort();
    }
}

/// Reads everything once and goes on watching.
///
/// # Errors
/// A file of CAs that cannot be used. With `revocation.unknown = "allow"` a file of CRLs too: there
/// is nothing older to go on with, and what it revokes would be let in. With `deny` it keeps out.
pub(super) async fn watch(config: &Config, metrics: &Metrics) -> anyhow::Result<Watching> {
    let published = Arc::new(Published::default());
    let sources = gate::sources(config);
    let is_needed = !sources.is_empty();
    let mut watch = Watch {
        loader: Loader::new(sources),
        published: Arc::clone(&published),
        metrics: metrics.clone(),
        now: super::now,
    };
    let waker = if is_needed {
        // A million entries take seconds, and nobody waits for this thread yet.
        let (watch, refused) = tokio::task::spawn_blocking({
            let config = config.clone();
            move || {
                let refused = watch.look_first().iter().find_map(|(path, why)| {
                    is_fatal(&config, path).then(|| format!("{}: {why}", path.display()))
                });
                (watch, refused)
            }
        })
        .await
        .context("cannot read CRLs and CAs")?;
        if let Some(refused) = refused {
            anyhow::bail!("{refused}");
        }
        Some(watch.spawn().context("cannot watch the files of CRLs and CAs")?)
    } else {
        None
    };
    // Without anything to read anew, a SIGHUP must still not end the service.
    let mut hangups = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    let reload = tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            tracing::info!("SIGHUP: reading the files of CRLs and CAs anew");
            waker.iter().for_each(Waker::read_everything);
        }
    });
    Ok(Watching { published, reload })
}

fn is_fatal(config: &Config, path: &PathBuf) -> bool {
    let trust = &config.trust;
    if trust.anchors.contains(path) || trust.intermediates.contains(path) {
        return true;
    }
    config.revocation.unknown == Policy::Allow
}
