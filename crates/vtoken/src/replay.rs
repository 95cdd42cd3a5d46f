//! Test support: files in memory that lose what was not synced.
//!
//! [`ReplayFiles`] takes the rules of [`crate::files`] literally. It counts every operation that alters something,
//! can cut the power at any of them, can fail any of them, and can run out of space. After a crash,
//! [`ReplayFiles::after_crash`] gives the disk as it may then look: nothing but what was synced, everything, or some
//! mixture of old and new sectors. Directory entries follow the same rule: a name, a rename or a removal that was
//! not followed by a sync of the directory may be gone or not.

mod disk;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::files::{Files, OpenFile};
use crate::lock::{Held, LockError};
use disk::{DirectoryNode, Disk, Draw, Fate, FileNode, Node, broken};

/// Files in memory; clones share one disk.
#[derive(Debug, Clone, Default)]
pub struct ReplayFiles {
    disk: Arc<Mutex<Disk>>,
}

/// What is left of unsynced changes after the power was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Lost,
    /// Everything: as if only the process had been killed.
    Kept,
    /// Each sector of a file, each file's length and each directory as a whole is old or new, by a draw from this
    /// seed. A sector never written holds zeros.
    Mixed(u64),
}

impl ReplayFiles {
    /// An empty disk; its root directory is `/`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of operations so far that altered, or made durable, something.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.disk().operations
    }

    /// Cuts the power during operation `number` (the first is 1): it takes effect, if not durably, reports an error,
    /// and nothing works afterwards.
    pub fn crash_at(&self, number: u64) {
        self.disk().crash_at = Some(number);
    }

    /// Makes the operations with these numbers fail with an I/O error. A write has then written half. A sync has lost
    /// what it should have made durable: a later sync does not bring it back.
    pub fn fail_during(&self, numbers: Range<u64>) {
        self.disk().failing = numbers;
    }

    /// Bytes that files can still grow by; `None` = no limit.
    pub fn limit_space(&self, bytes: Option<u64>) {
        self.disk().space = bytes;
    }

    /// True once the power was cut.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.disk().crashed
    }

    /// The disk after a restart, with no fault set and nobody holding a lock. This one is not altered.
    #[must_use]
    pub fn after_crash(&self, survival: Survival) -> Self {
        let mut draw = Draw(match survival {
            Survival::Mixed(seed) => seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            _ => 1,
        });
        let nodes = self
            .disk()
            .nodes
            .iter()
            .map(|node| node.after_crash(survival, &mut draw))
            .collect();
        Self {
            disk: Arc::new(Mutex::new(Disk {
                nodes,
                ..Disk::default()
            })),
        }
    }

    /// A copy of this disk as it is, what is unsynced included, sharing nothing with it.
    #[must_use]
    pub fn fork(&self) -> Self {
        let nodes = self.disk().nodes.clone();
        Self {
            disk: Arc::new(Mutex::new(Disk {
                nodes,
                ..Disk::default()
            })),
        }
    }

    /// Replaces a file's content durably, made when missing: damage, or an older copy put back.
    ///
    /// # Errors
    /// `NotFound` when its directory does not exist.
    pub fn overwrite(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        let (parent, name) = disk.place(path)?;
        let file = disk.add(Node::File(FileNode {
            durable: content.to_vec(),
            current: content.to_vec(),
            dirty: BTreeSet::new(),
        }));
        let directory = disk.directory(parent)?;
        directory.durable.insert(name.clone(), file);
        directory.current.insert(name, file);
        Ok(())
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files for ReplayFiles {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut disk = self.disk();
        disk.powered()?;
        let file = disk.find(path)?;
        let content = disk.file(file)?.current.clone();
        if u64::try_from(content.len()).is_ok_and(|length| length <= limit) {
            Ok(content)
        } else {
            Err(io::ErrorKind::FileTooLarge.into())
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        let file = self.disk().create(path, Node::File(FileNode::default()))?;
        Ok(Box::new(ReplayFile {
            files: self.clone(),
            file,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        let mut disk = self.disk();
        disk.powered()?;
        let file = disk.find(path)?;
        disk.file(file)?;
        Ok(Box::new(ReplayFile {
            files: self.clone(),
            file,
        }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk()
            .create(path, Node::Directory(DirectoryNode::default()))
            .map(drop)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let node = disk.find(from)?;
        let ((old, old_name), (new, new_name)) = (disk.place(from)?, disk.place(to)?);
        if let Ok(target) = disk.find(to)
            && let Some(Node::Directory(directory)) = disk.nodes.get(target)
            && !directory.current.is_empty()
        {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        disk.step(|disk| {
            disk.directory(old)?.current.remove(&old_name);
            if let Some(replaced) = disk.directory(new)?.current.insert(new_name, node) {
                disk.give_back(replaced);
            }
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.powered()?;
        let node = disk.find(path)?;
        let (parent, name) = disk.place(path)?;
        disk.step(|disk| {
            disk.directory(parent)?.current.remove(&name);
            disk.give_back(node);
            Ok(())
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.powered()?;
        let node = disk.find(path)?;
        if disk.begin()? == Fate::Happens {
            let directory = disk.directory(node)?;
            directory.durable = directory.current.clone();
            return Ok(());
        }
        Err(broken())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let mut disk = self.disk();
        disk.powered()?;
        let node = disk.find(path)?;
        Ok(disk.directory(node)?.current.keys().cloned().collect())
    }

    fn lock(&self, path: &Path) -> Result<Held, LockError> {
        let mut disk = self.disk();
        disk.powered()?;
        let place = disk.place(path)?;
        if !disk.locks.insert(place.clone()) {
            return Err(LockError::InUse {
                pid: std::process::id(),
            });
        }
        Ok(Held::new(ReplayLock {
            files: self.clone(),
            place,
        }))
    }

    fn lock_holder(&self, path: &Path) -> io::Result<Option<u32>> {
        let mut disk = self.disk();
        disk.powered()?;
        let Ok(place) = disk.place(path) else {
            return Ok(None);
        };
        Ok(disk.locks.contains(&place).then(std::process::id))
    }
}

struct ReplayFile {
    files: ReplayFiles,
    file: usize,
}

impl OpenFile for ReplayFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let mut disk = self.files.disk();
        let fate = disk.begin()?;
        let length = disk.file(self.file)?.current.len();
        let room = disk
            .space
            .map_or(usize::MAX, |space| usize::try_from(space).unwrap_or(usize::MAX));
        let fits = bytes
            .len()
            .min(length.saturating_add(room).saturating_sub(offset));
        let count = if fate == Fate::Fails { fits / 2 } else { fits };
        let written = bytes.get(..count).unwrap_or_default();
        disk.file(self.file)?.write(offset, written);
        let grown = disk.file(self.file)?.current.len().saturating_sub(length);
        disk.space = disk
            .space
            .map(|space| space.saturating_sub(u64::try_from(grown).unwrap_or(u64::MAX)));
        match fate {
            Fate::Happens if fits < bytes.len() => Err(io::ErrorKind::StorageFull.into()),
            Fate::Happens => Ok(()),
            Fate::Fails | Fate::Crashes => Err(broken()),
        }
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let file = self.file;
        self.files.disk().step(|disk| {
            let before = disk.file(file)?.current.len();
            disk.file(file)?.current.resize(length, 0);
            let freed = u64::try_from(before.saturating_sub(length)).unwrap_or(0);
            disk.space = disk.space.map(|space| space.saturating_add(freed));
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.files.disk();
        match disk.begin()? {
            Fate::Happens => {
                disk.file(self.file)?.sync();
                Ok(())
            }
            Fate::Fails => {
                disk.file(self.file)?.dirty.clear();
                Err(broken())
            }
            Fate::Crashes => Err(broken()),
        }
    }
}

struct ReplayLock {
    files: ReplayFiles,
    place: (usize, OsString),
}

impl Drop for ReplayLock {
    fn drop(&mut self) {
        self.files.disk().locks.remove(&self.place);
    }
}

#[cfg(test)]
mod tests;
