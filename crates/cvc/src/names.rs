//! Names of virtual tokens and of who certifies them.
//!
//! An installation that makes virtual tokens has a root `UTCHR` + code + `00001` and an issuer `UTCHI` + the same
//! code + `00001`; a virtual device is `UTCHD` + its own code + `00000`. A code is six base-32 characters. Such a root
//! certifies only such names, and no other root certifies any of them, so that a virtual token can always be told
//! from a device.

use std::fmt;

use crate::reference::{Reference, ReferenceError};

/// The six base-32 characters (RFC 4648 6: `A` to `Z`, `2` to `7`) of an installation or a virtual device: 30 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VirtualCode([u8; CODE_LEN]);

impl VirtualCode {
    /// Makes a code of 30 of the 32 bits given; the two highest are ignored.
    #[must_use]
    pub fn from_random(random: [u8; 4]) -> Self {
        let bits = u32::from_be_bytes(random);
        let mut code = [b'A'; CODE_LEN];
        let mut shift = 30_u32;
        for character in &mut code {
            shift = shift.saturating_sub(5);
            let digit = bits.checked_shr(shift).unwrap_or_default() & 0x1F;
            *character = usize::try_from(digit)
                .ok()
                .and_then(|digit| ALPHABET.get(digit))
                .copied()
                .unwrap_or(b'A');
        }
        Self(code)
    }

    /// Reads a code; `None` unless it is six characters of the alphabet.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; CODE_LEN] = text.as_bytes().try_into().ok()?;
        code.iter()
            .all(|character| ALPHABET.contains(character))
            .then_some(Self(code))
    }

    /// The name of the root of an installation with this code.
    ///
    /// # Errors
    /// None in practice: every code gives a valid reference.
    pub fn root_name(self) -> Result<Reference, ReferenceError> {
        Reference::new(&format!("{ROOT}{self}00001"))
    }

    /// The name of the issuer of an installation with this code.
    ///
    /// # Errors
    /// None in practice: every code gives a valid reference.
    pub fn issuer_name(self) -> Result<Reference, ReferenceError> {
        Reference::new(&format!("{ISSUER}{self}00001"))
    }

    /// The name of a virtual device with this code.
    ///
    /// # Errors
    /// None in practice: every code gives a valid reference.
    pub fn device_name(self) -> Result<Reference, ReferenceError> {
        Reference::new(&format!("{DEVICE}{self}00000"))
    }

    /// The code of a virtual root's name, `None` when the name is not of that form.
    #[must_use]
    pub fn of_root(name: &Reference) -> Option<Self> {
        Self::between(name, ROOT, "00001")
    }

    /// The code of a virtual issuer's name, `None` when the name is not of that form.
    #[must_use]
    pub fn of_issuer(name: &Reference) -> Option<Self> {
        Self::between(name, ISSUER, "00001")
    }

    /// The code of a virtual device's name, `None` when the name is not of that form.
    #[must_use]
    pub fn of_device(name: &Reference) -> Option<Self> {
        Self::between(name, DEVICE, "00000")
    }

    /// Whether a name is set aside for virtual tokens, well-formed or not.
    #[must_use]
    pub fn is_reserved(name: &Reference) -> bool {
        [ROOT, ISSUER, DEVICE]
            .iter()
            .any(|prefix| name.as_str().starts_with(prefix))
    }

    fn between(name: &Reference, prefix: &str, sequence: &str) -> Option<Self> {
        Self::parse(name.as_str().strip_prefix(prefix)?.strip_suffix(sequence)?)
    }
}

impl fmt::Display for VirtualCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|character| fmt::Write::write_char(f, char::from(*character)))
    }
}

impl fmt::Debug for VirtualCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualCode({self})")
    }
}

const CODE_LEN: usize = 6;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const ROOT: &str = "UTCHR";
const ISSUER: &str = "UTCHI";
const DEVICE: &str = "UTCHD";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_take_five_bits_a_character() {
        assert_eq!(VirtualCode::from_random([0; 4]).to_string(), "AAAAAA");
        assert_eq!(VirtualCode::from_random([0xFF; 4]).to_string(), "777777");
        assert_eq!(VirtualCode::from_random([0, 0, 0, 1]).to_string(), "AAAAAB");
        assert_eq!(VirtualCode::from_random([0x02, 0, 0, 0]).to_string(), "BAAAAA");
    }

    #[test]
    fn names_lead_back_to_the_code() {
        let code = VirtualCode::parse("K7Q2ZX").unwrap();
        assert_eq!(code.root_name().unwrap().as_str(), "UTCHRK7Q2ZX00001");
        assert_eq!(VirtualCode::of_root(&code.root_name().unwrap()), Some(code));
        assert_eq!(VirtualCode::of_issuer(&code.issuer_name().unwrap()), Some(code));
        assert_eq!(VirtualCode::of_device(&code.device_name().unwrap()), Some(code));
        assert_eq!(VirtualCode::of_device(&code.root_name().unwrap()), None);
        assert_eq!(VirtualCode::parse("K7Q2Z"), None);
        assert_eq!(VirtualCode::parse("k7Q2ZX"), None);
        assert_eq!(VirtualCode::parse("K7Q2Z1"), None);
    }
}
