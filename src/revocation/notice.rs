//! Has the system tell of files that change, so that a new CRL holds within a blink.
//!
//! It only wakes the watch, which looks every second all the same: what the system does not tell of
//! (network file systems, a folder that came later) is found then.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::sources::Sources;

/// Calls `wake` after each change in a folder that a source is, or is in, until it returns false.
///
/// # Errors
/// The system does not tell of changes, or has no thread to give.
pub(super) fn listen(
    sources: &Sources,
    wake: impl Fn() -> bool + Send + 'static,
) -> io::Result<()> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
    let what = AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_MOVED_TO;
    for folder in folders(sources) {
        if let Err(error) = inotify.add_watch(&folder, what) {
            tracing::warn!(file.path = %folder.display(), %error,
                "changes in this folder are seen by looking every second only");
        }
    }
    thread::Builder::new().name("notice".to_owned()).spawn(move || {
        loop {
            match inotify.read_events() {
                Ok(_) if wake() => {}
                Err(Errno::EINTR) => {}
                Ok(_) | Err(_) => return,
            }
        }
    })?;
    Ok(())
}

/// The folders in which a file can be replaced: of a folder its parent too, where it may itself be
/// a link that is set anew.
fn folders(sources: &Sources) -> BTreeSet<PathBuf> {
    let paths = sources.crl.iter().chain(&sources.anchors).chain(&sources.intermediates);
    paths
        .flat_map(|path| {
            let parent = path.parent().map(|parent| match parent.as_os_str().is_empty() {
                true => Path::new("."),
                false => parent,
            });
            let itself = path.is_dir().then_some(&**path);
            parent.into_iter().chain(itself).map(Path::to_owned)
        })
        .collect()
}
