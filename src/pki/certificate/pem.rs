//! PEM, RFC 7468: strictly for what a proxy sends, with some patience for files of people.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{CertificateError, MAX_CERTIFICATE_DER_BYTES};
use crate::pki::der;

/// Why a text is not exactly one PEM block of a certificate.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// Not base64, or not its canonical form.
    #[error("the PEM block is not canonical base64")]
    Base64,
    /// `Proc-Type` and the like, RFC 1421, which RFC 7468 forbids.
    #[error("the PEM block has headers")]
    Headers,
    /// A block of another kind.
    #[error("this is a PEM block of {label:?}, not of a certificate")]
    Label {
        /// What it says it is, cut to a limit.
        label: String,
    },
    /// A private key, and no certificate. It does not belong here.
    #[error("this is a private key, not a certificate: name the file with the certificate")]
    PrivateKey,
    /// More certificates than one.
    #[error("there are {count} certificates, where exactly one is wanted")]
    SeveralCertificates {
        /// How many.
        count: usize,
    },
    /// Something other than white space before or after the block.
    #[error("there is something beside the PEM block")]
    Surroundings,
    /// No block at all, or one that does not end.
    #[error("there is no complete PEM block")]
    Truncated,
}

/// The DER in a text that is one `CERTIFICATE` block and nothing else.
pub(super) fn strict(text: &[u8]) -> Result<Vec<u8>, CertificateError> {
    if text.len() > MAX_PEM_BYTES {
        return Err(CertificateError::TooLarge { bytes: text.len() });
    }
    let (block, rest) = Block::next(text)?.ok_or(PemError::Truncated)?;
    if !block.before.trim_ascii().is_empty() {
        return Err(PemError::Surroundings.into());
    }
    if block.label != CERTIFICATE {
        return Err(other_label(block.label).into());
    }
    if !rest.trim_ascii().is_empty() {
        let others = Blocks { rest }.filter(is_certificate).count();
        return Err(match others {
            0 => PemError::Surroundings.into(),
            _ => PemError::SeveralCertificates { count: others + 1 }.into(),
        });
    }
    decode(block.body)
}

/// The DER of the one certificate in a file of PEM, or `None` if the file is not PEM.
pub(super) fn from_file(bytes: &[u8]) -> Result<Option<Vec<u8>>, CertificateError> {
    if !is_pem(bytes) {
        return Ok(None);
    }
    if bytes.len() > MAX_FILE_BYTES {
        return Err(CertificateError::TooLarge { bytes: bytes.len() });
    }
    let blocks = Blocks { rest: bytes }.collect::<Result<Vec<_>, _>>()?;
    let mut certificates = blocks.iter().filter(|block| block.label == CERTIFICATE);
    match (certificates.next(), certificates.count()) {
        (Some(block), 0) => decode(block.body).map(Some),
        (Some(_), more) => Err(PemError::SeveralCertificates { count: more + 1 }.into()),
        (None, _) => {
            let label = blocks.first().map(|block| block.label).unwrap_or_default();
            Err(other_label(label).into())
        }
    }
}

/// The DER in every block of each of these labels, or `None` if the file is not PEM; with a call of
/// `pause` after every short step. Blocks of other labels are passed over; one that is broken or
/// does not end refuses the whole file, because what a truncated file still holds is not what was
/// meant.
pub(in crate::pki) fn all<const LABELS: usize>(
    bytes: &[u8],
    labels: [&[u8]; LABELS],
    pause: &mut dyn FnMut(),
) -> Result<Option<[Vec<Vec<u8>>; LABELS]>, PemError> {
    if !is_pem(bytes) {
        return Ok(None);
    }
    let mut found = [const { Vec::new() }; LABELS];
    let mut rest = bytes;
    while let Some((block, after)) = Block::next_in_steps(rest, pause)? {
        rest = after;
        let wanted = labels.iter().zip(&mut found).find(|(label, _)| **label == block.label);
        if let Some((_, found)) = wanted {
            found.push(decode_body(block.body, pause)?);
        }
    }
    Ok(Some(found))
}

/// What a block is called, and what stands between its lines.
pub(super) type Labelled<'a> = (&'a [u8], &'a [u8]);

/// Every block of a file with its label, or `None` if the file is not PEM. One that is broken or
/// does not end refuses the whole file.
pub(super) fn labelled(bytes: &[u8]) -> Result<Option<Vec<Labelled<'_>>>, PemError> {
    if !is_pem(bytes) {
        return Ok(None);
    }
    let blocks = Blocks { rest: bytes };
    blocks
        .map(|block| block.map(|block| (block.label, block.body)))
        .collect::<Result<_, _>>()
        .map(Some)
}

/// A file that is one DER value as a whole is not PEM, whatever stands in it: a certificate may
/// hold another one's PEM in a name, and must not pass for it.
fn is_pem(bytes: &[u8]) -> bool {
    der::single(bytes, der::SEQUENCE).is_err() && find(bytes, BEGIN).is_some()
}

fn is_certificate(block: &Result<Block<'_>, PemError>) -> bool {
    block.as_ref().is_ok_and(|block| block.label == CERTIFICATE)
}

pub(super) fn other_label(label: &[u8]) -> PemError {
    if label.ends_with(b"PRIVATE KEY") {
        return PemError::PrivateKey;
    }
    let label = String::from_utf8_lossy(label).chars().take(MAX_LABEL_CHARACTERS).collect();
    PemError::Label { label }
}

/// Decodes a certificate.
fn decode(body: &[u8]) -> Result<Vec<u8>, CertificateError> {
    let der = decode_body(body, &mut || {})?;
    if der.len() > MAX_CERTIFICATE_DER_BYTES {
        return Err(CertificateError::TooLarge { bytes: der.len() });
    }
    Ok(der)
}

/// Decodes what stands between the lines; white space of any kind may break it.
pub(super) fn decode_body(body: &[u8], pause: &mut dyn FnMut()) -> Result<Vec<u8>, PemError> {
    let body = body.trim_ascii();
    let mut der = Vec::with_capacity(body.len() / 4 * 3);
    let mut digits = Vec::with_capacity(body.len().min(STEP_BYTES) + 4);
    let mut steps = body.chunks(STEP_BYTES).peekable();
    while let Some(step) = steps.next() {
        digits.extend(step.iter().copied().filter(|byte| !byte.is_ascii_whitespace()));
        if digits.contains(&b':') {
            return Err(PemError::Headers);
        }
        // The last step ends in a digit, so that padding before it is in the middle.
        let is_last = steps.peek().is_none();
        let ready = if is_last { digits.len() } else { digits.len() / 4 * 4 };
        let group: Vec<u8> = digits.drain(..ready).collect();
        if !is_last && group.contains(&b'=') {
            return Err(PemError::Base64);
        }
        STANDARD.decode_vec(group, &mut der).map_err(|_| PemError::Base64)?;
        pause();
    }
    if der.is_empty() { Err(PemError::Base64) } else { Ok(der) }
}

/// A block, and what stands before it.
struct Block<'a> {
    before: &'a [u8],
    label: &'a [u8],
    body: &'a [u8],
}

impl<'a> Block<'a> {
    /// The next block and what follows it; `None` where no block begins.
    fn next(text: &'a [u8]) -> Result<Option<(Self, &'a [u8])>, PemError> {
        Self::next_in_steps(text, &mut || {})
    }

    fn next_in_steps(
        text: &'a [u8],
        pause: &mut dyn FnMut(),
    ) -> Result<Option<(Self, &'a [u8])>, PemError> {
        let Some((before, rest)) = split(text, BEGIN, pause) else {
            return Ok(None);
        };
        let (label, rest) = split(rest, DASHES, pause).ok_or(PemError::Truncated)?;
        let end = [END, label, DASHES].concat();
        let (body, rest) = split(rest, &end, pause).ok_or(PemError::Truncated)?;
        if !body.first().is_some_and(u8::is_ascii_whitespace) {
            return Err(PemError::Base64);
        }
        Ok(Some((Self { before, label, body }, rest)))
    }
}

/// All blocks of a text; it ends with the first that is broken.
struct Blocks<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<Block<'a>, PemError>;

    fn next(&mut self) -> Option<Self::Item> {
        match Block::next(self.rest).transpose()? {
            Ok((block, rest)) => {
                self.rest = rest;
                Some(Ok(block))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

fn split<'a>(text: &'a [u8], at: &[u8], pause: &mut dyn FnMut()) -> Option<(&'a [u8], &'a [u8])> {
    let mut start = 0;
    let found = loop {
        // What is wanted may begin in this step and end in the next.
        let end = text.len().min(start + STEP_BYTES + at.len());
        if let Some(found) = find(text.get(start..end)?, at) {
            break start + found;
        }
        start += STEP_BYTES;
        pause();
    };
    let (before, rest) = text.split_at_checked(found)?;
    Some((before, rest.get(at.len()..)?))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let begins = |window: &[u8]| window.first() == wanted.first();
    text.windows(wanted.len()).position(|window| begins(window) && window == wanted)
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
const CERTIFICATE: &[u8] = b"CERTIFICATE";
/// Bytes: base64 of the largest certificate, with a line end after every 64 characters, twice.
const MAX_PEM_BYTES: usize = 2 * (MAX_CERTIFICATE_DER_BYTES / 3 * 4);
/// Bytes: a bundle with a key and text, of an operator's own; it bounds the search.
const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes between two pauses: some tens of microseconds.
const STEP_BYTES: usize = 16 * 1024;
/// Characters of a label that an error repeats.
const MAX_LABEL_CHARACTERS: usize = 40;
