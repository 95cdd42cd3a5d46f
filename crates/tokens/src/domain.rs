//! The key domains of a token: which there are, which keys belong to them; domains of shares made and deleted; and groups of
//! tokens that agree on a key encryption key ([`chancery_driver::exchange`]).
//!
//! * [`Overview`]: what a token has;
//! * [`create`], [`delete`], [`delete_key`]: domains made and deleted;
//! * [`create_signer`], [`GroupSigner`]: a group, and who is admitted to it;
//! * [`join`]: an exchange domain on a member's token;
//! * [`prepare`], [`Prepared::agree`]: the key encryption key of two members.
//!
//! An agreement that needs a new exchange key takes several steps on a token. They are noted in a [journal](crate::journal);
//! [`resume`] finishes them, [`undo`] takes them back.

mod agree;
mod change;
mod error;
mod group;
mod interrupted;
mod overview;

use chancery_cvc::TrustAnchors;
use time::OffsetDateTime;

use crate::archive::Archive;
use crate::transfer::Noted;

pub use agree::{KeyChoice, Prepared, Wanted, prepare};
pub use change::{create, delete, delete_key};
pub use error::DomainError;
pub use group::{GroupSigner, Joined, create_signer, join};
pub use interrupted::{Resumed, Undone, resume, undo};
pub use overview::{DomainKey, DomainState, Overview, Place};

/// Kind of journal: an exchange key made, and an agreement by it.
pub const AGREE: &str = "agree";

/// What work on a token needs of the host.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    /// Whom device certificates must come from.
    pub anchors: &'a TrustAnchors,
    /// Where attestations are kept.
    pub archive: &'a Archive,
    /// What work is noted under.
    pub noted: Noted<'a>,
    /// Now.
    pub now: OffsetDateTime,
}
