//! A file of JSON lines, durable line by line.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::record::{Head, Step};
use super::{JournalError, lock};

/// A line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Line {
    Head(Head),
    Step(Step),
    /// A step that was begun and refused: it has not happened.
    Forget(String),
}

/// A locked journal, positioned behind its last whole line.
#[derive(Debug)]
pub(super) struct LineFile {
    path: PathBuf,
    file: File,
    length: u64,
}

/// A journal that was read.
pub(super) struct Opened {
    /// The file itself, unless another process has it.
    pub(super) file: Option<LineFile>,
    /// Its whole lines.
    pub(super) lines: Vec<Line>,
}

/// Longest journal read, in bytes.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

impl LineFile {
    /// Makes a new file and locks it; `None` when there is one of that name.
    pub(super) fn create(path: &Path) -> Result<Option<Self>, JournalError> {
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let file = match made {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(JournalError::io("create", path)(error)),
        };
        // Whoever looks at all journals locks each for a moment; another that took it up would have found it empty.
        file.lock().map_err(JournalError::io("lock", path))?;
        sync_parent(path)?;
        Ok(Some(Self {
            path: path.to_owned(),
            file,
            length: 0,
        }))
    }

    /// Reads a file; `None` when there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Opened>, JournalError> {
        let Some((mut file, ours)) = open_and_lock(path)? else {
            return Ok(None);
        };
        let mut text = Vec::new();
        (&mut file)
            .take(MOST_BYTES + 1)
            .read_to_end(&mut text)
            .map_err(JournalError::io("read", path))?;
        let damaged = |line: usize, why: String| JournalError::Damaged {
            path: path.to_owned(),
            line: line + 1,
            why,
        };
        if u64::try_from(text.len()).is_ok_and(|length| length > MOST_BYTES) {
            return Err(damaged(0, format!("it has more than {MOST_BYTES} bytes")));
        }
        // What follows the last line feed was never acknowledged.
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |last| last + 1);
        text.truncate(whole);
        let lines = text
            .split_inclusive(|byte| *byte == b'\n')
            .enumerate()
            .map(|(number, line)| {
                serde_json::from_slice(line).map_err(|error| damaged(number, error.to_string()))
            })
            .collect::<Result<Vec<Line>, _>>()?;
        let ours = ours.then(|| Self {
            path: path.to_owned(),
            file,
            length: u64::try_from(whole).unwrap_or(u64::MAX),
        });
        Ok(Some(Opened { file: ours, lines }))
    }

    /// Adds a line. Durable when this returns.
    pub(super) fn append(&mut self, line: &Line) -> Result<(), JournalError> {
        let mut text = serde_json::to_vec(line).map_err(JournalError::Encode)?;
        text.push(b'\n');
        let io = JournalError::io("write", &self.path);
        let write = |file: &mut File, at: u64| {
            file.set_len(at)?;
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&text)?;
            file.sync_data()
        };
        write(&mut self.file, self.length).map_err(io)?;
        self.length += u64::try_from(text.len()).unwrap_or_default();
        Ok(())
    }

    /// Removes the file.
    pub(super) fn remove(self) -> Result<(), JournalError> {
        fs::remove_file(&self.path).map_err(JournalError::io("remove", &self.path))?;
        sync_parent(&self.path)
    }
}

/// Opens a file and takes its lock, unless another process has it; `None` when there is none, or none any more.
fn open_and_lock(path: &Path) -> Result<Option<(File, bool)>, JournalError> {
    loop {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(JournalError::io("open", path)(error)),
        };
        let ours = lock(&file).map_err(JournalError::io("lock", path))?;
        // Whoever had the lock may have finished the work, which removes the file, and another may have begun one of that name.
        if !ours || is_at(&file, path).map_err(JournalError::io("look at", path))? {
            return Ok(Some((file, ours)));
        }
    }
}

/// Whether `path` still names this file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let named = match fs::metadata(path) {
        Ok(named) => named,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let ours = file.metadata()?;
    Ok((ours.dev(), ours.ino()) == (named.dev(), named.ino()))
}

/// Makes the directory, for its owner alone.
pub(super) fn ensure_directory(directory: &Path) -> Result<(), JournalError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(JournalError::io("create", directory))?;
    sync_parent(directory)
}

fn sync_parent(path: &Path) -> Result<(), JournalError> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    File::open(parent)
        .and_then(|parent| parent.sync_all())
        .map_err(JournalError::io("sync", parent))
}
