//! The agent at a token's side: attaches local tokens to a node over RAMOverHTTP.
//!
//! * [`Server`]: where the node is and how it is recognised;
//! * [`TokenSource`], [`LocalToken`]: where a token comes from;
//! * [`Attachment`]: one token, its ticket, and what the server may do with it; [`Attachment::run`] attaches it;
//! * [`Happened`]: what is told meanwhile.
//!
//! What is decided is decided in [`chancery_ram::client`] and [`chancery_ram::policy`]; here are connections, clocks, and
//! one thread for each token. No PIN passes through here, in either direction.

mod attachment;
mod failure;
mod happened;
mod server;
mod session;
mod source;
mod tally;
mod trust;
mod worker;

pub use attachment::Attachment;
pub use chancery_ram::client::{End, Event};
pub use chancery_ram::policy::{Policy, Reason, Refusal};
pub use failure::{AttachError, ServerError, TakeError};
pub use happened::Happened;
pub use server::{CONNECTOR, Server};
pub use source::{LocalToken, Taken, TokenSource};
pub use trust::Trust;
