//! Secure messaging after chip authentication version 2 (reference: BSI TR-03110-3 A.4, F; ISO/IEC 7816-4 10).
//!
//! A host and a token agree on a secret with an ephemeral key of the host's and the device authentication key. From it
//! both derive [`ChannelKeys`]; the token proves that it has them with a [token](ChannelKeys::token) over the host's
//! ephemeral key. Then every command and every answer is encrypted and authenticated, and a counter that both sides keep
//! makes each valid once.
//!
//! [`HostChannel`] and [`CardChannel`] are the two ends. Their commands travel in CLA `0C` or `8C` with the data objects
//! 87 or 85 (cryptogram), 97 (Le) and 8E (MAC), answers with 87 or 85, 99 (status word) and 8E. The first thing that is
//! wrong closes an end for good: its keys are wiped, and nothing but a new chip authentication helps.
//!
//! This module does no key agreement: the shared secret and the nonce are parameters.

mod card;
mod cipher;
mod error;
mod host;
mod keys;
mod objects;

pub use card::CardChannel;
pub use error::SecureMessagingError;
pub use host::HostChannel;
pub use keys::{ChannelKeys, NONCE_LENGTH, Protocol, TOKEN_LENGTH};

/// CLA bits of a protected command: secure messaging with an authenticated header (ISO/IEC 7816-4 5.4.1).
pub const CLASS_PROTECTED: u8 = 0x0C;

/// The longest data field, in bytes, that fits into a protected command or answer.
pub const MAX_PROTECTED_DATA: usize = 65_503;
