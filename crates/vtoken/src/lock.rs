//! One process at a time: a lock file that says who has it.
//!
//! The lock is the operating system's and ends with the process, however that ends; the process id in the file is only
//! what a second comer is told.

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

/// A lock file that this process holds until this is dropped.
#[derive(Debug)]
pub struct LockFile(File);

/// Why a lock could not be taken.
#[derive(Debug, Error)]
pub enum LockError {
    /// Somebody has it.
    #[error("in use by process {pid}")]
    InUse {
        /// The process; 0 when it did not say in time.
        pid: u32,
    },
    /// The lock file could not be used.
    #[error("cannot use the lock file")]
    Io(#[from] io::Error),
}

/// How often a held lock is tried again: a holder may only be looking, or may not have written its id yet.
const ATTEMPTS: u32 = 20;
/// After so many attempts the holder is one that stays, and the id in the file its own.
const SURE: u32 = 4;
const PAUSE: Duration = Duration::from_millis(5);

impl LockFile {
    /// Takes the lock; the file is made when it is missing.
    ///
    /// # Errors
    /// [`LockError::InUse`] with the process that has it, or those of the file system.
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

    /// Who has a lock file: the process id, 0 when it is not known yet, `None` when nobody has it or there is none.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn holder(path: &Path) -> io::Result<Option<u32>> {
        // Read alone, so that it can be asked on a read-only disk, too.
        let mut file = match File::open(path) {
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
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // The id is a courtesy; closing the file gives the lock back either way.
        let _ = self.0.set_len(0);
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
        assert_eq!(LockFile::holder(&path).unwrap(), None);
        let lock = LockFile::take(&path).unwrap();
        assert!(matches!(LockFile::take(&path), Err(LockError::InUse { pid }) if pid == std::process::id()));
        assert_eq!(LockFile::holder(&path).unwrap(), Some(std::process::id()));
        drop(lock);
        assert_eq!(LockFile::holder(&path).unwrap(), None);
        drop(LockFile::take(&path).unwrap());
    }

    #[test]
    fn a_lock_that_nobody_can_write_to_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        // A program that runs is opened for writing by nobody, root included.
        std::fs::copy("/bin/sleep", &path).unwrap();
        let mut running = std::process::Command::new(&path).arg("60").spawn().unwrap();
        let (looked, taken) = (LockFile::holder(&path), LockFile::take(&path));
        running.kill().unwrap();
        running.wait().unwrap();
        assert_eq!(looked.unwrap(), None);
        assert!(matches!(taken, Err(LockError::Io(_))));
    }

    #[test]
    fn the_id_of_a_dead_process_means_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::fs::write(&path, "1\n").unwrap();
        assert_eq!(LockFile::holder(&path).unwrap(), None);
        drop(LockFile::take(&path).unwrap());
    }
}
