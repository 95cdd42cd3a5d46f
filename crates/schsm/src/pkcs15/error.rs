//! What can be wrong with a description.

use chancery_iso7816::tlv::{Tag, TlvError};
use thiserror::Error;

/// Why bytes are no description.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Pkcs15Error {
    /// Not BER-TLV, or another data object than the one that has to stand there.
    #[error("description is malformed")]
    Tlv(#[from] TlvError),
    /// The outermost tag says it describes something else.
    #[error("data object {tag} does not describe {wanted}")]
    Kind {
        /// The tag found.
        tag: Tag,
        /// What was to be read.
        wanted: &'static str,
    },
    /// A value that is out of range or of another form.
    #[error("{field} of the description is malformed")]
    Value {
        /// Which one.
        field: &'static str,
    },
}
