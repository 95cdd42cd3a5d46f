//! BER-TLV data objects (reference: ISO/IEC 7816-4 6.3, ITU-T X.690 8.1): a reader that borrows and a writer.

mod error;
mod reader;
mod tag;
mod writer;

pub use error::TlvError;
pub use reader::{MAX_DEPTH, MAX_LENGTH, Reader, Tlv};
pub use tag::Tag;
pub use writer::Writer;
