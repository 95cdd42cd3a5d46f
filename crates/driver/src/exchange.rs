//! Exchange key domains (XKEK): tokens of one group agree on a key encryption key that nobody ever holds.
//!
//! * A *group* is a key on some token, its signer. [`Authenticated::sign_membership`] admits one device to it; the
//!   [`Membership`] is a file.
//! * [`Authenticated::join_group`] makes an exchange domain on that device.
//! * Each of two members generates an exchange key in its domain and hands over an [`Offer`]: the key's request and the chain of
//!   the token that made it. [`Authenticated::agree`] takes the other's.
//!
//! What comes from outside is verified on the host first: [`VerifiedMembership`] and [`VerifiedOffer`] can only be had that way.
//! The token verifies it again against its own roots.
//!
//! How a device turns the shared point into the key is not public. A virtual token derives it in a way of its own, and two tokens
//! that derive it differently cannot exchange keys: [`Derivation`].
//!
//! [`Authenticated`]: crate::Authenticated
//! [`Authenticated::sign_membership`]: crate::Authenticated::sign_membership
//! [`Authenticated::join_group`]: crate::Authenticated::join_group
//! [`Authenticated::agree`]: crate::Authenticated::agree

mod commands;
mod derivation;
mod error;
mod membership;
mod offer;
mod places;
mod vouched;

pub use derivation::Derivation;
pub use error::{ExchangeError, ExchangeFormatError, ExchangeProofError};
pub use membership::{Membership, VerifiedMembership};
pub use offer::{Offer, VerifiedOffer};
pub use places::places;
pub use vouched::VouchedRequest;

/// Longest file of a membership or an offer that is read, in bytes; they have about 1300.
pub const MAX_FILE: usize = 16 * 1024;
