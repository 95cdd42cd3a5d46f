//! Backup shares of key encryption keys: share files, password shares, and a doctor for both.
//!
//! A share of a device key encryption key (DKEK) is kept in a share file (`chancery_schsm::share_file`) under a password. The
//! password may be split: [`split`] gives `n` password shares of which any `t` give it back ([`combine`]), in the scheme and the
//! notation of OpenSC's `sc-hsm-tool`, so that either program reads what the other made.
//!
//! * [`Prime`], [`ShareValue`], [`PasswordShare`], [`Threshold`]: the scheme;
//! * [`text`]: password shares in the forms people have them, as written;
//! * [`checks`]: short checksums that name the group that was mistyped;
//! * [`commitment`]: hiding commitments, by which a custodian checks a share at home;
//! * [`page`]: one custodian's page;
//! * [`typed`]: what `sc-hsm-tool` makes of what is typed;
//! * [`doctor`]: whether share files, password shares, tokens and wrapped keys belong together, and what went wrong.
//!
//! No input, no output, no clock; randomness is a parameter ([`Random`]). Secrets are wiped when dropped and never appear in `Debug`.

pub mod checks;
pub mod commitment;
pub mod doctor;
mod error;
mod field;
pub mod page;
mod scheme;
mod share;
pub mod text;
pub mod typed;

pub use error::{RandomError, SchemeError};
pub use scheme::{Random, Secret, combine, split};
pub use share::{MAX_SHARES, PasswordShare, Prime, SetId, ShareValue, Threshold};
