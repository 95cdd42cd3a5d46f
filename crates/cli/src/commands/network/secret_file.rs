//! Where a ticket goes: a file of its owner alone, or the screen when that was asked for.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::error::CliError;

/// Where a ticket goes.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct TicketOutput {
    /// Write the ticket to this new file, readable by its owner alone; it is not shown
    #[arg(long, value_name = "FILE")]
    ticket_file: Option<PathBuf>,
    /// Show the ticket
    #[arg(long)]
    show: bool,
}

impl TicketOutput {
    /// Makes the file before there is a ticket: it is told once.
    pub(super) fn open(&self) -> Result<Option<SecretFile>, CliError> {
        self.ticket_file.as_deref().map(SecretFile::new).transpose()
    }
}

/// A new file, mode 0600, that goes away again unless something was written.
pub(crate) struct SecretFile {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl SecretFile {
    /// Makes the file; nothing may be there yet.
    pub(crate) fn new(path: &Path) -> Result<Self, CliError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(CliError::file("write", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            kept: false,
        })
    }

    /// Writes and keeps it.
    pub(crate) fn write(mut self, content: &[u8]) -> Result<PathBuf, CliError> {
        self.file
            .write_all(content)
            .and_then(|()| self.file.sync_all())
            .map_err(CliError::file("write", &self.path))?;
        self.kept = true;
        Ok(std::mem::take(&mut self.path))
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        if !self.kept {
            // It was made here and is empty, or half a ticket.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_file_is_new_private_and_gone_unless_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ticket");
        drop(SecretFile::new(&path).unwrap());
        assert!(!path.exists());
        SecretFile::new(&path).unwrap().write(b"ticket\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert!(
            SecretFile::new(&path).is_err(),
            "what is there is not overwritten"
        );
        assert_eq!(fs::read(&path).unwrap(), b"ticket\n");
    }
}
