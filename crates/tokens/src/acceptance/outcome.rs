//! How a test came out, and why it could not be made.

use chancery_driver::Error;
use chancery_schsm::KeyId;
use serde::Serialize;

use crate::journal::JournalError;
use crate::reach::SessionError;
use crate::text::plural;

/// A check and how it came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// How a test came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Signatures made and checked, those before an interruption included.
    pub operations: u32,
    /// Each check.
    pub findings: Vec<Finding>,
    /// Resets by other programs meanwhile.
    pub foreign_resets: usize,
}

impl Outcome {
    /// Whether everything is as it should be.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.findings.iter().all(|finding| finding.ok)
    }
}

/// Why a test could not be made, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptanceError {
    /// The token holds keys, and nobody has said that it may be used none the less.
    #[error("the token holds {keys} key{} already: it is not new", plural(*.keys == 1))]
    HasKeys {
        /// How many.
        keys: usize,
    },
    /// It waits for shares of its key encryption key, and generates no keys before.
    #[error(
        "key domain {domain} lacks {outstanding} share{}, and before the import is complete the token generates no keys", plural(*.outstanding == 1)
    )]
    SharesMissing {
        /// The domain.
        domain: u8,
        /// How many shares are missing.
        outstanding: u8,
    },
    /// Too few key ids are free.
    #[error("the token has no {wanted} free key ids")]
    NoFreeIds {
        /// How many are needed.
        wanted: usize,
    },
    /// A key that the test made is not there any more, or is another one.
    #[error("key {id} is not the one this test made: it is not touched")]
    OtherKey {
        /// Its id.
        id: KeyId,
    },
    /// A card command failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The system has no random bytes.
    #[error("the system has no random bytes")]
    Entropy,
}

impl From<Error> for AcceptanceError {
    fn from(error: Error) -> Self {
        Self::Session(error.into())
    }
}
