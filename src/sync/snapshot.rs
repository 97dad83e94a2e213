//! The directory in a file, for a start while the database is away.
//!
//! The file is written whole beside itself and renamed, so a reader finds the old one or the new
//! one. It is believed only if nobody else can have written it, if every byte of it is as it was
//! written, and if it is of the configured database. What is in doubt is refused: then there is
//! no directory, and the answer is 503.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use sha2::{Digest as _, Sha256};

use crate::directory::{Builder, Directory, PART_VERSION, Part, PartError, Settings};
use crate::pki::UnixTime;

/// The first line of every snapshot.
const MAGIC: &[u8] = b"certgate snapshot\n";
/// Longest description; a URL and a few numbers.
const MAX_ABOUT_BYTES: usize = 64 * 1024;
/// Longest piece: the columns of a rule have bounds far below.
const MAX_PART_BYTES: usize = 1024 * 1024;
/// Stands where a piece's letter would, after the last one.
const END: u8 = b'.';
/// Whoever may write these bits of a mode can put another file in place.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// In a folder with this bit nobody takes away another's file.
const STICKY: u32 = 0o1000;

/// Where the snapshot is kept, and of what.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    /// `directory.snapshot_file`
    pub path: PathBuf,
    /// The database as a message names it, without its password.
    pub database: String,
    /// The schema's version that the program knows.
    pub schema: i64,
    /// What was configured of names: a directory is made with it.
    pub settings: Settings,
}

/// The first piece of the file, JSON.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct About {
    /// [`PART_VERSION`]
    version: u32,
    schema: i64,
    database: String,
    group_separator: char,
    /// When what is in it was known to be true, in microseconds since 1970.
    true_at: UnixTime,
}

/// Why there is no snapshot to start from, or none could be written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file system said no.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// Not the file of this very user, or one that others can write.
    #[error("{}: {why}; a snapshot counts only if nobody else can write it", .path.display())]
    NotOurs {
        /// The file, or its folder.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Not what was written.
    #[error("{}: the file is damaged: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Of another database, another program or another time.
    #[error("{}: {why}", .path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why it cannot serve.
        why: String,
    },
}

impl SnapshotFile {
    /// Writes what was true at `true_at`.
    ///
    /// # Errors
    /// The old file then still stands.
    pub fn write(&self, directory: &Directory, true_at: UnixTime) -> Result<(), SnapshotError> {
        let io = |error| SnapshotError::Io { path: self.path.clone(), error };
        let folder = folder_of(&self.path);
        let mut name = self.path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.new", std::process::id()));
        let new = folder.join(name);
        let result = self.write_to(&new, directory, true_at).and_then(|()| {
            std::fs::rename(&new, &self.path)?;
            // The name, too, must outlast a power cut.
            File::open(&folder)?.sync_all()
        });
        if result.is_err() {
            // It may never have come to be; what counts is the first error.
            let _ = std::fs::remove_file(&new);
        }
        result.map_err(io)
    }

    fn write_to(&self, new: &Path, directory: &Directory, true_at: UnixTime) -> io::Result<()> {
        // What a process of this number left when it was killed.
        match std::fs::remove_file(new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
        let mut out = Hashing { inner: BufWriter::new(file), hash: Sha256::new() };
        let about = About {
            version: PART_VERSION,
            schema: self.schema,
            database: self.database.clone(),
            group_separator: self.settings.group_separator,
            true_at,
        };
        out.write_all(MAGIC)?;
        let about = serde_json::to_vec(&about)?;
        out.write_piece(b'{', &about)?;
        for (part, bytes) in directory.parts() {
            out.write_piece(part.letter(), &bytes)?;
        }
        out.write_all(&[END])?;
        let Hashing { mut inner, hash } = out;
        inner.write_all(&hash.finalize())?;
        inner.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }

    /// Reads it, and when it was true.
    ///
    /// # Errors
    /// Whatever makes it doubtful; there is nothing to start from then.
    pub fn read(&self, now: UnixTime) -> Result<(Directory, UnixTime), SnapshotError> {
        let io = |error| SnapshotError::Io { path: self.path.clone(), error };
        check_folder(&folder_of(&self.path))?;
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&self.path);
        let file = file.map_err(io)?;
        self.check_file(&file.metadata().map_err(io)?)?;
        let mut reader = Hashing { inner: BufReader::new(file), hash: Sha256::new() };
        let true_at = self.read_about(&mut reader, now)?;
        let mut builder = Builder::new(&self.settings);
        let mut piece = Vec::new();
        while let Some(letter) = self.damaged(reader.read_piece(&mut piece, MAX_PART_BYTES))? {
            let part = Part::ALL.into_iter().find(|part| part.letter() == letter);
            let part = part.ok_or_else(|| self.damage("an unknown piece"))?;
            let restored = builder.restore(part, &piece);
            restored.map_err(|error: PartError| self.damage(error))?;
        }
        let Hashing { mut inner, hash } = reader;
        let mut sum = [0; 32];
        self.damaged(inner.read_exact(&mut sum))?;
        if sum[..] != hash.finalize()[..] {
            return Err(self.damage("its checksum differs"));
        }
        if self.damaged(inner.read(&mut [0]))? != 0 {
            return Err(self.damage("something follows its end"));
        }
        Ok((builder.finish(), true_at))
    }

    fn read_about(
        &self,
        reader: &mut Hashing<impl Read>,
        now: UnixTime,
    ) -> Result<UnixTime, SnapshotError> {
        let unfit = |why: String| SnapshotError::Unfit { path: self.path.clone(), why };
        let mut magic = vec![0; MAGIC.len()];
        self.damaged(reader.read_exact(&mut magic))?;
        if magic != MAGIC {
            return Err(self.damage("it is no snapshot"));
        }
        let mut about = Vec::new();
        let letter = self.damaged(reader.read_piece(&mut about, MAX_ABOUT_BYTES))?;
        if letter != Some(b'{') {
            return Err(self.damage("it does not say of what it is"));
        }
        let about: About = serde_json::from_slice(&about).map_err(|error| self.damage(error))?;
        if (about.version, about.schema) != (PART_VERSION, self.schema) {
            return Err(unfit("it was written by another version of certgate".to_owned()));
        }
        if about.database != self.database {
            return Err(unfit(format!("it is of {}, not of {}", about.database, self.database)));
        }
        if about.group_separator != self.settings.group_separator {
            return Err(unfit("it was written with another output.group_separator".to_owned()));
        }
        if about.true_at > now {
            return Err(unfit(format!("it is from the future ({})", about.true_at)));
        }
        Ok(about.true_at)
    }

    fn check_file(&self, found: &Metadata) -> Result<(), SnapshotError> {
        let not_ours = |why| Err(SnapshotError::NotOurs { path: self.path.clone(), why });
        if !found.is_file() {
            return not_ours("it is no regular file");
        }
        if found.uid() != geteuid().as_raw() {
            return not_ours("it belongs to another user");
        }
        if found.permissions().mode() & WRITABLE_BY_OTHERS != 0 {
            return not_ours("others may write it");
        }
        Ok(())
    }

    fn damaged<T>(&self, result: io::Result<T>) -> Result<T, SnapshotError> {
        result.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damage("it ends too early"),
            io::ErrorKind::InvalidData => self.damage(error),
            _ => SnapshotError::Io { path: self.path.clone(), error },
        })
    }

    fn damage(&self, why: impl ToString) -> SnapshotError {
        SnapshotError::Damaged { path: self.path.clone(), why: why.to_string() }
    }
}

/// A folder in which others can put files is no place for one that is believed.
fn check_folder(folder: &Path) -> Result<(), SnapshotError> {
    let path = folder.to_owned();
    let found = match std::fs::metadata(folder) {
        Ok(found) => found,
        Err(error) => return Err(SnapshotError::Io { path, error }),
    };
    let mode = found.permissions().mode();
    if mode & WRITABLE_BY_OTHERS != 0 && mode & STICKY == 0 {
        return Err(SnapshotError::NotOurs { path, why: "others may write this folder" });
    }
    if ![0, geteuid().as_raw()].contains(&found.uid()) {
        return Err(SnapshotError::NotOurs { path, why: "this folder belongs to another user" });
    }
    Ok(())
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Hashes all that passes through.
struct Hashing<T> {
    inner: T,
    hash: Sha256,
}

impl<T: Write> Hashing<T> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }

    /// A letter, a length in four octets, the bytes.
    fn write_piece(&mut self, letter: u8, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a row of over 4 GiB"))?;
        self.write_all(&[letter])?;
        self.write_all(&length.to_le_bytes())?;
        self.write_all(bytes)
    }
}

impl<T: Read> Hashing<T> {
    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.hash.update(&*bytes);
        Ok(())
    }

    /// The letter of the next piece, whose bytes it leaves in `piece`; none at the end.
    fn read_piece(&mut self, piece: &mut Vec<u8>, limit: usize) -> io::Result<Option<u8>> {
        let mut letter = [0];
        self.read_exact(&mut letter)?;
        let [letter] = letter;
        if letter == END {
            return Ok(None);
        }
        let mut length = [0; 4];
        self.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > limit {
            let why = "a piece is longer than any can be";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        piece.resize(length, 0);
        self.read_exact(piece)?;
        Ok(Some(letter))
    }
}

#[cfg(test)]
mod tests;
