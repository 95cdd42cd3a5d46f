//! Test support: SQLite on a disk that loses what was not synced.
//!
//! Killing a process leaves the page cache alone, so it says nothing about a power cut. [`ReplayVfs`] is a file system
//! layer for SQLite that works on real files through SQLite's own layer for Unix and records every operation that
//! alters a file, a name or what of them is durable. Replayed up to any operation, a [`Disk`] gives the files that a
//! power cut at that moment may leave ([`Disk::survivors`]): of what was not synced nothing, everything, or some of its
//! sectors; names that were not synced are there or not.
//!
//! It can also run out of space and fail to flush: [`ReplayVfs::fill_after`], [`ReplayVfs::fail_syncs`].
//!
//! Invariants: nothing that ships depends on this crate; all unsafe code of the workspace is in `vfs.rs` and
//! `file.rs`, and each block says why it holds.

mod disk;
mod file;
mod recorder;
mod vfs;

pub use disk::{Disk, FileId, Operation, Survival, Survivors};
pub use recorder::{Recording, RecordingError};
pub use vfs::{RegisterError, ReplayVfs};
