//! Every readable file of a token, as it stands.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use chancery_driver::reading::{Cut, FileContent};
use chancery_driver::{AppletAccess, Error, reading};
use chancery_schsm::{Fid, fid};
use chancery_vtoken::atomic;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Longest file taken, in bytes; a longer one is cut and marked.
pub const MOST_BYTES: usize = 4 * 1024 * 1024;

/// A file of a token.
#[derive(Clone, Debug, Serialize)]
pub struct DumpedFile {
    /// Its file identifier.
    pub file: String,
    /// Length in bytes of what is known of it.
    pub length: usize,
    /// SHA-256 of that, hexadecimal.
    pub sha256: String,
    /// Why there is more than that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<&'static str>,
    /// Why it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// Its content.
    #[serde(serialize_with = "as_hex")]
    pub content: Vec<u8>,
}

/// Reads every file there is: those the token lists, those it never lists, and those beside each key. Keys are not files.
///
/// # Errors
/// The list cannot be had, or the link is gone. A file that cannot be read is named with the reason.
pub fn dump(card: &mut impl AppletAccess) -> Result<Vec<DumpedFile>, Error> {
    let objects = reading::objects(card)?;
    let mut listed: BTreeSet<Fid> = objects.iter().filter(|file| !file.is_key()).collect();
    let never_listed = [fid::DIR, fid::DEVICE_CERTIFICATES, fid::TOKEN_INFO, fid::SCRATCH];
    let beside_keys = objects
        .keys()
        .into_iter()
        .flat_map(|id| [fid::prkd(id), fid::certificate(id), fid::key_metadata(id)]);
    // Asked for, and no wonder when they are not there.
    let perhaps: BTreeSet<Fid> = never_listed
        .into_iter()
        .chain(beside_keys)
        .filter(|file| !listed.contains(file))
        .collect();
    listed.extend(&perhaps);
    let mut files = Vec::new();
    for file in listed {
        match reading::read(card, file, MOST_BYTES) {
            Ok(Some(content)) => files.push(readable(file, content)),
            Ok(None) if perhaps.contains(&file) => {}
            Ok(None) => files.push(unreadable(file, "it is listed, and not there".to_owned())),
            Err(error @ (Error::Link { .. } | Error::NotSelected { .. })) => return Err(error),
            Err(_) if perhaps.contains(&file) => {}
            Err(error @ Error::NotAuthenticated { .. }) => {
                files.push(unreadable(
                    file,
                    format!("private: {}", crate::text::causes(&error)),
                ));
            }
            Err(error) => files.push(unreadable(file, crate::text::causes(&error))),
        }
    }
    Ok(files)
}

/// Writes each file that was read to `FID.bin` in a new directory that its owner alone may read.
///
/// # Errors
/// The directory exists, or cannot be written; with the path concerned.
pub fn write(files: &[DumpedFile], directory: &Path) -> Result<(), (PathBuf, io::Error)> {
    DirBuilder::new()
        .mode(0o700)
        .create(directory)
        .map_err(|error| (directory.to_owned(), error))?;
    for file in files.iter().filter(|file| file.unreadable.is_none()) {
        let path = directory.join(format!("{}.bin", file.file));
        atomic::create(&path, &file.content).map_err(|error| (path, error))?;
    }
    Ok(())
}

fn readable(file: Fid, content: FileContent) -> DumpedFile {
    DumpedFile {
        file: file.to_string(),
        length: content.bytes.len(),
        sha256: hex::encode(Sha256::digest(&content.bytes)),
        cut: content.cut.map(|cut| match cut {
            Cut::Limit => "it is longer than the limit",
            Cut::Offset => "the token gives no more of it",
            Cut::Pieces => "the token gives it in pieces so small that it would not end",
        }),
        unreadable: None,
        content: content.bytes,
    }
}

fn unreadable(file: Fid, why: String) -> DumpedFile {
    DumpedFile {
        file: file.to_string(),
        length: 0,
        sha256: String::new(),
        cut: None,
        unreadable: Some(why),
        content: Vec::new(),
    }
}

fn as_hex<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}
