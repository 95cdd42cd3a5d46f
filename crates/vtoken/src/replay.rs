//! Test support: files in memory that lose what was not synced.
//!
//! [`ReplayFiles`] takes the rules of [`crate::files`] literally. It counts every operation that alters something,
//! can cut the power at any of them, can fail any of them, and can run out of space. After a crash,
//! [`ReplayFiles::after_crash`] gives the disk as it may then look: nothing but what was synced, everything, or some
//! mixture of old and new sectors. Directory entries follow the same rule: a name, a rename or a removal that was
//! not followed by a sync of the directory may be gone or not.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::files::{Files, OpenFile};
use crate::lock::{Held, LockError};

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

/// Bytes that a disk writes wholly or not at all.
const SECTOR: usize = 512;

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

    /// Makes operation `number` fail with an I/O error, once. A write has then written half. A sync has lost what it
    /// should have made durable: a later sync does not bring it back.
    pub fn fail_at(&self, number: u64) {
        self.disk().fail_at = Some(number);
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
            return Err(LockError::Held {
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

#[derive(Debug)]
struct Disk {
    /// Node 0 is the root directory. Nodes are never given up, so an open file outlives its name.
    nodes: Vec<Node>,
    operations: u64,
    crash_at: Option<u64>,
    crashed: bool,
    fail_at: Option<u64>,
    space: Option<u64>,
    locks: BTreeSet<(usize, OsString)>,
}

#[derive(Debug, Clone)]
enum Node {
    File(FileNode),
    Directory(DirectoryNode),
}

#[derive(Debug, Clone, Default)]
struct FileNode {
    durable: Vec<u8>,
    current: Vec<u8>,
    /// Sectors written since the last sync.
    dirty: BTreeSet<usize>,
}

#[derive(Debug, Clone, Default)]
struct DirectoryNode {
    durable: BTreeMap<OsString, usize>,
    current: BTreeMap<OsString, usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Happens,
    Fails,
    Crashes,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            nodes: vec![Node::Directory(DirectoryNode::default())],
            operations: 0,
            crash_at: None,
            crashed: false,
            fail_at: None,
            space: None,
            locks: BTreeSet::new(),
        }
    }
}

impl Disk {
    fn powered(&self) -> io::Result<()> {
        if self.crashed { Err(broken()) } else { Ok(()) }
    }

    fn begin(&mut self) -> io::Result<Fate> {
        self.powered()?;
        self.operations += 1;
        if self.crash_at == Some(self.operations) {
            self.crashed = true;
            return Ok(Fate::Crashes);
        }
        Ok(if self.fail_at == Some(self.operations) {
            Fate::Fails
        } else {
            Fate::Happens
        })
    }

    /// An operation that fails without effect or crashes with it.
    fn step<T>(&mut self, effect: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        match self.begin()? {
            Fate::Happens => effect(self),
            Fate::Fails => Err(broken()),
            Fate::Crashes => effect(self).and_then(|_| Err(broken())),
        }
    }

    fn create(&mut self, path: &Path, node: Node) -> io::Result<usize> {
        self.powered()?;
        if self.find(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (parent, name) = self.place(path)?;
        self.step(|disk| {
            let id = disk.add(node);
            disk.directory(parent)?.current.insert(name, id);
            Ok(id)
        })
    }

    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Space of a file that lost its name.
    fn give_back(&mut self, node: usize) {
        if let Some(Node::File(file)) = self.nodes.get(node) {
            let freed = u64::try_from(file.current.len()).unwrap_or(0);
            self.space = self.space.map(|space| space.saturating_add(freed));
        }
    }

    fn find(&mut self, path: &Path) -> io::Result<usize> {
        let mut node = 0;
        for name in names(path) {
            node = *self
                .directory(node)?
                .current
                .get(name)
                .ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(node)
    }

    /// The directory a path is in, and the name there.
    fn place(&mut self, path: &Path) -> io::Result<(usize, OsString)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let parent = self.find(path.parent().unwrap_or_else(|| Path::new("/")))?;
        self.directory(parent)?;
        Ok((parent, name))
    }

    fn file(&mut self, node: usize) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(node) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn directory(&mut self, node: usize) -> io::Result<&mut DirectoryNode> {
        match self.nodes.get_mut(node) {
            Some(Node::Directory(directory)) => Ok(directory),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }
}

impl Node {
    fn after_crash(&self, survival: Survival, draw: &mut Draw) -> Self {
        match self {
            Self::File(file) => {
                let content = file.after_crash(survival, draw);
                Self::File(FileNode {
                    durable: content.clone(),
                    current: content,
                    dirty: BTreeSet::new(),
                })
            }
            Self::Directory(directory) => {
                let entries = if draw.takes_new(survival) {
                    directory.current.clone()
                } else {
                    directory.durable.clone()
                };
                Self::Directory(DirectoryNode {
                    durable: entries.clone(),
                    current: entries,
                })
            }
        }
    }
}

impl FileNode {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        if self.current.len() < end {
            self.current.resize(end, 0);
        }
        if let Some(place) = self.current.get_mut(offset..end) {
            place.copy_from_slice(bytes);
        }
        self.dirty.extend(offset / SECTOR..=(end - 1) / SECTOR);
    }

    fn sync(&mut self) {
        self.durable.resize(self.current.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            copy_sector(&self.current, &mut self.durable, sector);
        }
    }

    fn after_crash(&self, survival: Survival, draw: &mut Draw) -> Vec<u8> {
        let length = if draw.takes_new(survival) {
            self.current.len()
        } else {
            self.durable.len()
        };
        let mut content = self.durable.clone();
        content.resize(length, 0);
        // Beside the dirty sectors, those that a failed sync has lost: the page cache may still have them.
        for sector in 0..length.div_ceil(SECTOR) {
            if draw.takes_new(survival) {
                copy_sector(&self.current, &mut content, sector);
            }
        }
        content
    }
}

fn copy_sector(from: &[u8], to: &mut [u8], sector: usize) {
    let start = sector * SECTOR;
    let end = (start + SECTOR).min(from.len()).min(to.len());
    if let (Some(from), Some(to)) = (from.get(start..end), to.get_mut(start..end)) {
        to.copy_from_slice(from);
    }
}

/// Xorshift: good enough to draw lots, and the same every time.
struct Draw(u64);

impl Draw {
    fn takes_new(&mut self, survival: Survival) -> bool {
        match survival {
            Survival::Lost => false,
            Survival::Kept => true,
            Survival::Mixed(_) => {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
                self.0 >> 32 & 1 == 1
            }
        }
    }
}

fn names(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    })
}

fn broken() -> io::Error {
    io::Error::other("injected fault")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(files: &ReplayFiles, path: &str, content: &[u8], sync: bool) {
        let mut file = files.create(Path::new(path)).unwrap();
        file.write_at(0, content).unwrap();
        if sync {
            file.sync().unwrap();
        }
    }

    fn content(files: &ReplayFiles, path: &str) -> Option<Vec<u8>> {
        files.read(Path::new(path), u64::MAX).ok()
    }

    #[test]
    fn a_synced_file_without_a_synced_directory_has_no_name_after_a_crash() {
        let files = ReplayFiles::new();
        written(&files, "/a", b"one", true);
        assert_eq!(content(&files.after_crash(Survival::Lost), "/a"), None);
        assert_eq!(content(&files.after_crash(Survival::Kept), "/a").unwrap(), b"one");
        files.sync_dir(Path::new("/")).unwrap();
        assert_eq!(content(&files.after_crash(Survival::Lost), "/a").unwrap(), b"one");
    }

    #[test]
    fn a_rename_without_a_synced_directory_is_undone_by_a_crash() {
        let files = ReplayFiles::new();
        written(&files, "/a", b"old", true);
        written(&files, "/b", b"new", true);
        files.sync_dir(Path::new("/")).unwrap();
        files.rename(Path::new("/b"), Path::new("/a")).unwrap();
        assert_eq!(content(&files, "/a").unwrap(), b"new");
        assert_eq!(content(&files.after_crash(Survival::Lost), "/a").unwrap(), b"old");
        files.sync_dir(Path::new("/")).unwrap();
        assert_eq!(content(&files.after_crash(Survival::Lost), "/a").unwrap(), b"new");
    }

    #[test]
    fn unsynced_content_is_lost_and_a_failed_sync_loses_it_for_good() {
        let files = ReplayFiles::new();
        written(&files, "/a", b"x", false);
        files.sync_dir(Path::new("/")).unwrap();
        assert_eq!(content(&files.after_crash(Survival::Lost), "/a").unwrap(), b"");
        files.fail_at(files.operations() + 1);
        let mut file = files.open(Path::new("/a")).unwrap();
        assert!(file.sync().is_err());
        file.sync().unwrap();
        assert_eq!(content(&files.after_crash(Survival::Lost), "/a").unwrap(), [0]);
    }

    #[test]
    fn space_runs_out_and_comes_back() {
        let files = ReplayFiles::new();
        files.limit_space(Some(4));
        let mut file = files.create(Path::new("/a")).unwrap();
        assert_eq!(
            file.write_at(0, b"12345").unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
        assert_eq!(content(&files, "/a").unwrap(), b"1234");
        file.write_at(0, b"abcd").unwrap();
        file.set_len(1).unwrap();
        file.write_at(1, b"xyz").unwrap();
    }

    #[test]
    fn nothing_works_after_the_power_was_cut() {
        let files = ReplayFiles::new();
        files.crash_at(1);
        assert!(files.create(Path::new("/a")).is_err());
        assert!(files.list(Path::new("/")).is_err());
        assert!(content(&files.after_crash(Survival::Kept), "/a").is_some());
    }
}
