//! Keys that travel under a key encryption key: out of a token ([`wrap()`]), into another ([`install()`]), or in from a file
//! that holds them in clear ([`Parcel::import`]).
//!
//! A key arrives in steps, each noted in the [journal](crate::journal) before it is taken: the token takes the key, the key
//! proves which one it is by a use, its description and its certificate are written. Whatever interrupts that, [`resume()`]
//! looks at the token and goes on, and [`undo()`] takes back what was done. No journal holds key material, not even wrapped.

mod check;
mod error;
mod install;
mod open;
mod parcel;
mod plan;
mod present;
mod wrap;

pub use check::Verified;
pub use error::{ParcelError, TransferError};
pub use install::{Arrival, Installed, Undone, check_domain, install, resume, undo};
pub use open::{KeyFile, KeyFileError, KeyFileFormat};
pub use parcel::{ImportLabels, Parcel, check};
pub use present::already_there;
pub use wrap::{Forgotten, Wrapped, finish_wrap, undo_wrap, wrap, wrap_to_file};

/// What work on a token is noted under in a journal.
#[derive(Clone, Copy, Debug)]
pub struct Noted<'a> {
    /// The journal.
    pub journal: &'a crate::journal::Journal,
    /// Device id of the token.
    pub device: &'a str,
    /// What to call the token in a sentence.
    pub token: &'a str,
    /// Now, in seconds since 1970.
    pub now: i64,
}

impl Noted<'_> {
    pub(crate) fn begin(
        &self,
        kind: &str,
        plan: &impl serde::Serialize,
    ) -> Result<crate::journal::Work, crate::journal::JournalError> {
        let begin = crate::journal::Begin {
            kind,
            device: self.device,
            token: self.token,
            now: self.now,
        };
        self.journal.begin(&begin, plan)
    }
}

/// Kind of journal: a key out of a token into a file.
pub const WRAP: &str = "wrap";
/// Kind of journal: a wrapped key into a token.
pub const UNWRAP: &str = "unwrap";
/// Kind of journal: a key in clear into a token.
pub const IMPORT: &str = "import";
