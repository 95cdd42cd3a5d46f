//! The record of operations, and the faults that are put in.

use std::{
    collections::BTreeMap,
    ffi::{OsString, c_int},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use libsqlite3_sys::{SQLITE_CANTOPEN, SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE, SQLITE_OK};
use thiserror::Error;

use crate::disk::{Disk, FileId, Operation};

/// What happened in one directory, in order.
#[derive(Debug, Clone)]
pub struct Recording(Vec<Operation>);

impl Recording {
    /// The operations.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.0
    }

    /// The disk after all of them.
    #[must_use]
    pub fn disk(&self) -> Disk {
        let mut disk = Disk::default();
        self.0.iter().for_each(|operation| disk.apply(operation));
        disk
    }
}

/// The real disk failed, so that nobody knows what is on it and the record is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an operation on the real disk failed with SQLite's code {code}")]
pub struct RecordingError {
    /// SQLite's extended result code.
    pub code: i32,
}

/// Records what happens to the files directly in one directory. Each operation is done and recorded under one lock, so
/// that the record has them in their true order.
#[derive(Debug)]
pub(crate) struct Recorder {
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    operations: Vec<Operation>,
    /// Files by the names they have now.
    names: BTreeMap<OsString, FileId>,
    files: usize,
    writes: u64,
    /// Writes that still go through; `None` = all.
    writes_left: Option<u64>,
    syncs_fail: bool,
    real_failure: Option<RecordingError>,
}

impl Recorder {
    /// `directory` has no symbolic links in it.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            state: Mutex::default(),
        }
    }

    pub(crate) fn recording(&self) -> Result<Recording, RecordingError> {
        let state = self.state();
        match state.real_failure {
            Some(error) => Err(error),
            None => Ok(Recording(state.operations.clone())),
        }
    }

    pub(crate) fn operations(&self) -> usize {
        self.state().operations.len()
    }

    pub(crate) fn writes(&self) -> u64 {
        self.state().writes
    }

    pub(crate) fn set_writes_left(&self, writes: Option<u64>) {
        self.state().writes_left = writes;
    }

    pub(crate) fn set_syncs_fail(&self, fail: bool) {
        self.state().syncs_fail = fail;
    }

    /// Opens a file by `forward`; the answer is its code and, for a file that is recorded, its number.
    pub(crate) fn open(
        &self,
        path: Option<&Path>,
        forward: impl FnOnce() -> c_int,
    ) -> (c_int, Option<FileId>) {
        let Some((path, name)) = path.and_then(|path| Some((path, self.name_here(path)?))) else {
            return (forward(), None);
        };
        let mut state = self.state();
        // Asked before the real opening, which may make the file. A file is read at most once, and before this layer
        // has it open: closing a file gives up the locks that its process holds on it.
        let before = match (path.exists(), state.names.get(&name)) {
            (false, _) => None,
            (true, Some(known)) => {
                let known = *known;
                return (forward(), Some(known));
            }
            (true, None) => match std::fs::read(path) {
                Ok(content) => Some(content),
                Err(_) => return (SQLITE_CANTOPEN, None),
            },
        };
        let code = forward();
        if code != SQLITE_OK {
            return (code, None);
        }
        let id = FileId(state.files);
        state.files += 1;
        state.names.insert(name.clone(), id);
        state.operations.push(match before {
            Some(content) => Operation::Found {
                name,
                content: content.into(),
            },
            None => Operation::Create { name },
        });
        (code, Some(id))
    }

    /// Writes `bytes` by `forward`, or half of them when no space is left.
    pub(crate) fn write(
        &self,
        file: FileId,
        offset: usize,
        bytes: &[u8],
        forward: impl FnOnce(&[u8]) -> c_int,
    ) -> c_int {
        let mut state = self.state();
        state.writes += 1;
        let fits = match &mut state.writes_left {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        };
        let written = if fits {
            bytes
        } else {
            bytes.get(..bytes.len() / 2).unwrap_or_default()
        };
        if !written.is_empty() {
            let operation = Operation::Write {
                file,
                offset,
                bytes: written.into(),
            };
            let code = state.done(forward(written), operation);
            if code != SQLITE_OK {
                return code;
            }
        }
        if fits { SQLITE_OK } else { SQLITE_FULL }
    }

    pub(crate) fn truncate(&self, file: FileId, length: usize, forward: impl FnOnce() -> c_int) -> c_int {
        self.state().done(forward(), Operation::Truncate { file, length })
    }

    pub(crate) fn sync(&self, file: FileId, directory: bool, forward: impl FnOnce() -> c_int) -> c_int {
        let mut state = self.state();
        if state.syncs_fail {
            state.operations.push(Operation::SyncFailed { file });
            return SQLITE_IOERR_FSYNC;
        }
        state.done(forward(), Operation::Sync { file, directory })
    }

    pub(crate) fn delete(&self, path: &Path, directory: bool, forward: impl FnOnce() -> c_int) -> c_int {
        let Some(name) = self.name_here(path) else {
            return forward();
        };
        let mut state = self.state();
        let code = forward();
        // A file that is not there is no failure of the disk.
        if code == SQLITE_OK {
            state.names.remove(&name);
            state.operations.push(Operation::Delete { name, directory });
        }
        code
    }

    fn name_here(&self, path: &Path) -> Option<OsString> {
        (path.parent() == Some(&self.directory)).then(|| path.file_name().map(ToOwned::to_owned))?
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn done(&mut self, code: c_int, operation: Operation) -> c_int {
        if code == SQLITE_OK {
            self.operations.push(operation);
        } else {
            self.real_failure.get_or_insert(RecordingError { code });
        }
        code
    }
}

/// What SQLite is told when it asks for a place or length that cannot be.
pub(crate) const IMPOSSIBLE: c_int = SQLITE_IOERR_WRITE;
