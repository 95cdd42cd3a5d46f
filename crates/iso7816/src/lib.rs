//! ISO/IEC 7816-4 command and response APDUs and BER-TLV; pure, no I/O.
//!
//! * [`CommandApdu`] and [`ResponseApdu`]: the two messages of a card dialogue in every short and extended shape;
//! * [`StatusWord`]: the two bytes every answer ends with, and what they mean;
//! * [`Transport`]: the seam every token is reached through, bytes in and bytes out;
//! * [`tlv`]: reader and writer of BER-TLV data objects with limits;
//! * [`recording`]: a transport that counts what passes through it.
//!
//! This crate has no clock, no randomness and does no I/O. No type in it shows the body of an APDU in its `Debug`
//! form, because bodies hold PINs and keys.

mod command;
pub mod recording;
mod response;
mod status;
pub mod tlv;
mod transport;

pub use command::{ApduError, CommandApdu, MAX_DATA, MAX_EXPECTED};
pub use response::{ResponseApdu, ResponseError};
pub use status::StatusWord;
pub use transport::{Transport, TransportError};
