//! What can go wrong with a journal.

use std::io;
use std::path::{Path, PathBuf};

/// A journal that cannot be written or taken up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Nothing is open.
    #[error("no work is open")]
    None,
    /// Several works are open and none was named.
    #[error("which work? Open are {}", .ids.join(", "))]
    Several {
        /// Their ids.
        ids: Vec<String>,
    },
    /// No open work has this id.
    #[error("no work {id:?} is open")]
    NotFound {
        /// The id.
        id: String,
    },
    /// Another process is at it.
    #[error("another process is working on {id}")]
    Busy {
        /// The id.
        id: String,
    },
    /// Too many works of one kind are open.
    #[error("too many works of kind {kind} are open: finish some")]
    TooMany {
        /// The kind.
        kind: String,
    },
    /// A file is no journal, or was altered.
    #[error("{} is damaged in line {line}: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Something cannot be written down.
    #[error("a step cannot be written down")]
    Encode(#[source] serde_json::Error),
    /// The disk.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl JournalError {
    /// For `map_err`: names what was being done.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}

/// A step that was not taken, or failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError<E> {
    /// It could not be noted.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It failed.
    #[error(transparent)]
    Step(E),
}
