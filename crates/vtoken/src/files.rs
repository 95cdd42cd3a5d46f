//! The file seam: everything a token or a factory does with the disk goes through [`Files`].
//!
//! Rules of durability the callers rely on, and which an implementation for tests takes literally: what was
//! written is durable only after [`OpenFile::sync`]; that a name exists, was renamed or removed is durable only
//! after [`Files::sync_dir`] of its directory.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use crate::lock::{Held, LockError, LockFile};

/// Operations on files and directories. Implementations can be shared between threads.
pub trait Files: Send + Sync {
    /// The whole content of a file of at most `limit` bytes.
    ///
    /// # Errors
    /// Those of the file system; `FileTooLarge` above the limit.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// Creates a file (mode 0600) that must not exist yet.
    ///
    /// # Errors
    /// Those of the file system; `AlreadyExists`.
    fn create(&self, path: &Path) -> io::Result<Box<dyn OpenFile>>;

    /// Opens an existing file for writing in place.
    ///
    /// # Errors
    /// Those of the file system; `NotFound`.
    fn open(&self, path: &Path) -> io::Result<Box<dyn OpenFile>>;

    /// Creates a directory (mode 0700) that must not exist yet; its parent must.
    ///
    /// # Errors
    /// Those of the file system; `AlreadyExists`.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Renames a file over whatever file has the name, or a directory to a name that is free.
    ///
    /// # Errors
    /// Those of the file system; some error when a directory would replace one that is not empty.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file, or a directory with all in it.
    ///
    /// # Errors
    /// Those of the file system; `NotFound`.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// Those of the file system.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Names in a directory, in any order.
    ///
    /// # Errors
    /// Those of the file system; `NotFound`.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>>;

    /// Takes the lock file `path` (made when missing) for as long as the answer lives.
    ///
    /// # Errors
    /// [`LockError::InUse`] when somebody else has it.
    fn lock(&self, path: &Path) -> Result<Held, LockError>;

    /// The process that has the lock file, if one has.
    ///
    /// # Errors
    /// Those of the file system; a missing lock file is `Ok(None)`.
    fn lock_holder(&self, path: &Path) -> io::Result<Option<u32>>;
}

/// An open file.
pub trait OpenFile: Send {
    /// Writes all bytes at an offset (in bytes from the start), making the file longer where needed. After an
    /// error any part may have been written.
    ///
    /// # Errors
    /// Those of the file system; `StorageFull`.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts or extends the file to a length in bytes.
    ///
    /// # Errors
    /// Those of the file system.
    fn set_len(&mut self, length: u64) -> io::Result<()>;

    /// Makes content and length durable. After an error nothing is known about what was written since the last
    /// success, and a later success does not cover it.
    ///
    /// # Errors
    /// Those of the file system.
    fn sync(&mut self) -> io::Result<()>;
}

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFiles;

impl Files for RealFiles {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
            Ok(bytes)
        } else {
            Err(io::Error::from(io::ErrorKind::FileTooLarge))
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        Ok(Box::new(RealFile(OpenOptions::new().write(true).open(path)?)))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::DirBuilder::new().mode(0o700).create(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if std::fs::symlink_metadata(path)?.is_dir() {
            std::fs::remove_dir_all(path)
        } else {
            std::fs::remove_file(path)
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect()
    }

    fn lock(&self, path: &Path) -> Result<Held, LockError> {
        LockFile::take(path).map(Held::new)
    }

    fn lock_holder(&self, path: &Path) -> io::Result<Option<u32>> {
        LockFile::holder(path)
    }
}

#[derive(Debug)]
struct RealFile(File);

impl OpenFile for RealFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        // fdatasync: flushes the length too where it changed, which is all the metadata a reader needs.
        self.0.sync_data()
    }
}
