//! The files that CRLs and CAs' certificates are in: which there are, and whether one has changed.
//!
//! It reads bytes and knows nothing of what is in them.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::pki::UnixTime;

/// Where to look.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// CRL files, or folders of them; issuers' certificates may lie beside them.
    pub crl: Vec<PathBuf>,
    /// Files of the CAs that a chain may end in.
    pub anchors: Vec<PathBuf>,
    /// Files of the CAs in between.
    pub intermediates: Vec<PathBuf>,
}

impl Sources {
    /// Whether there is nothing to look at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.crl.is_empty() && self.anchors.is_empty() && self.intermediates.is_empty()
    }
}

/// What tells one state of a file from the next, without reading it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The stamp of a file at this moment; none if there is no such file.
    pub(super) fn look(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().filter(Metadata::is_file).map(|metadata| Self::of(&metadata))
    }

    /// Whether a later write would show: file times are coarse, so that two writes within a moment
    /// can have the same ones.
    pub(super) fn is_settled(&self, now: UnixTime) -> bool {
        let youngest = self.modified.0.max(self.changed.0);
        now.as_seconds().saturating_sub(youngest) > SETTLING_SECONDS
    }
}

/// A file's bytes with the stamp that they had; `pause` is called after every piece.
pub(super) fn read(path: &Path, pause: &mut dyn FnMut()) -> Result<(Vec<u8>, Stamp), ReadError> {
    let file = File::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    if stamp.size > MAX_FILE_BYTES {
        return Err(ReadError::TooLarge);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(stamp.size).unwrap_or_default());
    let mut file = file.take(MAX_FILE_BYTES + 1);
    while file.by_ref().take(PIECE_BYTES).read_to_end(&mut bytes)? > 0 {
        pause();
    }
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ReadError::TooLarge);
    }
    if bytes.is_empty() {
        return Err(ReadError::Empty);
    }
    Ok((bytes, stamp))
}

/// Why a file has no bytes to offer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// Nothing in it, as while somebody writes it.
    #[error("the file is empty")]
    Empty,
    /// The system's reason.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Above [`MAX_FILE_BYTES`].
    #[error("the file has more than {MAX_FILE_BYTES} bytes")]
    TooLarge,
    /// Above [`MAX_FILES`].
    #[error("the folder has more than {MAX_FILES} files")]
    TooManyFiles,
}

/// The file itself, or the files in a folder: not those below it, and none whose name begins with a
/// dot, as names of files that are still being written do.
pub(super) fn files_of(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_hidden || !fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file()) {
            continue;
        }
        if files.len() == MAX_FILES {
            return Err(ReadError::TooManyFiles);
        }
        files.push(entry.path());
    }
    files.sort_unstable();
    Ok(files)
}

/// Bytes: a CRL of a million entries has 35 MiB, in PEM 48; ten times that is a mistake.
const MAX_FILE_BYTES: u64 = 512 * 1024 * 1024;
/// Bytes that are read in one go: some tens of microseconds.
const PIECE_BYTES: u64 = 64 * 1024;
/// Files in one folder: one for each CA; thousands are a wrong folder.
const MAX_FILES: usize = 1024;
/// Seconds: coarser than the times of any file system in use (FAT has 2).
const SETTLING_SECONDS: i64 = 2;
