//! A token plugged into pcscd through its vpcd driver.
//!
//! vpcd is a reader without hardware: it listens on a TCP port for each of its slots, and a connection is an inserted card.
//! It waits for an answer without an end, so that every command gets one; a connection that closes is a card that is pulled.
//! Any user can listen on such a port: a token is inserted only where a user listens who may be told its PINs ([`TrustedUsers`]).

mod frame;
mod listener;
mod readers;
mod slot;
mod trust;

pub use frame::{Control, Request, read_request, write_answer};
pub use readers::{DEFAULT_PORT, DRIVER, READER_CONF, ReaderEntry, SLOTS};
pub use slot::{Event, Slot, SlotError, Stranger, VpcdError};
pub use trust::TrustedUsers;
