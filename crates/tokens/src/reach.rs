//! Finding the token a person means, and holding it.
//!
//! [`Places`] says where to look: virtual tokens of a data directory, whether they lie there or are plugged in by a process
//! that shares them, and the readers of PC/SC. [`Places::survey`] tells what is there; [`Survey::choose`] finds the one
//! meant, by device id, label or name of a virtual token, never by the slot it happens to stand in; [`Places::reach`] does
//! both and gives the token, held by this process alone until [`Reached`] or what was made of it is dropped.

mod choose;
mod error;
mod places;
mod probe;
mod reached;
mod readers;
mod session;
mod sockets;
mod survey;
mod transport;
mod watch;

pub use choose::Intent;
pub use error::ReachError;
pub use places::Places;
pub use reached::Reached;
pub use session::{Session, SessionError};
pub use survey::{Found, Presence, Survey, Way};
pub use transport::TokenTransport;
pub use watch::{ForeignReset, Watch};
