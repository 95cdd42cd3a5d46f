//! The disk itself: nodes with a durable and a current content, and the faults set on it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::ops::Range;
use std::path::{Component, Path};

use super::Survival;

/// Bytes that a disk writes wholly or not at all.
const SECTOR: usize = 512;

#[derive(Debug)]
pub(super) struct Disk {
    /// Node 0 is the root directory. Nodes are never given up, so an open file outlives its name.
    pub(super) nodes: Vec<Node>,
    pub(super) operations: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) crashed: bool,
    pub(super) failing: Range<u64>,
    pub(super) space: Option<u64>,
    pub(super) locks: BTreeSet<(usize, OsString)>,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    File(FileNode),
    Directory(DirectoryNode),
}

#[derive(Debug, Clone, Default)]
pub(super) struct FileNode {
    pub(super) durable: Vec<u8>,
    pub(super) current: Vec<u8>,
    /// Sectors written since the last sync.
    pub(super) dirty: BTreeSet<usize>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct DirectoryNode {
    pub(super) durable: BTreeMap<OsString, usize>,
    pub(super) current: BTreeMap<OsString, usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
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
            failing: 0..0,
            space: None,
            locks: BTreeSet::new(),
        }
    }
}

impl Disk {
    pub(super) fn powered(&self) -> io::Result<()> {
        if self.crashed { Err(broken()) } else { Ok(()) }
    }

    pub(super) fn begin(&mut self) -> io::Result<Fate> {
        self.powered()?;
        self.operations += 1;
        if self.crash_at == Some(self.operations) {
            self.crashed = true;
            return Ok(Fate::Crashes);
        }
        Ok(if self.failing.contains(&self.operations) {
            Fate::Fails
        } else {
            Fate::Happens
        })
    }

    /// An operation that fails without effect or crashes with it.
    pub(super) fn step<T>(&mut self, effect: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        match self.begin()? {
            Fate::Happens => effect(self),
            Fate::Fails => Err(broken()),
            Fate::Crashes => effect(self).and_then(|_| Err(broken())),
        }
    }

    pub(super) fn create(&mut self, path: &Path, node: Node) -> io::Result<usize> {
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

    pub(super) fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Space of a file that lost its name.
    pub(super) fn give_back(&mut self, node: usize) {
        if let Some(Node::File(file)) = self.nodes.get(node) {
            let freed = u64::try_from(file.current.len()).unwrap_or(0);
            self.space = self.space.map(|space| space.saturating_add(freed));
        }
    }

    pub(super) fn find(&mut self, path: &Path) -> io::Result<usize> {
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
    pub(super) fn place(&mut self, path: &Path) -> io::Result<(usize, OsString)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let parent = self.find(path.parent().unwrap_or_else(|| Path::new("/")))?;
        self.directory(parent)?;
        Ok((parent, name))
    }

    pub(super) fn file(&mut self, node: usize) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(node) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn directory(&mut self, node: usize) -> io::Result<&mut DirectoryNode> {
        match self.nodes.get_mut(node) {
            Some(Node::Directory(directory)) => Ok(directory),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }
}

impl Node {
    pub(super) fn after_crash(&self, survival: Survival, draw: &mut Draw) -> Self {
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
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
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

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.current.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            copy_sector(&self.current, &mut self.durable, sector);
        }
    }

    pub(super) fn after_crash(&self, survival: Survival, draw: &mut Draw) -> Vec<u8> {
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
pub(super) struct Draw(pub(super) u64);

impl Draw {
    pub(super) fn takes_new(&mut self, survival: Survival) -> bool {
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

pub(super) fn broken() -> io::Error {
    io::Error::other("injected fault")
}
