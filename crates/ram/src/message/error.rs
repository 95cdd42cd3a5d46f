//! What is wrong with a message.

use thiserror::Error;

use super::{MAX_OBJECTS, MAX_VALUE};

/// Why bytes are no message, or why a message cannot be written. Offsets count from the start of the message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The message is empty.
    #[error("the message is empty")]
    Empty,
    /// The message is another one than expected, or none at all.
    #[error("the message starts with {found:02X}")]
    Unexpected {
        /// Its first byte.
        found: u8,
    },
    /// A length field is of a form that does not occur here: indefinite, or of more than two bytes.
    #[error("the length at byte {offset} starts with {found:02X}, which is no length of at most two bytes")]
    Length {
        /// Where the length field starts.
        offset: usize,
        /// Its first byte.
        found: u8,
    },
    /// The bytes end within an object.
    #[error("the object at byte {offset} ends {missing} bytes early")]
    Truncated {
        /// Where the object starts.
        offset: usize,
        /// Bytes that are missing.
        missing: usize,
    },
    /// An integer is empty or longer than four bytes.
    #[error("the integer at byte {offset} has {length} bytes, not 1 to 4")]
    Integer {
        /// Where the object starts.
        offset: usize,
        /// Bytes it has.
        length: usize,
    },
    /// An object that has to be there is absent.
    #[error("object {tag:02X} is missing in {within:02X}")]
    Missing {
        /// Tag of the absent object.
        tag: u8,
        /// Tag of the template it belongs into.
        within: u8,
    },
    /// A request to reset the card carries a value.
    #[error("the reset at byte {offset} has a value")]
    ResetWithValue {
        /// Where the object starts.
        offset: usize,
    },
    /// More objects than any real message has.
    #[error("the template has more than {MAX_OBJECTS} objects")]
    TooManyObjects,
    /// The value of a template or object does not fit its length field.
    #[error("a value of {length} bytes is over the limit of {MAX_VALUE} bytes")]
    TooLong {
        /// Bytes the value has.
        length: usize,
    },
}
