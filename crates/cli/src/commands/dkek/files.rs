//! Files of the group: share files, private texts, commitments.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::{
        fd::AsFd as _,
        unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use chancery_api::FailureKind;
use chancery_dkek::{commitment::Commitments, doctor::GivenShare, text};
use chancery_schsm::{Kcv, ShareFile, share_file::LENGTH};
use chancery_vtoken::atomic;
use zeroize::Zeroizing;

use crate::{
    commands::{read_input, write_output},
    error::CliError,
};

/// Reads a share file.
pub(super) fn share_file(path: &Path) -> Result<ShareFile, CliError> {
    let bytes = read_input(path, 64 * 1024)?;
    ShareFile::parse(&bytes).map_err(|error| {
        let text = format!("{}: {error}", path.display());
        // `openssl base64`, which sc-hsm-tool recommends for a printed copy.
        if bytes.starts_with(b"U2FsdGVkX1") {
            let name = path.display();
            CliError::with_remedy(
                FailureKind::Invalid,
                format!("{name} is a share file in base64"),
                format!("openssl base64 -d -in {name} -out FILE.pbe"),
            )
        } else {
            CliError::new(FailureKind::Invalid, text)
        }
    })
}

/// Writes a new share file, 0600; one that is there stays.
pub(super) fn write_share_file(path: &Path, file: &[u8; LENGTH]) -> Result<(), CliError> {
    atomic::create(path, file).map_err(CliError::file("write", path))
}

/// Whether a new file could be written here, found out before anything is shown.
pub(super) fn check_new(path: &Path) -> Result<(), CliError> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(CliError::with_remedy(
            FailureKind::Conflict,
            format!("{} is there already and is not replaced", path.display()),
            "choose another name",
        ));
    }
    crate::commands::check_output(path)
}

/// Reads a text that nobody else may read; `-` for standard input.
pub(super) fn private_text(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let failed = |error| CliError::file("read", path)(error);
    let mut file = if path == Path::new("-") {
        // Standard input itself: the buffer in front of it is never wiped.
        File::from(io::stdin().as_fd().try_clone_to_owned().map_err(failed)?)
    } else {
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
            return Err(CliError::with_remedy(
                FailureKind::Invalid,
                format!("others may read {}", path.display()),
                format!("chmod 600 {}", path.display()),
            ));
        }
        file
    };
    // As large as it gets from the start: a buffer that grows leaves what it held in freed memory.
    let mut bytes = Zeroizing::new(vec![0; text::MAX_TEXT + 1]);
    let mut length = 0;
    while let Some(rest @ [_, ..]) = bytes.get_mut(length..) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let text = bytes.get(..length).filter(|_| length <= text::MAX_TEXT);
    let text = text.and_then(|text| std::str::from_utf8(text).ok());
    text.map(|text| Zeroizing::new(text.to_owned())).ok_or_else(|| {
        CliError::new(
            FailureKind::Invalid,
            format!("{} is no text, or too long", path.display()),
        )
    })
}

/// The first line of a private file, as a password.
pub(super) fn password_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let text = private_text(path)?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.as_bytes().to_vec()))
}

/// The password shares in private files.
pub(super) fn share_texts(paths: &[PathBuf]) -> Result<Vec<GivenShare>, CliError> {
    let mut shares = Vec::new();
    for path in paths {
        let name = if path == Path::new("-") {
            "standard input".to_owned()
        } else {
            path.display().to_string()
        };
        shares.extend(given(&private_text(path)?, &name)?);
    }
    Ok(shares)
}

/// The password shares in a text.
pub(super) fn given(text: &str, name: &str) -> Result<Vec<GivenShare>, CliError> {
    let texts =
        text::parse(text).map_err(|error| CliError::new(FailureKind::Invalid, format!("{name}: {error}")))?;
    let one = texts.len() == 1;
    Ok(texts
        .into_iter()
        .map(|text| GivenShare {
            source: if one {
                name.to_owned()
            } else {
                format!("{name}, line {}", text.line)
            },
            text,
        })
        .collect())
}

/// Where the commitments of a share file's password shares are: beside it.
pub(super) fn commitments_path(file: &Path) -> PathBuf {
    file.with_extension("commitments.json")
}

/// Reads commitments.
pub(super) fn read_commitments(path: &Path) -> Result<Commitments, CliError> {
    let bytes = read_input(path, 64 * 1024)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        CliError::new(
            FailureKind::Invalid,
            format!(
                "{} holds no commitments of password shares: {error}",
                path.display()
            ),
        )
    })
}

/// The commitments beside a share file, if they are of this very file.
pub(super) fn commitments_of(path: &Path, file: &ShareFile) -> Option<Commitments> {
    let found = read_commitments(&commitments_path(path)).ok()?;
    (found.salt == file.salt()).then_some(found)
}

/// Writes commitments: public.
pub(super) fn write_commitments(path: &Path, commitments: &Commitments) -> Result<(), CliError> {
    let mut text = serde_json::to_string_pretty(commitments).map_err(|error| {
        CliError::new(
            FailureKind::Internal,
            format!("the commitments are no JSON: {error}"),
        )
    })?;
    text.push('\n');
    write_output(path, text.as_bytes())
}

/// Makes the directory for pages, for nobody else, unless it is there.
pub(super) fn page_directory(path: &Path) -> Result<(), CliError> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(CliError::file("make", path)(error))
        }
        _ => Ok(()),
    }
}

/// Writes one custodian's page, 0600; one that is there stays.
pub(super) fn write_page(path: &Path, page: &str) -> Result<(), CliError> {
    atomic::create(path, page.as_bytes()).map_err(CliError::file("write", path))
}

/// Reads a key check value: 16 hexadecimal digits.
pub(in crate::commands) fn kcv(text: &str) -> Result<Kcv, String> {
    let mut bytes = [0; 8];
    hex::decode_to_slice(text, &mut bytes)
        .map(|()| Kcv(bytes))
        .map_err(|_| {
            format!("{text:?} is no key check value: 16 hexadecimal digits, such as FCD76B667D1B2EBF")
        })
}
