//! What is in a file: lists, certificates, or a reason why neither. It verifies nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::sources::{self, Stamp};
use crate::pki::{Certificate, SignedList, split_lists};

/// What a CRL file holds.
pub(super) struct Contents {
    pub(super) certificates: Vec<Certificate>,
    pub(super) lists: Vec<Vec<u8>>,
}

/// Reads a file of CRLs, of issuers' certificates, or of both.
pub(super) fn read_contents(
    path: &Path,
    pause: &mut dyn FnMut(),
) -> Result<(Contents, Stamp), String> {
    let (bytes, stamp) = sources::read(path, pause).map_err(|error| error.to_string())?;
    let contents = catch_unwind(AssertUnwindSafe(|| contents(bytes, pause)));
    Ok((contents.unwrap_or_else(|_| Err(DEFECT.to_owned()))?, stamp))
}

fn contents(bytes: Vec<u8>, pause: &mut dyn FnMut()) -> Result<Contents, String> {
    let Some(file) = split_lists(&bytes, pause).map_err(|error| error.to_string())? else {
        return match SignedList::from_der(&bytes) {
            Ok(_) => Ok(Contents { certificates: Vec::new(), lists: vec![bytes] }),
            Err(error) => match Certificate::from_der(&bytes) {
                Ok(issuer) => Ok(Contents { certificates: vec![issuer], lists: Vec::new() }),
                Err(_) => Err(error.to_string()),
            },
        };
    };
    let certificates = file.certificates.iter().map(|der| Certificate::from_der(der));
    let certificates: Vec<_> =
        certificates.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if file.lists.is_empty() && certificates.is_empty() {
        return Err("there is neither a CRL nor a certificate in it".to_owned());
    }
    Ok(Contents { certificates, lists: file.lists })
}

/// Reads a file of CAs' certificates.
pub(super) fn read_authorities(path: &Path) -> Result<Vec<Certificate>, String> {
    let (bytes, _) = sources::read(path, &mut || {}).map_err(|error| error.to_string())?;
    let read = catch_unwind(AssertUnwindSafe(|| {
        Certificate::all_from_file_bytes(&bytes).map_err(|error| error.to_string())
    }));
    let authorities = read.unwrap_or_else(|_| Err(DEFECT.to_owned()))?;
    if authorities.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    Ok(authorities)
}

/// What is told of a file on which the reader itself fails.
pub(super) const DEFECT: &str =
    "reading it met a defect of this program; please report it with the file";
