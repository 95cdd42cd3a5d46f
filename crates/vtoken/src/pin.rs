//! How a token remembers a PIN.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Memory of one PIN check in KiB.
///
/// Far below what a stolen password table would need: the record lies in a log that is encrypted as a whole, the
/// retry counter bounds guessing through the card, and a VERIFY must answer in about a millisecond. The cost is
/// there so that a PIN is not read off a memory dump or a decrypted backup at a glance.
const MEMORY_KIB: u32 = 1024;
/// Passes over the memory.
const PASSES: u32 = 1;

/// A PIN's verifier and its retry counter. Stored.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PinRecord {
    /// Salt of the verifier, 16 random bytes.
    pub(crate) salt: [u8; 16],
    /// Argon2id of the PIN.
    pub(crate) verifier: [u8; 32],
    /// Length of the PIN in bytes: CHANGE REFERENCE DATA has no separator between old and new.
    pub(crate) length: u8,
    /// Tries left; 0 = blocked.
    pub(crate) tries_left: u8,
    /// Tries after a successful verification.
    pub(crate) tries_max: u8,
    /// True while this is a transport PIN, which has to be changed before use.
    pub(crate) transport: bool,
}

impl PinRecord {
    /// A record with all its tries. `pin` is at most 255 bytes (the card's limit is 16), `salt` is random.
    pub(crate) fn new(pin: &[u8], tries_max: u8, transport: bool, salt: [u8; 16]) -> Self {
        Self {
            salt,
            verifier: *derive(pin, &salt),
            length: u8::try_from(pin.len()).unwrap_or(u8::MAX),
            tries_left: tries_max,
            tries_max,
            transport,
        }
    }

    /// Compares in constant time. Neither looks at the counter nor alters it.
    pub(crate) fn matches(&self, pin: &[u8]) -> bool {
        let same_length = usize::from(self.length) == pin.len();
        bool::from(derive(pin, &self.salt).ct_eq(&self.verifier)) && same_length
    }

    /// True when no try is left.
    pub(crate) fn is_blocked(&self) -> bool {
        self.tries_left == 0
    }
}

impl fmt::Debug for PinRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinRecord")
            .field("tries_left", &self.tries_left)
            .field("tries_max", &self.tries_max)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

fn derive(pin: &[u8], salt: &[u8; 16]) -> Zeroizing<[u8; 32]> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).expect("constants are within Argon2's limits");
    let mut output = Zeroizing::new([0u8; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(pin, salt, output.as_mut_slice())
        .expect("salt of 16 bytes and output of 32 bytes are within Argon2's limits");
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_pin_matches() {
        let record = PinRecord::new(b"648219", 3, false, [7; 16]);
        assert!(record.matches(b"648219"));
        assert!(!record.matches(b"648218"));
        assert!(!record.matches(b"6482190"));
        assert!(!record.matches(b""));
    }

    #[test]
    fn debug_shows_no_verifier() {
        let text = format!("{:?}", PinRecord::new(b"648219", 3, false, [0xAB; 16]));
        assert!(text.contains("tries_left: 3"));
        assert!(!text.contains("salt") && !text.contains("171"), "{text}");
    }
}
