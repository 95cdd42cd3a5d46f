//! One node a data directory.
//!
//! The lock is the operating system's and ends with the process, however that ends; the process id in the file is only what a
//! second comer is told.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use thiserror::Error;

/// The right to be the node of a data directory, held until this is dropped.
#[derive(Debug)]
pub struct NodeLock(File);

/// Why somebody is not the node.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process is.
    #[error("in use by process {pid}")]
    InUse {
        /// The process; 0 when it did not say in time.
        pid: u32,
    },
    /// The lock file cannot be used.
    #[error("cannot use the lock file")]
    Io(#[from] io::Error),
}

/// How often to try again: a holder may only be looking, or may not have written its id yet.
const ATTEMPTS: u32 = 20;
/// After so many attempts the holder is one that stays, and the id in the file its own.
const SURE: u32 = 4;
const PAUSE: Duration = Duration::from_millis(5);

impl NodeLock {
    /// Takes the lock; the file is made when it is missing.
    ///
    /// # Errors
    /// [`LockError::InUse`] with the process that has it.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        for attempt in 0..ATTEMPTS {
            match file.try_lock() {
                Ok(()) => {
                    // On a full disk the lock is still worth having, if without a name on it.
                    let _ = write_pid(&mut file);
                    return Ok(Self(file));
                }
                Err(TryLockError::WouldBlock) => {
                    if attempt >= SURE
                        && let Some(pid) = read_pid(&mut file)?
                    {
                        return Err(LockError::InUse { pid });
                    }
                    std::thread::sleep(PAUSE);
                }
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        Err(LockError::InUse { pid: 0 })
    }
}

impl Drop for NodeLock {
    fn drop(&mut self) {
        // The id is a courtesy; closing the file gives the lock back either way.
        let _ = self.0.set_len(0);
    }
}

/// Who has the lock: the process id, 0 when it is not known yet, `None` when nobody has it.
pub(crate) fn holder(path: &Path) -> io::Result<Option<u32>> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // Shared, so that two that only look do not see each other.
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(read_pid(&mut file)?.unwrap_or(0))),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}

/// The id in the file. One without its line feed is still being written.
fn read_pid(file: &mut File) -> io::Result<Option<u32>> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(16).read_to_string(&mut text)?;
    Ok(text.strip_suffix('\n').and_then(|pid| pid.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert_eq!(holder(&path).unwrap(), None);
        let lock = NodeLock::take(&path).unwrap();
        assert!(matches!(NodeLock::take(&path), Err(LockError::InUse { pid }) if pid == std::process::id()));
        assert_eq!(holder(&path).unwrap(), Some(std::process::id()));
        drop(lock);
        assert_eq!(holder(&path).unwrap(), None);
        drop(NodeLock::take(&path).unwrap());
    }

    #[test]
    fn the_id_of_a_dead_process_means_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::fs::write(&path, "1\n").unwrap();
        assert_eq!(holder(&path).unwrap(), None);
        drop(NodeLock::take(&path).unwrap());
    }
}
