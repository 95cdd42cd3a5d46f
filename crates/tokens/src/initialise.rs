//! Setting a token up, so that an interruption anywhere can be told, finished or undone.
//!
//! The steps: INITIALIZE DEVICE, which erases everything but the device key; key domains; label; reading back what was set.
//! Each is noted in a journal before and after ([`crate::journal`]). [`account()`] tells from the notes what was and what was not
//! done; [`resume`] goes on; [`undo`] finds out whether there is anything to undo, which after the first step there never is.

mod account;
mod blueprint;
mod check;
mod error;
mod run;

pub use account::{Done, account};
pub use blueprint::{Before, Blueprint, Plan};
pub use check::{Difference, compare};
pub use error::InitialiseError;
pub use run::{Secrets, resume, run, undo};

/// Kind of work in the journal.
pub const KIND: &str = "init";
