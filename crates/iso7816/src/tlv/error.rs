//! What can be wrong with a data object.

use thiserror::Error;

use super::{MAX_DEPTH, MAX_LENGTH, Tag};

/// What is wrong with a data object, and where: offsets count bytes from the start of the outermost reader's input.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TlvError {
    /// The input ends inside a tag, a length or a value.
    #[error("data object at offset {offset} is cut short: {missing} more bytes are announced")]
    Truncated {
        /// Where the data object starts.
        offset: usize,
        /// How many bytes are missing at least.
        missing: usize,
    },
    /// A tag of 00, or a multi-byte tag whose number has a leading zero group.
    #[error("no valid tag at offset {offset}")]
    InvalidTag {
        /// Where the tag starts.
        offset: usize,
    },
    /// A tag of more than three bytes.
    #[error("tag at offset {offset} is longer than 3 bytes")]
    TagTooLong {
        /// Where the tag starts.
        offset: usize,
    },
    /// The indefinite form, or more than four length bytes.
    #[error("length of data object {tag} at offset {offset} has the unsupported first byte {first:02X}")]
    LengthForm {
        /// Where the data object starts.
        offset: usize,
        /// Its tag.
        tag: Tag,
        /// First length byte.
        first: u8,
    },
    /// A value above [`MAX_LENGTH`] bytes.
    #[error("data object {tag} at offset {offset} announces {length} bytes, the limit is {MAX_LENGTH}")]
    TooLong {
        /// Where the data object starts.
        offset: usize,
        /// Its tag.
        tag: Tag,
        /// Announced length in bytes.
        length: u32,
    },
    /// Data objects nested deeper than [`MAX_DEPTH`].
    #[error("data objects at offset {offset} are nested deeper than {MAX_DEPTH}")]
    TooDeep {
        /// Where the data object starts.
        offset: usize,
    },
    /// Another data object than the one that has to stand here.
    #[error("expected data object {expected} at offset {offset}, found {found}")]
    Unexpected {
        /// Where the data object starts.
        offset: usize,
        /// The tag that has to stand here.
        expected: Tag,
        /// The tag that stands here.
        found: Tag,
    },
    /// The input ends where a data object has to stand.
    #[error("data object {expected} is missing at offset {offset}")]
    Missing {
        /// Where the input ends.
        offset: usize,
        /// The tag that has to stand here.
        expected: Tag,
    },
    /// Bytes after the last data object.
    #[error("{left} unexpected bytes at offset {offset}")]
    Trailing {
        /// Where they start.
        offset: usize,
        /// How many there are.
        left: usize,
    },
}
