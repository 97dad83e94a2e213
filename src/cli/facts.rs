//! Reads the files that an operator names: a certificate, a request's headers.

use std::io::{self, Read};
use std::path::Path;

use anyhow::Context as _;

use crate::pki::Certificate;

/// Largest certificate file: PEM of the largest certificate, with `openssl x509 -text` before it.
const MAX_FILE_BYTES: usize = 256 * 1024;

/// Reads exactly one certificate from a PEM or DER file.
pub(super) fn read_certificate(path: &Path) -> anyhow::Result<Certificate> {
    let bytes = read_bytes(path, MAX_FILE_BYTES, "a certificate")?;
    Certificate::from_file_bytes(&bytes)
        .with_context(|| format!("{} does not hold one certificate", path.display()))
}

/// Reads a file, or standard input for `-`, that should hold `what` in at most `limit` bytes.
pub(super) fn read_bytes(path: &Path, limit: usize, what: &str) -> anyhow::Result<Vec<u8>> {
    let place = || format!("cannot read {}", path.display());
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(std::fs::File::open(path).with_context(place)?)
    };
    let mut bytes = Vec::new();
    input.take(limit as u64 + 1).read_to_end(&mut bytes).with_context(place)?;
    anyhow::ensure!(
        bytes.len() <= limit,
        "{} is longer than {limit} bytes: not {what}",
        path.display()
    );
    Ok(bytes)
}
