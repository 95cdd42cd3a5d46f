//! Readers for virtual tokens: a slot of pcscd through vpcd, and a Unix socket.
//!
//! * [`vpcd`]: a token is plugged into pcscd, where unchanged programs find it;
//! * [`socket`]: several processes of one user share a token through the one that has it open, without pcscd. Each of them
//!   reaches it with a [`SocketToken`](socket::SocketToken), which is a [`Transport`](chancery_iso7816::Transport).
//!
//! Both serve whatever is [`Inserted`] and end by a [`Stop`]. What comes from the other side of a connection is parsed by
//! pure functions with limits ([`vpcd::read_request`], [`socket::wire`]); no bytes of a command are logged.

mod inserted;
pub mod socket;
mod stop;
pub mod vpcd;

pub use inserted::{Inserted, WithAtr};
pub use stop::{OnStop, Stop};
