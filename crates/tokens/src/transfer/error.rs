//! What can go wrong with a key under way.

use std::io;
use std::path::PathBuf;

use chancery_driver::Error;
use chancery_schsm::blob::BlobError;
use chancery_schsm::container::ContainerError;
use chancery_schsm::{Kcv, KeyId, KeyType};

use crate::journal::JournalError;
use crate::keys::KeyError;

/// A wrapped key whose parts do not fit together. Found before anything is sent to a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParcelError {
    /// Not a container of a wrapped key.
    #[error("the file holds no wrapped key")]
    Container(#[from] ContainerError),
    /// The blob cannot be what it says.
    #[error("the wrapped key cannot be opened")]
    Blob(#[source] BlobError),
    /// Parts for keys of different kinds.
    #[error("the wrapped key is {blob:?}, but the {part} with it is for {other:?}")]
    Kind {
        /// Kind of the wrapped key.
        blob: KeyType,
        /// The other part.
        part: &'static str,
        /// Kind of key it is for.
        other: KeyType,
    },
    /// Parts for keys of different sizes.
    #[error("the description is for a key of {described} bits, the {part} for one of {bits}")]
    Size {
        /// Size in the description, bits.
        described: u16,
        /// The other part.
        part: &'static str,
        /// Its size in bits.
        bits: u16,
    },
    /// The key is another than the certificate or request with it is for.
    #[error("the wrapped key is not the one that the certificate or request with it is for")]
    OtherKey,
    /// A key that cannot be wrapped.
    #[error("this key cannot be put on a token: {0}")]
    Unsupported(String),
    /// The label is too long.
    #[error(transparent)]
    Label(KeyError),
    /// The crypto library failed.
    #[error("the crypto library failed")]
    Crypto(#[from] openssl::error::ErrorStack),
}

/// A key that did not leave, or did not arrive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The parts do not fit together.
    #[error(transparent)]
    Parcel(#[from] ParcelError),
    /// No key domain of the token has this key encryption key.
    #[error("wrapped under key domain KCV {wanted}, this token has {}", domains(.found))]
    OtherDomain {
        /// Key check value the key is wrapped under.
        wanted: Kcv,
        /// The token's complete domains.
        found: Vec<(u8, Kcv)>,
    },
    /// The token has no such key.
    #[error("the token has no key {0}")]
    NoSuchKey(KeyId),
    /// The key is in no domain with a complete key encryption key, so that it cannot leave.
    #[error("key {id} cannot be wrapped: {}", no_domain(*.domain))]
    NoDomain {
        /// The key.
        id: KeyId,
        /// Number of its domain; `None` when it names none and is not in the only one either.
        domain: Option<u8>,
    },
    /// The token does not let the key leave (6985).
    #[error("key {id} is not wrapped: {why}")]
    Kept {
        /// The key.
        id: KeyId,
        /// Why, by what the token says of the key.
        why: &'static str,
        /// The refusal.
        #[source]
        source: Error,
    },
    /// What the token gave is not wrapped under the key of its domain.
    #[error("the token wrapped key {0} under another key encryption key than its domain shows")]
    Inconsistent(KeyId),
    /// The id is taken.
    #[error(transparent)]
    Id(KeyError),
    /// The key that arrived is another one; it was deleted again.
    #[error(
        "the key that arrived is not the one its certificate or request is for; it was deleted from the token again"
    )]
    NotProven,
    /// Under the id stands another key, which is left alone.
    #[error("under id {0} stands another key than this work brought; it is left alone")]
    Foreign(KeyId),
    /// Another key stands now where the one stood that the work was begun for.
    #[error("key {0} is not the one that this work was begun for; it is left alone")]
    Exchanged(KeyId),
    /// Whether the key under the id is the one the work was begun for cannot be told.
    #[error("whether key {0} is the one that this work was begun for cannot be told")]
    Unrecognised(KeyId),
    /// Whether the key under the id is the one brought cannot be told.
    #[error("whether key {0} is the one this work brought cannot be told")]
    Unproven(KeyId),
    /// The key is on the token and was not there before, but it is gone now.
    #[error("key {0} had arrived and is gone from the token")]
    Gone(KeyId),
    /// The key is not on the token, and what it came from is not at hand.
    #[error("the key never arrived: nothing was changed on the token ({from})")]
    NeverArrived {
        /// What it was to come from.
        from: String,
    },
    /// The token in hand is not the one the work was begun on.
    #[error("the work was begun on token {expected}, this is {found}")]
    OtherToken {
        /// Device id in the journal.
        expected: String,
        /// Device id of the token.
        found: String,
    },
    /// The journal is of another kind of work.
    #[error("work {0} is of another kind")]
    OtherWork(String),
    /// The work was interrupted; the journal says how far it got.
    #[error("{}, then the work was interrupted; {}", done_text(.done), missing_text(.missing))]
    Interrupted {
        /// Id of the work, by which it is finished or undone.
        work: String,
        /// What was done.
        done: Vec<String>,
        /// What was not, or may not have been.
        missing: Vec<String>,
        /// What interrupted it.
        #[source]
        source: Box<Error>,
    },
    /// A file.
    #[error("cannot {doing} {}", .path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The journal.
    #[error("the journal")]
    Journal(#[from] JournalError),
    /// A command failed before anything was changed.
    #[error(transparent)]
    Card(#[from] Error),
}

impl TransferError {
    /// Id of the work that is open now, to be finished or undone.
    #[must_use]
    pub fn open_work(&self) -> Option<&str> {
        match self {
            Self::Interrupted { work, .. } => Some(work),
            _ => None,
        }
    }

    /// The card's own error, where there is one.
    #[must_use]
    pub fn card(&self) -> Option<&Error> {
        match self {
            Self::Card(error) | Self::Id(KeyError::Card(error)) | Self::Kept { source: error, .. } => {
                Some(error)
            }
            Self::Interrupted { source, .. } => Some(source),
            _ => None,
        }
    }
}

fn no_domain(domain: Option<u8>) -> String {
    match domain {
        Some(number) => format!("its key domain {number} has no complete key encryption key"),
        None => "it belongs to no key domain with a key encryption key".to_owned(),
    }
}

fn domains(found: &[(u8, Kcv)]) -> String {
    match found {
        [] => "no complete key domain".to_owned(),
        [(_, kcv)] => kcv.to_string(),
        several => several
            .iter()
            .map(|(number, kcv)| format!("{kcv} (domain {number})"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn done_text(done: &[String]) -> String {
    if done.is_empty() {
        "nothing was changed yet".to_owned()
    } else {
        format!("done: {}", done.join(", "))
    }
}

fn missing_text(missing: &[String]) -> String {
    if missing.is_empty() {
        "nothing is missing".to_owned()
    } else {
        format!("not done: {}", missing.join(", "))
    }
}
