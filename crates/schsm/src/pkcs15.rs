//! PKCS#15 descriptions of keys, certificates, data objects and the token (reference: ISO/IEC 7816-15).
//!
//! Encoders write what current OpenSC writes, so that it, and whatever reads its objects, shows ours. Parsers take
//! what the known tools and tokens have written, ignore what they do not need, and stop at the end of the outermost
//! data object: files are overwritten in place, and the tail of a longer, older description may follow.

mod certificate;
mod data;
mod error;
mod flags;
mod key;
mod object;
mod token_info;

pub use certificate::CertificateDescription;
pub use data::DataDescription;
pub use error::Pkcs15Error;
pub use flags::{KeyAccess, KeyUsage};
pub use key::PrivateKeyDescription;
pub use token_info::TokenInfo;
