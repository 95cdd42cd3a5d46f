//! What can go wrong below the commands.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::cipher::CipherFailure;
use crate::lock::LockError;
use crate::name::TokenName;
use crate::seal::SealError;

/// Why a change could not be made durable. The state is what it was before.
#[derive(Debug, Error)]
pub enum StoreFailure {
    /// The disk is full; the same change can succeed once there is space.
    #[error("no space left while writing {}", .path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The disk failed.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The state would outgrow what can be read back.
    #[error("the token's state would exceed {limit} bytes")]
    TooLarge {
        /// Limit in bytes.
        limit: u64,
    },
    /// Crypto library or random source.
    #[error(transparent)]
    Cipher(#[from] CipherFailure),
}

impl StoreFailure {
    /// For `map_err`: names what was being done.
    pub(crate) fn doing(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full {
                path: path.to_owned(),
            },
            _ => Self::Io {
                doing,
                path: path.to_owned(),
                source,
            },
        }
    }
}

/// Why a token cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process (or this one) has it open.
    #[error("in use by process {pid}")]
    InUse {
        /// The process, 0 when unknown.
        pid: u32,
    },
    /// There is no token in this directory.
    #[error("no virtual token at {}", .0.display())]
    NotFound(PathBuf),
    /// Stored bytes were altered or lost. The token is not usable; nothing was changed on disk.
    #[error("{} is damaged at byte {offset}: {reason}", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Offset in bytes of the first part that can be wrong.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Written by a later version of this program.
    #[error("{} has version {version}, which this version does not know", .file.display())]
    UnknownVersion {
        /// The file.
        file: PathBuf,
        /// Its version.
        version: u8,
    },
    /// The data key cannot be opened.
    #[error("cannot open the keys at rest")]
    Seal(#[from] SealError),
    /// The state could not be brought into order on disk.
    #[error("cannot bring the token's state into order")]
    Store(#[from] StoreFailure),
    /// The disk is read-only. A token is not used there: its counters of tries could be wound back.
    #[error("{} is on a read-only disk, and what a token counts has to be durable before it answers", .0.display())]
    ReadOnly(PathBuf),
    /// The disk failed.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    /// For `map_err`: names what was being done.
    pub(crate) fn doing(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path.to_owned()),
            _ => Self::Io {
                doing,
                path: path.to_owned(),
                source,
            },
        }
    }

    pub(crate) fn from_lock(error: LockError, path: &Path) -> Self {
        match error {
            LockError::InUse { pid } => Self::InUse { pid },
            LockError::Io(source) => Self::doing("lock", path)(source),
        }
    }
}

/// Why a token or a factory could not be made, listed or destroyed.
#[derive(Debug, Error)]
pub enum ManageError {
    /// There is a token of this name already.
    #[error("there is a token named {0} already")]
    NameTaken(TokenName),
    /// There is no token of this name.
    #[error("there is no token named {0}")]
    NotFound(TokenName),
    /// Another process (or this one) has the token open.
    #[error("token {name} is in use by process {pid}")]
    InUse {
        /// The token.
        name: TokenName,
        /// The process, 0 when unknown.
        pid: u32,
    },
    /// A file is not what this program writes.
    #[error("{} is damaged: {reason}", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificates can be dated 2000 to 2099 only, their ends included.
    #[error("no certificate can be issued with a validity that starts on {0}")]
    Date(time::Date),
    /// A key could not be made or a certificate not be signed.
    #[error("cannot issue a certificate for {subject}")]
    Certificate {
        /// Holder of the certificate.
        subject: String,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The keys at rest cannot be sealed or opened.
    #[error("cannot seal or open the keys at rest")]
    Seal(#[from] SealError),
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreFailure),
}

impl From<CipherFailure> for ManageError {
    fn from(failure: CipherFailure) -> Self {
        Self::Store(failure.into())
    }
}
