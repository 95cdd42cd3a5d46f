//! More readers than Debian's configuration gives: the files pcscd needs for them.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use chancery_api::FailureKind;
use chancery_reader::vpcd::{DRIVER, READER_CONF, ReaderEntry};

use crate::error::CliError;

/// Copies of the driver are kept here: a folder of the administrator's, as code that pcscd runs.
const DRIVERS: &str = "/usr/local/lib/chancery";

/// Where entries and driver copies go.
pub(super) struct ReaderConf {
    entries: PathBuf,
    drivers: PathBuf,
}

impl ReaderConf {
    /// In a folder of entries; the default is pcscd's own.
    pub(super) fn new(entries: Option<&Path>) -> Self {
        match entries {
            Some(entries) if entries != Path::new(READER_CONF) => Self {
                entries: entries.to_owned(),
                drivers: entries.with_extension("drivers"),
            },
            _ => Self {
                entries: READER_CONF.into(),
                drivers: DRIVERS.into(),
            },
        }
    }

    /// The entries needed.
    pub(super) fn needed(&self, port: u16, tokens: usize) -> Result<Vec<ReaderEntry>, CliError> {
        ReaderEntry::needed(port, tokens, &self.drivers).ok_or_else(|| {
            CliError::new(
                FailureKind::Invalid,
                format!("{tokens} tokens from port {port} on need ports above 65535"),
            )
        })
    }

    /// What a person does to have an entry.
    pub(super) fn by_hand(&self, entry: &ReaderEntry) -> String {
        format!(
            "as root: install -D -m 644 {DRIVER} {driver} (two readers of one driver file mix up their tokens), and a file \
             {file} with\n{text}then systemctl restart pcscd; --write-reader-conf does the first two",
            driver = entry.driver.display(),
            file = self.entries.join(entry.file_name()).display(),
            text = entry
                .text()
                .lines()
                .map(|line| format!("    {line}\n"))
                .collect::<String>(),
        )
    }

    /// Writes an entry and its copy of the driver; whether anything was changed.
    pub(super) fn write(&self, entry: &ReaderEntry) -> Result<bool, CliError> {
        let driver = fs::read(DRIVER).map_err(|error| {
            CliError::with_remedy(
                FailureKind::Unavailable,
                format!("cannot read pcscd's driver {DRIVER}: {error}"),
                "apt install vsmartcard-vpcd",
            )
        })?;
        let copied = replace(&entry.driver, &driver)?;
        let told = replace(&self.entries.join(entry.file_name()), entry.text().as_bytes())?;
        Ok(copied || told)
    }
}

/// Writes a public file whole or not at all, unless it has this content; whether it was written.
fn replace(path: &Path, content: &[u8]) -> Result<bool, CliError> {
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(false);
    }
    let parent = path.parent().unwrap_or_else(|| Path::new("/"));
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    // Over a name: pcscd may have the old file in use. A name that begins so is no entry to it.
    let beside = parent.join(format!(
        ".{}",
        Path::new(&beside).file_name().unwrap_or_default().display()
    ));
    let written = DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(parent)
        .and_then(|()| fs::write(&beside, content))
        .and_then(|()| fs::set_permissions(&beside, fs::Permissions::from_mode(0o644)))
        .and_then(|()| fs::rename(&beside, path));
    match written {
        Ok(()) => Ok(true),
        Err(error) => {
            // What is left beside the file is of no use.
            let _ = fs::remove_file(&beside);
            let failed = CliError::file("write", path)(io::Error::from(error.kind()));
            Err(if error.kind() == io::ErrorKind::PermissionDenied {
                failed.and_then_do("run this as root once")
            } else {
                failed
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        assert!(replace(&path, b"1").unwrap());
        assert!(!replace(&path, b"1").unwrap());
        assert!(replace(&path, b"2").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 1);
    }
}
