//! A token shared by several processes of one user, without pcscd.
//!
//! The process that has a virtual token open serves it on a Unix socket, mode 0600 in a directory of mode 0700; processes of
//! other users are turned away, on both sides. One client at a time holds the token, from [`SocketToken::begin`] to
//! [`SocketToken::end`] or to its own end; the others wait, with a time limit, and learn who holds it. Between two holders
//! the token is reset, so that nobody inherits a PIN that another has presented.

mod address;
mod client;
mod converse;
mod peer;
mod seat;
mod server;
pub mod wire;

pub use address::{LONGEST_PATH, SocketPathError};
pub use client::{SocketError, SocketToken};
pub use server::{BindError, Offer, SocketReader};
pub use wire::Status;
