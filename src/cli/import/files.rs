//! Which files are read, and as what. It opens them; what they say is for the readers.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;

use super::Import;
use super::progress::Progress;
use crate::cli::facts::read_certificate;
use crate::exchange::{Feed, MAX_FILE_BYTES, certificates, json, ldif, openssl, sheet};
use crate::pki::Certificate;

/// What a file is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Format {
    /// Users, mappings and blocks, as `certgate export` writes them
    Json,
    /// The same as a table
    Csv,
    /// PEM, DER or PKCS #7, or a folder of such files
    Certificates,
    /// The folder of an OpenSSL CA, or its index.txt
    Openssl,
    /// What a directory server exports
    Ldif,
}

/// Reads everything that the command names.
pub(super) fn read(args: &Import, progress: &mut Progress) -> anyhow::Result<Feed> {
    let mut feed = Feed::default();
    for path in &args.paths {
        let one = read_path(path, args, progress)?;
        feed.append(one);
    }
    Ok(feed)
}

fn read_path(path: &Path, args: &Import, progress: &mut Progress) -> anyhow::Result<Feed> {
    let is_folder = fs::metadata(path).with_context(|| path.display().to_string())?.is_dir();
    let is_index = path.file_name() == Some(OsStr::new(INDEX));
    let format = match args.format {
        Some(format) => Some(format),
        None if is_folder && path.join(INDEX).is_file() => Some(Format::Openssl),
        None if is_folder => Some(Format::Certificates),
        None if is_index => Some(Format::Openssl),
        None => None,
    };
    match format {
        Some(Format::Openssl) => {
            let folder = match path.parent() {
                Some(parent) if !is_folder => parent,
                _ => path,
            };
            openssl_folder(folder, args.ca.as_deref(), progress)
        }
        Some(Format::Certificates) if is_folder => folder(path, progress),
        Some(format) => {
            let bytes = bytes(path)?;
            Ok(as_format(format, path, &bytes, args))
        }
        None => {
            let bytes = bytes(path)?;
            Ok(as_format(looks_like(path, &bytes), path, &bytes, args))
        }
    }
}

fn as_format(format: Format, path: &Path, bytes: &[u8], args: &Import) -> Feed {
    let file = shown(path);
    match format {
        Format::Json => json::read(&file, bytes),
        Format::Csv => sheet::read(&file, bytes),
        Format::Ldif => ldif::read(&file, bytes, args.name_attribute.as_deref()),
        Format::Certificates | Format::Openssl => certificates::read(&file, bytes),
    }
}

/// By the ending of its name, else by what it begins with.
fn looks_like(path: &Path, bytes: &[u8]) -> Format {
    let ending = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    match ending.as_deref() {
        Some("json") => Format::Json,
        Some("csv") => Format::Csv,
        Some("ldif" | "ldf") => Format::Ldif,
        _ if bytes.trim_ascii_start().starts_with(b"{") => Format::Json,
        _ if ldif::is_like_one(bytes) => Format::Ldif,
        _ => Format::Certificates,
    }
}

/// Every file of certificates in a folder, by name; folders in it are not entered.
fn folder(path: &Path, progress: &mut Progress) -> anyhow::Result<Feed> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).with_context(|| path.display().to_string())? {
        let entry = entry.with_context(|| path.display().to_string())?;
        let is_one = entry.file_name().to_str().is_some_and(certificates::is_named_like_one);
        if is_one && entry.path().is_file() {
            names.push(entry.path());
        }
    }
    names.sort();
    let mut feed = Feed::default();
    for (number, name) in names.iter().enumerate() {
        progress.count("files read", number, names.len());
        feed.append(certificates::read(&shown(name), &bytes(name)?));
    }
    anyhow::ensure!(
        !names.is_empty(),
        "{}: no file of certificates (.pem, .crt, .cer, .der, .p7b, .p7c)",
        path.display()
    );
    Ok(feed)
}

fn openssl_folder(
    folder: &Path,
    ca: Option<&Path>,
    progress: &mut Progress,
) -> anyhow::Result<Feed> {
    let index = folder.join(INDEX);
    let text = bytes(&index)?;
    let authority = authority(folder, ca)?;
    let mut count = 0;
    let certificate = |serial: &str| {
        count += 1;
        progress.count("certificates read", count, 0);
        let names = [serial.to_owned(), serial.to_ascii_uppercase(), serial.to_ascii_lowercase()];
        let mut paths = openssl::CERTIFICATE_FOLDERS.iter().flat_map(|within| {
            names.iter().map(move |name| Path::new(within).join(format!("{name}.pem")))
        });
        paths.find_map(|path| bytes(&folder.join(path)).ok())
    };
    Ok(openssl::read(&shown(&index), &text, &authority, certificate))
}

/// The CA's certificate, as it is given or as it lies beside the index.
fn authority(folder: &Path, given: Option<&Path>) -> anyhow::Result<Certificate> {
    let found = openssl::AUTHORITY_FILES.iter().map(|name| folder.join(name));
    let path = given.map(PathBuf::from).or_else(|| found.into_iter().find(|path| path.is_file()));
    let path = path.with_context(|| {
        format!("{}: the CA's certificate is not there; name it with --ca", folder.display())
    })?;
    let authority = read_certificate(&path)?;
    anyhow::ensure!(authority.is_ca, "{}: not the certificate of a CA", path.display());
    Ok(authority)
}

fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = || -> io::Result<Vec<u8>> {
        let length = fs::metadata(path)?.len();
        if length > MAX_FILE_BYTES as u64 {
            return Err(io::Error::other(format!("is longer than {MAX_FILE_BYTES} bytes")));
        }
        fs::read(path)
    };
    read().with_context(|| path.display().to_string())
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// How OpenSSL calls the list of what a CA issued.
const INDEX: &str = "index.txt";
