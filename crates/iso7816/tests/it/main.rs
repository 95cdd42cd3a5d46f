//! APDUs and BER-TLV.
#![expect(clippy::unwrap_used, reason = "tests")]

mod command;
mod recording;
mod response;
mod tlv;
