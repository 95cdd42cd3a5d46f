//! One process at a time: a lock file that says who has it.
//!
//! The lock is the operating system's (it ends with the process, however the process ends); the process id in the
//! file is only what a second comer is told.

use std::any::Any;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use thiserror::Error;

/// A lock that is held until this value is dropped.
pub struct Held(#[expect(dead_code, reason = "kept for its drop")] Box<dyn Any + Send>);

impl Held {
    /// Wraps whatever gives the lock back when it is dropped.
    pub fn new(guard: impl Any + Send) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

/// Why a lock could not be taken.
#[derive(Debug, Error)]
pub enum LockError {
    /// Somebody has it.
    #[error("in use by process {pid}")]
    Held {
        /// The process, 0 when it has not written its id yet.
        pid: u32,
    },
    /// The lock file could not be used.
    #[error("cannot use the lock file")]
    Io(#[from] io::Error),
}

/// How often a held lock is tried again. Somebody who only looks whether a token is in use holds the lock for the
/// blink of an eye; that must not turn an opener away.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(2);

/// Takes the lock file, made when missing.
pub(crate) fn take(path: &Path) -> Result<Held, LockError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    for attempt in 1..=ATTEMPTS {
        match file.try_lock() {
            Ok(()) => {
                // On a full disk the lock is still worth having, if without a name on it.
                let _ = write_pid(&mut file);
                return Ok(Held::new(LockFile(file)));
            }
            Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => std::thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Err(LockError::Held {
        pid: read_pid(&mut file)?.unwrap_or(0),
    })
}

/// Who has the lock file. Only touches the lock when a process id stands in the file, which after an orderly end
/// it does not.
pub(crate) fn holder(path: &Path) -> io::Result<Option<u32>> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(pid) = read_pid(&mut file)? else {
        return Ok(None);
    };
    match file.try_lock() {
        Ok(()) => {
            // The process died without cleaning up. Dropping the file gives the lock back.
            drop(LockFile(file));
            Ok(None)
        }
        Err(TryLockError::WouldBlock) => Ok(Some(pid)),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}

fn read_pid(file: &mut File) -> io::Result<Option<u32>> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(16).read_to_string(&mut text)?;
    Ok(text.trim().parse().ok())
}

struct LockFile(File);

impl Drop for LockFile {
    fn drop(&mut self) {
        // The id is a courtesy; closing the file gives the lock back either way.
        let _ = self.0.set_len(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_who_has_it() -> Result<(), LockError> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("lock");
        assert_eq!(holder(&path)?, None);
        let held = take(&path)?;
        assert!(matches!(take(&path), Err(LockError::Held { pid }) if pid == std::process::id()));
        assert_eq!(holder(&path)?, Some(std::process::id()));
        drop(held);
        assert_eq!(holder(&path)?, None);
        take(&path).map(drop)
    }

    #[test]
    fn the_id_of_a_dead_process_is_not_reported() -> Result<(), LockError> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("lock");
        std::fs::write(&path, "1\n")?;
        assert_eq!(holder(&path)?, None);
        take(&path).map(drop)
    }
}
