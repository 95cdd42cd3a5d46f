//! Leases on the custodian's side: read, checked, shown, and answered by the custodian's own token.
//!
//! The order of things is fixed by types: a [`ShownLease`] can only be made from the text that is signed, its digests only be taken
//! from a manifest with the hash the text names, and [`Custodian::decide`] takes an unlocked token, so that the PIN was asked before the
//! first challenge is fetched. What is signed is built here: the HSM's name with its challenge, and the statement over what was shown.
//! Nothing here decides: who calls [`Custodian::decide`] had a person do it.

mod answer;
mod compare;
mod decision;
mod manifest;
mod remaining;
mod seen;
mod shown;
mod trust;
mod wider;

pub use answer::{Answered, Asked, Custodian, LeaseNode};
pub use compare::{Comparison, digest_of};
pub use decision::LeaseDecision;
pub use manifest::{MANIFEST_PAGE, fetch_manifest};
pub use remaining::duration;
pub use seen::{Growth, SeenLog};
pub use shown::ShownLease;
pub use wider::Wider;
