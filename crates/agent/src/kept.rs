//! Files that this side keeps: their owner's alone, whole or not at all, and changed by one process at a time.

use std::{
    fs::{self, File, OpenOptions},
    io::Read as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use chancery_vtoken::atomic;
use serde::de::DeserializeOwned;

use crate::AgentError;

/// Longest file that is kept, in bytes.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// This process's turn to change a file; the next one's when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Locked until it is closed.
    _file: File,
}

impl Turn {
    /// Waits for the turn to change `path`. Its directory is made when it is missing, mode 0700.
    pub(crate) fn wait(path: &Path) -> Result<Self, AgentError> {
        if let Some(directory) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(AgentError::file(directory))?;
        }
        let lock = path.with_extension("lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock)
            .map_err(AgentError::file(&lock))?;
        file.lock().map_err(AgentError::file(&lock))?;
        Ok(Self { _file: file })
    }
}

/// Reads a file of JSON; `None` when there is none.
pub(crate) fn load_private<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, AgentError> {
    if !path.try_exists().map_err(AgentError::file(path))? {
        return Ok(None);
    }
    let mut text = Vec::new();
    open_private(path)?
        .take(MOST_BYTES)
        .read_to_end(&mut text)
        .map_err(AgentError::file(path))?;
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| AgentError::BadFile {
            path: path.to_owned(),
            why: error.to_string(),
        })
}

/// Writes a file that only its owner may read, whole or not at all, durable when this returns.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), AgentError> {
    atomic::replace(path, content).map_err(AgentError::file(path))
}

/// Opens a file that nobody but its owner may read or write.
pub(crate) fn open_private(path: &Path) -> Result<File, AgentError> {
    let file = File::open(path).map_err(AgentError::file(path))?;
    let metadata = file.metadata().map_err(AgentError::file(path))?;
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        return Err(AgentError::BadFile {
            path: path.to_owned(),
            why: format!("others may read it; type: chmod 600 {}", path.display()),
        });
    }
    Ok(file)
}
